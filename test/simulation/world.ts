/** Everything of one story that lasts: stores, vault, catalog, config, workers, the journal. */
import { createActivities, type Deps } from '../../activities/index.ts'
import {
  dropMemoryStores,
  type FaultCall,
  type MemoryStore,
  memoryStore,
} from '../../connectors/memory-store.ts'
import type { LocationOptions } from '../../connectors/options.ts'
import { type Config, configDigest, storedConfig } from '../../src/config/index.ts'
import { createLocations, createVaults } from '../../src/locations.ts'
import { atPoints, type Shared } from './catalog.ts'
import { createMachine, type Machine } from './machine.ts'
import { nameOf, type Scenario } from './scenario.ts'
import { type Change, createReplica, failure, type Replica, simulatedPartBytes } from './stores.ts'
import { type Mishap, type Started, serve, type Worker } from './temporal-server.ts'
import { createTroubles, type Troubles } from './trouble.ts'

export interface World {
  scenario: Scenario
  machine: Machine
  shared: Shared
  replicas: Replica[]
  vault: MemoryStore
  troubles: Troubles
  workers: Worker[]
  /** Worker processes so far. */
  hired: number
  journal: Change[]
  /** Replicas in the config now. */
  members: Set<number>
  exclude: string[]
  offline: Map<number, number>
  /** Replicas whose location leads to an empty place that isn't theirs; and for how many rounds. */
  astray: Map<number, number>
  config: Config
  /** The run that goes on now. */
  running: Started | null
  /** Something other than the run itself happened while it ran. */
  troubled: boolean
  /** And it was something that the run can't make good: users, a person, a store that failed. */
  disturbed: boolean
  /** A person cancelled the run that goes on. */
  cancelled: boolean
  /** No fault from now on. */
  ended: boolean
  changed(change: Change): void
  /** What no code stands for: each is a fault of the product. */
  unexpected: unknown[]
  /** How often, by kind: for the report. */
  counted: Map<string, number>
  count(kind: string): void
  configure(): Promise<void>
  /** New processes in the place of those that were killed. */
  hire(): void
}

export async function createWorld(
  scenario: Scenario,
  shared: Shared,
  tell: string[] | undefined,
): Promise<World> {
  dropMemoryStores()
  shared.empty('first')
  const machine = createMachine(scenario.seed, { stray: scenario.stray, tell })
  const troubles = createTroubles(machine)
  const world: World = {
    ...{ scenario, machine, shared, troubles },
    replicas: [],
    vault: memoryStore('vault'),
    workers: [],
    hired: 0,
    journal: [],
    members: new Set(scenario.kinds.keys()),
    exclude: scenario.dataset.exclude,
    offline: new Map(),
    astray: new Map(),
    config: undefined as unknown as Config,
    ...{ running: null, troubled: false, disturbed: false, cancelled: false, ended: false },
    changed: () => undefined,
    unexpected: [],
    counted: new Map(),
    count(kind) {
      world.counted.set(kind, (world.counted.get(kind) ?? 0) + 1)
    },
    async configure() {
      world.config = configOf(world)
      await shared.catalog.putConfig(world.config.digest, storedConfig(world.config))
    },
    hire() {
      for (const [i, worker] of world.workers.entries()) {
        if (!worker.alive) world.workers[i] = newWorker(world)
      }
    },
  }
  const context = {
    now: () => machine.now(),
    step: () => machine.steps,
    point: (what: string) => machine.point(what, 1 + machine.dice.below(20)),
    changed(change: Change) {
      world.journal.push(change)
      world.changed(change)
      const { by, store, key, to } = change
      machine.trace(`${by} ${to ? `puts ${to.token.id}` : 'removes'} ${key} at ${store.name}`)
    },
    trouble(replica: Replica, call: FaultCall) {
      const offline = call.when === 'before' && world.offline.has(replica.index)
      if (offline) throw failure('unavailable', replica.name, call.operation)
      troubles.atStore(replica, call)
    },
  }
  world.replicas = scenario.kinds.map((kind, i) =>
    createReplica(i, kind, { ...scenario, typed: scenario.seed % 7 === 3 }, context),
  )
  if (scenario.dataset.history.content === 'native') {
    // One bucket among them may keep none, as folders do.
    const buckets = world.replicas.filter(({ kind }) => ['s3', 'gcs', 'azure'].includes(kind))
    for (const { store, index } of buckets) store.versioned = (scenario.seed + index) % 3 > 0
  }
  world.vault.clock = machine.now
  world.vault.id = 'vault'
  world.vault.faults.push(async ({ operation, when }) => {
    await machine.point(`vault ${operation} ${when}`)
    if (when === 'before' || when === 'after') troubles.atVault()
  })
  await world.configure()
  world.workers = [newWorker(world), newWorker(world)]
  let turn = 0
  serve({
    machine,
    historyMax: scenario.historyMax,
    worker() {
      const worker = world.workers[turn++ % world.workers.length] as Worker
      return worker
    },
    mishap: (): Mishap | null => troubles.mishap(),
    failed: (since) => {
      for (const { forget } of world.replicas) forget(since)
    },
    unexpected: (error) => world.unexpected.push(error),
  })
  return world
}

function newWorker(world: World): Worker {
  const { machine, shared, scenario, troubles } = world
  const worker: Worker = { name: `worker ${++world.hired}`, alive: true, activities: {} }
  const catalog = atPoints(shared.catalog, machine, troubles.atCatalog)
  const locations = createLocations(simulatedPartBytes)
  const deps: Deps = {
    catalog,
    open: locations.open,
    vault: createVaults(locations, catalog, '/nowhere'),
    clock: () => machine.now(),
    host: 'simulated',
    rangeKeys: { max: scenario.rangeKeys, cut: scenario.rangeKeys },
  }
  worker.activities = createActivities(deps) as unknown as Worker['activities']
  return worker
}

/** What a person's command works with: not one of the workers. */
export function commandDeps(world: World) {
  const { machine, shared } = world
  const locations = createLocations(simulatedPartBytes)
  const vault = createVaults(locations, shared.catalog, '/nowhere')
  return { catalog: shared.catalog, locations, vault, clock: () => machine.now() }
}

function configOf({ scenario, members, exclude, astray }: World): Config {
  const { dataset } = scenario
  const names = [...members].sort((a, b) => a - b).map(nameOf)
  const { deletes, concurrency, ...rest } = dataset
  const draft = {
    file: '/tidemark.yaml',
    locations: Object.fromEntries(
      [...members].map((index): [string, LocationOptions] => {
        const store = `${nameOf(index)}${astray.has(index) ? '-elsewhere' : ''}`
        return [nameOf(index), { type: 'memory', store, prefix: '' }]
      }),
    ),
    catalog: null,
    vault: { type: 'memory', store: 'vault', prefix: '' } as const,
    temporal: { address: null, namespace: 'default', 'task-queue': 'tidemark' },
    datasets: [
      {
        ...rest,
        name: 'data',
        enabled: true,
        source: names[0] as string,
        destinations: names.slice(1),
        mode: 'manual' as const,
        schedule: null,
        include: [],
        exclude,
        limits: { deletes, bandwidthBytesPerSecond: null, concurrency },
      },
    ],
    warnings: [],
  }
  return { ...draft, digest: configDigest(draft) }
}
