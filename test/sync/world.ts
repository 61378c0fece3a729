/**
 * A model of stores and their users, small enough to run a hundred thousand times: N replicas, a
 * few keys, contents that are numbers. What real stores differ in is here: which digests and
 * metadata a listing shows, what a token is made of, clocks that are wrong.
 */
import type {
  BaselineRow,
  Conflict,
  Digests,
  Entry,
  Key,
  Metadata,
  Policy,
  Strategy,
} from '../../src/model.ts'
import { ruleOf } from './deciding.ts'

export interface Store {
  name: string
  /** Which digests its listing shows. None: a folder. */
  digests: (keyof Digests)[]
  /** listed: as GCS; hidden: as S3, stat alone shows it; none: as a folder. */
  metadata: 'listed' | 'hidden' | 'none'
  /** etag: the content's own name, and a time. generation: a counter of writes, and one of
   *  metadata. file: a counter, unsettled for a while. */
  tokens: 'etag' | 'generation' | 'file'
  /** What its clock is wrong by, ms. */
  skew: number
  objects: Map<Key, Stored>
}

export interface Stored {
  bytes: number
  metadata: string
  id: string
  at: number
  modifiedAt: number
  /** It may change again under the same id. */
  fresh: boolean
}

export interface World {
  now: number
  serial: number
  run: number
  lastScan: number
  keys: Key[]
  stores: Store[]
  policy: Policy
  /** Stores that can't be looked at. */
  offline: Set<string>
  rows: Map<Key, BaselineRow>
  vault: Set<number>
  /** What each token ever stood for: store/key/id → bytes. */
  written: Map<string, number>
  open: Map<Key, Conflict>
  /** What happened, for people; null: nobody will read it. */
  story: string[] | null
}

/** Contents: 0 is empty; 5 is an object of several parts, whose ETag is no md5. */
const contents = 6
const emptyBytes = 0
const largeBytes = 5

export function tell(world: World, line: () => string): void {
  world.story?.push(line())
}

export function storeOf(world: World, name: string): Store {
  const store = world.stores.find((one) => one.name === name)
  if (!store) throw new Error(`no store ${name}`)
  return store
}

// ── contents ────────────────────────────────────────────────────────────────────────────────────

export function sizeOf(bytes: number): number {
  return bytes === emptyBytes ? 0 : 10 + (bytes % 2)
}

export function digestsOf(bytes: number): Required<Digests> {
  return { sha256: `s${bytes}`, md5: `m${bytes}`, crc32c: `c${bytes}` }
}

/** The bytes that a digest stands for; null: none is known. */
export function bytesOf(content: { size: number; digests: Digests }): number | null {
  if (content.size === 0) return emptyBytes
  const text = Object.values(content.digests)[0]
  return text === undefined ? null : Number(text.slice(1))
}

export function metadataOf(value: string): Metadata {
  return value === '' ? {} : { contentType: value }
}

// ── what a store shows ──────────────────────────────────────────────────────────────────────────

export function listed(store: Store, key: Key): Entry | null {
  const stored = store.objects.get(key)
  if (!stored) return null
  const all = digestsOf(stored.bytes)
  const digests: Digests = {}
  for (const name of store.digests) {
    if (name !== 'md5' || stored.bytes !== largeBytes) digests[name] = all[name]
  }
  const metadata = store.metadata === 'listed' ? { metadata: metadataOf(stored.metadata) } : {}
  const { modifiedAt } = stored
  return {
    key,
    size: sizeOf(stored.bytes),
    digests,
    ...metadata,
    token: tokenOf(store, stored),
    modifiedAt,
  }
}

/** All that stat and a read tell. */
export function learned(store: Store, key: Key): Entry | null {
  const entry = listed(store, key)
  const stored = store.objects.get(key)
  if (!entry || !stored) return null
  const metadata = store.metadata === 'none' ? {} : { metadata: metadataOf(stored.metadata) }
  return { ...entry, digests: digestsOf(stored.bytes), ...metadata }
}

export function tokenOf(store: Store, stored: Stored): Entry['token'] {
  if (store.tokens === 'file')
    return { id: stored.id, ...(stored.fresh ? { unsettled: true } : {}) }
  return { id: stored.id, at: stored.at }
}

// ── writes, by users and by us ──────────────────────────────────────────────────────────────────

export function write(
  world: World,
  store: Store,
  key: Key,
  bytes: number,
  metadata: string,
): Stored {
  const serial = ++world.serial
  const named = store.tokens === 'etag' && bytes !== largeBytes
  const stored: Stored = {
    bytes,
    metadata: store.metadata === 'none' ? '' : metadata,
    id: named ? `e${bytes}` : `${store.tokens[0]}-${serial}`,
    at: store.tokens === 'generation' ? 1 : world.now,
    modifiedAt: world.now + store.skew,
    fresh: store.tokens === 'file',
  }
  store.objects.set(key, stored)
  world.written.set(`${store.name}/${key}/${stored.id}`, bytes)
  return stored
}

/** The same bytes with other metadata: the id stays, `at` tells. */
function describe(world: World, store: Store, key: Key, stored: Stored, metadata: string): void {
  const at = store.tokens === 'generation' ? stored.at + 1 : world.now
  store.objects.set(key, { ...stored, metadata, at, modifiedAt: world.now + store.skew })
}

/** A random thing that somebody does to a random key somewhere: without asking us, also offline.
 *  `midway`: between our look and our write, where a folder can't protect what hides in a token. */
