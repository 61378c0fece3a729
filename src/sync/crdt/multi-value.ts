/**
 * A multi-value register: a write replaces what its writer saw; what was written at the same time
 * stays beside it, until somebody who sees both writes again.
 *
 * Lattice: dots of values, joined as all dots are (dots.ts).
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
import { isBare, readJson, record } from './outside.ts'

export type Values<T> = Dots<T>

export const kind: Kind<Values<unknown>> = {
  empty: () => record(),
  join: joinDots,
  presence: Object.keys,
  isEmpty: isBare,
  read: (json, where, live) => readDots(json, where, live, readJson),
}

export function empty<T>(): Causal<Values<T>> {
  return { store: record(), seen: record() }
}

export function write<T>(
  state: Causal<Values<T>>,
  author: Author,
  ...values: T[]
): Causal<Values<T>> {
  const store = record(values.map((value): [string, T] => [nextDot(author), value]))
  return { store, seen: seenOf([...Object.keys(state.store), ...Object.keys(store)]) }
}

export function join<T>(a: Causal<Values<T>>, b: Causal<Values<T>>): Causal<Values<T>> {
  return joinCausal(kind, a, b) as Causal<Values<T>>
}

/** Distinct, ordered by their JSON. */
export function value<T>({ store }: Causal<Values<T>>): T[] {
  const distinct = new Map(Object.values(store).map((one) => [JSON.stringify(one), one]))
  return [...distinct].sort(([a], [b]) => (a < b ? -1 : 1)).map(([, one]) => one)
}
