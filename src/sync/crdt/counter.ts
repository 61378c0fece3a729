/**
 * A counter that goes up and down: every actor holds what it has added in total, and the value is
 * the sum of all. Amounts are exact decimals.
 *
 * Lattice: dots of totals, joined as all dots are (dots.ts). An actor's next total replaces its
 * last one, so each has one live dot; unlike the usual two vectors this can be removed from a map.
 */

import { decimalOf, sumOf } from './decimal.ts'
import {
  type Author,
  type Causal,
  type Dots,
  joinCausal,
  joinDots,
  type Kind,
  nextDot,
  partsOf,
  readDots,
  seenOf,
} from './dots.ts'
import { fail, isBare, readText, record } from './outside.ts'

/** By dot, a decimal in its one spelling. */
export type Totals = Dots<string>

export const kind: Kind<Totals> = {
  empty: () => record(),
  join: joinDots,
  presence: Object.keys,
  isEmpty: isBare,
  read: (json, where, live) => readDots(json, where, live, readDecimal),
}

function readDecimal(json: unknown, where: string): string {
  const text = readText(json, where)
  return decimalOf(text) === text ? text : fail(where, 'a decimal in its one spelling')
}

export function empty(): Causal<Totals> {
  return { store: record(), seen: record() }
}

/** `amount`: a decimal, below 0 to count down. */
export function add({ store }: Causal<Totals>, author: Author, amount: string): Causal<Totals> {
  const own = Object.keys(store).filter((dot) => partsOf(dot).actor === author.actor)
  const total = sumOf([amount, ...own.map((dot) => store[dot] as string)])
  const dot = nextDot(author)
  return { store: record([[dot, total]]), seen: seenOf([dot, ...own]) }
}

export function join(a: Causal<Totals>, b: Causal<Totals>): Causal<Totals> {
  return joinCausal(kind, a, b)
}

/** A decimal in its one spelling. */
export function value({ store }: Causal<Totals>): string {
  return sumOf(Object.values(store))
}
