/** Memory stores that behave as the documentation of each kind of store says, and their journal. */
import { type MemoryEntry, type MemoryStore, memoryStore } from '../../connectors/memory-store.ts'
import { StoreError } from '../../src/errors.ts'
import type { Digests, Key } from '../../src/model.ts'
import { bytesOf, type Operation, sha256Of } from './operations.ts'

export type Kind = 's3' | 'gcs' | 'azure' | 'file' | 'folding' | 'bare'
export const kinds: readonly Kind[] = ['s3', 'gcs', 'azure', 'file', 'folding', 'bare']

/** A change at a store, as it happened. `to` null: removed. */
export interface Change {
  store: Replica
  key: Key
  by: 'user' | 'tidemark'
  before: MemoryEntry | undefined
  to: MemoryEntry | null
  step: number
}

export interface Replica {
  index: number
  /** Its location's name, and its store's. */
  name: string
  kind: Kind
  store: MemoryStore
  /** Its users give a content type along. */
  typed: boolean
  /** ms by which its clock is wrong. */
  skew: number
  /** Keys that Tidemark is about to commit here, since which step: where the store checks nothing,
   *  what a user writes meanwhile is lost, as documented. */
  windows: Map<Key, number>
  /** Key and token of what a listing, a stat or a read has shown to Tidemark. */
  shown: Set<string>
  /** The key whose next read gives other bytes than those that its digests are of. */
  rotten: Key | null
  written: WeakMap<MemoryEntry, { by: Change['by']; step: number }>
  /** What Tidemark put last under each key; and of all that it put, what it heard to be there. */
  put: Map<Key, MemoryEntry>
  heard: WeakSet<MemoryEntry>
  /** What was heard since this step, nobody may have noted. */
  forget(since: number): void
  /** It is another place from now on, with a copy of what was here, or of some of it. Nobody
   *  removed anything. */
  move(keeps: 'all' | 'some' | 'none'): void
}

export interface StoresContext {
  now(): number
  step(): number
  point(what: string): Promise<void>
  changed(change: Change): void
  /** Asked at each call, behind its turn: may throw, or act as a user. */
  trouble(replica: Replica, call: Parameters<MemoryStore['fault']>[0]): void
}

const partBytes = 64

export function createReplica(
  index: number,
  kind: Kind,
  { pageKeys, typed }: { pageKeys: number; typed: boolean },
  context: StoresContext,
): Replica {
  const name = String.fromCharCode(97 + index)
  const store = memoryStore(name)
  const replica: Replica = {
    ...{ index, name, kind, store, typed, skew: 0, rotten: null },
    windows: new Map(),
    shown: new Set(),
    written: new WeakMap(),
    ...{ put: new Map(), heard: new WeakSet() },
    forget(since) {
      for (const entry of replica.put.values()) {
        if ((replica.written.get(entry)?.step ?? 0) >= since) replica.heard.delete(entry)
      }
    },
    move(keeps) {
      store.id = `${store.id}, moved`
      replica.shown.clear()
      const every = { all: Number.POSITIVE_INFINITY, some: 2, none: 1 }[keeps]
      for (const [i, key] of [...store.names()].entries()) if ((i + 1) % every === 0) remove(key)
    },
  }
  const { remove } = store
  store.clock = () => context.now() + replica.skew
  behaveAs(kind, store)
  watchStore(replica, context)
  store.faults.push(async (call) => {
    const { when, operation, key } = call
    // From our last look on, where the store itself doesn't look.
    if (when === 'commit' && key !== undefined) replica.windows.set(key, context.step())
    await context.point(`${name} ${operation} ${key ?? ''} ${when}`)
    if (when === 'page') {
      if (call.page) cutPage(call.page, pageKeys)
    }
    if (when === 'after' && key !== undefined && operation !== 'list') show(replica, key)
    context.trouble(replica, call)
    const writes = operation === 'write' || operation === 'copyWithin'
    const put = when === 'after' && writes && key !== undefined && replica.put.get(key)
    if (put) replica.heard.add(put)
    // Only what it was let see.
    for (const { key } of call.page?.entries ?? []) show(replica, key)
  })
  return replica
}

export const seenAs = (key: Key, { token }: MemoryEntry): string => `${token.id} ${key}`

function show({ store, shown }: Replica, key: Key): void {
  const entry = store.get(key)
  if (entry) shown.add(seenAs(key, entry))
}

/** Small pages, so that a few keys make several. */
function cutPage(page: { entries: { key: Key }[]; resume?: string }, pageKeys: number): void {
  if (page.entries.length <= pageKeys) return
  page.entries.length = pageKeys
  const last = page.entries.at(-1)
  if (last) page.resume = last.key
}

const only = (...names: (keyof Digests)[]) => {
  return (digests: Digests): Digests =>
    Object.fromEntries(names.flatMap((name) => (digests[name] ? [[name, digests[name]]] : [])))
}

