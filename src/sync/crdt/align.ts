/** Which items of a list are still which, after a program that tells nobody has edited it. */
import type { NumberOf } from './equal.ts'
import type { Json } from './json.ts'

/** Indexes into the list before and the list after, both ascending. */
export type Pair = readonly [before: number, after: number]

/** Above so many comparisons in one place, changed items are taken to be in their old order. */
const comparisonsMax = 40_000

/**
 * First what is equal; between those, objects that say by an id that they are the same; between
 * those, what was changed inside pairs with what it is most alike to. All others were removed or
 * inserted.
 */
export function align(before: Json[], after: Json[], numberOf: NumberOf): Pair[] {
  const equal = inCommon(before.map(numberOf), after.map(numberOf))
  const named = filled(equal, before, after, (old, now) =>
    inCommon(old.map(identityOf), now.map(identityOf)),
  )
  return filled(named, before, after, (old, now) => alike(old, now, numberOf))
}

/** The pairs, and those that `find` finds in the gaps between them. */
function filled(
  pairs: Pair[],
  before: Json[],
  after: Json[],
  find: (old: Json[], now: Json[]) => Pair[],
): Pair[] {
  const all: Pair[] = []
  let [i, j] = [0, 0]
  for (const [x, y] of [...pairs, [before.length, after.length] as const]) {
    const found = i < x && j < y ? find(before.slice(i, x), after.slice(j, y)) : []
    for (const [a, b] of found) all.push([i + a, j + b])
    if (x < before.length) all.push([x, y])
    i = x + 1
    j = y + 1
  }
  return all
}

/**
 * A long common subsequence, in n log n: what both ends have in common, and in the middle the
 * longest one that pairs each value's n-th occurrences.
 */
function inCommon<T>(before: T[], after: T[]): Pair[] {
  const shorter = Math.min(before.length, after.length)
  let head = 0
  while (head < shorter && before[head] === after[head]) head++
  let tail = 0
  while (tail < shorter - head && before.at(-1 - tail) === after.at(-1 - tail)) tail++
  const places = new Map<T, number[]>()
  for (let j = after.length - tail - 1; j >= head; j--) {
    const list = places.get(after[j] as T)
    if (list) list.push(j)
    else places.set(after[j] as T, [j])
  }
  const middle: Pair[] = []
  for (let i = head; i < before.length - tail; i++) {
    const j = places.get(before[i] as T)?.pop()
    if (j !== undefined) middle.push([i, j])
  }
  const ends = (i: number, j: number, count: number) =>
    Array.from({ length: count }, (_, k): Pair => [i + k, j + k])
  return [
    ...ends(0, 0, head),
    ...ascending(middle),
    ...ends(before.length - tail, after.length - tail, tail),
  ]
}

/** The longest part of them in which the second index ascends, too. */
function ascending(pairs: Pair[]): Pair[] {
  const ends: number[] = []
  const previous: number[] = []
  for (const [at, [, j]] of pairs.entries()) {
    let [low, high] = [0, ends.length]
    while (low < high) {
      const middle = (low + high) >> 1
      if ((pairs[ends[middle] as number]?.[1] as number) < j) low = middle + 1
      else high = middle
    }
    previous[at] = ends[low - 1] ?? -1
    ends[low] = at
  }
  const longest: Pair[] = []
  for (let at = ends.at(-1) ?? -1; at >= 0; at = previous[at] as number) {
    longest.push(pairs[at] as Pair)
  }
  return longest.reverse()
}

/** Pairs of the greatest likeness in all, in order. */
function alike(before: Json[], after: Json[], numberOf: NumberOf): Pair[] {
  const [m, n] = [before.length, after.length]
  const [old, now] = [before, after].map((list) => list.map((json) => insideOf(json, numberOf)))
  const like = (i: number, j: number) => likeness(old?.[i] as Inside, now?.[j] as Inside)
  // One for one of a kind is a change, however little is left.
  if ((m === 1 && n === 1) || (m === n && m * n > comparisonsMax)) {
    return before.flatMap((_, i) => (like(i, i) > 0 ? [[i, i] as const] : []))
  }
  if (m * n > comparisonsMax) return []
  const best = Array.from({ length: m + 1 }, () => new Array<number>(n + 1).fill(0))
  const at = (i: number, j: number) => best[i]?.[j] ?? 0
  for (let i = m - 1; i >= 0; i--) {
    for (let j = n - 1; j >= 0; j--) {
      const one = like(i, j)
      const paired = one >= alikeMin ? one + at(i + 1, j + 1) : 0
      const row = best[i] as number[]
      row[j] = Math.max(paired, at(i + 1, j), at(i, j + 1))
    }
  }
  const pairs: Pair[] = []
  for (let i = 0, j = 0; i < m && j < n; ) {
    if (at(i, j) === at(i + 1, j)) i++
    else if (at(i, j) === at(i, j + 1)) j++
    else pairs.push([i++, j++])
  }
  return pairs
}

/** What is compared of an item; of a scalar there is none, it has no inside. */
interface Inside {
  kind: Json['kind']
  identity: unknown
  members: Set<string>
}

function insideOf(json: Json, numberOf: NumberOf): Inside {
  const members =
    json.kind === 'fields'
      ? [...json.fields].map(([name, { value }]) => `${name}:${numberOf(value)}`)
      : json.kind === 'list'
        ? json.items.map((item) => String(numberOf(item)))
        : []
  return { kind: json.kind, identity: identityOf(json), members: new Set(members) }
}

/** Where others are to choose from, this much of it must be the same. */
const alikeMin = 0.2

/** 0: it can't be the same item; else from a little above 0, nothing in common, to 1. */
function likeness(x: Inside, y: Inside): number {
  if (x.kind !== y.kind || x.kind === 'scalar') return 0
  if (typeof x.identity === 'string' && typeof y.identity === 'string') {
    if (x.identity !== y.identity) return 0
  }
  let shared = 0
  for (const member of x.members) if (y.members.has(member)) shared++
  return Math.max(0.1, shared / Math.max(x.members.size, y.members.size, 1))
}

/** By which objects of a list are told apart, where they have one of these. */
const identities = ['id', '_id', 'uuid', 'key', 'name']

/** Without one, like nothing else. */
function identityOf(json: Json): string | symbol {
  for (const name of json.kind === 'fields' ? identities : []) {
    const value = json.kind === 'fields' ? json.fields.get(name)?.value : undefined
    if (value?.kind === 'scalar') return `${name}:${value.text}`
  }
  return Symbol('no identity')
}
