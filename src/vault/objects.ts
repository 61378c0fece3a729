/** What lies in the vault's location: its names, and content as it was put. */
import { randomBytes } from 'node:crypto'
import type { Connector, ReadResult } from '../../connectors/connector.ts'
import { createDigester, digestProblem } from '../../connectors/digests.ts'
import type { VaultObject } from '../catalog/catalog.ts'
import { StoreError } from '../errors.ts'
import type { Content, Digests, Entry, Key } from '../model.ts'
import { contentNames } from '../sync/content.ts'
import { decompressed } from './form.ts'

/** Under a key that was never used. */
export function newObject(
  prefix: Key,
  { size, digests }: Content,
  form: 'raw' | 'zstd',
  stored: number,
): VaultObject {
  const name = contentNames(digests)[0] as string
  const key = `${prefix}${name}-${randomBytes(4).toString('hex')}${form === 'zstd' ? '.zst' : ''}`
  return { name, content: { size, digests }, form, stored, place: { key } }
}

export function keyOf({ place }: VaultObject): Key {
  return place.key
}

/** Another release may compress the same content to another length. */
export function isWhole({ size }: Entry, { form, stored }: VaultObject): boolean {
  return form === 'zstd' || size === stored
}

/** The content as it was put. */
export async function opened(
  store: Connector,
  { form, content: kept }: VaultObject,
  entry: Entry,
  asked: Content,
  signal: AbortSignal,
): Promise<ReadResult> {
  const { body } = await store.read(entry.key, entry.token, undefined, { signal })
  const digests = { ...asked.digests, ...kept.digests }
  const content = { ...entry, size: kept.size, digests }
  const plain = form === 'zstd' ? unpacked(store, entry.key, body, kept.size) : body
  return { entry: content, body: checked(plain, digests, store.name, entry.key) }
}

/** It was whole in memory when it was compressed. */
async function* unpacked(
  { name }: Connector,
  key: Key,
  body: AsyncIterable<Uint8Array>,
  size: number,
): AsyncGenerator<Uint8Array> {
  const bytes = await bytesOf(body)
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

export async function bytesOf(body: AsyncIterable<Uint8Array>): Promise<Buffer> {
  const chunks: Uint8Array[] = []
  for await (const chunk of body) chunks.push(chunk)
  return Buffer.concat(chunks)
}

/** Reads it whole: the object with its content's size and all its digests; null where it isn't what
 *  its name says. Throws where the store fails. */
export async function readThrough(
  store: Connector,
  object: VaultObject,
  entry: Entry,
  signal: AbortSignal,
): Promise<VaultObject | null> {
  const digester = createDigester()
  let size = 0
  const content = { size: contentSizeMax, digests: object.content.digests }
  try {
    const { body } = await opened(store, { ...object, content }, entry, content, signal)
    for await (const chunk of body) {
      digester.update(chunk)
      size += chunk.length
    }
  } catch (error) {
    if (!(error instanceof StoreError) || error.code !== 'corrupt') throw error
    return null
  }
  return { ...object, content: { size, digests: digester.digest() } }
}

/** Of what is compressed, as its content was whole in memory. */
const contentSizeMax = 2 ** 30

export function corrupt(location: string, key: Key, problem: string, cause?: unknown): StoreError {
  return new StoreError('corrupt', problem, { location, operation: 'vault', key, cause })
}
