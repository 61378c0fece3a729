/** When two values of JSON are the same. */
import type { Json } from './json.ts'

/** The text of equal values is equal: names sorted, strings in their one spelling, no blanks. */
export function canonical(json: Json): string {
  return shape(json, canonical)
}

/** Equal values get equal numbers, at the cost of reading each value once. */
export type NumberOf = (json: Json) => number

export function numbering(): NumberOf {
  const known = new WeakMap<Json, number>()
  const numbers = new Map<string, number>()
  const numberOf = (json: Json): number => {
    const before = known.get(json)
    if (before !== undefined) return before
    const text = shape(json, numberOf)
    const number = numbers.get(text) ?? numbers.size
    numbers.set(text, number)
    known.set(json, number)
    return number
  }
  return numberOf
}

function shape(json: Json, inner: (json: Json) => string | number): string {
  if (json.kind === 'scalar') return canonicalScalar(json.text)
  if (json.kind === 'list') return `[${json.items.map(inner)}]`
  const names = [...json.fields].sort(([a], [b]) => (a < b ? -1 : 1))
  return `{${names.map(([name, { value }]) => `${JSON.stringify(name)}:${inner(value)}`)}}`
}

/** Numbers keep their digits: 1 and 1.0 are two spellings, and two values here. */
function canonicalScalar(text: string): string {
  return text.startsWith('"') ? JSON.stringify(JSON.parse(text)) : text
}
