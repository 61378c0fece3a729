/**
 * Concurrent edits of one JSON document into one, without a conflict. The programs that edit it
 * know nothing of CRDTs: the base becomes a state, each side's difference to it becomes a delta, by
 * an actor of its own and with the time of that side; all are joined, and the value is a document
 * again.
 *
 * | changed at two sides        | what stands there afterwards                                  |
 * | --------------------------- | ------------------------------------------------------------- |
 * | fields of one object        | both changes, field by field                                  |
 * | one scalar field            | the later one, by its side's time; at the same time by digest |
 * | one `multi-value` field     | both, as a list, until a side writes it again                 |
 * | one `set`                   | what either added; not what was removed and not added again   |
 * | one `counter`               | the base and both differences                                 |
 * | one list                    | both sides' insertions, run by run, the earlier side's first  |
 * | one removed, one changed it | the whole of the changed one                                  |
 * | one made it another kind    | the later one                                                 |
 *
 * An object in a list is changed in place where it is still known: by an `id` or the like, else by
 * what it has in common. One that moved was removed and inserted. Equal insertions of two sides are
 * two. Without a base, what all sides have in common counts as the base, and the rest as theirs: so
 * equal fields don't add up, and objects merge by field.
 */
import type { Merged } from '../merge/merge.ts'
import { align } from './align.ts'
import { empty, join } from './document.ts'
import type { Dot } from './dots.ts'
import { deltaOf, type Editing, stateOf } from './edits.ts'
import { type NumberOf, numbering } from './equal.ts'
import { type CrdtField, type Declared, declaredOf, misfit } from './fields.ts'
import { startClock, tick } from './hlc.ts'
import { type Fields, type Json, type Layout, parseJson } from './json.ts'
import { render } from './render.ts'
import { writeJson } from './write-json.ts'

export type { CrdtField } from './fields.ts'

export interface CrdtOptions {
  fields: CrdtField[]
}

export interface CrdtSide {
  bytes: Uint8Array
  /** Who has it: for messages alone. */
  label: string
  /** When it was written, ms since the epoch. */
  at: number
  /** Who wrote it, but by no replica's name (I11): the content's digest. */
  actor: string
}

interface Document {
  bytes: Uint8Array
  json: Json
  layout: Layout
  at: number
}

type Undecided = Extract<Merged, { kind: 'undecided' }>

/** The order of `sides` changes nothing (I11). Throws a UserError (`crdt-path`). */
export function mergeByCrdt(
  base: Uint8Array | null,
  sides: CrdtSide[],
  options: CrdtOptions,
): Merged {
  const declared = declaredOf(options.fields)
  const before = base && readDocument(base, 'the version before', 0, declared)
  if (before && 'kind' in before) return before
  const after: Document[] = []
  for (const { bytes, label, at } of [...sides].sort(bySide)) {
    const document = readDocument(bytes, label, Math.max(0, Math.floor(at)), declared)
    if ('kind' in document) return document
    after.push(document)
  }
  return merged(mergeDocuments(before, after, declared))
}

/** By time, so that the earlier side's insertions come first. */
function bySide(a: CrdtSide, b: CrdtSide): number {
  if (a.at !== b.at) return a.at - b.at
  return a.actor < b.actor ? -1 : +(a.actor > b.actor)
}

function merged(bytes: Uint8Array): Merged {
  return { kind: 'merged', bytes, format: 'json' }
}

function readDocument(
  bytes: Uint8Array,
  label: string,
  at: number,
  declared: Declared,
): Document | Undecided {
  const text = textOf(bytes)
  if (text === null) return undecided('encoding', `${label} is not UTF-8`)
  const parsed = parseJson(text)
  if ('fault' in parsed) {
    const { code, message, at } = parsed.fault
    return undecided(
      code,
      `${label} is not JSON at line ${at.replace(':', ', column ')}: ${message}`,
      at,
    )
  }
  const { json, layout } = parsed
  if (json.kind !== 'fields') return undecided('malformed', `${label} is JSON, but no object`, '')
  const odd = misfit(json, declared)
  if (odd) {
    return undecided(
      'malformed',
      `${odd.at} of ${label} is declared a ${odd.type}, and isn't one`,
      odd.at,
    )
  }
  return { bytes, json, layout, at }
}

