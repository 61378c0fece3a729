/** The engine without Temporal: the activities' own code, in the order of the workflows. */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { applyLane } from '../../activities/apply.ts'
import { type Attempt, Superseded } from '../../activities/attempt.ts'
import { createByteBudget } from '../../activities/byte-budget.ts'
import { weighRunDeletes } from '../../activities/deletes.ts'
import { finishRun, type HowEnded } from '../../activities/finish.ts'
import { prepareRun } from '../../activities/prepare.ts'
import { resolveConflicts } from '../../activities/resolve.ts'
import type { Deps } from '../../activities/run-context.ts'
import { scanPage } from '../../activities/scan.ts'
import type { ThreadLimits } from '../../activities/thread.ts'
import { createDeciding } from '../../activities/verdict.ts'
import type { LocationOptions } from '../../connectors/options.ts'
import type { Catalog, RunMode, RunRecord } from '../../src/catalog/catalog.ts'
import { openCatalog } from '../../src/catalog/open.ts'
import {
  type Config,
  configDigest,
  type DatasetConfig,
  storedConfig,
} from '../../src/config/index.ts'
import { deleteLimits } from '../../src/limits.ts'
import { createLocations } from '../../src/locations.ts'
import { workflowIdFor } from '../../src/temporal/start.ts'
import { createDeps } from '../../src/worker.ts'
import { ruleOf } from '../sync/deciding.ts'

export interface Engine {
  catalog: Catalog
  deps: Deps
  config: Config
  /** Another config for the runs that follow; gives it. */
  configure(change: Partial<DatasetConfig>): Promise<Config>
  /** Another place, or other options, under the same name. */
  relocate(name: string, options: LocationOptions): Promise<Config>
  /** The vault in another place, for the runs that follow. */
  moveVault(options: LocationOptions): Promise<Config>
  /** What the command of that name does: the location is the place that it is now. */
  rebind(name: string): Promise<void>
  run(options?: RunOptions): Promise<RunRecord>
  attempt(run: number, lane: string): Promise<Attempt>
  close(): Promise<void>
}

/** What a killed worker's step comes to. */
class Killed extends Error {
  override name = 'Killed'
}

export interface RunOptions {
  mode?: RunMode
  base?: number
  /** The run looks at the keys that this one selects. */
  request?: number
  /** Called when the puts have been carried out, before the deletes are weighed. */
  beforeDeletes?: (run: number) => Promise<void> | void
  /** Called by the fence: immediately before each write that counts, and before each commit. */
  atFence?: (lane: string) => Promise<void>
  /** What an attempt says of where it stands. */
  tell?: Attempt['tell']
  /** Asked at every fence: true kills the worker there. Its step is done again, by another one. */
  kills?: () => boolean
  /** Aborted: the run is cancelled. */
  signal?: AbortSignal
  /** What becomes of a run whose activities are cut off: `failed` as where a worker is killed. */
  cut?: 'cancelled' | 'failed'
}

export interface EngineOptions {
  /** Bytes of a part. */
  partBytes?: number
  /** Default: a new SQLite file. */
  catalogUrl?: string
  clock?: () => number
  /** Keys of a range, so that a few make several. */
  rangeKeys?: number
  mergeLimits?: ThreadLimits
}

const names = ['a', 'b', 'c', 'd']

