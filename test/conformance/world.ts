/** What a conformance case is given, and the few words that the cases are written in. */
import { createHash } from 'node:crypto'
import { expect } from 'vitest'
import type {
  Body,
  Connector,
  ConnectorContext,
  Page,
  WriteOptions,
} from '../../connectors/connector.ts'
import { type StoreCode, StoreError } from '../../src/errors.ts'
import { KIB } from '../../src/limits.ts'
import type { Entry, Key, KeyRange, Metadata, Token } from '../../src/model.ts'

/** A fresh and empty location, made for one case. */
export interface World {
  connector: Connector
  /** On the same store, under another prefix (or root); for identity and `copyWithin`. */
  other?: Connector
  /** Acts behind Tidemark's back, by the store's own means. */
  putForeign(key: Key, bytes: Uint8Array, metadata?: Metadata): Promise<void>
  removeForeign(key: Key): Promise<void>
  /** The same location with credentials that the store refuses. */
  wrongCredentials?(): Promise<Connector>
  /** A location whose bucket, container or folder isn't there. */
  missingRoot(): Promise<Connector>
  /** A location whose server doesn't answer: its port is closed. */
  unreachable?(): Promise<Connector>
  /** What interrupted writes left: open uploads, uncommitted blocks, temporary files. */
  leftovers?(): Promise<string[]>
  /** Such a location on a bucket that keeps versions, where the server can; ends with this one. */
  keepingVersions?(): Promise<{
    connector: Connector
    /** As a lifecycle rule does, or a person. */
    removeVersion(key: Key, version: string): Promise<void>
  }>
  /** Parts of multipart uploads that the store was sent so far. */
  partsSent?(): number
  close(): Promise<void>
}

/** Ends the case as skipped, with the reason printed. */
export interface CaseContext {
  skip(reason: string): never
}

export type Case = (world: World, context: CaseContext) => Promise<void>
export type Cases = Record<string, Case>

/** What a world's connectors are to be made with: pages of 4 keys, small parts. */
export function suiteContext(name: string, partBytes = 64 * KIB): ConnectorContext {
  return { name, concurrency: 8, partBytes, pageKeys: 4 }
}

export const whole: KeyRange = { from: null, to: null }

export function calling(signal: AbortSignal = new AbortController().signal) {
  return { signal }
}

/** Write options that ask for nothing special. */
export function writing(size: number, given: Partial<WriteOptions> = {}): WriteOptions {
  return { ...calling(), size, metadata: {}, digests: {}, beforeCommit: async () => {}, ...given }
}

export function removing(beforeCommit: () => Promise<void> = async () => {}) {
  return { ...calling(), beforeCommit }
}

export function put(
  connector: Connector,
  key: Key,
  bytes: Uint8Array,
  expected: Token | null = null,
  given: Partial<WriteOptions> = {},
): Promise<Entry> {
  return connector.write(key, bytes, expected, writing(bytes.length, given))
}

export function text(words: string): Buffer {
  return Buffer.from(words)
}

/** Bytes that look random and are the same each time. */
export function noise(size: number, seed: string): Buffer {
  if (size === 0) return Buffer.alloc(0)
  return createHash('shake256', { outputLength: size }).update(seed).digest()
}

/** Both ways that a store may write: in one request, and in three parts. */
export function sizes(connector: Connector): { way: string; size: number }[] {
  return [
    { way: 'whole', size: 1_000 },
    { way: 'in parts', size: connector.traits.partBytes * 2 + 1_000 },
  ]
}

/** The bytes as a stream of chunks; `between` is called before each chunk but the first. */
export async function* streamed(
  bytes: Uint8Array,
  chunkBytes: number,
  between: (sent: number) => Promise<void> | void = () => {},
): AsyncGenerator<Uint8Array> {
  for (let at = 0; at < bytes.length; at += chunkBytes) {
    if (at > 0) await between(at)
    yield bytes.subarray(at, at + chunkBytes)
  }
}

export async function bytesOf(body: Body): Promise<Buffer> {
  if (body instanceof Uint8Array) return Buffer.from(body)
  const chunks: Uint8Array[] = []
  for await (const chunk of body) chunks.push(chunk)
  return Buffer.concat(chunks)
}

export async function readAll(
  connector: Connector,
  key: Key,
  token: Token,
  range?: { start: number; end: number },
): Promise<Buffer> {
  return bytesOf((await connector.read(key, token, range, calling())).body)
}

export async function pagesOf(
  connector: Connector,
  range: KeyRange = whole,
  resume?: string,
): Promise<Page[]> {
  const pages: Page[] = []
  for await (const page of connector.list(range, resume, calling())) pages.push(page)
  return pages
}

export async function entriesOf(
  connector: Connector,
  range: KeyRange = whole,
  resume?: string,
): Promise<Entry[]> {
  return (await pagesOf(connector, range, resume)).flatMap((page) => page.entries)
}

export async function keysOf(
  connector: Connector,
  range: KeyRange = whole,
  resume?: string,
): Promise<Key[]> {
  return (await entriesOf(connector, range, resume)).map((entry) => entry.key)
}

export async function entryAt(connector: Connector, key: Key): Promise<Entry> {
  const entry = await connector.stat(key, calling())
  if (entry === null) throw new Error(`${key} is not there`)
  return entry
}

/** The key holds exactly these bytes now, and its entry says so. */
export async function expectContent(
  connector: Connector,
  key: Key,
  bytes: Uint8Array,
): Promise<Entry> {
  const entry = await entryAt(connector, key)
  const got = await readAll(connector, key, entry.token)
  expect(entry.size).toBe(bytes.length)
  // Not toEqual: a difference of megabytes is of no use to a reader.
  expect(got.equals(bytes), `${key} has the expected bytes`).toBe(true)
  return entry
}

export async function expectAbsent(connector: Connector, key: Key): Promise<void> {
  expect(await connector.stat(key, calling()), `stat of ${key}`).toBeNull()
  expect(await keysOf(connector), 'the listing').not.toContain(key)
}

/** The promise fails with a StoreError of one of these codes, which names the location. */
export async function failsWith(
  codes: StoreCode | StoreCode[],
  promise: Promise<unknown>,
): Promise<StoreError> {
  const error = await errorOf(promise)
  if (!(error instanceof StoreError)) throw error
  expect([codes].flat(), error.message).toContain(error.code)
  expect(error.location).not.toBe('')
  expect(error.operation).not.toBe('')
  return error
}

export async function errorOf(promise: Promise<unknown>): Promise<unknown> {
  const answer = await promise.then(
    (value) => ({ value }),
    (error: unknown) => ({ error }),
  )
  if ('error' in answer) return answer.error
  throw new Error(`it should have failed, and answered ${JSON.stringify(answer.value)}`)
}

export async function expectNothingLeft(world: World): Promise<void> {
  if (world.leftovers) expect(await world.leftovers(), 'left behind').toEqual([])
}
