/**
 * An observed-remove set of strings in which adding wins: a removal takes away the additions that
 * its remover saw; one made at the same time stays. Other elements come as their canonical JSON.
 *
 * Lattice: a map from elements to the dots of their additions.
 */
import {
  type Author,
  type Causal,
  type Dots,
  joinCausal,
  joinDots,
  type Kind,
  nextDot,
  readDots,
  seenOf,
} from './dots.ts'
import { type Entries, mapOf } from './map.ts'
import { fail, isBare, record } from './outside.ts'

export type Members = Entries<Dots<true>>

const additions: Kind<Dots<true>> = {
  empty: () => record(),
  join: joinDots,
  presence: Object.keys,
  isEmpty: isBare,
  read: (json, where, live) => readDots(json, where, live, readTrue),
}

function readTrue(json: unknown, where: string): true {
  return json === true || fail(where, 'true')
}

export const kind = mapOf(additions)

export function empty(): Causal<Members> {
  return { store: record(), seen: record() }
}

/** One delta for any number of them; additions seen before are replaced. */
export function add(
  { store }: Causal<Members>,
  author: Author,
  ...elements: string[]
): Causal<Members> {
  const added = record<Dots<true>>()
  const dots: string[] = []
  for (const element of elements) {
    const dot = nextDot(author)
    added[element] = record([[dot, true]])
    dots.push(dot, ...Object.keys(store[element] ?? {}))
  }
  return { store: added, seen: seenOf(dots) }
}

export function remove({ store }: Causal<Members>, ...elements: string[]): Causal<Members> {
  const dots = elements.flatMap((element) => Object.keys(store[element] ?? {}))
  return { store: record(), seen: seenOf(dots) }
}

export function join(a: Causal<Members>, b: Causal<Members>): Causal<Members> {
  return joinCausal(kind, a, b)
}

/** Ordered by UTF-16 code units. */
export function value({ store }: Causal<Members>): string[] {
  return kind.value(store).map(([element]) => element)
}
