/** What lies in the vault's location: its names, and content as it was put. */
import { randomBytes } from 'node:crypto'
import type { Connector, ReadResult } from '../../connectors/connector.ts'
import { createDigester, digestProblem, wholeBody } from '../../connectors/digests.ts'
import type { VaultObject } from '../catalog/catalog.ts'
import { StoreError } from '../errors.ts'
import type { Content, Digests, Entry, Key } from '../model.ts'
import { contentNames } from '../sync/content.ts'
import { decompressed, looksCompressed } from './form.ts'

/** Under a key that was never used. */
export function newObject(prefix: Key, { size, digests }: Content): VaultObject {
  const name = contentNames(digests)[0] as string
  const key = `${prefix}${name}-${randomBytes(4).toString('hex')}`
  return { name, content: { size, digests }, stored: null, place: { key } }
}

export function keyOf({ place }: VaultObject): Key {
  return place.key
}

/** What lies at an object's place; `form` null: it isn't what was written there. */
export interface Found {
  entry: Entry
  form: 'raw' | 'zstd' | null
}

/** Nobody writes other content there, and nothing is compressed that doesn't become smaller. */
export async function lookAt(
  store: Connector,
  object: VaultObject,
  signal: AbortSignal,
): Promise<Found | null> {
  const entry = await store.stat(keyOf(object), { signal })
  if (entry === null) return null
  if (entry.size === object.content.size) return { entry, form: 'raw' }
  if (entry.size > object.content.size) return { entry, form: null }
  const range = { start: 0, end: 4 }
  const { body } = await store.read(entry.key, entry.token, range, { signal })
  return { entry, form: looksCompressed(await wholeBody(body)) ? 'zstd' : null }
}

/** The content as it was put. */
export async function opened(
  store: Connector,
  { entry, form }: Found,
  content: Content,
  signal: AbortSignal,
): Promise<ReadResult> {
  const { key, token } = entry
  const { body } = await store.read(key, token, undefined, { signal })
  const plain = form === 'zstd' ? unpacked(store, key, body, content.size) : body
  return { entry: { ...entry, ...content }, body: checked(plain, content.digests, store.name, key) }
}

/** It was whole in memory when it was compressed. */
async function* unpacked(
  { name }: Connector,
  key: Key,
  body: AsyncIterable<Uint8Array>,
  size: number,
): AsyncGenerator<Uint8Array> {
  const bytes = await wholeBody(body)
  try {
    yield await decompressed(bytes, size)
  } catch (error) {
    throw corrupt(name, key, 'it can’t be decompressed', error)
  }
}

/** The stream, with a check at its end: what throws there is never committed by a store. */
export async function* checked(
  body: AsyncIterable<Uint8Array>,
  digests: Digests,
  location: string,
  key: Key,
): AsyncGenerator<Uint8Array> {
  const digester = createDigester()
  for await (const chunk of body) {
    digester.update(chunk)
    yield chunk
  }
  const problem = digestProblem(digests, digester.digest())
  if (problem) throw corrupt(location, key, problem)
}

/** Reads it whole: its content's size and all its digests; null where it isn't the content. Throws
 *  where the store fails. `size`: Infinity where it isn't known. */
export async function readThrough(
  store: Connector,
  entry: Entry,
  { size, digests }: Content,
  signal: AbortSignal,
): Promise<Content | null> {
  for (const form of ['raw', 'zstd'] as const) {
    const content = { size: Math.min(size, unpackedMax), digests }
    const digester = createDigester()
    let read = 0
    try {
      const { body } = await opened(store, { entry, form }, content, signal)
      for await (const chunk of body) {
        digester.update(chunk)
        read += chunk.length
      }
      const whole = size === Number.POSITIVE_INFINITY || read === size
      if (whole) return { size: read, digests: digester.digest() }
    } catch (error) {
      if (!(error instanceof StoreError) || error.code !== 'corrupt') throw error
    }
  }
  return null
}

/** What is compressed was whole in memory before; more than that is nothing of ours. */
const unpackedMax = 2 ** 30

export function corrupt(location: string, key: Key, problem: string, cause?: unknown): StoreError {
  return new StoreError('corrupt', problem, { location, operation: 'vault', key, cause })
}
