/**
 * A last-writer-wins register: the value with the latest stamp.
 *
 * Lattice: stamped values under the order of their stamps, null below all of them; join is the
 * later one. Equal stamps of different values are an actor's fault, and are ordered by their JSON,
 * so that join stays one.
 */
import { compareStamps, readStamp, type Stamp } from './hlc.ts'
import { fail, readFields, readJson } from './outside.ts'

export interface Stamped<T> {
  at: Stamp
  value: T
}

export type Register<T> = Stamped<T> | null

export function empty(): null {
  return null
}

/** The delta is the whole state. */
export function write<T>(at: Stamp, value: T): Stamped<T> {
  return { at, value }
}

export function join<T>(a: Register<T>, b: Register<T>): Register<T> {
  return a && b ? later(a, b) : (a ?? b)
}

export function later<T>(a: Stamped<T>, b: Stamped<T>): Stamped<T> {
  const order = compareStamps(a.at, b.at)
  if (order !== 0) return order > 0 ? a : b
  return JSON.stringify(a.value) >= JSON.stringify(b.value) ? a : b
}

/** undefined: nobody wrote it. */
export function value<T>(register: Register<T>): T | undefined {
  return register?.value
}

export function readStamped<T>(json: unknown, where: string, readValue: Read<T>): Stamped<T> {
  const { at, value } = readFields(json, where, ['at', 'value'])
  return { at: readStamp(at, `${where}/at`), value: readValue(value, `${where}/value`) }
}

export function read(json: unknown, where = ''): Register<unknown> {
  if (json === undefined) fail(where, 'a register')
  return json === null ? null : readStamped(json, where, readJson)
}

type Read<T> = (json: unknown, where: string) => T
