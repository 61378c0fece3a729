/** What the schema alone can't say: names that must exist, places that must not meet. */
import type { LocationOptions } from '../../connectors/options.ts'
import { checkStrategies } from './check-rules.ts'
import { type DatasetConfig, replicasOf } from './config.ts'
import { nearest } from './nearest.ts'
import type { Path, Problem } from './problems.ts'
import { overlap, type Root, rootOf } from './roots.ts'
import { namesBothDays } from './schedule.ts'
import type { ConfigDocument, DatasetDocument } from './schema.ts'
import type { ConfigSource } from './source.ts'

/** A dataset as it was written, where it stands, and what it became. */
export interface Dataset {
  path: Path
  written: DatasetDocument
  built: DatasetConfig
}

export interface Findings {
  problems: Problem[]
  warnings: Problem[]
}

/** `locations`: resolved, folders absolute; those whose options are whole. */
export async function checkConfig(
  document: ConfigDocument,
  locations: Record<string, LocationOptions>,
  vault: LocationOptions | null,
  datasets: Dataset[],
  source: ConfigSource,
): Promise<Findings> {
  const found: Findings = { problems: [], warnings: [] }
  checkDatasetList(document, datasets, source, found)
  for (const [name, options] of Object.entries(locations)) {
    checkLocation(['locations', name], options, source, found)
  }
  if (vault) checkLocation(['vault'], vault, source, found)
  for (const dataset of datasets) {
    checkReplicas(dataset, locations, source, found)
    checkRules(dataset, document, source, found)
    checkNative(dataset, locations, source, found)
  }
  const roots = new Map<string, Root>()
  for (const [name, options] of Object.entries(locations)) roots.set(name, await rootOf(options))
  checkOverlaps(datasets, roots, source, found)
  if (vault) checkVault(await rootOf(vault), roots, source, found)
  const used = new Set(datasets.flatMap(({ built }) => replicasOf(built)))
  for (const name of Object.keys(locations).filter((name) => !used.has(name))) {
    found.warnings.push({
      code: 'config-unused-location',
      message: `no dataset names the location ${name}`,
      where: source.where(['locations', name], 'key'),
      next: 'Fine where the audit’s heads go there (tidemark audit sign --to); else leave it out.',
    })
  }
  return found
}

function checkDatasetList(
  document: ConfigDocument,
  datasets: Dataset[],
  source: ConfigSource,
  { problems }: Findings,
): void {
  if (document.dataset && document.datasets) {
    problems.push({
      code: 'config-both-datasets',
      message: '`dataset` and `datasets` are both given',
      where: source.where(['dataset'], 'key'),
      next: 'Move the single one into the list.',
    })
  }
  if (datasets.length === 0) {
    problems.push({
      code: 'config-no-datasets',
      message: 'there is no dataset',
      where: source.where([]),
      next: 'Add one below `datasets:`, with name, source and destinations.',
    })
  }
  const seen = new Map<string, Path>()
  for (const { path, built } of datasets) {
    const first = seen.get(built.name)
    seen.set(built.name, first ?? path)
    if (!first) continue
    problems.push({
      code: 'config-duplicate-dataset',
      message: `two datasets are named ${built.name}; the first is at ${source.where(first)}`,
      where: source.where([...path, 'name']),
      next: 'Give one of them another name.',
    })
  }
}

function checkReplicas(
  { path, written, built }: Dataset,
  locations: Record<string, LocationOptions>,
  source: ConfigSource,
  { problems }: Findings,
): void {
  const known = Object.keys(locations)
  const unknown = (name: string, at: Path) => {
    const like = nearest(name, known)
    problems.push({
      code: 'config-unknown-location',
      message: `there is no location ${name}`,
      where: source.where(at),
      next: like ? `Did you mean ${like}?` : `Known: ${known.join(', ') || 'none'}.`,
    })
  }
  if (!Object.hasOwn(locations, written.source)) unknown(written.source, [...path, 'source'])
  for (const [index, name] of written.destinations.entries()) {
    const at = [...path, 'destinations', index]
    if (!Object.hasOwn(locations, name)) unknown(name, at)
    if (name === written.source) {
      problems.push({
        code: 'config-destination-is-source',
        message: `${built.name}: the destination ${name} is its source`,
        where: source.where(at),
        next: 'Name another location.',
      })
    } else if (written.destinations.indexOf(name) < index) {
      problems.push({
        code: 'config-location-twice',
        message: `${built.name}: ${name} is twice among the destinations`,
        where: source.where(at),
        next: 'Leave one out.',
      })
    }
  }
}

function checkRules(
  { path, written, built }: Dataset,
  document: ConfigDocument,
  source: ConfigSource,
  found: Findings,
): void {
  const twoWay = built.direction === 'two-way'
  const say = (list: Problem[], key: string, code: string, message: string, next?: string) =>
    list.push({
      code,
      message: `${built.name}: ${message}`,
      where: source.where([...path, key]),
      next,
    })

  if (twoWay && built.delete === 'never') {
    const why =
      '`delete: never` is for one-way: among equals, a key that is gone from one replica could ' +
      'neither be removed from the others nor be put back'
    const next = 'Set `direction: one-way`, or leave `delete` out.'
    say(found.problems, 'delete', 'config-two-way-delete-never', why, next)
  }
  if (built.mode === 'scheduled' && built.schedule === null) {
    const next = 'Add `schedule: "0 */6 * * *"`, or set `sync-mode: manual`.'
    const key = written['sync-mode'] ? 'sync-mode' : 'name'
    say(found.problems, key, 'config-schedule-missing', 'it is scheduled and has no schedule', next)
  }
  checkStrategies({ path, written, built }, document, source, found)

  const { warnings } = found
  if (built.mode === 'manual' && written.schedule !== undefined) {
    const next = 'Set `sync-mode: scheduled`, or leave the schedule out.'
    say(warnings, 'schedule', 'config-schedule-ignored', 'a manual dataset keeps no schedule', next)
  }
  if (built.schedule && namesBothDays(built.schedule)) {
    const what = 'day of month and day of week are both given: it runs on days that are both'
    say(warnings, 'schedule', 'config-schedule-both-days', what, 'For either, use two datasets.')
  }
  if (twoWay && written.drift) {
    say(warnings, 'drift', 'config-drift-ignored', '`drift` is for one-way alone')
  }
  if (!twoWay && written['conflict-resolution']) {
    const what = '`conflict-resolution` is for two-way alone; one-way has `drift`'
    say(warnings, 'conflict-resolution', 'config-conflict-resolution-ignored', what)
  }
}

