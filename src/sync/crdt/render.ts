/** What a document's state says, as JSON; in the order and the spelling of who wrote it last. */
import { decimalOf } from './decimal.ts'
import { held, lastMark, marksByTime, type Node } from './document.ts'
import type { Dot } from './dots.ts'
import { canonical } from './equal.ts'
import { type Fields, type Json, parseJson } from './json.ts'

/** The JSON that its writer had in mind with a mark; undefined: nobody knows it any more. */
export type Written = (mark: Dot) => Json | undefined

/** undefined: there is nothing. Without `written`, names and elements are sorted. */
export function render(node: Node, written: Written = () => undefined): Json | undefined {
  const now = held(node)
  if (now === undefined) return undefined
  const is = lastMark(node)?.is
  const marks = marksByTime(node).filter((dot) => node.marks[dot]?.value.is === is)
  const known = marks.map(written).filter((json) => json !== undefined)
  const guides = [...new Set(known)]
  switch (now.is) {
    case 'register':
      return known.at(-1) ?? parsed(now.json)
    case 'multi-value':
      if (guides.length === 1) return guides[0]
      return now.json.length === 1
        ? parsed(now.json[0] ?? '')
        : listOf(now.json.map(parsed), guides)
    case 'map':
      return renderMap(now.entries, guides, written)
    case 'list':
      return listOf(
        now.items.flatMap(([, item]) => render(item, written) ?? []),
        guides,
      )
    case 'set':
      return renderSet(now.elements, guides)
    case 'counter':
      return (
        guides.find((one) => one.kind === 'scalar' && decimalOf(one.text) === now.total) ?? {
          kind: 'scalar',
          text: now.total,
        }
      )
  }
}

/** States are checked where they come from: their JSON is JSON. */
function parsed(text: string): Json {
  const result = parseJson(text)
  if ('fault' in result) throw new Error(`a mark that is no JSON: ${result.fault.message}`)
  return result.json
}

function renderMap(entries: [string, Node][], guides: Json[], written: Written): Json {
  const orders = guides.flatMap((one) => (one.kind === 'fields' ? [one.fields] : []))
  const values = new Map(entries)
  const names = inOrder(
    [...values.keys()],
    orders.map((fields) => [...fields.keys()]),
  )
  const fields: Fields['fields'] = new Map()
  for (const key of names) {
    const value = render(values.get(key) as Node, written)
    const name = orders.find((one) => one.has(key))?.get(key)?.name ?? JSON.stringify(key)
    if (value) fields.set(key, { name, value })
  }
  return { kind: 'fields', fields, inline: isInline(guides) }
}

function renderSet(elements: string[], guides: Json[]): Json {
  const lists = guides.map((one) => (one.kind === 'list' ? one.items : []))
  const spelled = new Map(lists.flat().map((item) => [canonical(item), item]))
  const order = inOrder(
    elements,
    lists.map((items) => items.map(canonical)),
  )
  return listOf(
    order.map((element) => spelled.get(element) ?? parsed(element)),
    guides,
  )
}

function listOf(items: Json[], guides: Json[]): Json {
  return { kind: 'list', items, inline: isInline(guides) }
}

function isInline(guides: Json[]): boolean {
  return guides.length > 0 && guides.every((one) => one.kind === 'scalar' || one.inline)
}

/**
 * The names in the order of the first guide; what only a later one has comes after the name that
 * it follows there, and after what others had put at that place. Unknown ones come last.
 */
function inOrder(names: string[], guides: string[][]): string[] {
  const wanted = new Set(names)
  const next = new Map<string | null, string | null>([[null, null]])
  for (const guide of [...guides, names]) {
    const mine = new Set(guide)
    let last: string | null = null
    for (const name of mine) {
      if (!wanted.has(name)) continue
      if (!next.has(name)) {
        let after = last
        for (let one = next.get(after); one != null && !mine.has(one); one = next.get(one)) {
          after = one
        }
        next.set(name, next.get(after) ?? null)
        next.set(after, name)
      }
      last = name
    }
  }
  const order: string[] = []
  for (let name = next.get(null); name != null; name = next.get(name)) order.push(name)
  return order
}
