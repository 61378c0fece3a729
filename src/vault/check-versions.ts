/** Whether buckets have the versions that they are said to have: as `check.ts` for the vault. */
import type { Connector } from '../../connectors/connector.ts'
import { createDigester, digestProblem } from '../../connectors/digests.ts'
import type { VaultRecord } from '../catalog/catalog.ts'
import { StoreError } from '../errors.ts'
import { transfersMax } from '../limits.ts'
import type { Content } from '../model.ts'
import { eachLimited } from '../sync/each-limited.ts'
import type { Bad, Checked, CheckOptions } from './check.ts'
import type { Collecting } from './collect.ts'
import { entryOf, isNative, nativeVaults, withNative } from './native.ts'
import { createVault } from './vault.ts'

const pageRows = 1_000
/** Versions that are read at a time. */
const readersMax = 8

export async function checkVersions(
  { catalog }: Collecting,
  options: CheckOptions,
  checked: Checked,
): Promise<void> {
  const locations = await nativeVaults(options.places)
  for (const { vault } of await catalog.vaultSizes()) {
    if (!isNative(vault)) continue
    const location = locations.get(vault) ?? null
    for (let after: string | null = null; ; ) {
      options.signal.throwIfAborted()
      const page: VaultRecord[] = await catalog.vaultObjects(vault, after, pageRows)
      const kept = page.filter(({ state }) => state !== 'sweeping')
      const found: { row: VaultRecord; problem: Bad['problem'] | null }[] = []
      await eachLimited(kept, options.deep ? readersMax : transfersMax, async (row) => {
        const problem = await problemOf(catalog, vault, location, row, options)
        found.push({ row, problem })
        checked.objects++
        checked.bytes += row.content.size
        if (problem) checked.bad.push(badOf(row, problem, location))
      })
      if (options.deep && location !== null) await markAll(catalog, vault, found)
      options.onProgress?.(checked)
      after = page.at(-1)?.name ?? null
      if (page.length < pageRows) break
    }
  }
}

/** Nobody relies on what is damaged, until it is noted anew or found whole. */
async function markAll(
  catalog: Collecting['catalog'],
  vault: string,
  found: { row: VaultRecord; problem: Bad['problem'] | null }[],
): Promise<void> {
  const rowsOf = (state: VaultRecord['state'], problem: Bad['problem'] | null) =>
    found.flatMap((one) => (one.row.state === state && one.problem === problem ? [one.row] : []))
  await catalog.markInVault(vault, rowsOf('kept', 'damaged'), 'damaged')
  await catalog.markInVault(vault, rowsOf('damaged', null), 'kept')
}

function badOf(
  { name, content, place }: VaultRecord,
  problem: Bad['problem'],
  location: string | null,
): Bad {
  const version = { location, key: place.key, version: place.version as string }
  return { name, problem, ...content, version, neededBy: [] }
}

async function problemOf(
  catalog: Collecting['catalog'],
  vault: string,
  location: string | null,
  row: VaultRecord,
  { places, deep, signal }: CheckOptions,
): Promise<Bad['problem'] | null> {
  if (location === null) return 'out of reach'
  const connector = await places.open(location)
  const problem = await lookAt(connector, row, deep, signal)
  if (problem !== 'missing') return problem
  // Forgotten by a collection, or noted elsewhere, since the page was read.
  const [now] = await catalog.vaultObjectsNamed(vault, [row.name])
  const same = now && now.state !== 'sweeping' && now.place.version === row.place.version
  return same ? 'missing' : null
}

async function lookAt(
  { versions }: Connector,
  row: VaultRecord,
  deep: boolean,
  signal: AbortSignal,
): Promise<'missing' | 'damaged' | null> {
  const entry = versions && (await entryOf(versions, row, signal))
  if (!versions || !entry) return 'missing'
  const { size, digests } = row.content
  if (entry.size !== size) return 'damaged'
  // What reading found damaged looks well.
  if (!deep) return row.state === 'damaged' ? 'damaged' : null
  const digester = createDigester()
  try {
    const { key, version } = row.place
    const { body } = await versions.read(key, version as string, { signal })
    for await (const chunk of body) digester.update(chunk)
  } catch (error) {
    if (!(error instanceof StoreError)) throw error
    if (error.code === 'not-found') return 'missing'
    if (error.code === 'corrupt') return 'damaged'
    throw error
  }
  return digestProblem(digests, digester.digest()) ? 'damaged' : null
}

/** At no time: looking isn't relying on it. */
export async function isElsewhere(
  parts: Collecting,
  { places, signal }: CheckOptions,
  { size, digests }: Content,
): Promise<boolean> {
  const clock = () => 0
  const vault = withNative(createVault({ ...parts, clock }), { ...places, clock })
  return await vault.has({ size, digests }, signal)
}
