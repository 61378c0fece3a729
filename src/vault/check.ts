/**
 * Whether the vault has what the catalog says that it has, and who misses it. Changes nothing, but
 * that what was read and isn't the content is marked: nobody relies on it, and whoever has that
 * content puts it anew.
 */
import type { VaultObject, VaultRecord } from '../catalog/catalog.ts'
import { transfersMax, vaultGraceMs } from '../limits.ts'
import type { Content, Digests, Entry, Key, RunNumber } from '../model.ts'
import { compareBytes, contentNames } from '../sync/content.ts'
import { eachLimited } from '../sync/each-limited.ts'
import { checkVersions, isElsewhere } from './check-versions.ts'
import type { Collecting } from './collect.ts'
import { isNative, type NativeParts } from './native.ts'
import { type Line, linesOf, type Need, needsOf, type Retention } from './needs.ts'
import { keyOf, lookAt, readThrough } from './objects.ts'
import { rootOfVault, type VaultRoot } from './vault.ts'

export interface CheckOptions {
  /** Whose buckets may keep content by themselves. */
  places: NativeParts
  /** Read and hash everything. */
  deep: boolean
  /** What its history keeps; null: it keeps no content. */
  historyOf(dataset: string): (Retention & { heads: boolean }) | null
  signal: AbortSignal
  onProgress?(checked: Pick<Checked, 'objects' | 'bytes'>): void
}

export type Needing = { dataset: string; key: Key; run: RunNumber } | Need

export interface Bad {
  name: string
  /** `out of reach`: a version at a location that the config doesn't have any more. */
  problem: 'missing' | 'damaged' | 'out of reach'
  /** Of the content. */
  size: number
  digests: Digests
  /** Of a bucket's own version: where it lay. null: in the vault. */
  version: { location: string | null; key: Key; version: string } | null
  neededBy: Needing[]
}

export interface Checked {
  /** Looked at, or read. */
  objects: number
  bytes: number
  stored: number
  bad: Bad[]
  /** Versions that were never in the vault, and that no replica holds: users overwrote them on
   *  every replica between two runs, or history kept no content then. */
  neverKept: number
}

const pageRows = 1_000
/** Objects that are read at a time. */
const readersMax = 8

export async function checkVault(parts: Collecting, options: CheckOptions): Promise<Checked> {
  const root = await rootOfVault(parts, options.signal)
  const checked: Checked = { objects: 0, bytes: 0, stored: 0, bad: [], neverKept: 0 }
  for (let after: string | null = null; ; ) {
    options.signal.throwIfAborted()
    const page: VaultRecord[] = await parts.catalog.vaultObjects(root.vault, after, pageRows)
    await checkPage(parts, root, page, options, checked)
    options.onProgress?.(checked)
    after = page.at(-1)?.name ?? null
    if (page.length < pageRows) break
  }
  await checkVersions(parts, options, checked)
  checked.bad = await notElsewhere(parts, options, checked.bad)
  await tellWhoNeeds(parts, root, options, checked)
  return checked
}

/** What is missing at one place, and can be had from another, is missed by nobody. */
async function notElsewhere(parts: Collecting, options: CheckOptions, bad: Bad[]): Promise<Bad[]> {
  const left: Bad[] = []
  for (const one of bad) {
    const gone = one.problem !== 'damaged'
    if (!gone || !(await isElsewhere(parts, options, one))) left.push(one)
  }
  return left
}

// ── objects ─────────────────────────────────────────────────────────────────────────────────────

/** Against one listing of the same names; what that doesn't show is asked for by itself. */
async function checkPage(
  parts: Collecting,
  root: VaultRoot,
  page: VaultRecord[],
  options: CheckOptions,
  checked: Checked,
): Promise<void> {
  const kept = page.filter(({ state }) => state !== 'sweeping')
  const [first, last] = [kept[0], kept.at(-1)]
  if (!first || !last) return
  // Behind a name there is a dash, and the next character is a dot.
  const range = { from: root.prefix + first.name, to: `${root.prefix}${last.name}.` }
  const listed = new Map<Key, Entry>()
  for await (const { entries } of parts.store.list(range, undefined, options)) {
    for (const entry of entries) listed.set(entry.key, entry)
  }
  const damaged: VaultRecord[] = []
  const mended: VaultRecord[] = []
  await eachLimited(kept, options.deep ? readersMax : transfersMax, async (row) => {
    const problem = await problemOf(parts, root, row, listed.get(keyOf(row)), options)
    checked.objects++
    checked.bytes += row.content.size
    checked.stored += row.stored ?? 0
    const { name, content } = row
    if (problem) checked.bad.push({ name, problem, ...content, version: null, neededBy: [] })
    if (problem === 'damaged' && row.state === 'kept') damaged.push(row)
    if (problem === null && row.state === 'damaged') mended.push(row)
  })
  if (!options.deep) return
  await parts.catalog.markInVault(root.vault, damaged, 'damaged')
  await parts.catalog.markInVault(root.vault, mended, 'kept')
}

