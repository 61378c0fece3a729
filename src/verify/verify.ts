/**
 * Whether replicas are the same, by looking at the stores alone: no catalog, no history. The
 * listings are joined key by key as streams; content is read where they can't tell.
 */

import { StoreError } from '../errors.ts'
import { listPageKeys, transfersMax } from '../limits.ts'
import type { Key } from '../model.ts'
import { eachLimited } from '../sync/each-limited.ts'
import { type JoinedKey, type Listing, mergeJoin } from '../sync/merge-join.ts'
import { compareKey, type Effort } from './compare.ts'
import { count, type Finding, noCounts, type Verified } from './findings.ts'
import { wholeListing } from './listing.ts'
import type { Place } from './look.ts'
import { createPool, placeOf, type Sample } from './sample.ts'

export type { Finding, Letter, ReplicaCounts, Verified } from './findings.ts'
export { differs, total } from './findings.ts'
export type { Place } from './look.ts'
export { parseSample, type Sample } from './sample.ts'

export interface VerifyOptions {
  signal: AbortSignal
  /** Which keys are looked at; absent: all. */
  selects?: (key: Key) => boolean
  /** Read everything. */
  deep?: boolean
  /** Read these keys, and no others: those are compared by their listings. */
  sample?: Sample | null
  /** Keys at a time. */
  concurrency?: number
  /** Every finding, `=` too, page by page; the next page waits for it. */
  onFindings?: (findings: Finding[], soFar: Verified) => Promise<void> | void
}

/**
 * Compares all others with the first. One that can't be reached is left out and named. A key that
 * can't be read is a finding. Throws when `signal` aborts.
 */
export async function verifyReplicas(replicas: Place[], options: VerifyOptions): Promise<Verified> {
  const { signal } = options
  const verified: Verified = {
    keys: 0,
    read: 0,
    readBytes: 0,
    replicas: Object.fromEntries(replicas.map(({ name }) => [name, noCounts()])),
    unreachable: [],
  }
  const lose = (replica: string, { code, message }: StoreError) => {
    verified.unreachable.push({ replica, code, message })
  }
  const lost = (name: string) => verified.unreachable.some(({ replica }) => replica === name)
  const places = await reachable(replicas, signal, lose)
  const listings = places.map(
    ({ name, connector }): Listing & { pages: ReturnType<typeof wholeListing> } => ({
      pages: wholeListing(connector, signal, (error) => lose(name, error)),
      reason: '',
    }),
  )
  const round = createRound(places, verified, options)
  try {
    if (places.length < 2) return verified
    for await (const batch of mergeJoin(listings, nothing(), listPageKeys)) {
      if (places.filter(({ name }) => !lost(name)).length < 2) break
      await round.take(batch.map((joined) => withoutLost(joined, places, lost)))
      signal.throwIfAborted()
    }
    await round.end()
  } finally {
    await Promise.allSettled(listings.map(({ pages }) => pages.return()))
  }
  return verified
}

async function reachable(
  replicas: Place[],
  signal: AbortSignal,
  lose: (replica: string, error: StoreError) => void,
): Promise<Place[]> {
  const looked = await Promise.all(
    replicas.map(async (place) => {
      try {
        await place.connector.identity({ signal, create: false })
        return [place]
      } catch (error) {
        if (signal.aborted || !(error instanceof StoreError)) throw error
        lose(place.name, error)
        return []
      }
    }),
  )
  return looked.flat()
}

/** The empty baseline. */
async function* nothing(): AsyncGenerator<never[], void> {}

/** Behind the place where a listing broke off, nothing is known: absence least of all. */
function withoutLost(
  joined: JoinedKey,
  places: Place[],
  lost: (name: string) => boolean,
): JoinedKey {
  const observations = joined.observations.map((one, i) =>
    one.kind === 'absent' && lost((places[i] as Place).name)
      ? { kind: 'unknown' as const, reason: '' }
      : one,
  )
  return { ...joined, observations }
}

/** The keys of a verify as they come: each compared with the effort that is due to it. */
function createRound(places: Place[], verified: Verified, options: VerifyOptions) {
  const { signal, sample = null, deep = false, selects = () => true } = options
  const pool = sample && 'count' in sample ? createPool<JoinedKey>(sample.count) : null
  const reading = {
    signal,
    onRead(bytes: number) {
      verified.read++
      verified.readBytes += bytes
    },
  }

  function effortFor(key: Key): Effort {
    if (deep) return 'deep'
    if (sample === null) return 'needed'
    return 'share' in sample && placeOf(key) < sample.share ? 'deep' : 'listing'
  }

  async function compareAll(keys: JoinedKey[], effortOf: (key: Key) => Effort): Promise<void> {
    const found: Finding[][] = []
    const limit = options.concurrency ?? transfersMax
    await eachLimited(keys.entries(), limit, async ([i, { key, observations }]) => {
      found[i] = await compareKey(places, key, observations, effortOf(key), reading)
    })
    const findings = found.flat()
    for (const finding of findings) count(verified, finding)
    await options.onFindings?.(findings, verified)
  }

  return {
    async take(batch: JoinedKey[]): Promise<void> {
      const keys = batch.filter(({ key }) => selects(key))
      verified.keys += keys.length
      // Who is in a sample of so many is known at the end: whoever falls out is compared now.
      const due = pool ? keys.flatMap((joined) => pool.offer(joined.key, joined) ?? []) : keys
      await compareAll(due, effortFor)
    },
    async end(): Promise<void> {
      const sampled = pool?.drain() ?? []
      for (let at = 0; at < sampled.length; at += listPageKeys) {
        await compareAll(sampled.slice(at, at + listPageKeys), () => 'deep')
      }
    },
  }
}
