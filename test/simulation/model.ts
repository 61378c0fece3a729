/**
 * What a run must make of what it finds, where nothing disturbs it: no fault, no user meanwhile, no
 * person's decision. By the contents of each key at its begin and the config alone; what can't be
 * said for sure (equal times, keys that a store can't hold) isn't.
 */
import type { MemoryEntry } from '../../connectors/memory-store.ts'
import type { Key, Strategy } from '../../src/model.ts'
import { type Replica, shaOf } from './stores.ts'
import type { World } from './world.ts'

/** A content; null: nothing is there. */
export type Sha = string | null

/** One key at the begin of a run. */
export interface Found {
  /** What all agreed on: null also where nobody ever had it. */
  agreed: Sha
  places: Replica[]
  /** By place. */
  entries: (MemoryEntry | null)[]
}

/** What each place must have afterwards; null: it can't be said. */
export function expected(world: World, found: Found): Sha[] | null {
  const { direction } = world.scenario.dataset
  return direction === 'one-way' ? oneWay(world, found) : twoWay(world, found)
}

// ── one-way ─────────────────────────────────────────────────────────────────────────────────────

function oneWay(world: World, { agreed, entries }: Found): Sha[] {
  const { drift, delete: carriedOn } = world.scenario.dataset
  const [source = null, ...others] = entries.map(shaOf)
  if (source === null && (agreed === null || carriedOn === 'never')) return [source, ...others]
  const isDrift = (sha: Sha) => sha !== null && sha !== agreed && sha !== source
  return [source, ...others.map((sha) => (isDrift(sha) && drift !== 'overwrite' ? sha : source))]
}

// ── two-way ─────────────────────────────────────────────────────────────────────────────────────

/** A distinct content that somebody made; `sha` null: a delete. */
interface Side {
  sha: Sha
  names: string[]
  size: number
  first: number
  last: number
}

function twoWay(world: World, found: Found): Sha[] | null {
  const { agreed, places, entries } = found
  const all = (sha: Sha): Sha[] => entries.map(() => sha)
  const sides = sidesOf(found)
  const updates = sides.filter(({ sha }) => sha !== null)
  const [only] = sides
  if (!only) return all(agreed)
  if (sides.length === 1) return all(only.sha)
  const now = world.machine.now()
  if (updates.some(({ last }) => last > now)) return null
  const [rule] = world.scenario.dataset.rules
  const winner = decide(rule?.strategy as Strategy, sides, updates)
  if (winner === 'nobody') return places.map((_, i) => shaOf(entries[i]))
  return winner === null ? null : all(winner.sha)
}

function sidesOf({ agreed, places, entries }: Found): Side[] {
  const sides = new Map<Sha, Side>()
  entries.forEach((entry, i) => {
    const sha = shaOf(entry)
    if (sha === agreed) return
    const at = entry?.modifiedAt ?? 0
    const side = sides.get(sha) ?? { sha, names: [], size: 0, first: at, last: at }
    side.names.push(places[i]?.name ?? '')
    side.size = entry?.bytes.length ?? 0
    side.first = Math.min(side.first, at)
    side.last = Math.max(side.last, at)
    sides.set(sha, side)
  })
  return [...sides.values()]
}

/** null: it can't be said; 'nobody': the conflict stays open. */
function decide(strategy: Strategy, sides: Side[], updates: Side[]): Side | 'nobody' | null {
  const gone = sides.find(({ sha }) => sha === null)
  switch (strategy.name) {
    case 'manual':
      return 'nobody'
    case 'prefer': {
      const [name] = strategy.ranks.flat().filter((one) => sides.some((s) => s.names.includes(one)))
      return sides.find(({ names }) => name !== undefined && names.includes(name)) ?? null
    }
    case 'delete-wins':
      if (gone) return gone
      return decide(strategy.otherwise as Strategy, updates, updates)
    case 'update-wins':
      if (updates.length === 1) return updates[0] ?? null
      return decide(strategy.otherwise as Strategy, updates, updates)
    case 'merge':
    case 'crdt':
      return null
    default:
      return updates.length === 1 ? (updates[0] ?? null) : best(updates, measures[strategy.name])
  }
}

const measures: Record<string, ((side: Side) => number) | undefined> = {
  'last-write-wins': ({ last }) => last,
  'keep-both': ({ last }) => last,
  'first-write-wins': ({ first }) => -first,
  largest: ({ size }) => size,
  smallest: ({ size }) => -size,
}

function best(sides: Side[], measure: ((side: Side) => number) | undefined): Side | null {
  if (!measure) return null
  const [first, second] = sides.toSorted((a, b) => measure(b) - measure(a))
  return first && second && measure(first) === measure(second) ? null : (first ?? null)
}

// ── what nobody can say ─────────────────────────────────────────────────────────────────────────

/** Whether the names of two keys are in each other's way in some folder. */
export function isInTheWay(world: World, key: Key, names: Iterable<Key>): boolean {
  const kinds = world.scenario.kinds
  if (!kinds.includes('file') && !kinds.includes('folding')) return false
  const fold = (one: Key) => (kinds.includes('folding') ? one.normalize('NFC').toLowerCase() : one)
  const mine = fold(key)
  for (const name of names) {
    const other = fold(name)
    if (name === key) continue
    if (other === mine || other.startsWith(`${mine}/`) || mine.startsWith(`${other}/`)) return true
  }
  return false
}
