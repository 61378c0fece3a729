/**
 * What all types but the register stand on (Almeida, Shoker, Baquero: "Delta state replicated data
 * types", 2018). Every write is a *dot*, the n-th of its actor. A state is a store, which holds the
 * dots that are live, and all dots that were ever *seen*: what is seen and not held was removed.
 *
 * Lattice: join keeps a dot that both hold, or that one holds and the other hasn't seen; what is
 * seen is united. So a removal needs no tombstone, a delta is a small state, and deltas may come
 * twice, late, in any order or not at all, if a full state comes at last.
 */
import { checkDepth, type FromOutside, fail, readFields, readRecord, record } from './outside.ts'

/** `NUMBER@ACTOR` */
export type Dot = string

/** By actor, which numbers: `[from, to, from, to, …]`, ends included, ascending, with gaps. */
export type Seen = Record<string, number[]>

export type Dots<V> = Record<Dot, V>

export interface Causal<S> {
  store: S
  seen: Seen
}

/** What a store must tell, so that it can be joined and nested in others. */
export interface Kind<S> {
  empty(): S
  join(a: Causal<S>, b: Causal<S>): S
  /** The live dots by which it is there. Whoever holds it and removes it, removes these. */
  presence(store: S): Dot[]
  /** It equals `empty()`. */
  isEmpty(store: S): boolean
  read(json: unknown, where: string, live: Live): S
}

/** Is told each dot of a state that is read: none may be unseen. */
export type Live = (dot: Dot, where: string) => void

/** A change of something: gets what is there now, and gives the delta. */
export type Change<S> = (now: Causal<S>) => Causal<S>

/** Who writes. `last`: the number of its last dot; it counts up with each. */
export interface Author {
  actor: string
  last: number
}

export function authorOf(actor: string, state: Causal<unknown>): Author {
  return { actor, last: state.seen[actor]?.at(-1) ?? 0 }
}

export function nextDot(author: Author): Dot {
  author.last++
  return `${author.last}@${author.actor}`
}

export function partsOf(dot: Dot): { number: number; actor: string } {
  const at = dot.indexOf('@')
  return { number: Number(dot.slice(0, at)), actor: dot.slice(at + 1) }
}

/** By actor, then number: the same everywhere. */
export function compareDots(a: Dot, b: Dot): number {
  const [x, y] = [partsOf(a), partsOf(b)]
  if (x.actor !== y.actor) return x.actor < y.actor ? -1 : 1
  return x.number - y.number
}

// ── what was seen ───────────────────────────────────────────────────────────────────────────────

export function hasSeen(seen: Seen, dot: Dot): boolean {
  const { number, actor } = partsOf(dot)
  const spans = seen[actor] ?? []
  let [low, high] = [0, spans.length / 2]
  while (low < high) {
    const middle = (low + high) >> 1
    if ((spans[2 * middle + 1] as number) < number) low = middle + 1
    else high = middle
  }
  return 2 * low < spans.length && (spans[2 * low] as number) <= number
}

export function seenOf(dots: Iterable<Dot>): Seen {
  const spans = record<[number, number][]>()
  for (const dot of dots) {
    const { number, actor } = partsOf(dot)
    spans[actor] ??= []
    spans[actor].push([number, number])
  }
  return record(Object.entries(spans).map(([actor, list]) => [actor, closed(list)]))
}

export function unite(...all: Seen[]): Seen {
  const united = record<number[]>()
  const several = record<number[][]>()
  for (const seen of all) {
    for (const actor in seen) {
      const spans = seen[actor] as number[]
      const known = united[actor]
      if (known === undefined || covers(spans, known)) united[actor] = spans
      else if (!covers(known, spans)) {
        several[actor] ??= []
        several[actor].push(spans)
      }
    }
  }
  for (const actor in several) {
    const lists = [united[actor] as number[], ...(several[actor] as number[][])]
    united[actor] = closed(lists.flatMap(pairsOf))
  }
  return united
}

function pairsOf(spans: number[]): [number, number][] {
  const pairs: [number, number][] = []
  for (let i = 0; i < spans.length; i += 2) pairs.push([spans[i] as number, spans[i + 1] as number])
  return pairs
}

/** That one span is all of the others': the usual case, and the cheap one. */
function covers([from = 0, to = 0, ...more]: number[], others: number[]): boolean {
  return more.length === 0 && from <= (others[0] ?? 0) && to >= (others.at(-1) ?? 0)
}

/** Spans that touch or overlap become one: equal sets have one spelling. */
function closed(spans: [number, number][]): number[] {
  const out: number[] = []
  for (const [from, to] of spans.sort(([a], [b]) => a - b)) {
    const last = out.length - 1
    if (last > 0 && from <= (out[last] as number) + 1) {
      out[last] = Math.max(out[last] as number, to)
    } else out.push(from, to)
  }
  return out
}

// ── joins ───────────────────────────────────────────────────────────────────────────────────────

export function joinCausal<S>(kind: Kind<S>, a: Causal<S>, b: Causal<S>): Causal<S> {
  return { store: kind.join(a, b), seen: unite(a.seen, b.seen) }
}

/** `pick` decides where one dot stands for two values: an actor's fault, and decided alike. */
export function joinDots<V>(
  a: Causal<Dots<V>>,
  b: Causal<Dots<V>>,
  pick: (x: V, y: V) => V = largerJson,
): Dots<V> {
  if (a.store === b.store) return a.store
  const joined = record<V>()
  for (const dot in a.store) {
    const x = a.store[dot] as V
    const y = b.store[dot]
    if (y !== undefined) joined[dot] = pick(x, y)
    else if (!hasSeen(b.seen, dot)) joined[dot] = x
  }
  for (const dot in b.store) {
    if (!(dot in a.store) && !hasSeen(a.seen, dot)) joined[dot] = b.store[dot] as V
  }
  return joined
}

export function largerJson<V>(x: V, y: V): V {
  if (x === y) return x
  return JSON.stringify(x) >= JSON.stringify(y) ? x : y
}

// ── from outside ────────────────────────────────────────────────────────────────────────────────

/** A state of that kind from any JSON; throws a UserError (`crdt-state`) that says where. */
export function readCausal<S>(kind: Kind<S>, json: unknown): Causal<S> {
  checkDepth(json)
  const fields = readFields(json, '', ['store', 'seen'])
  const seen = readRecord(fields.seen, '/seen', readSpans)
  const store = kind.read(fields.store, '/store', (dot, where) => {
    if (!hasSeen(seen, dot)) fail(where, 'dots that are seen alone')
  })
  return { store, seen }
}

const readSpans: FromOutside<number[]> = (json, where) => {
  const spans = Array.isArray(json) ? json : fail(where, 'a list of spans')
  const inOrder = spans.every((number, i) => {
    if (!Number.isSafeInteger(number)) return false
    if (i === 0) return number >= 1
    return i % 2 === 1 ? number >= spans[i - 1] : number > spans[i - 1] + 1
  })
  if (!inOrder || spans.length === 0 || spans.length % 2 === 1) {
    fail(where, 'whole numbers from 1 up: from, to, from, to, … with gaps between')
  }
  return spans.slice()
}

export function readDot(dot: string, where: string): Dot {
  return /^[1-9]\d{0,15}@/.test(dot) ? dot : fail(where, 'a dot, NUMBER@ACTOR')
}

export function readDots<V>(
  json: unknown,
  where: string,
  live: Live,
  readValue: FromOutside<V>,
): Dots<V> {
  const dots = readRecord(json, where, readValue)
  for (const dot of Object.keys(dots)) live(readDot(dot, where), where)
  return dots
}
