/**
 * Mark and sweep. What history, conflicts, unfinished runs and requests need is marked from the
 * catalog; what isn't marked, and nobody relied on for `vaultGraceMs`, is claimed in the catalog,
 * then removed, then forgotten. Killed anywhere it leaves claims, which the next collection ends,
 * and objects without a row, which it finds by listing. Why that is safe beside puts and beside
 * another collection: `vault.ts`. Of what buckets keep by themselves the rows alone are forgotten.
 */
import type { Catalog, VaultObject, VaultRecord } from '../catalog/catalog.ts'
import { StoreError } from '../errors.ts'
import { itemsKeptMs, transfersMax, vaultGraceMs } from '../limits.ts'
import type { Digests, Entry, Key } from '../model.ts'
import { createMarks, type Marks } from './marks.ts'
import { isNative } from './native.ts'
import { linesOf, needsOf, type Retention } from './needs.ts'
import { keyOf, lookAt, readThrough } from './objects.ts'
import { rootOfVault, type VaultParts, type VaultRoot } from './vault.ts'

export type Collecting = VaultParts & { catalog: Catalog }

export interface CollectOptions {
  /** null: the config doesn't have this dataset; nothing of it goes. */
  retentionOf(dataset: string): Retention | null
  /** Only counts. */
  dryRun: boolean
  /** user@host, for the audit. */
  by: string
  signal: AbortSignal
}

export interface Collected {
  /** Lines of history beyond what is kept. */
  lines: number
  objects: number
  /** Of the contents, and what they took up. */
  bytes: number
  stored: number
  /** Of buckets' own versions: forgotten, and left to the bucket's rules. */
  versions: number
  /** Objects that no row told of: needed, and told of again; or removed, and among `objects`. */
  adopted: number
  /** What the store wouldn't remove; the next collection tries again. */
  failed: { key: Key; code: string; message: string }[]
}

const pageRows = 1_000
/** A claim this old (ms) is of a collection that died. */
const claimMsMax = 60_000
const everything: Retention = { versions: null, keepMs: null }

export async function collectVault(parts: Collecting, options: CollectOptions): Promise<Collected> {
  const { signal } = options
  // From here on, whoever relies on content says so later than this, but for clocks that differ.
  const begun = parts.clock()
  const root = await rootOfVault(parts, signal)
  const collected: Collected = {
    ...{ lines: 0, objects: 0, bytes: 0, stored: 0, versions: 0, adopted: 0, failed: [] },
  }
  const marks = createMarks()
  await markHistory(parts, options, marks, begun, collected)
  await markOthers(parts, options, marks, begun)
  const sweeping: Sweeping = { parts, root, options, marks, begun, collected }
  const others = (await parts.catalog.vaultSizes()).filter(({ vault }) => isNative(vault))
  for (const { vault } of [root, ...others]) await sweepRows(sweeping, vault)
  await sweepStrays(sweeping)
  return collected
}

// ── mark ────────────────────────────────────────────────────────────────────────────────────────

async function markHistory(
  { catalog }: Collecting,
  { retentionOf, dryRun, by, signal }: CollectOptions,
  marks: Marks,
  begun: number,
  collected: Collected,
): Promise<void> {
  for (const dataset of await catalog.datasetNames()) {
    const retention = retentionOf(dataset) ?? everything
    for await (const page of linesOf(catalog, dataset, retention, begun)) {
      signal.throwIfAborted()
      const going = page.filter(({ goes }) => goes)
      if (!dryRun) await catalog.deleteLines(dataset, going, by)
      collected.lines += going.length
      for (const { content, goes } of page) if (content && !goes) marks.add(content)
    }
  }
}

/** What was kept for a person's decision is had back as long as history is: the longest of all. */
async function markOthers(
  { catalog }: Collecting,
  { retentionOf }: CollectOptions,
  marks: Marks,
  begun: number,
): Promise<void> {
  const kept = (await catalog.datasetNames()).map((one) => retentionOf(one)?.keepMs ?? null)
  const longest = kept.includes(null) ? begun : Math.max(0, ...kept.map(Number))
  const moments = { endedSince: begun - longest, askedSince: begun - itemsKeptMs }
  for await (const { content } of needsOf(catalog, moments)) marks.add(content)
}

// ── sweep ───────────────────────────────────────────────────────────────────────────────────────

interface Sweeping {
  parts: Collecting
  root: VaultRoot
  options: CollectOptions
  marks: Marks
  begun: number
  collected: Collected
}

async function sweepRows(sweeping: Sweeping, vault: string): Promise<void> {
  const { parts, options, begun } = sweeping
  const { catalog, clock } = parts
  for (let after: string | null = null; ; ) {
    options.signal.throwIfAborted()
    const page: VaultRecord[] = await catalog.vaultObjects(vault, after, pageRows)
    const usedBefore = begun - vaultGraceMs
    const claimedBefore = clock() - claimMsMax
    const found = page.filter((row) => isGarbage(row, sweeping, { usedBefore, claimedBefore }))
    const unsure = page.filter((row) => {
      const young = row.usedAt >= usedBefore || row.state === 'sweeping'
      return row.stored === null && !young && !found.includes(row)
    })
    found.push(...(await neverWritten(sweeping, unsure)))
    const names = found.map(({ name }) => name)
    const times = { usedBefore, claimedBefore, at: clock() }
    if (options.dryRun) for (const object of found) countRemoved(sweeping, object)
    else await removeAll(sweeping, vault, await catalog.claimForSweep(vault, names, times))
    after = page.at(-1)?.name ?? null
    if (page.length < pageRows) return
  }
}

