import type { DatasetConfig } from '../../config/index.ts'
import { EXIT, UserError } from '../../errors.ts'
import { createLocations, nativeParts, vaultParts } from '../../locations.ts'
import { type Checked, checkVault, type Needing } from '../../vault/check.ts'
import { type Collected, type Collecting, collectVault } from '../../vault/collect.ts'
import { isNative, type NativeParts } from '../../vault/native.ts'
import { rootOfVault } from '../../vault/vault.ts'
import type { CommandContext, CommandOptions } from '../command.ts'
import { bytes, count, printable } from '../output.ts'
import { openSession, type Session } from '../session.ts'

/** What the vault has (`tidemark vault`), what of it may go (`gc`), whether it is all there
 *  (`check`), and that it is another folder now (`rebind`). Safe beside runs. */
export async function run(
  context: CommandContext,
  [action]: string[],
  options: CommandOptions,
): Promise<number> {
  const actions = { gc, check, rebind }
  const act = action === undefined ? report : actions[action as keyof typeof actions]
  if (!act || (options.dryRun && act !== gc) || (options.deep && act !== check)) {
    const next = 'tidemark vault [gc [--dry-run] | check [--deep] | rebind]'
    throw new UserError('usage-invalid', 'the vault can’t be asked for that', { next })
  }
  const session = await openSession(context)
  const locations = createLocations()
  try {
    const { config, catalog } = session
    const parts = await vaultParts(locations, catalog, config, context.state)
    const places = nativeParts(locations, catalog, config)
    return await act(context, session, { ...parts, catalog, places }, options)
  } finally {
    await locations.close()
    await session.close()
  }
}

type Act = (
  context: CommandContext,
  session: Session,
  parts: Collecting & { places: NativeParts },
  options: CommandOptions,
) => Promise<number>

const report: Act = async ({ output, signal }, _session, parts) => {
  const { vault } = await rootOfVault(parts, signal)
  const sizes = await parts.catalog.vaultSizes()
  const none = { vault, objects: 0, bytes: 0, stored: 0 }
  const here = sizes.find((one) => one.vault === vault) ?? none
  const native = sizes.filter((one) => isNative(one.vault))
  const others = sizes.filter((one) => one !== here && !native.includes(one))
  const sum = (of: 'objects' | 'bytes') => native.reduce((total, one) => total + one[of], 0)
  const versions = { objects: sum('objects'), bytes: sum('bytes') }
  output.result({ ...here, others, versions })
  output.line(`vault    ${printable(vault)}`)
  output.line(`objects  ${here.objects.toLocaleString('en-US')}`)
  output.line(`content  ${bytes(here.bytes)}`)
  output.line(`stored   ${bytes(here.stored)}`)
  if (versions.objects > 0) {
    const those = `${versions.objects.toLocaleString('en-US')} (${bytes(versions.bytes)})`
    output.line(`versions ${those} are kept by the buckets themselves`)
  }
  for (const { vault: other, objects } of others) {
    output.line(`an earlier vault, ${printable(other)}, has ${count(objects, 'object')} more`)
  }
  return EXIT.ok
}

/** Its folder is another one from now on. What the catalog knows of the old one stays known. */
const rebind: Act = async ({ output, signal }, _session, parts) => {
  const { vault } = await rootOfVault(parts, signal, true)
  output.result({ vault })
  output.line(`the vault is ${printable(vault)}`)
  return EXIT.ok
}

// ── gc ──────────────────────────────────────────────────────────────────────────────────────────

const gc: Act = async (context, { config }, parts, options) => {
  const dryRun = options.dryRun === true
  const datasets = new Map(config.datasets.map((one) => [one.name, one.history]))
  const collected = await collectVault(parts, {
    retentionOf: (name) => datasets.get(name) ?? null,
    ...{ dryRun, by: context.by, signal: context.signal },
  })
  if (!dryRun && collected.objects > 0) await tellSwept(context, parts, collected)
  const exit = collected.failed.length > 0 ? EXIT.partial : EXIT.ok
  context.output.result({ ...collected, dryRun, exit })
  tellCollected(context, collected, dryRun)
  return exit
}

