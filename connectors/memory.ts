/**
 * The reference: what the contract means, with nothing in the way. Locations of one process with
 * the same `store` share its content. Tests get at the store by `memoryStore(name)`: its clock, its
 * faults, what others wrote behind Tidemark's back, and how often each name was written.
 */
import { randomUUID } from 'node:crypto'
import { listPageKeys } from '../src/limits.ts'
import type { Digests, Entry, Key, KeyRange, Metadata, Token } from '../src/model.ts'
import { inRange, keyProblem } from '../src/sync/keys.ts'
import type {
  Body,
  CallOptions,
  Connector,
  ConnectorContext,
  CopyOptions,
  CopySource,
  Page,
  ReadResult,
  Traits,
  Versions,
  WriteOptions,
} from './connector.ts'
import { digestProblem, digestsOf, partsOf } from './digests.ts'
import { called, entryOf, failure, type Place, refuseCancelled } from './memory-call.ts'
import { type MemoryEntry, memoryStore } from './memory-store.ts'
import type { OptionsOf } from './options.ts'

export {
  dropMemoryStores,
  type Fault,
  type FaultCall,
  type MemoryStore,
  memoryStore,
} from './memory-store.ts'

export async function create(
  options: OptionsOf<'memory'>,
  context: ConnectorContext,
): Promise<Connector> {
  const store = memoryStore(options.store)
  const place: Place = {
    location: context.name,
    prefix: options.prefix,
    store,
    traits: { ...traitsOf(options, context), ...store.traits },
    pageKeys: context.pageKeys ?? listPageKeys,
  }
  return {
    name: context.name,
    traits: place.traits,
    identity: ({ signal }) =>
      called(place, 'identity', undefined, signal, async () => {
        return `memory:${options.store}/${options.prefix}#${store.id}`
      }),
    list: (range, resume, { signal }) => list(place, range, resume, signal),
    stat: (key, { signal }) =>
      called(place, 'stat', key, signal, async () => {
        const held = store.get(place.prefix + key)
        return held ? entryOf(place, key, held) : null
      }),
    read: (key, token, range, { signal }) => read(place, key, token, range, signal),
    write: (key, body, expect, given) =>
      called(place, 'write', key, given.signal, () => write(place, key, body, expect, given)),
    remove: (key, expect, given) =>
      called(place, 'remove', key, given.signal, () => remove(place, key, expect, given)),
    copyWithin: (key, source, expect, given) =>
      called(place, 'copyWithin', key, given.signal, () => copy(place, key, source, expect, given)),
    abortUpload: (key, state, { signal }) =>
      called(place, 'abortUpload', key, signal, async () => void store.uploads.delete(state)),
    versions: versionsIn(place),
    close: async () => {},
  }
}

function traitsOf(options: OptionsOf<'memory'>, context: ConnectorContext): Traits {
  return {
    conditionalCreate: true,
    conditionalOverwrite: true,
    conditionalDelete: true,
    listStart: true,
    listingDigests: ['md5', 'crc32c'],
    listingMetadata: true,
    carriesMetadata: true,
    keys: { bytesMax: 1024, prefixBytes: Buffer.byteLength(options.prefix), pathLike: false },
    sizeMax: Number.MAX_SAFE_INTEGER,
    copyDomain: `memory:${options.store}`,
    copyRoot: options.prefix,
    partBytes: context.partBytes,
  }
}

// ── listing ─────────────────────────────────────────────────────────────────────────────────────

/** Each page looks anew, so that a listing sees what changes behind it as a real store's does. */
async function* list(
  place: Place,
  range: KeyRange,
  resume: string | undefined,
  signal: AbortSignal,
): AsyncGenerator<Page, void> {
  let from = resume === undefined ? range.from : behind(resume)
  for (;;) {
    const call = { location: place.location, operation: 'list', key: from ?? undefined }
    const page = await called(place, 'list', call.key, signal, async () => {
      const page = pageFrom(place, from, range.to)
      await place.store.fault({ ...call, when: 'page', page })
      return page
    })
    yield page
    if (page.resume === undefined) return
    from = behind(page.resume)
  }
}

/** The least key that is greater than `key`. */
function behind(key: Key): Key {
  return `${key}\0`
}

