/** What must hold when everything is quiet again, by what the stores themselves hold. */
import { openContents } from '../../src/cli/contents.ts'
import { contentBytes } from '../../src/cli/history/version-bytes.ts'
import type { Session } from '../../src/cli/session.ts'
import type { Content, Key, Source } from '../../src/model.ts'
import { compareBytes } from '../../src/sync/content.ts'
import { sha256Of } from '../simulation/operations.ts'
import type { Replica } from './places.ts'
import type { Book, Deed } from './users.ts'

/** By replica, what lies under each key: its sha256. */
export type Found = Map<Key, string>[]

/** Everything, read to its end by the stores' own means. */
export async function readAll(replicas: Replica[]): Promise<Found> {
  return await Promise.all(
    replicas.map(async ({ place }) => {
      const keys = await place.keys()
      const found = new Map<Key, string>()
      const lane = async () => {
        for (let key = keys.pop(); key !== undefined; key = keys.pop()) {
          found.set(key, sha256Of((await place.get(key)).bytes))
        }
      }
      await Promise.all(Array.from({ length: 8 }, lane))
      return found
    }),
  )
}

/** `open`: keys whose conflict waits for a person: there replicas may differ. */
export function differences(replicas: Replica[], found: Found, open: Set<Key>): string[] {
  const keys = new Set(found.flatMap((one) => [...one.keys()]))
  return [...keys]
    .filter((key) => !open.has(key) && new Set(found.map((one) => one.get(key))).size > 1)
    .map((key) => {
      const sides = found.map((one, i) => `${replicas[i]?.name} ${one.get(key)?.slice(0, 8)}`)
      return `they differ in ${key}: ${sides.join(', ')}`
    })
}

/** Content that nobody wrote: torn, mixed, or made of an answer that wasn't the store's. */
export function strangers(
  found: Found,
  { written }: Book,
  merged: (key: Key) => boolean,
): string[] {
  return found.flatMap((one) =>
    [...one]
      .filter(([key, sha256]) => !written.has(sha256) && !merged(key))
      .map(([key, sha256]) => `${key} has content that nobody wrote: ${sha256}`),
  )
}

/**
 * A key that is nowhere any more although nobody removed it after it was last written. Bytes that
 * the key had before (a touch, an edit taken back) are no change that would outweigh a removal.
 */
export function vanished(found: Found, { deeds }: Book): string[] {
  const keys = new Map<Key, { had: Set<string>; removed: number; put: Map<number, number> }>()
  for (const { key, replica, sha256, at } of deeds) {
    const known = keys.get(key) ?? { had: new Set(), removed: 0, put: new Map() }
    keys.set(key, known)
    // Only what was done last at a replica is there to be seen.
    known.put.delete(replica)
    if (sha256 === null) known.removed = at
    else if (!known.had.has(sha256)) known.put.set(replica, at)
    if (sha256 !== null) known.had.add(sha256)
  }
  return [...keys]
    .filter(([key, { put, removed }]) => {
      return Math.max(...put.values()) > removed && !found.some((one) => one.has(key))
    })
    .map(([key]) => `${key} is gone, and nobody removed it after it was last written`)
}

/** What users wrote last at some replica, each once, and isn't at any of them any more. */
export function replaced(found: Found, { deeds }: Book): Deed[] {
  const last = new Map<string, Deed>()
  for (const deed of deeds) last.set(`${deed.replica}/${deed.key}`, deed)
  const present = new Set(found.flatMap((one) => [...one.values()]))
  const missing = [...last.values()].filter(({ sha256 }) => sha256 !== null && !present.has(sha256))
  return [...new Map(missing.map((deed) => [`${deed.key}/${deed.sha256}`, deed])).values()]
}

/** Where a person finds a content again, once the replicas don't have it. */
interface Kept {
  where: string
  key: Key
  content: Content
  sources: Source[]
}

export interface Recovered {
  problems: string[]
  /** Read back, and equal to what was written. */
  read: number
}

/** Each replaced content must be told of by history or by a conflict, and be had back whole. */
export async function recover(
  deeds: Deed[],
  { written }: Book,
  context: Parameters<typeof openContents>[0],
  session: Session,
  dataset: string,
): Promise<Recovered> {
  const kept = await everythingKept(session, dataset)
  const contents = await openContents(context, session)
  const recovered: Recovered = { problems: [], read: 0 }
  try {
    for (const { key, sha256, replica } of deeds) {
      const content = written.get(sha256 as string) as Content
      const told = kept.filter((one) => compareBytes(one.content, content) === 'same')
      const what = `what was written last at replica ${replica} under ${key} (${sha256})`
      if (told.length === 0) {
        recovered.problems.push(`${what} is told of nowhere`)
        continue
      }
      const errors: string[] = []
      for (const { where, ...one } of told) {
        try {
          const wanted = { name: where, dataset, ...one }
          const chunks: Uint8Array[] = []
          for await (const chunk of contentBytes(contents, wanted)) chunks.push(chunk)
          if (sha256Of(Buffer.concat(chunks)) === sha256) break
          errors.push(`${where}: other bytes`)
        } catch (error) {
          errors.push(`${where}: ${(error as Error).message}`)
        }
      }
      if (errors.length < told.length) recovered.read++
      else recovered.problems.push(`${what} can't be had back: ${errors.join('; ')}`)
    }
  } finally {
    await contents.close()
  }
  return recovered
}

async function everythingKept({ catalog }: Session, dataset: string): Promise<Kept[]> {
  const kept: Kept[] = []
  for (let behind: { run: number; key: Key } | undefined; ; ) {
    const lines = await catalog.linesOfDataset(dataset, {
      limit: 1_000,
      ...(behind && { behind }),
    })
    for (const { key, version } of lines) {
      const where = `version ${version.run} of ${key}`
      if (version.content) kept.push({ where, key, content: version.content, sources: [] })
    }
    const last = lines.at(-1)
    if (!last || lines.length < 1_000) break
    behind = { run: last.version.run, key: last.key }
  }
  const states = ['open', 'resolved', 'closed'] as const
  for (let before: number | undefined; ; ) {
    const page = await catalog.findConflicts({
      ...{ dataset, states: [...states], limit: 1_000 },
      ...(before === undefined ? {} : { before }),
    })
    for (const record of page) {
      for (const { content, replicas } of record.conflict.contenders) {
        const where = `conflict ${record.id} of ${record.key}`
        if (content) kept.push({ where, key: record.key, content, sources: replicas })
      }
    }
    before = page.at(-1)?.id
    if (page.length < 1_000) break
  }
  return kept
}