/** Content is nobody's own: all datasets are told. */
async function tellSwept(
  { by }: CommandContext,
  { catalog }: Collecting,
  { objects, bytes }: Collected,
): Promise<void> {
  for (const dataset of await catalog.datasetNames()) {
    const detail = { objects, bytes }
    await catalog.record(dataset, { run: null, key: null, what: 'vault-swept', by, detail })
  }
}

function tellCollected({ output }: CommandContext, collected: Collected, dryRun: boolean): void {
  const { lines, objects, stored, versions, adopted, failed } = collected
  const verb = dryRun ? 'would go' : 'gone'
  output.line(`${count(lines, 'version')} of history ${verb}`)
  output.line(`${count(objects, 'object')} ${verb}, ${bytes(stored)} freed`)
  if (versions > 0) {
    const words = dryRun ? 'would be forgotten' : 'forgotten'
    output.line(`${count(versions, 'version')} of buckets ${words}: their own rules remove them`)
  }
  if (adopted > 0) output.line(`${count(adopted, 'object')} that no row told of taken up again`)
  for (const { key, code, message } of failed) {
    output.line(`  not removed: ${printable(key)}: ${printable(message)} [${code}]`)
  }
  if (failed.length > 0) output.line('the next collection tries again')
}

// ── check ───────────────────────────────────────────────────────────────────────────────────────

const check: Act = async (context, { config }, { places, ...parts }, options) => {
  const datasets = new Map(config.datasets.map((one) => [one.name, one]))
  const progress = showProgress(context)
  const checked = await checkVault(parts, {
    places,
    deep: options.deep === true,
    historyOf: (name) => historyOf(datasets.get(name)),
    signal: context.signal,
    onProgress: progress.show,
  })
  progress.clear()
  const needed = checked.bad.filter(({ neededBy }) => neededBy.length > 0)
  const exit = needed.length > 0 ? EXIT.differences : EXIT.ok
  context.output.result({ ...checked, exit })
  tellChecked(context, checked, options.deep === true)
  return exit
}

/** A dataset that has left the config keeps what it had. */
function historyOf(dataset: DatasetConfig | undefined) {
  if (!dataset) return { versions: null, keepMs: null, heads: false }
  const { content, when, versions, keepMs } = dataset.history
  return content === 'off' ? null : { versions, keepMs, heads: when === 'agreed' }
}

function tellChecked({ output }: CommandContext, checked: Checked, deep: boolean): void {
  for (const { name, problem, size, version, neededBy } of checked.bad) {
    const what = output.paint('red', problem)
    output.line(`${what}  ${name.split('/').at(-1)?.slice(0, 16)}…  ${bytes(size)}`)
    if (version) {
      const { location, key, version: id } = version
      const where = location ?? 'a location that the config does not have'
      output.line(`  version ${printable(id)} of ${printable(key)} at ${where}`)
    }
    for (const need of neededBy) output.line(`  needed by ${wordsOf(need)}`)
    if (neededBy.length === 0) output.line('  needed by nobody: the next gc forgets it')
  }
  if (checked.bad.some(({ problem }) => problem === 'damaged')) {
    output.line('what is damaged is written anew by the first run that finds its content')
  }
  const how = deep ? 'read' : 'looked at'
  const bad = checked.bad.length
  output.line(`${count(checked.objects, 'object')} ${how}, ${bad === 0 ? 'all' : 'others'} there`)
  if (checked.neverKept > 0) {
    const those = count(checked.neverKept, 'version')
    output.line(`${those} can’t be had back: users overwrote them on every replica between runs`)
  }
}

function wordsOf(need: Needing): string {
  const key = printable(need.key)
  if ('conflict' in need) return `conflict ${need.conflict} (${need.dataset}:${key})`
  if ('request' in need) return `request ${need.request} (${key})`
  return 'dataset' in need ? `${need.dataset}:${key}@${need.run}` : `run ${need.run} (${key})`
}

/** One line on standard error that is rewritten, where that is a terminal. */
function showProgress({ json }: CommandContext) {
  const shows = !json && process.stderr.isTTY
  return {
    show({ objects, bytes: sum }: Pick<Checked, 'objects' | 'bytes'>) {
      if (shows) process.stderr.write(`\r\x1b[K  ${count(objects, 'object')} (${bytes(sum)})`)
    },
    clear() {
      if (shows) process.stderr.write('\r\x1b[K')
    },
  }
}
