/** Three-way merging of sequences, for any number of sides at once: diff3 in one pass, so that no
 *  order of the sides shows. */
import { diffArrays } from 'diff'

/** Edits that a diff looks for before it calls the whole middle changed: its cost grows with their
 *  square, and 2,000 take about a tenth of a second. */
const editsMax = 2_000

/** base[start, end) became side[from, to). */
interface Hunk {
  side: number
  start: number
  end: number
  from: number
  to: number
}

/** A run of the result: from a side (null: the base); or a place that sides changed differently. */
export type Piece =
  | { kind: 'run'; side: number | null; from: number; to: number }
  | { kind: 'clash'; start: number; end: number; sides: number[] }

/**
 * What becomes of changes of two sides that meet without overlapping. `one-region`: a clash, as in
 * git and diff3 (text). `apart`: none where the order of the result is plain (lists). `together`:
 * none, and what two sides inserted at one place stands there one after the other (drafts, which
 * are looked at afterwards).
 */
export type Touching = 'one-region' | 'apart' | 'together'

/** Elements are compared by `===`. */
export function mergeSequences<T>(
  base: readonly T[],
  sides: readonly (readonly T[])[],
  touching: Touching,
): Piece[] {
  const elementwise = touching === 'apart'
  const all = sides.flatMap((side, index) => hunksOf(base, side, index, elementwise))
  const pieces: Piece[] = []
  let done = 0
  for (const region of regionsOf(all, touching)) {
    const start = region[0]?.start ?? 0
    const end = region.reduce((last, hunk) => Math.max(last, hunk.end), start)
    if (done < start) pieces.push({ kind: 'run', side: null, from: done, to: start })
    pieces.push(...decide(sides, region, start, end, touching))
    done = end
  }
  if (done < base.length) pieces.push({ kind: 'run', side: null, from: done, to: base.length })
  return pieces
}

export function hunksOf<T>(
  base: readonly T[],
  side: readonly T[],
  index: number,
  elementwise: boolean,
): Hunk[] {
  const changes = diffArrays([...base], [...side], { maxEditLength: editsMax })
  if (!changes) return [middle(base, side, index)]
  const hunks: Hunk[] = []
  let start = 0
  let from = 0
  let open: Hunk | null = null
  for (const { added, removed, count } of changes) {
    if (!added && !removed) {
      start += count
      from += count
      open = null
      continue
    }
    if (!open) {
      open = { side: index, start, end: start, from, to: from }
      hunks.push(open)
    }
    if (removed) open.end = start += count
    else open.to = from += count
  }
  return elementwise ? hunks.flatMap(substitutions) : hunks
}

/** All between the common beginning and the common end. */
function middle<T>(base: readonly T[], side: readonly T[], index: number): Hunk {
  const shorter = Math.min(base.length, side.length)
  let head = 0
  while (head < shorter && base[head] === side[head]) head++
  let tail = 0
  while (tail < shorter - head && base.at(-1 - tail) === side.at(-1 - tail)) tail++
  return { side: index, start: head, end: base.length - tail, from: head, to: side.length - tail }
}

/** As many elements for as many: each for the one in its place. */
function substitutions(hunk: Hunk): Hunk[] {
  const count = hunk.end - hunk.start
  if (count < 2 || count !== hunk.to - hunk.from) return [hunk]
  return Array.from({ length: count }, (_, n) => ({
    side: hunk.side,
    start: hunk.start + n,
    end: hunk.start + n + 1,
    from: hunk.from + n,
    to: hunk.from + n + 1,
  }))
}

function regionsOf(hunks: Hunk[], touching: Touching): Hunk[][] {
  const sorted = hunks.toSorted((a, b) => a.start - b.start || a.end - b.end)
  const regions: Hunk[][] = []
  let end = -1
  for (const hunk of sorted) {
    const region = regions.at(-1)
    const meets = hunk.start === end && region?.some((one) => together(one, hunk, touching))
    if (region && (hunk.start < end || meets)) region.push(hunk)
    else regions.push([hunk])
    end = Math.max(end, hunk.end)
  }
  return regions
}

/** Two insertions at one place have no order; a replacement of another length may hold one. */
function together(a: Hunk, b: Hunk, touching: Touching): boolean {
  if (touching === 'one-region') return true
  if (a.start === a.end && b.start === b.end) return true
  return touching === 'apart' && (blurred(a) || blurred(b))
}

function blurred({ start, end, from, to }: Hunk): boolean {
  return start < end && from < to && end - start !== to - from
}

function decide<T>(
  sides: readonly (readonly T[])[],
  region: Hunk[],
  start: number,
  end: number,
  touching: Touching,
): Piece[] {
  const spans = new Map<number, { from: number; to: number }>()
  for (const hunk of region) {
    const from = spans.get(hunk.side)?.from ?? hunk.from - (hunk.start - start)
    spans.set(hunk.side, { from, to: hunk.to + (end - hunk.end) })
  }
  const runs = [...spans].map(([side, span]) => ({ kind: 'run' as const, side, ...span }))
  const content = ({ side, from, to }: { side: number; from: number; to: number }) =>
    sides[side]?.slice(from, to) ?? []
  const different = runs.filter(
    (run, index) => !runs.slice(0, index).some((one) => equal(content(one), content(run))),
  )
  if (different.length === 1 || (touching === 'together' && start === end)) {
    return different.sort((a, b) => a.side - b.side)
  }
  return [{ kind: 'clash', start, end, sides: [...spans.keys()].sort((a, b) => a - b) }]
}

function equal<T>(a: readonly T[], b: readonly T[]): boolean {
  return a.length === b.length && a.every((value, index) => value === b[index])
}

/**
 * One order of all that stands in any of the lists: that of the first, and what it lacks behind
 * the one before it in the list that has it. No list has anything twice.
 */
export function mergeOrder<T>(lists: readonly Iterable<T>[]): T[] {
  // A chain of what comes next; `start` is before the first.
  const start = Symbol('start')
  const next = new Map<T | typeof start, T>()
  const placed = new Set<T>()
  for (const list of lists) {
    let before: T | typeof start = start
    for (const value of list) {
      if (!placed.has(value)) {
        const after = next.get(before)
        next.set(before, value)
        if (after !== undefined) next.set(value, after)
        placed.add(value)
      }
      before = value
    }
  }
  const order: T[] = []
  for (let at = next.get(start); at !== undefined; at = next.get(at)) order.push(at)
  return order
}
