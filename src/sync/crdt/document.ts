/**
 * A JSON document of all the other types. Each place in it is a node: *marks* that say what it is,
 * and beside them what it holds. The marks are a multi-value register of stamped values, and the
 * last one decides; so a register is a mark with a value, and a multi-value register several.
 *
 * Each change inside a node marks it again, and so all nodes around it. A removal takes away the
 * marks alone, and another kind hides what was there: whoever changes a node while another removes
 * it brings back the whole, never a fragment of an object. What is hidden is cleared when the node
 * is made anew.
 *
 * Lattice: part by part, the joins of the parts.
 */
import * as counters from './counter.ts'
import {
  type Author,
  type Causal,
  type Dot,
  type Dots,
  joinCausal,
  joinDots,
  type Kind,
  type Live,
  nextDot,
  readDots,
  type Seen,
  seenOf,
  unite,
} from './dots.ts'
import type { Stamp } from './hlc.ts'
import { parseJson } from './json.ts'
import { type Items, type ListEdit, listOf } from './list.ts'
import { type Edit, type Entries, mapOf } from './map.ts'
import { fail, isBare, readFields, readText, record } from './outside.ts'
import { later, readStamped, type Stamped } from './register.ts'
import * as sets from './set.ts'

const holders = ['map', 'list', 'set', 'counter'] as const

/** What a node is. `json`: the value, as it is spelled. */
export type Mark =
  | { is: 'register' | 'multi-value'; json: string }
  | { is: (typeof holders)[number] }

/** A part that holds nothing is left out. */
export interface Node {
  marks: Dots<Stamped<Mark>>
  map?: Entries<Node>
  list?: Items<Node>
  set?: sets.Members
  counter?: counters.Totals
}

/** Who writes, and when. */
export interface Pen {
  author: Author
  at: Stamp
}

export const kind: Kind<Node> = {
  empty: () => ({ marks: record() }),
  join: joinNodes,
  presence: ({ marks }) => Object.keys(marks),
  isEmpty: (node) => isBare(node.marks) && Object.keys(node).length === 1,
  read: readNode,
}

export const listKind = listOf(kind)

/** What the parts of a node are. */
const parts = { map: mapOf(kind), list: listKind, set: sets.kind, counter: counters.kind }
type Part = keyof typeof parts
type Store<P extends Part> = NonNullable<Node[P]>

function kindOf<P extends Part>(name: P): Kind<Store<P>> {
  return parts[name] as unknown as Kind<Store<P>>
}

export function empty(): Causal<Node> {
  return { store: kind.empty(), seen: record() }
}

export function join(a: Causal<Node>, b: Causal<Node>): Causal<Node> {
  return joinCausal(kind, a, b)
}

function joinNodes(a: Causal<Node>, b: Causal<Node>): Node {
  const of = <S>({ store, seen }: Causal<Node>, part: (node: Node) => S) => ({
    store: part(store),
    seen,
  })
  const node: Node = { marks: joinDots(of(a, marksOf), of(b, marksOf), later) }
  for (const name of holders) joinPart(name, node, a, b)
  return node
}

function joinPart<P extends Part>(name: P, into: Node, a: Causal<Node>, b: Causal<Node>): void {
  if (a.store[name] === undefined && b.store[name] === undefined) return
  const kind = kindOf(name)
  const joined = kind.join(partOf(a, name), partOf(b, name))
  if (!kind.isEmpty(joined)) into[name] = joined
}

function marksOf({ marks }: Node): Dots<Stamped<Mark>> {
  return marks
}

export function partOf<P extends Part>({ store, seen }: Causal<Node>, name: P): Causal<Store<P>> {
  const held = store[name] as Store<P> | undefined
  return { store: held ?? kindOf(name).empty(), seen }
}

// ── deltas ──────────────────────────────────────────────────────────────────────────────────────

/** A value; several at once stay beside each other in a multi-value register. */
export function write(
  state: Causal<Node>,
  pen: Pen,
  is: 'register' | 'multi-value',
  ...json: string[]
): Causal<Node> {
  return mark(state, pen, ...json.map((one): Mark => ({ is, json: one })))
}

export function editMap(
  state: Causal<Node>,
  pen: Pen,
  edits: Iterable<readonly [string, Edit<Node>]> = [],
): Causal<Node> {
  const { now, hidden } = opened(state, 'map')
  return closed(state, pen, 'map', hidden, parts.map.edit(now, edits))
}

export function editList(state: Causal<Node>, pen: Pen, edit: ListEdit<Node> = {}): Causal<Node> {
  const { now, hidden } = opened(state, 'list')
  return closed(state, pen, 'list', hidden, parts.list.edit(now, pen.author, edit))
}