export function userActs(world: World, dice: Dice, midway = false): void {
  world.now += 10_000
  const store = dice.pick(world.stores)
  const key = dice.pick(world.keys)
  const stored = store.objects.get(key)
  const bytes = dice.below(contents)
  const metadata = dice.below(3) === 0 ? `type${dice.below(2)}` : (stored?.metadata ?? '')
  const deed = dice.below(10)
  if (!stored || deed < 4) {
    write(world, store, key, bytes, metadata)
    tell(world, () => `${store.name}: somebody writes ${key} = ${bytes} ${metadata}`)
  } else if (deed < 6) {
    store.objects.delete(key)
    tell(world, () => `${store.name}: somebody deletes ${key}`)
  } else if (deed === 6) {
    write(world, store, key, stored.bytes, stored.metadata)
    tell(world, () => `${store.name}: somebody rewrites ${key} as it is`)
  } else if (deed === 7 && store.metadata !== 'none') {
    describe(world, store, key, stored, `type${dice.below(2)}`)
    tell(
      world,
      () => `${store.name}: somebody describes ${key} as ${store.objects.get(key)?.metadata}`,
    )
  } else if (deed === 8 && !midway && stored.fresh && sizeOf(stored.bytes) === sizeOf(bytes)) {
    store.objects.set(key, { ...stored, bytes })
    world.written.set(`${store.name}/${key}/${stored.id}`, bytes)
    tell(world, () => `${store.name}: somebody writes ${key} = ${bytes} under the same token`)
  } else {
    const other = dice.pick(world.stores)
    for (const one of [store, other]) write(world, one, key, bytes, metadata)
    tell(world, () => `${store.name} and ${other.name}: somebody writes ${key} = ${bytes} in both`)
  }
}

// ── beginnings ──────────────────────────────────────────────────────────────────────────────────

const listings: Pick<Store, 'digests' | 'metadata' | 'tokens'>[] = [
  { digests: [], metadata: 'none', tokens: 'file' },
  { digests: ['md5'], metadata: 'hidden', tokens: 'etag' },
  { digests: ['md5', 'crc32c'], metadata: 'listed', tokens: 'generation' },
  { digests: ['crc32c'], metadata: 'listed', tokens: 'generation' },
  { digests: ['md5'], metadata: 'listed', tokens: 'etag' },
  { digests: [], metadata: 'none', tokens: 'file' },
  { digests: ['sha256', 'md5', 'crc32c'], metadata: 'listed', tokens: 'generation' },
]

/** Those that need no contents. */
const strategies = [
  'last-write-wins',
  'last-write-wins',
  'prefer',
  'manual',
  'first-write-wins',
  'largest',
  'smallest',
  'delete-wins',
] as const

export interface Shape {
  direction?: Policy['direction']
  strategy?: (typeof strategies)[number]
  history?: boolean
  /** What clocks are wrong by, ms. */
  skews?: number[]
}

export function worldOf(dice: Dice, keys: Key[], shape: Shape, story: string[] | null): World {
  const names = ['A', 'B', 'C', 'D'].slice(0, 2 + dice.below(3))
  const stores = names.map(
    (name): Store => ({
      name,
      ...dice.pick(listings),
      skew: dice.pick(shape.skews ?? [0, 0, -3_600_000, 3_600_000]),
      objects: new Map(),
    }),
  )
  const world: World = {
    now: 1_700_000_000_000,
    serial: 0,
    run: 0,
    lastScan: 0,
    keys,
    stores,
    policy: policyOf(dice, stores, shape),
    offline: new Set(),
    rows: new Map(),
    vault: new Set(),
    written: new Map(),
    open: new Map(),
    story,
  }
  tell(world, () =>
    stores
      .map((s) => `${s.name}: ${s.tokens}, lists ${s.digests}, metadata ${s.metadata}`)
      .join('\n'),
  )
  tell(world, () => JSON.stringify(world.policy))
  return world
}

export function policyOf(dice: Dice, stores: Store[], shape: Shape): Policy {
  const names = stores.map(({ name }) => name)
  const silent = stores.filter(({ metadata }) => metadata === 'none')
  const name = shape.strategy ?? dice.pick(strategies)
  const preferred = dice.shuffle(names)
  return {
    direction: shape.direction ?? dice.pick(['two-way', 'one-way']),
    replicas: names,
    source: names[0] as string,
    drift: dice.pick(['conflict', 'overwrite', 'keep']),
    delete: dice.pick(['propagate', 'propagate', 'never']),
    rules: ruleOf(strategyOf(name, preferred)),
    history: shape.history ?? dice.below(3) > 0,
    withoutMetadata: silent.map(({ name }) => name),
  }
}

function strategyOf(name: (typeof strategies)[number], preferred: string[]): Strategy {
  if (name === 'prefer') return { name, ranks: preferred.map((one) => [one]) }
  if (name === 'delete-wins') return { name, otherwise: { name: 'last-write-wins' } }
  return { name }
}

// ── chance ──────────────────────────────────────────────────────────────────────────────────────

export interface Dice {
  below(n: number): number
  pick<T>(list: readonly T[]): T
  shuffle<T>(list: readonly T[]): T[]
}

/** mulberry32: the same seed, the same throws. */
export function diceOf(seed: number): Dice {
  let state = seed >>> 0
  const next = () => {
    state = (state + 0x6d2b79f5) >>> 0
    let t = state
    t = Math.imul(t ^ (t >>> 15), t | 1)
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61)
    return (t ^ (t >>> 14)) >>> 0
  }
  const below = (n: number) => next() % n
  return {
    below,
    pick: <T>(list: readonly T[]) => list[below(list.length)] as T,
    shuffle: <T>(list: readonly T[]) => {
      const left = [...list]
      const out: T[] = []
      while (left.length > 0) out.push(...left.splice(below(left.length), 1))
      return out
    },
  }
}
