/** What an activity knows of its run: the record, its pinned config, its replicas. */
import type { Connector } from '../connectors/connector.ts'
import type { Catalog, RunRecord } from '../src/catalog/catalog.ts'
import {
  type Config,
  type DatasetConfig,
  parseStoredConfig,
  policyOf,
} from '../src/config/index.ts'
import { UserError } from '../src/errors.ts'
import type { Policy, RunNumber } from '../src/model.ts'
import { compileFilter } from '../src/sync/filter.ts'
import { compileRules, type RulesOf } from '../src/sync/strategies/rules.ts'
import type { NativeVault } from '../src/vault/native.ts'
import type { ThreadLimits } from './thread.ts'

/** What the composition root hands in. */
export interface Deps {
  catalog: Catalog
  /** An open connector for a location of this config; opened once a worker. */
  open(config: Config, location: string): Promise<Connector>
  vault(config: Config): Promise<NativeVault>
  /** ms since the epoch. */
  clock(): number
  /** This host's id: folders belong to it. */
  host: string
  /** Instead of `rangeKeysMax` and `rangeKeysCut`; small in tests, so that few keys make ranges. */
  rangeKeys?: { max: number; cut: number }
  /** Instead of `mergeMs` and `mergeHeapMiB`; small in tests, so that a merge is too much. */
  mergeLimits?: ThreadLimits
}

export interface RunContext {
  record: RunRecord
  config: Config
  dataset: DatasetConfig
  policy: Policy
  /** The rules that match a key, in order. */
  rulesOf: RulesOf
  /** Whether a key is in the dataset. */
  selects(key: string): boolean
  /** In the policy's order. `connector` null: unknown in this run. */
  replicas: { name: string; connector: Connector | null; reason: string }[]
}

export async function datasetOf(
  deps: Pick<Deps, 'catalog'>,
  digest: string,
  name: string,
): Promise<{ config: Config; dataset: DatasetConfig }> {
  const config = await configOf(deps.catalog, digest)
  const dataset = config.datasets.find((one) => one.name === name)
  if (!dataset) {
    throw new UserError('dataset-unknown', `The config has no dataset "${name}".`, {
      where: config.file,
      next: `It has: ${config.datasets.map((one) => one.name).join(', ')}.`,
    })
  }
  return { config, dataset }
}

/** The one that was asked for last: to parse 50 datasets and check their digest takes 2 ms, and
 *  each activity asks. */
const latest = new WeakMap<Catalog, Config>()

async function configOf(catalog: Catalog, digest: string): Promise<Config> {
  const known = latest.get(catalog)
  if (known?.digest === digest) return known
  const stored = await catalog.getConfig(digest)
  if (stored === null) {
    throw new UserError('config-not-stored', `The catalog has no config ${digest.slice(0, 12)}.`, {
      next: 'Start the run with the tidemark command, which stores the config first.',
    })
  }
  const config = parseStoredConfig(stored)
  latest.set(catalog, config)
  return config
}

/** Replicas that prepare, or a failed listing, found unknown have no connector here. */
export async function contextOf(deps: Deps, run: RunNumber): Promise<RunContext> {
  const record = await deps.catalog.getRun(run)
  if (record === null) throw new UserError('run-unknown', `There is no run ${run}.`)
  const { config, dataset } = await datasetOf(deps, record.configDigest, record.dataset)
  const wanted = policyOf(dataset)
  const known = new Map((await deps.catalog.runReplicas(run)).map((one) => [one.replica, one]))
  const replicas = await Promise.all(
    wanted.replicas.map(async (name) => {
      const state = known.get(name)
      if (state?.state !== 'ok') {
        return { name, connector: null, reason: state?.problem?.message ?? 'not looked at' }
      }
      return { name, connector: await deps.open(config, name), reason: '' }
    }),
  )
  const plain = replicas.filter(({ connector }) => connector?.traits.carriesMetadata === false)
  const policy = { ...wanted, withoutMetadata: plain.map(({ name }) => name) }
  const selects = compileFilter(dataset.include, dataset.exclude)
  const rulesOf = compileRules(policy.rules)
  return { record, config, dataset, policy, rulesOf, selects, replicas }
}

export function connectorOf(context: RunContext, replica: string): Connector | null {
  return context.replicas.find(({ name }) => name === replica)?.connector ?? null
}