function undecided(code: Undecided['code'], message: string, at?: string): Undecided {
  return { kind: 'undecided', code, message, ...(at === undefined ? {} : { at }) }
}

/** null: not UTF-8. A byte order mark stays in the text. */
function textOf(bytes: Uint8Array): string | null {
  try {
    return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes)
  } catch (error) {
    if (error instanceof TypeError) return null
    throw error
  }
}

function mergeDocuments(
  before: Document | null,
  after: Document[],
  declared: Declared,
): Uint8Array {
  const numberOf = numbering()
  const unchanged = before && numberOf(before.json)
  // Of equal ones the last: its time counts.
  const changed = [...new Map(after.map((one) => [numberOf(one.json), one])).values()]
    .filter(({ json }) => numberOf(json) !== unchanged)
    .sort((a, b) => after.indexOf(a) - after.indexOf(b))
  const [only, ...others] = changed
  if (!only) return (after.at(-1) ?? before)?.bytes ?? new Uint8Array()
  if (others.length === 0) return only.bytes
  const json = joined(before?.json ?? inCommon(changed, numberOf), changed, declared, numberOf)
  // Who already says it keeps its bytes.
  const same = changed.findLast((one) => numberOf(one.json) === numberOf(json))
  if (same) return same.bytes
  if (before && numberOf(json) === unchanged) return before.bytes
  return new TextEncoder().encode(writeJson(json, layoutOf(before, after)))
}

function joined(base: Json, sides: Document[], declared: Declared, numberOf: NumberOf): Json {
  const written = new Map<Dot, Json>()
  const editing = (actor: string, at: number): Editing => ({
    pen: { author: { actor, last: 0 }, at: tick(startClock(actor), at) },
    declared,
    numberOf,
    written,
  })
  const state = stateOf(base, editing('base', 0))
  const deltas = sides.map(({ json, at }, i) =>
    // Ranked by time and digest: items that are inserted at one place stand in this order.
    deltaOf(state, base, json, editing(`side ${String(i).padStart(6, '0')}`, at)),
  )
  const { store } = [state, ...deltas].reduce(join, empty())
  const json = render(store, (dot) => written.get(dot))
  return json ?? base
}

/** What all of them have, in the order of the first. */
function inCommon(documents: Document[], numberOf: NumberOf): Json {
  return documents
    .map(({ json }) => json)
    .reduce((a, b) => common(a, b, numberOf) ?? { kind: 'fields', fields: new Map(), inline: true })
}

function common(a: Json, b: Json, numberOf: NumberOf): Json | null {
  if (numberOf(a) === numberOf(b)) return a
  if (a.kind === 'fields' && b.kind === 'fields') {
    const fields: Fields['fields'] = new Map()
    for (const [key, { name, value }] of a.fields) {
      const other = b.fields.get(key)?.value
      const shared = other && common(value, other, numberOf)
      if (shared) fields.set(key, { name, value: shared })
    }
    return { ...a, fields }
  }
  if (a.kind !== 'list' || b.kind !== 'list') return null
  const items = align(a.items, b.items, numberOf).flatMap(
    ([x, y]) => common(a.items[x] as Json, b.items[y] as Json, numberOf) ?? [],
  )
  return { ...a, items }
}

/** Whoever laid it out anew last. */
function layoutOf(before: Document | null, after: Document[]): Layout {
  const own = JSON.stringify(before?.layout)
  const anew = after.findLast(({ layout }) => JSON.stringify(layout) !== own)
  return (anew ?? before ?? (after[0] as Document)).layout
}
