/**
 * A hybrid logical clock (Kulkarni et al., 2014): near the wall's time, and never back, whatever
 * the wall's clock does.
 *
 * Lattice: stamps under their total order, by time, then count, then actor; join is the later one.
 */
import { type FromOutside, fail, readFields, readNumber, readText } from './outside.ts'

/** `time`: ms since the epoch. `count` tells stamps of one time apart, the actor equal ones. */
export interface Stamp {
  time: number
  count: number
  actor: string
}

export function startClock(actor: string): Stamp {
  return { time: 0, count: 0, actor }
}

/** The stamp of something that happens now: later than all that this clock ever gave or saw. */
export function tick(clock: Stamp, now: number): Stamp {
  const { time, count, actor } = clock
  return now > time ? { time: now, count: 0, actor } : { time, count: count + 1, actor }
}

/** The clock after it has seen another's stamp: what comes next is later than that, too. */
export function receive(clock: Stamp, seen: Stamp, now: number): Stamp {
  const time = Math.max(clock.time, seen.time, now)
  const counts = [clock, seen].filter((one) => one.time === time).map(({ count }) => count + 1)
  return { time, count: Math.max(0, ...counts), actor: clock.actor }
}

export function compareStamps(a: Stamp, b: Stamp): number {
  return a.time - b.time || a.count - b.count || (a.actor < b.actor ? -1 : +(a.actor > b.actor))
}

export const readStamp: FromOutside<Stamp> = (json, where) => {
  const { time, count, actor } = readFields(json, where, ['time', 'count', 'actor'])
  const stamp = {
    time: readNumber(time, `${where}/time`),
    count: readNumber(count, `${where}/count`),
    actor: readText(actor, `${where}/actor`),
  }
  if (stamp.time < 0 || stamp.count < 0) fail(where, 'a time and a count of 0 or more')
  return stamp
}
