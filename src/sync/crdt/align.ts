/** Which items of a list are still which, after a program that tells nobody has edited it. */
import type { NumberOf } from './equal.ts'
import type { Json } from './json.ts'

/** Indexes into the list before and the list after, both ascending. */
export type Pair = readonly [before: number, after: number]

/** Above so many comparisons, changed items aren't looked for: they count as replaced. */
const comparisonsMax = 250_000

/**
 * Items that are equal, and between them those that were changed inside: what is alike pairs with
 * what it is most alike to. All others were removed or inserted.
 */
export function align(before: Json[], after: Json[], numberOf: NumberOf): Pair[] {
  const same = equalItems(before.map(numberOf), after.map(numberOf))
  const pairs: Pair[] = []
  let [i, j] = [0, 0]
  for (const [x, y] of [...same, [before.length, after.length] as const]) {
    const inside = alikeItems(before.slice(i, x), after.slice(j, y), numberOf)
    for (const [a, b] of inside) pairs.push([i + a, j + b])
    if (x < before.length) pairs.push([x, y])
    i = x + 1
    j = y + 1
  }
  return pairs
}

/**
 * A long common subsequence, in n log n: what both ends have in common, and in the middle the
 * longest one that pairs each value's n-th occurrences.
 */
function equalItems(before: number[], after: number[]): Pair[] {
  const shorter = Math.min(before.length, after.length)
  let head = 0
  while (head < shorter && before[head] === after[head]) head++
  let tail = 0
  while (tail < shorter - head && before.at(-1 - tail) === after.at(-1 - tail)) tail++
  const places = new Map<number, number[]>()
  for (let j = after.length - tail - 1; j >= head; j--) {
    const value = after[j] as number
    places.set(value, [...(places.get(value) ?? []), j])
  }
  const middle: Pair[] = []
  for (let i = head; i < before.length - tail; i++) {
    const j = places.get(before[i] as number)?.pop()
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
function alikeItems(before: Json[], after: Json[], numberOf: NumberOf): Pair[] {
  const [m, n] = [before.length, after.length]
  if (m === 0 || n === 0 || m * n > comparisonsMax) return []
  // One for one of a kind is a change, however little is left.
  if (m === 1 && n === 1) return differ(before[0] as Json, after[0] as Json) ? [] : [[0, 0]]
  const like = before.map((x) => after.map((y) => likeness(x, y, numberOf)))
  const best = Array.from({ length: m + 1 }, () => new Array<number>(n + 1).fill(0))
  const at = (rows: number[][], i: number, j: number) => rows[i]?.[j] ?? 0
  for (let i = m - 1; i >= 0; i--) {
    for (let j = n - 1; j >= 0; j--) {
      const paired = at(like, i, j) > 0 ? at(like, i, j) + at(best, i + 1, j + 1) : 0
      const row = best[i] as number[]
      row[j] = Math.max(paired, at(best, i + 1, j), at(best, i, j + 1))
    }
  }
  const pairs: Pair[] = []
  for (let i = 0, j = 0; i < m && j < n; ) {
    if (at(best, i, j) === at(best, i + 1, j)) i++
    else if (at(best, i, j) === at(best, i, j + 1)) j++
    else pairs.push([i++, j++])
  }
  return pairs
}

/** By which objects of a list are told apart where they have one of these. */
const identities = ['id', '_id', 'uuid', 'key', 'name']

/** They can't be one item: scalars have no inside; objects may say who they are. */
function differ(x: Json, y: Json): boolean {
  if (x.kind !== y.kind || x.kind === 'scalar') return true
  if (x.kind === 'list' || y.kind !== 'fields') return false
  const [a, b] = [identityOf(x), identityOf(y)]
  return a !== undefined && b !== undefined && a !== b
}

/** From 0, nothing in common, to 1; and 2 where they say that they are the same. */
function likeness(x: Json, y: Json, numberOf: NumberOf): number {
  if (differ(x, y)) return 0
  const identity = identityOf(x)
  if (identity !== undefined && identity === identityOf(y)) return 2
  const [a, b] = [membersOf(x, numberOf), membersOf(y, numberOf)]
  const shared = [...a].filter((one) => b.has(one)).length
  return shared / Math.max(a.size, b.size, 1)
}

function identityOf(json: Json): string | undefined {
  if (json.kind !== 'fields') return undefined
  for (const name of identities) {
    const value = json.fields.get(name)?.value
    if (value?.kind === 'scalar') return `${name}:${value.text}`
  }
  return undefined
}

function membersOf(json: Json, numberOf: NumberOf): Set<string> {
  if (json.kind === 'list') return new Set(json.items.map((item) => String(numberOf(item))))
  if (json.kind === 'scalar') return new Set()
  return new Set([...json.fields].map(([name, { value }]) => `${name}:${numberOf(value)}`))
}