/** Content that was said to be put, and may not have been: its source moved, or the process died.
 *  Those that are there are noted as such; gives the others. */
async function neverWritten(
  { parts, root, options }: Sweeping,
  unsure: VaultRecord[],
): Promise<VaultRecord[]> {
  const never: VaultRecord[] = []
  for (const row of unsure) {
    const there = await lookAt(parts.store, row, options.signal)
    if (!there?.form) never.push(row)
    else if (!options.dryRun) {
      await parts.catalog.wroteToVault(root.vault, [{ ...row, stored: there.entry.size }])
    }
  }
  return never
}

/** A claim is carried out, marked or not: who needs that content again has put it anew. */
function isGarbage(
  { state, usedAt, content }: VaultRecord,
  { marks }: Sweeping,
  { usedBefore, claimedBefore }: { usedBefore: number; claimedBefore: number },
): boolean {
  if (state === 'sweeping') return usedAt < claimedBefore
  return usedAt < usedBefore && !marks.has(content)
}

/** Removed first, then forgotten: a row that is left is claimed still. */
async function removeAll(sweeping: Sweeping, vault: string, claimed: VaultObject[]): Promise<void> {
  const { parts, options } = sweeping
  for (let at = 0; at < claimed.length; at += transfersMax) {
    options.signal.throwIfAborted()
    const some = claimed.slice(at, at + transfersMax)
    const gone = await Promise.all(
      some.map(async (object) => isNative(vault) || (await remove(sweeping, keyOf(object)))),
    )
    const removed = some.filter((_, i) => gone[i])
    await parts.catalog.forgetSwept(vault, removed)
    for (const object of removed) countRemoved(sweeping, object)
  }
}

async function remove(
  { parts: { store }, options: { signal }, collected }: Sweeping,
  key: Key,
): Promise<boolean> {
  try {
    const entry = await store.stat(key, { signal })
    if (entry === null) return true
    await store.remove(key, entry.token, { signal, beforeCommit: async () => undefined })
    return true
  } catch (error) {
    if (!(error instanceof StoreError) || error.code === 'cancelled') throw error
    if (error.code === 'not-found') return true
    collected.failed.push({ key, code: error.code, message: error.message })
    return false
  }
}

function countRemoved({ collected }: Sweeping, { content, stored, place }: VaultObject): void {
  if (place.version !== undefined) {
    collected.versions++
    return
  }
  collected.objects++
  collected.bytes += content.size
  collected.stored += stored ?? 0
}

// ── what no row tells of ────────────────────────────────────────────────────────────────────────

/** A row is there before its object: what has none was left by a collection that was killed, or is
 *  younger than the copy that a catalog was restored from. */
async function sweepStrays(sweeping: Sweeping): Promise<void> {
  const { parts, root, options, begun } = sweeping
  const { signal } = options
  const range = { from: root.prefix, to: `${root.prefix.slice(0, -1)}0` }
  for await (const { entries } of parts.store.list(range, undefined, { signal })) {
    const parsed = entries
      .filter(({ modifiedAt }) => modifiedAt < begun - vaultGraceMs)
      .map((entry) => ({ entry, ...parseKey(entry, root) }))
      .filter((one) => one.name !== null)
    const names = [...new Set(parsed.map(({ name }) => name as string))]
    const rows = new Map(
      (await parts.catalog.vaultObjectsNamed(root.vault, names)).map((row) => [row.name, row]),
    )
    for (const { entry, object } of parsed) {
      if (object === null) continue
      const row = rows.get(object.name)
      if (row === undefined || keyOf(row) !== entry.key) {
        await takeStray(sweeping, entry, object, row)
      }
    }
  }
}

/** `row`: the content is kept under another key. */
async function takeStray(
  sweeping: Sweeping,
  entry: Entry,
  object: VaultObject,
  row: VaultRecord | undefined,
): Promise<void> {
  const { parts, root, options, marks, collected } = sweeping
  const { catalog, clock, store } = parts
  if (marks.has(object.content)) {
    // Left alone until it is sure that the other one is there.
    if (row && (await store.stat(keyOf(row), options)) === null) return
    const named = { ...object.content, size: Number.POSITIVE_INFINITY }
    const content = row ? null : await readThrough(store, entry, named, options.signal)
    if (content) {
      const whole = { ...object, content }
      if (!options.dryRun) await catalog.addToVault(root.vault, [whole], 'kept', clock())
      collected.adopted++
      return
    }
  }
  if (options.dryRun) return countRemoved(sweeping, object)
  // Claimed by its name, so that nobody takes it up meanwhile.
  const claimed = row ?? (await catalog.addToVault(root.vault, [object], 'sweeping', clock()))[0]
  if (!claimed || !(await remove(sweeping, entry.key))) return
  await catalog.forgetSwept(root.vault, [object])
  countRemoved(sweeping, object)
}

/** `CATALOG/ALGORITHM/AB/ABCD…-N` */
const keyForm = /^((sha256|md5)\/([0-9a-f]{2})\/(\3[0-9a-f]+))-[0-9a-f]+$/

function parseKey(
  { key, size }: Entry,
  { prefix }: VaultRoot,
): { name: string | null; object: VaultObject | null } {
  const found = keyForm.exec(key.slice(prefix.length))
  if (!found) return { name: null, object: null }
  const [, name = '', algorithm = '', , hex = ''] = found
  const content = { size, digests: { [algorithm]: hex } as Digests }
  return { name, object: { name, content, stored: size, place: { key } } }
}