/** A dataset `data` over these locations, the first being the source; two-way unless said. */
export async function createEngine(
  locations: LocationOptions[],
  dataset: Partial<DatasetConfig> = {},
  options: EngineOptions = {},
): Promise<Engine> {
  const stateDir = mkdtempSync(join(tmpdir(), 'tidemark-engine-'))
  const url = options.catalogUrl ?? `sqlite:${join(stateDir, 'catalog.db')}`
  const catalog = await openCatalog(url, options.clock)
  const opened = createLocations(options.partBytes)
  const { clock, rangeKeys, mergeLimits } = options
  const deps = {
    ...createDeps(catalog, opened, stateDir),
    ...(clock ? { clock } : {}),
    ...(rangeKeys ? { rangeKeys: { max: rangeKeys, cut: rangeKeys } } : {}),
    ...(mergeLimits ? { mergeLimits } : {}),
  }
  let config = await store(configOf(locations, dataset))

  async function store(next: Config): Promise<Config> {
    await catalog.putConfig(next.digest, storedConfig(next))
    return next
  }

  async function attempt(
    run: number,
    lane: string,
    { signal = new AbortController().signal, atFence, kills, tell }: RunOptions = {},
    again = false,
  ): Promise<Attempt> {
    const holder = { run, lane, attempt: await catalog.claim(run, lane) }
    let killed = false
    const fence = async () => {
      killed ||= kills?.() === true
      if (killed) throw new Killed(lane)
      await atFence?.(lane)
      if (!(await catalog.holds(run, lane, holder.attempt))) throw new Superseded(holder)
    }
    return { signal, holder, again, fence, tell: tell ?? (() => undefined) }
  }

  let executions = 0
  async function run(given: RunOptions = {}) {
    const { mode = 'sync', base, request, signal = new AbortController().signal } = given
    const input = {
      dataset: 'data',
      mode,
      trigger: 'manual' as const,
      configDigest: config.digest,
      base: base ?? null,
      by: 'me@here',
      queue: 'none',
      ...(request === undefined ? {} : { request }),
    }
    const execution = { workflowId: workflowIdFor(input), runId: `execution-${++executions}` }
    const prepared = await prepareRun(deps, input, execution, signal)
    const number = prepared.run
    let how: HowEnded = prepared.refused ? 'refused' : 'ended'
    try {
      if (!prepared.refused) await carryOut(number, mode, prepared.ranges, { ...given, signal })
    } catch (error) {
      if (!signal.aborted) throw error
      how = given.cut ?? 'cancelled'
    }
    await finishRun(deps, { run: number, how, rangesFailed: 0 }, new AbortController().signal)
    return (await catalog.getRun(number)) as RunRecord
  }

  async function carryOut(
    number: number,
    mode: RunMode,
    ranges: number,
    given: RunOptions,
  ): Promise<void> {
    const shared = { ...deps, budget: createByteBudget(1 << 27), deciding: createDeciding() }
    const step = async <T>(lane: string, work: (attempt: Attempt) => Promise<T>): Promise<T> => {
      for (let again = false; ; again = true) {
        try {
          return await work(await attempt(number, lane, given, again))
        } catch (error) {
          if (!(error instanceof Killed)) throw error
        }
      }
    }
    const apply = (lane: Parameters<typeof applyLane>[2]) =>
      step(lane, (attempt) => applyLane(shared, number, lane, attempt))
    let known = ranges
    for (let range = 0; range < known || (ranges === 0 && range === 0); range++) {
      for (let ended = ranges === 0; ; ) {
        if (!ended) {
          const page = await step(`scan/${range}`, (attempt) =>
            scanPage(deps, number, range, attempt),
          )
          ended = page.ended
          if (page.cut !== null) known = Math.max(known, page.cut + 1)
        }
        await step(`resolve/${range}`, (attempt) =>
          resolveConflicts(shared, number, range, attempt),
        )
        if (mode !== 'plan') await apply(`range/${range}`)
        if (ended) break
      }
    }
    if (mode === 'plan') return
    await given.beforeDeletes?.(number)
    await step('weigh', (attempt) => weighRunDeletes(deps, number, 0, attempt))
    await apply('deletes')
    await apply('blocked')
  }

  return {
    catalog,
    deps,
    get config() {
      return config
    },
    async configure(change) {
      const [first] = config.datasets
      const next = { ...config, datasets: [{ ...(first as DatasetConfig), ...change }] }
      config = await store({ ...next, digest: configDigest(next) })
      return config
    },
    async relocate(name, location) {
      const next = { ...config, locations: { ...config.locations, [name]: location } }
      config = await store({ ...next, digest: configDigest(next) })
      return config
    },
    async moveVault(vault) {
      const next = { ...config, vault }
      config = await store({ ...next, digest: configDigest(next) })
      return config
    },
    async rebind(name) {
      const asked = { datasets: ['data'], run: null, by: 'ada@host' }
      await catalog.dropHolds('data', name, asked)
      const connector = await deps.open(config, name)
      const { signal } = new AbortController()
      const identity = await connector.identity({ signal, create: true })
      const host = identity.startsWith('file:') ? deps.host : null
      await catalog.setLocation(name, identity, host, asked)
    },
    run,
    attempt,
    async close() {
      await opened.close()
      await catalog.close()
      rmSync(stateDir, { recursive: true, force: true })
    },
  }
}

function configOf(locations: LocationOptions[], dataset: Partial<DatasetConfig>): Config {
  const used = names.slice(0, locations.length)
  const draft = {
    file: '/tidemark.yaml',
    locations: Object.fromEntries(used.map((name, i) => [name, locations[i] as LocationOptions])),
    catalog: null,
    vault: null,
    temporal: { address: null, namespace: 'default', 'task-queue': 'tidemark' },
    datasets: [{ ...defaults, source: 'a', destinations: used.slice(1), ...dataset }],
    warnings: [],
  }
  return { ...draft, digest: configDigest(draft) }
}

const defaults: DatasetConfig = {
  name: 'data',
  enabled: true,
  source: 'a',
  destinations: [],
  direction: 'two-way',
  mode: 'manual',
  schedule: null,
  rules: ruleOf({ name: 'last-write-wins' }),
  drift: 'conflict',
  delete: 'propagate',
  include: [],
  exclude: [],
  batchSize: 1000,
  limits: {
    deletes: [...deleteLimits],
    bandwidthBytesPerSecond: null,
    concurrency: null,
  },
  history: { content: 'vault', when: 'replaced', versions: null, keepMs: null },
}