function behaveAs(kind: Kind, store: MemoryStore): void {
  const seconds = (at: number) => Math.floor(at / 1000) * 1000
  let count = 0
  switch (kind) {
    case 's3':
      // An ETag is the md5 of what was sent in one part; and comes back when the bytes do.
      store.traits = { listingDigests: ['md5'], listingMetadata: false }
      store.tokenOf = ({ digests, bytes, modifiedAt }) => {
        const id = digests.md5 ?? `${++count}-${Math.ceil(bytes.length / partBytes)}`
        return { id, at: seconds(modifiedAt) }
      }
      store.keeps = (digests, size) => (size > partBytes ? {} : only('md5')(digests))
      break
    case 'gcs':
      store.traits = { listingDigests: ['md5', 'crc32c'] }
      store.tokenOf = () => ({ id: `${++count}`, at: 1 })
      // What was composed of parts has no md5.
      store.keeps = (digests, size) =>
        only(...(size > partBytes ? (['crc32c'] as const) : (['md5', 'crc32c'] as const)))(digests)
      break
    case 'azure':
      store.traits = { listingDigests: ['md5'] }
      store.tokenOf = ({ modifiedAt }) => ({ id: `0x8D${++count}`, at: seconds(modifiedAt) })
      store.keeps = (digests, size) => (size > partBytes ? {} : only('md5')(digests))
      break
    case 'file':
    case 'folding':
      store.traits = { listingDigests: [], listingMetadata: false, carriesMetadata: false }
      store.traits.keys = { bytesMax: 4096, segmentBytesMax: 255, prefixBytes: 0, pathLike: true }
      store.traits.copyDomain = null
      store.tokenOf = ({ modifiedAt, bytes }, before) => {
        const inode = before ? before.token.id.split(':')[2] : `${++count}`
        return { id: `${modifiedAt}:${bytes.length}:${inode}` }
      }
      store.keeps = () => ({})
      store.shown = ({ token, modifiedAt }) =>
        store.clock() - modifiedAt < 2_000 ? { ...token, unsettled: true } : token
      store.refuses = (name) => obstacle(store, name, kind === 'folding')
      break
    case 'bare':
      store.traits = {
        ...{ conditionalCreate: false, conditionalOverwrite: false, conditionalDelete: false },
        ...{ listingDigests: ['md5'], listStart: false, copyDomain: null },
      }
      store.keeps = only('md5')
  }
  if (kind !== 'file' && kind !== 'folding' && kind !== 'bare') {
    store.traits.copyDomain = null
  }
}

/** What a folder can't have beside what it has. */
function obstacle(store: MemoryStore, name: string, folds: boolean): string | null {
  const folded = (one: string) => (folds ? one.normalize('NFC').toLowerCase() : one)
  for (const other of store.names()) {
    if (other === name) continue
    if (folded(other) === folded(name)) return `${other} is there, under another spelling`
    if (folded(other).startsWith(`${folded(name)}/`)) return 'a folder is there'
    if (folded(name).startsWith(`${folded(other)}/`)) return `${other} is not a folder`
  }
  return null
}

function watchStore(replica: Replica, context: StoresContext): void {
  const { store } = replica
  const { get, put, remove } = store
  store.get = (name) => {
    const entry = get(name)
    if (!entry || name !== replica.rotten) return entry
    replica.rotten = null
    return { ...entry, bytes: rottenOf(entry) }
  }
  store.put = (name, bytes, metadata, digests) => {
    const before = store.get(name)
    const entry = put(name, bytes, metadata, digests)
    tell(name, before, entry)
    return entry
  }
  store.remove = (name) => {
    const before = store.get(name)
    remove(name)
    if (before) tell(name, before, null)
  }
  function tell(key: Key, before: MemoryEntry | undefined, to: MemoryEntry | null): void {
    const by = users > 0 ? 'user' : 'tidemark'
    const step = context.step()
    if (to) replica.written.set(to, { by, step })
    // Who wrote it knows it.
    if (to && by === 'tidemark') replica.shown.add(seenAs(key, to))
    if (to && by === 'tidemark') replica.put.set(key, to)
    context.changed({ store: replica, key, by, before, to, step })
  }
}

let users = 0

/** As a user does it, at once. Gives whether anything happened. */
export function play(replicas: Replica[], operation: Operation): boolean {
  users++
  try {
    const at = Array.isArray(operation.at) ? operation.at : [operation.at]
    const done = at.map((index) => {
      const replica = replicas[index]
      return replica !== undefined && !replica.store.missing && playAt(replica, operation)
    })
    return done.includes(true)
  } finally {
    users--
  }
}

/** Users' programs name a type by what they write; folders keep none. */
export const typeOf = (bytes: Uint8Array): string => `text/x-${sha256Of(bytes).slice(0, 4)}`

function playAt({ store, kind, typed }: Replica, operation: Operation): boolean {
  if (operation.do === 'remove-all') {
    const names = [...store.names()]
    for (const name of names) store.remove(name)
    return names.length > 0
  }
  const { key } = operation
  const there = store.get(key)
  const pathLike = kind === 'file' || kind === 'folding'
  const put = (name: Key, bytes: Buffer): boolean => {
    if (pathLike && store.refuses(name) !== null) return false
    store.put(name, bytes, typed && !pathLike ? { contentType: typeOf(bytes) } : undefined)
    return true
  }
  switch (operation.do) {
    case 'put':
      return put(key, bytesOf(operation.text))
    case 'touch':
      return there !== undefined && put(key, there.bytes)
    case 'remove':
      if (there) store.remove(key)
      return there !== undefined
    case 'rename':
      if (!there || operation.to === key) return false
      store.remove(key)
      if (put(operation.to, there.bytes)) return true
      store.put(key, there.bytes)
      return false
  }
}

/** Where no digest is known, nobody could notice. */
function rottenOf({ bytes, digests }: MemoryEntry): Buffer {
  const known = Object.keys(digests).length > 0
  return known ? Buffer.from(bytes.map((byte, i) => (i === 0 ? byte ^ 1 : byte))) : bytes
}

export const shaOf = (entry: MemoryEntry | null | undefined): string | null =>
  entry ? sha256Of(entry.bytes) : null

export function failure(
  code: ConstructorParameters<typeof StoreError>[0],
  location: string,
  operation: string,
): StoreError {
  return new StoreError(code, `a fault: ${code}`, { location, operation })
}

export { partBytes as simulatedPartBytes }