async function problemOf(
  parts: Collecting,
  root: VaultRoot,
  row: VaultRecord,
  listed: Entry | undefined,
  { deep, signal }: CheckOptions,
): Promise<Bad['problem'] | null> {
  const { store, catalog, clock } = parts
  const sizes = [row.content.size, row.stored]
  // What reading found damaged looks well.
  const asFound = row.state === 'damaged' ? row.state : null
  if (!deep && listed && sizes.includes(listed.size)) return asFound
  const there = await lookAt(store, row, signal)
  if (there?.form) {
    if (!deep) return asFound
    return (await readThrough(store, there.entry, row.content, signal)) ? null : 'damaged'
  }
  // Said to be put, and never written: nobody took it away.
  if (there === null && row.stored === null) return null
  // Collected, or put elsewhere, since the page was read.
  const [now] = await catalog.vaultObjectsNamed(root.vault, [row.name])
  if (now?.state !== row.state || keyOf(now) !== keyOf(row)) return null
  if (there) return 'damaged'
  // A run may be writing it just now.
  const young = now.usedAt > clock() - vaultGraceMs && (await isRunning(parts))
  return young ? null : 'missing'
}

async function isRunning({ catalog }: Collecting): Promise<boolean> {
  return (await catalog.listRuns({ limit: 20 })).some(({ state }) => state === 'running')
}

// ── who needs them ──────────────────────────────────────────────────────────────────────────────

async function tellWhoNeeds(
  parts: Collecting,
  root: VaultRoot,
  options: CheckOptions,
  checked: Checked,
): Promise<void> {
  const { catalog, clock } = parts
  const bad = Map.groupBy(checked.bad, ({ name }) => name)
  const badOf = ({ digests }: Content) =>
    contentNames(digests).flatMap((name) => bad.get(name) ?? [])
  // Once: every object is looked at for it.
  const natives = (await catalog.vaultSizes()).filter((one) => isNative(one.vault))
  const vaults = [root.vault, ...natives.map(({ vault }) => vault)]
  for (const dataset of await catalog.datasetNames()) {
    const history = options.historyOf(dataset)
    if (history === null) continue
    for await (const page of linesOf(catalog, dataset, history, clock())) {
      options.signal.throwIfAborted()
      const kept = page.filter(({ goes, head }) => !goes && (history.heads || !head))
      for (const { key, run, content } of kept) {
        for (const one of content ? badOf(content) : []) one.neededBy.push({ dataset, key, run })
      }
      const others = kept.filter(({ content }) => content && badOf(content).length === 0)
      checked.neverKept += await countNeverKept(parts, vaults, dataset, others)
    }
  }
  if (bad.size === 0) return
  for await (const { content, need } of needsOf(catalog, { endedSince: 0, askedSince: 0 })) {
    for (const one of badOf(content)) one.neededBy.push(need)
  }
}

async function countNeverKept(
  { catalog }: Collecting,
  vaults: string[],
  dataset: string,
  lines: Line[],
): Promise<number> {
  const wanted = lines.filter(({ content, head }) => !head && content && content.size > 0)
  const contents = wanted.map(({ content }) => content as Content)
  // At no time: looking isn't relying on it.
  const found: VaultObject[][] = contents.map(() => [])
  for (const one of vaults) {
    const here = await catalog.findInVault(one, contents, 0)
    for (const [i, objects] of here.entries()) found[i]?.push(...objects)
  }
  const absent = wanted.filter((_, i) => !found[i]?.some(({ stored }) => stored !== null))
  const rows = await catalog.getBaseline(
    dataset,
    absent.map(({ key }) => key),
  )
  return absent.filter(({ key, content }) => {
    const holds = Object.values(rows.get(key)?.holds ?? {})
    return !holds.some(
      ({ version }) =>
        version.content && compareBytes(version.content, content as Content) === 'same',
    )
  }).length
}
