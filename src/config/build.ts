/** Defaults and inheritance: from the document to the config. */
import { deleteLimits, historyKeptMs, listPageKeys } from '../limits.ts'
import { buildRules, type Surroundings } from './build-rules.ts'
import type { DatasetConfig, DatasetLimits, HistoryConfig, TemporalConfig } from './config.ts'
import { absolute, anchorReferences, hasReference } from './references.ts'
import type { ConfigDocument, DatasetDocument } from './schema.ts'
import { bytesOf, durationMs } from './units.ts'

type Synchronization = NonNullable<ConfigDocument['synchronization']>

export function buildDataset(
  written: DatasetDocument,
  defaults: Synchronization,
  around: Omit<Surroundings, 'replicas'>,
): DatasetConfig {
  const schedule = written.schedule ?? defaults.schedule ?? null
  const mode = written['sync-mode'] ?? defaults.mode ?? (schedule ? 'scheduled' : 'manual')
  const replicas = [written.source, ...written.destinations]
  const own = written['conflict-resolution']
  const inherited = defaults['conflict-resolution']
  return {
    name: written.name,
    enabled: written.enabled ?? defaults.enabled ?? true,
    source: written.source,
    destinations: written.destinations,
    direction: written.direction ?? 'one-way',
    mode,
    schedule: mode === 'scheduled' ? schedule : null,
    rules: buildRules(own, inherited, { ...around, replicas }),
    drift: written.drift ?? 'conflict',
    delete: written.delete ?? 'propagate',
    include: written.include ?? [],
    exclude: written.exclude ?? [],
    batchSize: written['batch-size'] ?? defaults['batch-size'] ?? listPageKeys,
    limits: buildLimits(written.limits),
    history: buildHistory(written.history),
  }
}

function buildLimits(written: DatasetDocument['limits']): DatasetLimits {
  const deletes = written?.['max-deletes']
  const list =
    deletes === undefined
      ? deleteLimits
      : typeof deletes === 'number'
        ? [{ count: deletes, percent: 0 }]
        : [deletes].flat()
  return {
    deletes: list.map(({ count = 0, percent = 0 }) => ({ count, percent })),
    bandwidthBytesPerSecond: written?.bandwidth === undefined ? null : bytesOf(written.bandwidth),
    concurrency: written?.concurrency ?? null,
  }
}

function buildHistory(written: DatasetDocument['history']): HistoryConfig {
  const { vault, content, when, versions, keep } =
    typeof written === 'object' ? written : { vault: written }
  const off = vault === false || vault === 'off'
  return {
    content: content ?? (off ? 'off' : 'vault'),
    when: when ?? 'replaced',
    versions: versions ?? null,
    keepMs: keep === undefined ? historyKeptMs : keep === 'forever' ? null : durationMs(keep),
  }
}

export function buildTemporal(written: ConfigDocument['temporal']): TemporalConfig {
  return {
    ...(written as Partial<TemporalConfig>),
    address: written?.address ?? null,
    namespace: written?.namespace ?? 'default',
    'task-queue': written?.['task-queue'] ?? 'tidemark',
  }
}

const pathKeys = ['path', 'key-file', 'ca-file', 'cert-file']

/** Paths of files and folders absolute; `value` as the schema gave it. */
export function withAbsolutePaths<T>(value: T, base: string): T {
  return mapStrings(value, (text, key) => (pathKeys.includes(key) ? absolute(text, base) : text))
}

/**
 * The value as the schema gave it, with its strings as they were written wherever they have
 * references. `${file:…}` and paths are made absolute.
 */
export function withReferences<T>(value: T, written: unknown, base: string): T {
  // The folder's own name may have what would be read as a reference.
  const literal = base.replaceAll('${', '$${')
  return mapStrings(
    value,
    (text, key, original) => {
      if (typeof original !== 'string' || !hasReference(original)) {
        return pathKeys.includes(key) ? escaped(absolute(text, base)) : text
      }
      const anchored = anchorReferences(original, base)
      const relative = pathKeys.includes(key) && text !== absolute(text, base)
      return relative ? `${literal}/${anchored}` : anchored
    },
    written,
  )
}

function escaped(text: string): string {
  return text.replaceAll('${', '$${')
}

/** Gives each string its key and the string at the same place in `beside`. */
function mapStrings<T>(
  value: T,
  map: (text: string, key: string, beside: unknown) => string,
  beside?: unknown,
  key = '',
): T {
  if (typeof value === 'string') return map(value, key, beside) as T
  if (typeof value !== 'object' || value === null) return value
  const other = (beside ?? {}) as Record<string, unknown>
  if (Array.isArray(value))
    return value.map((inner, i) => mapStrings(inner, map, other[i], key)) as T
  const entries = Object.entries(value).map(([name, inner]) => [
    name,
    mapStrings(inner, map, other[name], name),
  ])
  return Object.fromEntries(entries) as T
}
