/**
 * What a program that knows nothing of CRDTs did to a document, as a delta: the difference between
 * the document before, whose state is known, and after.
 */
import { align } from './align.ts'
import { decimalOf, negated, sumOf } from './decimal.ts'
import {
  count,
  editList,
  editMap,
  editSet,
  empty,
  kind,
  listKind,
  type Node,
  type Pen,
  partOf,
  write,
} from './document.ts'
import type { Causal, Change, Dot } from './dots.ts'
import { canonical, type NumberOf } from './equal.ts'
import { below, type Declared, type FieldType, typeOf } from './fields.ts'
import type { Fields, Json } from './json.ts'
import type { Edit } from './map.ts'
import { compactJson } from './write-json.ts'

/** `written`: gets told which JSON stands behind each mark, for who writes the document again. */
export interface Editing {
  pen: Pen
  declared: Declared
  numberOf: NumberOf
  written: Map<Dot, Json>
}

/** A state that says what the document says. */
export function stateOf(json: Json, editing: Editing): Causal<Node> {
  return change(empty(), null, json, editing)
}

/** The delta from `before`, which is what `state` says, to `after`. */
export function deltaOf(
  state: Causal<Node>,
  before: Json,
  after: Json,
  editing: Editing,
): Causal<Node> {
  const same = editing.numberOf(before) === editing.numberOf(after)
  return same ? empty() : change(state, before, after, editing)
}

/** `before` is of the same type, or null. */
type ChangeAs = (
  state: Causal<Node>,
  before: Json | null,
  after: Json,
  editing: Editing,
) => Causal<Node>

const changeAs: Record<FieldType, ChangeAs> = {
  register: (state, _, after, { pen }) => write(state, pen, 'register', compactJson(after)),
  // Several values stand in a file as a list; an empty one is a value, so that something is there.
  'multi-value': (state, _, after, { pen }) => {
    const values = after.kind === 'list' && after.items.length > 0 ? after.items : [after]
    return write(state, pen, 'multi-value', ...values.map(canonical))
  },
  set: changeSet,
  counter: (state, before, after, { pen }) =>
    count(state, pen, sumOf([decimal(after), negated(before ? decimal(before) : '0')])),
  list: changeList,
  map: changeMap,
}

/**
 * What is inside comes first, and then what holds it: with one call inside the other for each level
 * alone, the stack is deep enough for the deepest document.
 */
function change(
  state: Causal<Node>,
  before: Json | null,
  after: Json,
  editing: Editing,
): Causal<Node> {
  const type = typeOf(editing.declared, after)
  const alike = before && typeOf(editing.declared, before) === type ? before : null
  const delta = changeAs[type](state, alike, after, editing)
  for (const dot of Object.keys(delta.store.marks)) editing.written.set(dot, after)
  return delta
}

/** What became of a field or an item; `is` null: it was removed. */
interface Difference<At> {
  at: At
  was: Json | null
  is: Json | null
}

function changeMap(
  state: Causal<Node>,
  before: Json | null,
  after: Json,
  editing: Editing,
): Causal<Node> {
  const edits = new Map<string, Edit<Node>>()
  for (const { at, was, is } of fieldDifferences(before, after, editing.numberOf)) {
    const declared = below(editing.declared, at)
    const inside = is && change(fieldOf(state, was && at), was, is, { ...editing, declared })
    edits.set(at, inside && (() => inside))
  }
  return editMap(state, editing.pen, edits)
}

function fieldOf({ store, seen }: Causal<Node>, name: string | null): Causal<Node> {
  return { store: (name !== null && store.map?.[name]) || kind.empty(), seen }
}

function fieldDifferences(
  before: Json | null,
  after: Json,
  numberOf: NumberOf,
): Difference<string>[] {
  const [old, now] = [fieldsOf(before), fieldsOf(after)]
  const differences: Difference<string>[] = []
  for (const [at, { value }] of old) {
    if (!now.has(at)) differences.push({ at, was: value, is: null })
  }
  for (const [at, { value }] of now) {
    const was = old.get(at)?.value ?? null
    if (!was || numberOf(was) !== numberOf(value)) differences.push({ at, was, is: value })
  }
  return differences
}

function changeList(
  state: Causal<Node>,
  before: Json | null,
  after: Json,
  editing: Editing,
): Causal<Node> {
  const inside = { ...editing, declared: below(editing.declared, null) }
  const shown = before ? listKind.value(partOf(state, 'list').store) : []
  const items: [number, Edit<Node>][] = []
  const inserts = new Map<number, Change<Node>[]>()
  for (const { at, was, is } of itemDifferences(before, after, editing.numberOf)) {
    const store = (was && shown[at]?.[1]) ?? kind.empty()
    const delta = is && change({ store, seen: state.seen }, was, is, inside)
    const edit = delta && (() => delta)
    if (was) items.push([at, edit])
    else if (edit) {
      const run = inserts.get(at) ?? []
      inserts.set(at, run)
      run.push(edit)
    }
  }
  return editList(state, editing.pen, { items, inserts: [...inserts] })
}

/** `at`: in the list before; `was` null: what is inserted there. */
function itemDifferences(
  before: Json | null,
  after: Json,
  numberOf: NumberOf,
): Difference<number>[] {
  const [old, now] = [itemsOf(before), itemsOf(after)]
  const differences: Difference<number>[] = []
  let [i, j] = [0, 0]
  for (const [x, y] of [...align(old, now, numberOf), [old.length, now.length] as const]) {
    // What replaces something stands after the left neighbour that stays.
    const at = i
    for (; j < y; j++) differences.push({ at, was: null, is: now[j] ?? null })
    for (; i < x; i++) differences.push({ at: i, was: old[i] ?? null, is: null })
    const [was, is] = [old[x], now[y]]
    if (was && is && numberOf(was) !== numberOf(is)) differences.push({ at: x, was, is })
    i = x + 1
    j = y + 1
  }
  return differences
}

function changeSet(
  state: Causal<Node>,
  before: Json | null,
  after: Json,
  { pen }: Editing,
): Causal<Node> {
  const old = new Set(itemsOf(before).map(canonical))
  const now = new Set(itemsOf(after).map(canonical))
  const add = [...now].filter((one) => !old.has(one))
  const remove = [...old].filter((one) => !now.has(one))
  return editSet(state, pen, { add, remove })
}

function fieldsOf(json: Json | null): Fields['fields'] {
  return json?.kind === 'fields' ? json.fields : new Map()
}

function itemsOf(json: Json | null): Json[] {
  return json?.kind === 'list' ? json.items : []
}

/** Declared counters are numbers: that was looked at before. */
function decimal(json: Json): string {
  return (json.kind === 'scalar' && decimalOf(json.text)) || '0'
}