function pageFrom(place: Place, from: Key | null, to: Key | null): Page {
  const { store, prefix, traits } = place
  const page: Page = { entries: [], skipped: [] }
  for (const name of store.namesFrom(prefix + (from ?? ''))) {
    if (!name.startsWith(prefix)) break
    const key = name.slice(prefix.length)
    if (!inRange(key, { from, to })) break
    const held = store.get(name)
    if (held === undefined || key === '') continue
    const last = page.entries.at(-1)
    if (last !== undefined && page.entries.length === place.pageKeys) {
      page.resume = last.key
      break
    }
    const entry = entryOf(place, key, held)
    entry.digests = chosen(held.digests, traits)
    if (!traits.listingMetadata) delete entry.metadata
    page.entries.push(entry)
  }
  return page
}

function chosen(digests: Digests, { listingDigests }: Traits): Digests {
  return Object.fromEntries(
    listingDigests.flatMap((name) => (digests[name] ? [[name, digests[name]]] : [])),
  )
}

// ── reading ─────────────────────────────────────────────────────────────────────────────────────

async function read(
  place: Place,
  key: Key,
  token: Token,
  range: { start: number; end: number } | undefined,
  signal: AbortSignal,
): Promise<ReadResult> {
  return called(place, 'read', key, signal, async () => {
    const now = held(place, key, token, 'read')
    const bytes = now.bytes.subarray(range?.start, range?.end)
    return { entry: entryOf(place, key, now), body: chunks(place, key, bytes, signal) }
  })
}

function held(
  place: Place,
  key: Key,
  token: Token,
  operation: string,
  name = place.prefix + key,
): MemoryEntry {
  const now = place.store.get(name)
  if (!now) throw failure(place, 'not-found', operation, key, 'no such key')
  if (now.token.id === token.id) return now
  throw failure(place, 'changed-meanwhile', operation, key, 'another token')
}

/** What was written while the store kept versions stays, also when it keeps none any more. */
function versionsIn(place: Place): Versions {
  const { store, prefix } = place
  const kept = (key: Key, version: string) => store.versions.get(prefix + key)?.get(version)
  return {
    keep: (key, token, { signal }) =>
      called(
        place,
        'keep',
        key,
        signal,
        async () => held(place, key, token, 'keep').version ?? null,
      ),
    stat: (key, version, { signal }) =>
      called(place, 'stat', key, signal, async () => {
        return kept(key, version) ? entryOf(place, key, kept(key, version) as MemoryEntry) : null
      }),
    read: (key, version, { signal }) =>
      called(place, 'read', key, signal, async () => {
        const one = kept(key, version)
        if (!one) throw failure(place, 'not-found', 'read', key, 'no such version')
        return { entry: entryOf(place, key, one), body: chunks(place, key, one.bytes, signal) }
      }),
  }
}

async function* chunks(
  place: Place,
  key: Key,
  bytes: Buffer,
  signal: AbortSignal,
): AsyncGenerator<Uint8Array, void> {
  const call = { location: place.location, operation: 'read', key, when: 'chunk' } as const
  for await (const chunk of partsOf(bytes, place.traits.partBytes)) {
    await place.store.fault(call)
    refuseCancelled(place, 'read', key, signal)
    yield chunk
  }
  refuseCancelled(place, 'read', key, signal)
}

// ── writing ─────────────────────────────────────────────────────────────────────────────────────

async function write(
  place: Place,
  key: Key,
  body: Body,
  expect: Token | null,
  options: WriteOptions,
): Promise<Entry> {
  refuseUnholdable(place, key, 'write')
  const { bytes, upload } = await received(place, key, body, options)
  const digests = digestsOf(bytes)
  const problem = digestProblem(options.digests, digests)
  if (problem !== null) {
    await endUpload(place, upload, options)
    throw failure(place, 'corrupt', 'write', key, problem)
  }
  const content = { bytes, digests, metadata: options.metadata }
  const entry = await commit(place, key, 'write', content, expect, options)
  await endUpload(place, upload, options)
  return entry
}