/** Whether a bucket's versioning is on is for `doctor` to find out; a folder never has any. */
function checkNative(
  { path, built }: Dataset,
  locations: Record<string, LocationOptions>,
  source: ConfigSource,
  { warnings }: Findings,
): void {
  const types = replicasOf(built).map((name) => locations[name]?.type)
  if (built.history.content !== 'native' || types.some((type) => type !== 'file')) return
  warnings.push({
    code: 'config-native-without-buckets',
    message: `${built.name}: \`content: native\`, and no replica keeps versions by itself`,
    where: source.where([...path, 'history']),
    next: 'What is replaced goes to the vault, as with `content: vault`.',
  })
}

const secretKeys = [
  'secret-access-key',
  'session-token',
  'account-key',
  'sas-token',
  'connection-string',
]

function checkLocation(
  path: Path,
  options: LocationOptions,
  source: ConfigSource,
  { problems, warnings }: Findings,
): void {
  const place = path.at(-1)
  if ('prefix' in options && options.prefix.startsWith('/')) {
    warnings.push({
      code: 'config-prefix-slash',
      message: `${place}: the prefix begins with a slash: its names begin with an empty part`,
      where: source.where([...path, 'prefix']),
      next: `Most likely it is "${options.prefix.replace(/^\/+/, '')}".`,
    })
  }
  const written = path.reduce<unknown>(
    (value, step) => (value as Record<string, unknown>)[step],
    source.raw,
  ) as Record<string, unknown>
  for (const key of secretKeys) {
    const text = written[key]
    if (typeof text !== 'string' || text.includes('${')) continue
    warnings.push({
      code: 'config-plain-secret',
      message: `${place}: ${key} stands in the file, and will stand in the catalog`,
      where: source.where([...path, key]),
      next: `Write \${env:NAME} or \${file:PATH} in its place.`,
    })
  }
  const problem = credentialProblem(options)
  if (!problem) return
  const [message, next] = problem
  problems.push({
    code: 'config-credentials',
    message: `${place}: ${message}`,
    where: source.where(path),
    next,
  })
}

function credentialProblem(options: LocationOptions): [string, string] | null {
  if (options.type === 's3') {
    if (!options['access-key-id'] === !options['secret-access-key']) return null
    const next = 'Give both, or none for the default credentials.'
    return ['access-key-id and secret-access-key belong together', next]
  }
  if (options.type === 'gcs') {
    if (!options.anonymous || !options['key-file']) return null
    return ['it is anonymous and has a key-file', 'Leave one out.']
  }
  if (options.type === 'azure-blob') {
    if (options['connection-string'] || options.account || options.endpoint) return null
    return ['nothing says which account it is', 'Give `account` or `connection-string`.']
  }
  return null
}

function checkOverlaps(
  datasets: Dataset[],
  roots: Map<string, Root>,
  source: ConfigSource,
  { problems }: Findings,
): void {
  const replicas = datasets.flatMap(({ path, built }) => [
    {
      dataset: built.name,
      name: built.source,
      at: [...path, 'source'],
      writes: built.direction === 'two-way',
    },
    ...built.destinations.map((name, index) => ({
      dataset: built.name,
      name,
      at: [...path, 'destinations', index],
      writes: true,
    })),
  ])
  for (const [index, later] of replicas.entries()) {
    for (const first of replicas.slice(0, index)) {
      const same = first.dataset === later.dataset
      // The same location twice in one dataset has codes of its own.
      if (same ? first.name === later.name : !(first.writes && later.writes)) continue
      const [a, b] = [roots.get(first.name), roots.get(later.name)]
      if (!a || !b || !overlap(a, b)) continue
      const what =
        first.name === later.name ? later.name : `${later.name} and ${first.name}, which overlap,`
      const who = same ? `replicas of ${later.dataset}` : `${first.dataset} and ${later.dataset}`
      problems.push({
        code: 'config-overlapping-roots',
        message: same ? `${what} are ${who}` : `${who} both write ${what.replace(/,$/, '')}`,
        where: source.where(later.at),
        next: 'Give each its own bucket, prefix or folder.',
      })
    }
  }
}

function checkVault(
  vault: Root,
  roots: Map<string, Root>,
  source: ConfigSource,
  { problems }: Findings,
): void {
  for (const [name, root] of roots) {
    if (!overlap(vault, root)) continue
    problems.push({
      code: 'config-overlapping-roots',
      message: `the vault and the location ${name} overlap`,
      where: source.where(['vault'], 'key'),
      next: 'Give the vault its own bucket, prefix or folder.',
    })
  }
}
