/** A process-wide store behind the memory connector, and the handle that tests act on it by. */
import { randomUUID } from 'node:crypto'
import type { Digests, Metadata, Token } from '../src/model.ts'
import { compareKeys } from '../src/sync/keys.ts'
import type { Page, Traits } from './connector.ts'
import { digestsOf } from './digests.ts'

export interface MemoryEntry {
  token: Token
  /** ms since the epoch, by the store's clock. */
  modifiedAt: number
  /** Never changed in place: a read that goes on has what it began with. */
  bytes: Buffer
  digests: Digests
  metadata: Metadata
  /** Where the store keeps versions. */
  version?: string
}

/**
 * Where a call is. `before` and `after` the whole call (a throw in `after`: the reply was lost
 * after success); `chunk`: before each chunk of a body passes; `commit`: between beforeCommit and
 * the check of the token, where a foreign writer does the most harm; `page`: `page` is what the
 * listing will give, and may be changed: reordered, cut short, its `resume` taken away.
 */
export interface FaultCall {
  when: 'before' | 'after' | 'chunk' | 'commit' | 'page'
  location: string
  operation: string
  key: string | undefined
  page?: Page
}

/** May throw a StoreError, wait, or write to the store as somebody else. */
export type Fault = (call: FaultCall) => void | Promise<void>

export interface MemoryStore {
  /** Part of the identity: another value is another place. */
  id: string
  /** ms since the epoch; replace it to let time pass or jump. */
  clock: () => number
  /** Instead of the usual ones, for connectors that are made from now on. */
  traits: Partial<Traits>
  /** Instead of a counter of writes: a name of what is written over `before`. */
  tokenOf: ((written: Omit<MemoryEntry, 'token'>, before: MemoryEntry | undefined) => Token) | null
  /** What is shown of an entry's token: a file's may be unsettled for a while. */
  shown(entry: MemoryEntry): Token
  /** Which digests are kept beside an entry, to be shown: all, unless said otherwise. */
  keeps(digests: Digests, size: number): Digests
  /** Why a name can't lie beside those that are there (`a` beside `a/b`); null: it can. */
  refuses(name: string): string | null
  /** The root is gone. */
  missing: boolean
  /** It keeps what is overwritten or removed while this is set, as a versioned bucket does. */
  versioned: boolean
  /** What it keeps, by name and version; its rules, or a person, may remove some. */
  versions: Map<string, Map<string, MemoryEntry>>
  faults: Fault[]
  /** Successful writes and copies by Tidemark, per name. */
  writes: Map<string, number>
  /** Parts of unfinished uploads, by upload and number. */
  uploads: Map<string, Map<number, Buffer>>
  partsSent: number
  /** Names are the location's prefix and the key. */
  get(name: string): MemoryEntry | undefined
  /** All names in order of their UTF-8 bytes. */
  names(): readonly string[]
  /** The same from `name` on; not to be gone on with after the store has changed. */
  namesFrom(name: string): Iterable<string>
  /** What somebody else would do: without any condition. */
  put(name: string, bytes: Uint8Array, metadata?: Metadata, digests?: Digests): MemoryEntry
  remove(name: string): void
  fault(call: FaultCall): Promise<void>
}

const stores = new Map<string, MemoryStore>()

/** The store of that name, made at its first mention. */
export function memoryStore(name: string): MemoryStore {
  const store = stores.get(name) ?? newStore()
  stores.set(name, store)
  return store
}

/** Forgets all stores, so that tests don't share any. */
export function dropMemoryStores(): void {
  stores.clear()
}

function newStore(): MemoryStore {
  const entries = new Map<string, MemoryEntry>()
  const sorted: string[] = []
  let generation = 0
  const store: MemoryStore = {
    id: randomUUID(),
    clock: Date.now,
    traits: {},
    tokenOf: null,
    shown: ({ token }) => token,
    keeps: (digests) => digests,
    refuses: () => null,
    missing: false,
    versioned: false,
    versions: new Map(),
    faults: [],
    writes: new Map(),
    uploads: new Map(),
    partsSent: 0,
    get: (name) => entries.get(name),
    names: () => sorted,
    *namesFrom(name) {
      for (let at = lowerBound(sorted, name); at < sorted.length; at++) yield sorted[at] as string
    },
    put(name, bytes, metadata = {}, digests = digestsOf(bytes)) {
      if (!entries.has(name)) sorted.splice(lowerBound(sorted, name), 0, name)
      const modifiedAt = store.clock()
      const kept = store.keeps(digests, bytes.length)
      const written = { modifiedAt, bytes: Buffer.from(bytes), digests: kept, metadata }
      const counted = { id: `g${++generation}`, at: modifiedAt }
      const token = store.tokenOf?.(written, entries.get(name)) ?? counted
      const version = `v${generation}`
      const entry = { token, ...written, ...(store.versioned && { version }) }
      entries.set(name, entry)
      if (store.versioned) {
        const kept = store.versions.get(name) ?? new Map<string, MemoryEntry>()
        store.versions.set(name, kept.set(version, entry))
      }
      return entry
    },
    remove(name) {
      if (entries.delete(name)) sorted.splice(lowerBound(sorted, name), 1)
    },
    async fault(call) {
      for (const fault of [...store.faults]) await fault(call)
    },
  }
  return store
}

/** Where `name` is, or would be. At the end first: stores are mostly filled in order. */
function lowerBound(sorted: readonly string[], name: string): number {
  const last = sorted.at(-1)
  if (last === undefined || compareKeys(last, name) < 0) return sorted.length
  let low = 0
  let high = sorted.length
  while (low < high) {
    const middle = (low + high) >>> 1
    if (compareKeys(sorted[middle] as string, name) < 0) low = middle + 1
    else high = middle
  }
  return low
}
