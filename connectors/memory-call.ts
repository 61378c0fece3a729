/** One call of the memory connector, with the faults that a test put before and behind it. */
import { type StoreCode, StoreError } from '../src/errors.ts'
import type { Entry, Key } from '../src/model.ts'
import type { Traits } from './connector.ts'
import type { MemoryEntry, MemoryStore } from './memory-store.ts'

export interface Place {
  location: string
  prefix: string
  store: MemoryStore
  traits: Traits
  pageKeys: number
}

export async function called<T>(
  place: Place,
  operation: string,
  key: Key | undefined,
  signal: AbortSignal,
  run: () => Promise<T>,
): Promise<T> {
  const call = { location: place.location, operation, key }
  refuseCancelled(place, operation, key, signal)
  await place.store.fault({ ...call, when: 'before' })
  refuseCancelled(place, operation, key, signal)
  if (place.store.missing) throw failure(place, 'root-missing', operation, key, 'no such store')
  const answer = await run()
  await place.store.fault({ ...call, when: 'after' })
  return answer
}

export function failure(
  place: Place,
  code: StoreCode,
  operation: string,
  key: Key | undefined,
  message: string,
): StoreError {
  const details = { location: place.location, operation }
  return new StoreError(code, message, key === undefined ? details : { ...details, key })
}

export function refuseCancelled(
  place: Place,
  operation: string,
  key: Key | undefined,
  signal: AbortSignal,
): void {
  if (signal.aborted) throw failure(place, 'cancelled', operation, key, 'cancelled')
}

export function entryOf(place: Place, key: Key, held: MemoryEntry): Entry {
  const { modifiedAt, bytes, digests, metadata } = held
  const token = place.store.shown(held)
  const entry: Entry = { key, token, modifiedAt, size: bytes.length, digests }
  return place.traits.carriesMetadata ? { ...entry, metadata } : entry
}