/** Elements are canonical JSON. */
export function editSet(
  state: Causal<Node>,
  pen: Pen,
  { add = [], remove = [] }: { add?: string[]; remove?: string[] } = {},
): Causal<Node> {
  const { now, hidden } = opened(state, 'set')
  const added = sets.add(now, pen.author, ...add)
  const { seen } = sets.remove(now, ...remove)
  return closed(state, pen, 'set', hidden, { ...added, seen: unite(added.seen, seen) })
}

export function count(state: Causal<Node>, pen: Pen, amount: string): Causal<Node> {
  const { now, hidden } = opened(state, 'counter')
  return closed(state, pen, 'counter', hidden, counters.add(now, pen.author, amount))
}

/** The part as it is shown: what another kind, or a removal, had hidden is to be cleared. */
function opened<P extends Part>(state: Causal<Node>, name: P) {
  const kind = kindOf(name)
  const now = partOf(state, name)
  if (lastMark(state.store)?.is === name) return { now, hidden: record<number[]>() }
  const hidden = seenOf(kind.presence(now.store))
  return { now: joinCausal(kind, now, { store: kind.empty(), seen: hidden }), hidden }
}

/** The node's delta: a part's, the mark that goes with it, and what is cleared. */
function closed<P extends Part>(
  state: Causal<Node>,
  pen: Pen,
  name: P,
  hidden: Seen,
  part: Causal<Store<P>>,
): Causal<Node> {
  const marked = mark(state, pen, { is: name })
  const node = marked.store
  if (!kindOf(name).isEmpty(part.store)) node[name] = part.store
  return { store: node, seen: unite(marked.seen, part.seen, hidden) }
}

function mark({ store }: Causal<Node>, { author, at }: Pen, ...marks: Mark[]): Causal<Node> {
  const dots = record(marks.map((value) => [nextDot(author), { at, value }]))
  return {
    store: { marks: dots },
    seen: seenOf([...Object.keys(store.marks), ...Object.keys(dots)]),
  }
}

// ── what it says ────────────────────────────────────────────────────────────────────────────────

/** What the node is now; undefined: it isn't there. */
export function lastMark(node: Node): Mark | undefined {
  return node.marks[marksByTime(node).at(-1) ?? '']?.value
}

/** The dots of the marks; the last one decides. */
export function marksByTime({ marks }: Node): Dot[] {
  return Object.entries(marks)
    .sort(([, a], [, b]) => (later(a, b) === a ? 1 : -1))
    .map(([dot]) => dot)
}

/** What the node holds now, one level of it. */
export type Held =
  | { is: 'register'; json: string }
  | { is: 'multi-value'; json: string[] }
  | { is: 'map'; entries: [string, Node][] }
  | { is: 'list'; items: [Dot, Node][] }
  | { is: 'set'; elements: string[] }
  | { is: 'counter'; total: string }

export function held(node: Node): Held | undefined {
  const last = lastMark(node)
  switch (last?.is) {
    case undefined:
      return undefined
    case 'register':
      return { is: last.is, json: last.json }
    case 'multi-value':
      return { is: last.is, json: concurrent(node) }
    case 'map':
      return { is: last.is, entries: parts.map.value(node.map ?? record()) }
    case 'list':
      return { is: last.is, items: parts.list.value(node.list ?? parts.list.empty()) }
    case 'set':
      return { is: last.is, elements: parts.set.value(node.set ?? record()).map(([one]) => one) }
    case 'counter':
      return { is: last.is, total: counters.value(partOf({ store: node, seen: {} }, 'counter')) }
  }
}

/** The values that nobody replaced: distinct, ordered by their spelling. */
function concurrent({ marks }: Node): string[] {
  const values = Object.values(marks).flatMap(({ value }) =>
    value.is === 'multi-value' ? [value.json] : [],
  )
  return [...new Set(values)].sort((a, b) => (a < b ? -1 : 1))
}

// ── from outside ────────────────────────────────────────────────────────────────────────────────

function readNode(json: unknown, where: string, live: Live): Node {
  const fields = readFields(json, where, ['marks'], holders)
  const node: Node = {
    marks: readDots(fields.marks, `${where}/marks`, live, (one, at) =>
      readStamped(one, at, readMark),
    ),
  }
  for (const name of holders) {
    if (fields[name] !== undefined) readPart(name, node, fields[name], `${where}/${name}`, live)
  }
  return node
}

function readPart<P extends Part>(
  name: P,
  into: Node,
  json: unknown,
  where: string,
  live: Live,
): void {
  const kind = kindOf(name)
  const store = kind.read(json, where, live)
  if (kind.isEmpty(store)) fail(where, 'no part that holds nothing')
  into[name] = store
}

function readMark(json: unknown, where: string): Mark {
  const { is, json: text } = readFields(json, where, ['is'], ['json'])
  if (is === 'register' || is === 'multi-value') {
    const json = readText(text, where)
    return 'fault' in parseJson(json) ? fail(where, 'JSON as text') : { is, json }
  }
  const holder = holders.find((name) => name === is)
  if (holder === undefined || text !== undefined) fail(where, 'a mark of a known kind')
  return { is: holder }
}