/** The whole content. In parts, they are kept with the store, where a session finds them again. */
async function received(
  place: Place,
  key: Key,
  body: Body,
  options: WriteOptions,
): Promise<{ bytes: Buffer; upload: string | undefined }> {
  const { size, session, signal } = options
  const { store, traits } = place
  const inParts = size > traits.partBytes
  const known = session?.state !== undefined && store.uploads.has(session.state)
  const id = known && session?.state ? session.state : randomUUID()
  const upload = store.uploads.get(id) ?? new Map<number, Buffer>()
  const parts: Buffer[] = []
  let bytes = 0
  try {
    for await (const part of partsOf(body, traits.partBytes, size)) {
      await store.fault({ location: place.location, operation: 'write', key, when: 'chunk' })
      refuseCancelled(place, 'write', key, signal)
      bytes += part.length
      if (bytes > size) throw failure(place, 'corrupt', 'write', key, `more than ${size} bytes`)
      const kept = upload.get(parts.length)
      if (inParts && !kept?.equals(part)) {
        upload.set(parts.length, Buffer.from(part))
        store.partsSent++
        store.uploads.set(id, upload)
        await session?.save(id)
      }
      parts.push(upload.get(parts.length) ?? part)
    }
    refuseCancelled(place, 'write', key, signal)
    if (bytes < size) throw failure(place, 'corrupt', 'write', key, `${bytes} of ${size} bytes`)
  } finally {
    // The parts of an upload without a session can't be found again by anybody.
    if (!session || !inParts) store.uploads.delete(id)
  }
  return { bytes: Buffer.concat(parts), upload: session && inParts ? id : undefined }
}

async function endUpload(
  place: Place,
  upload: string | undefined,
  { session }: WriteOptions,
): Promise<void> {
  if (upload === undefined) return
  place.store.uploads.delete(upload)
  await session?.save(null)
}

type CommitOptions = CallOptions & Pick<WriteOptions, 'beforeCommit'>

async function commit(
  place: Place,
  key: Key,
  operation: string,
  content: { bytes: Buffer; digests: Digests; metadata: Metadata },
  expect: Token | null,
  options: CommitOptions,
): Promise<Entry> {
  const { store, prefix, traits } = place
  const conditional = expect ? traits.conditionalOverwrite : traits.conditionalCreate
  const check = () => {
    if (store.get(prefix + key)?.token.id === expect?.id) return
    throw failure(place, 'changed-meanwhile', operation, key, 'another token')
  }
  await options.beforeCommit()
  // Just before, where the store itself can't: what others write behind this is lost.
  if (!conditional) check()
  await store.fault({ location: place.location, operation, key, when: 'commit' })
  refuseCancelled(place, operation, key, options.signal)
  if (conditional) check()
  const refused = store.refuses(prefix + key)
  if (refused !== null) throw failure(place, 'cannot-hold', operation, key, refused)
  const held = store.put(prefix + key, content.bytes, content.metadata, content.digests)
  store.writes.set(prefix + key, (store.writes.get(prefix + key) ?? 0) + 1)
  return entryOf(place, key, held)
}

async function remove(
  place: Place,
  key: Key,
  expect: Token,
  options: CommitOptions,
): Promise<void> {
  const { store, prefix, traits } = place
  const check = () => void held(place, key, expect, 'remove')
  await options.beforeCommit()
  if (!traits.conditionalDelete) check()
  await store.fault({ location: place.location, operation: 'remove', key, when: 'commit' })
  refuseCancelled(place, 'remove', key, options.signal)
  if (traits.conditionalDelete) check()
  store.remove(prefix + key)
}

async function copy(
  place: Place,
  key: Key,
  source: CopySource,
  expect: Token | null,
  options: CopyOptions,
): Promise<Entry> {
  refuseUnholdable(place, key, 'copyWithin')
  const name = `${source.connector.traits.copyRoot}${source.key}`
  const from = held(place, source.key, source.token, 'copyWithin', name)
  const problem = digestProblem(options.digests, from.digests)
  if (problem !== null) throw failure(place, 'corrupt', 'copyWithin', key, problem)
  const { bytes, digests } = from
  const content = { bytes, digests, metadata: options.metadata ?? from.metadata }
  return commit(place, key, 'copyWithin', content, expect, options)
}

function refuseUnholdable(place: Place, key: Key, operation: string): void {
  const problem = keyProblem(key, place.traits.keys)
  if (problem !== null) throw failure(place, 'cannot-hold', operation, key, problem)
}
