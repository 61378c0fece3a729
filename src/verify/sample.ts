/** Which keys are read: a sample by the keys' hashes, the same in every verify of the same keys. */
import { createHash } from 'node:crypto'
import type { Key } from '../model.ts'

/** `share`: of 0 to 1. `count`: so many keys. */
export type Sample = { share: number } | { count: number }

/** The largest `count`: these keys are kept in memory until the listings have ended. */
export const sampleKeysMax = 100_000

/** `100`, `2.5%`; null: it is neither. */
export function parseSample(text: string): Sample | null {
  const [, digits = '', percent] = /^(\d+(?:\.\d+)?)(%?)$/.exec(text) ?? []
  const value = Number(digits)
  if (digits === '' || value <= 0) return null
  if (percent) return value <= 100 ? { share: value / 100 } : null
  return Number.isInteger(value) && value <= sampleKeysMax ? { count: value } : null
}

/** A number of 0 ≤ n < 1. */
export function placeOf(key: Key): number {
  return createHash('sha256').update(key).digest().readUIntBE(0, 6) / 2 ** 48
}

/** The `count` things whose keys' places are the lowest. */
export interface Pool<T> {
  /** Gives what isn't in the sample any more: the thing itself, another, or nothing. */
  offer(key: Key, thing: T): T | undefined
  drain(): T[]
}

/** A heap with the highest place on top. */
export function createPool<T>(count: number): Pool<T> {
  const heap: { place: number; thing: T }[] = []
  const placeAt = (i: number) => heap[i]?.place ?? -1

  function swap(i: number, j: number): void {
    const [a, b] = [heap[i], heap[j]]
    if (a && b) [heap[i], heap[j]] = [b, a]
  }

  function rise(i: number): void {
    for (let at = i; at > 0; ) {
      const parent = (at - 1) >> 1
      if (placeAt(parent) >= placeAt(at)) return
      swap(at, parent)
      at = parent
    }
  }

  function sink(): void {
    for (let at = 0; ; ) {
      const [left, right] = [2 * at + 1, 2 * at + 2]
      const child = placeAt(right) > placeAt(left) ? right : left
      if (placeAt(child) <= placeAt(at)) return
      swap(at, child)
      at = child
    }
  }

  return {
    offer(key, thing) {
      const place = placeOf(key)
      if (heap.length < count) {
        heap.push({ place, thing })
        rise(heap.length - 1)
        return undefined
      }
      const top = heap[0]
      if (!top || place >= top.place) return thing
      heap[0] = { place, thing }
      sink()
      return top.thing
    },
    drain: () => heap.splice(0).map(({ thing }) => thing),
  }
}
