/** A validated config: what `loadConfig` gives, and what the catalog keeps by its digest. */
import type { LocationOptions } from '../../connectors/options.ts'
import type { Direction, DriftPolicy, Policy, StrategyRule } from '../model.ts'
import type { Problem } from './problems.ts'

/**
 * References (`${env:NAME}`, `${file:PATH}`) stand in `locations`, `catalog`, `vault` and
 * `temporal` as they were written: `resolveReferences` replaces them where they are used. Paths of
 * folders and files are absolute.
 */
export interface Config {
  /** Absolute path of the YAML. Not part of the digest. */
  file: string
  /** sha256 in hex: `configDigest`. */
  digest: string
  locations: Record<string, LocationOptions>
  /** A PostgreSQL URL; null: SQLite in the state folder. */
  catalog: string | null
  /** null: a folder in the state folder. */
  vault: LocationOptions | null
  temporal: TemporalConfig
  datasets: DatasetConfig[]
  /** What a person should look at; empty in a stored config. Not part of the digest. */
  warnings: Problem[]
}

export interface TemporalConfig {
  /** `host:port`; null: the embedded dev server. */
  address: string | null
  namespace: string
  'task-queue': string
  /** true: TLS with the system's roots. */
  tls?: boolean | TlsFiles
  'api-key'?: string
}

/** Absolute paths of PEM files. */
export interface TlsFiles {
  'ca-file'?: string
  'cert-file'?: string
  'key-file'?: string
  'server-name'?: string
}

/** `manual`: runs only when it's asked for. */
export type SyncMode = 'scheduled' | 'manual'

export interface DatasetConfig {
  name: string
  /** false: no Schedule. */
  enabled: boolean
  source: string
  destinations: string[]
  direction: Direction
  mode: SyncMode
  /** Five cron fields, UTC; null where the mode isn't `scheduled`. */
  schedule: string | null
  /** In order; the last one holds for every conflict. */
  rules: StrategyRule[]
  drift: DriftPolicy
  delete: 'propagate' | 'never'
  include: string[]
  exclude: string[]
  /** Keys in one apply activity. */
  batchSize: number
  limits: DatasetLimits
  history: HistoryConfig
}

/** What is kept of what was agreed, and for how long. */
export interface HistoryConfig {
  /** Where content goes that no replica will hold: to the vault; nowhere, where a replica's bucket
   *  keeps it by its own versions, else to the vault; or, but for a conflict's loser, nowhere. */
  content: 'vault' | 'native' | 'off'
  /** `agreed`: each agreed content goes to the vault, also what no action of ours takes away. */
  when: 'replaced' | 'agreed'
  /** Lines of a key, the present one included; null: any number. */
  versions: number | null
  /** How long a line is kept after another one took its place, ms; null: for ever. */
  keepMs: number | null
}

export interface DatasetLimits {
  /** A run's deletes are held when they are more than `count` and more than `percent`, for any. */
  deletes: { count: number; percent: number }[]
  /** Over all replicas of the dataset; null: no limit. */
  bandwidthBytesPerSecond: number | null
  /** Transfers in flight; null: what the engine takes. */
  concurrency: number | null
}

/** The dataset's replicas, the source first. */
export function replicasOf(dataset: DatasetConfig): string[] {
  return [dataset.source, ...dataset.destinations]
}

/** What reconcile and resolve need of a dataset. */
export function policyOf(dataset: DatasetConfig): Policy {
  return {
    direction: dataset.direction,
    replicas: replicasOf(dataset),
    source: dataset.source,
    drift: dataset.drift,
    delete: dataset.delete,
    rules: dataset.rules,
    history: dataset.history.content !== 'off',
  }
}
