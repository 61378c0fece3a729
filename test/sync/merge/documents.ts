/** Random JSON documents, and edits of them, as plain values. */
import fc from 'fast-check'

export type Json = null | boolean | number | string | Json[] | { [name: string]: Json }
export type Fields = { [name: string]: Json }

/** Few names and values, so that edits meet. */
const names = fc.constantFrom('a', 'b', 'c', 'd/e', '__proto__', '', '~', 'yes', '1', 'ü')
const scalars: fc.Arbitrary<Json> = fc.oneof(
  fc.constantFrom<Json>(null, true, false, 0, 1, -1.5, 1e21, '', 'x', 'yes', '1', '# no', 'a: b'),
  fc.string({ maxLength: 6 }),
  fc.string({ unit: 'binary', maxLength: 4 }).filter((text) => text.isWellFormed()),
)

/** `Object.fromEntries` would do for `__proto__`, too, but not for a prototype. */
function fields(entries: [string, Json][]): Fields {
  return Object.assign(Object.create(null), Object.fromEntries(new Map(entries)))
}

export const documents: fc.Arbitrary<Fields> = fc.letrec<{ value: Json; map: Fields }>((tie) => ({
  value: fc.oneof(
    { maxDepth: 2, withCrossShrink: true },
    scalars,
    fc.array(tie('value'), { maxLength: 3 }),
    tie('map'),
  ),
  map: fc.array(fc.tuple(names, tie('value')), { maxLength: 4 }).map(fields),
})).map

export interface Edit {
  /** Which of the object's fields, counted round; one beyond the last: a new one. */
  where: number[]
  name: string
  /** undefined: removed. */
  value: Json | undefined
}

export const edits: fc.Arbitrary<Edit[]> = fc.array(
  fc.record({
    where: fc.array(fc.nat(6), { minLength: 1, maxLength: 3 }),
    name: names,
    value: fc.option(fc.oneof(scalars, documents), { nil: undefined }),
  }),
  { maxLength: 3 },
)

export function edited(document: Fields, changes: Edit[]): Fields {
  return changes.reduce((now, edit) => change(now, edit, edit.where), document)
}

function change(object: Fields, edit: Edit, where: number[]): Fields {
  const entries = Object.entries(object)
  const [first = 0, ...rest] = where
  const at = first % (entries.length + 1)
  const entry = entries[at]
  if (!entry) return fields([...entries, [edit.name, edit.value ?? null]])
  const [name, value] = entry
  if (rest.length > 0 && isFields(value)) {
    return fields(entries.with(at, [name, change(value, edit, rest)]))
  }
  if (edit.value === undefined) return fields(entries.toSpliced(at, 1))
  return fields(entries.with(at, [name, edit.value]))
}

export const isFields = (value: Json | undefined): value is Fields =>
  typeof value === 'object' && value !== null && !Array.isArray(value)

/** The plain definition of a merge by field, lists as one value; null: two sides disagree. */
export function mergedFields(base: Fields, sides: Fields[]): Fields | null {
  const result: [string, Json][] = []
  for (const name of new Set([base, ...sides].flatMap((version) => Object.keys(version)))) {
    const was = base[name]
    const values = sides.map((side) => side[name]).filter((value) => !equal(value, was))
    const [value] = values.length > 0 ? values : [was]
    if (values.every((other) => equal(other, value))) {
      if (value !== undefined) result.push([name, value])
    } else if (isFields(was) && values.every(isFields)) {
      const inner = mergedFields(was, sides.map((side) => side[name]).filter(isFields))
      if (inner === null) return null
      result.push([name, inner])
    } else return null
  }
  return fields(result)
}

/** The order of fields aside. */
export function canonical(value: Json | undefined): string {
  if (Array.isArray(value)) return `[${value.map(canonical).join()}]`
  if (!isFields(value)) return JSON.stringify(value) ?? ''
  const entries = Object.entries(value).map(([name, of]) => [JSON.stringify(name), canonical(of)])
  return `{${entries.map((entry) => entry.join(':')).sort()}}`
}

const equal = (a: Json | undefined, b: Json | undefined) => canonical(a) === canonical(b)
