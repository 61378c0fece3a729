/** The workflows and activities on a real Temporal, over the memory stores of this process. */
import { randomUUID } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import type { WorkflowHandle } from '@temporalio/client'
import { DefaultLogger, NativeConnection, Runtime, Worker } from '@temporalio/worker'
import { createActivities } from '../../activities/index.ts'
import type { Deps } from '../../activities/run-context.ts'
import type { LocationOptions } from '../../connectors/options.ts'
import type { RunRecord } from '../../src/catalog/catalog.ts'
import type { DatasetConfig } from '../../src/config/index.ts'
import { workflowBundle as ownBundle } from '../../src/temporal/bundle.ts'
import { connect, type TemporalClient } from '../../src/temporal/connection.ts'
import { ensureSearchAttributes } from '../../src/temporal/search-attributes.ts'
import { startOptions } from '../../src/temporal/start.ts'
import type { Progress, SyncInput, SyncResult } from '../../workflows/messages.ts'
import { createEngine, type Engine, type EngineOptions } from '../engine/engine.ts'
import { type Running, startTemporal, type TemporalServer } from '../servers.ts'

export interface Temporal {
  address: string
  client: TemporalClient['client']
  /** A dataset with a worker of its own; the first location is the source. */
  world(
    locations: LocationOptions[],
    dataset?: Partial<DatasetConfig>,
    options?: WorldOptions,
  ): Promise<World>
  stop(): Promise<void>
}

export interface WorldOptions extends EngineOptions {
  /** What its activities get instead. */
  deps?: (deps: Deps) => Partial<Deps>
}

export interface World {
  engine: Engine
  dataset: string
  queue: string
  input(given?: Partial<SyncInput>): SyncInput
  start(given?: Partial<SyncInput>): Promise<Started>
  /** To its end. */
  run(given?: Partial<SyncInput>): Promise<RunRecord>
  close(): Promise<void>
}

export interface Started {
  handle: WorkflowHandle
  progress(): Promise<Progress>
  ended(): Promise<RunRecord>
}

/** One shard loads tasks 20 times a second by default: no test needs to wait for that. */
const settings = [
  'history.transferProcessorMaxPollRPS=2000',
  'history.timerProcessorMaxPollRPS=2000',
  'system.enableActivityEagerExecution=true',
]

/** What the product's own workers run. */
export async function workflowBundle(): Promise<{ code: string }> {
  const { codePath } = await ownBundle(tmpdir())
  return { code: readFileSync(codePath, 'utf8') }
}

export async function startWorld(more: string[] = []): Promise<Temporal> {
  // What activities fail with on purpose is no news.
  Runtime.install({ logger: new DefaultLogger('ERROR', () => undefined) })
  const server = await startTemporal({ settings: [...settings, ...more] })
  const { client, connection, close } = await connect(server)
  await ensureSearchAttributes(connection, 'default')
  const native = await NativeConnection.connect({ address: server.address })
  const shared = { server, client, native }
  return {
    address: server.address,
    client,
    world: (locations, dataset = {}, options = {}) =>
      createWorld(shared, locations, dataset, options),
    async stop() {
      await native.close()
      await close()
      await server.stop()
    },
  }
}

interface Shared {
  server: TemporalServer & Running
  client: TemporalClient['client']
  native: NativeConnection
}

async function createWorld(
  { client, native }: Shared,
  locations: LocationOptions[],
  given: Partial<DatasetConfig>,
  { deps, ...options }: WorldOptions,
): Promise<World> {
  const dataset = given.name ?? `data-${randomUUID().slice(0, 8)}`
  const queue = `tidemark-${dataset}`
  const engine = await createEngine(locations, { ...given, name: dataset }, options)
  const worker = await Worker.create({
    connection: native,
    taskQueue: queue,
    identity: 'worker',
    workflowBundle: await workflowBundle(),
    activities: createActivities({ ...engine.deps, ...deps?.(engine.deps) }),
    maxHeartbeatThrottleInterval: '1s',
    defaultHeartbeatThrottleInterval: '1s',
    shutdownGraceTime: '1s',
  })
  const running = worker.run()
  const input = (more: Partial<SyncInput> = {}): SyncInput => ({
    ...{ dataset, mode: 'sync', trigger: 'manual', base: null, queue },
    configDigest: engine.config.digest,
    ...more,
  })
  async function start(more: Partial<SyncInput> = {}): Promise<Started> {
    const handle = await client.workflow.start('syncDataset', {
      ...startOptions(engine.config, input(more)),
      taskQueue: queue,
    })
    return {
      handle,
      progress: () => handle.query<Progress, []>('progress'),
      async ended() {
        const { run } = (await handle.result()) as SyncResult
        return (await engine.catalog.getRun(run)) as RunRecord
      },
    }
  }
  return {
    engine,
    dataset,
    queue,
    input,
    start,
    run: async (more) => (await start(more)).ended(),
    async close() {
      worker.shutdown()
      await running
      await engine.close()
    },
  }
}

/** Waits until it is so; a test that waits for ever ends by its own time-out. */
export async function until(isSo: () => Promise<boolean> | boolean): Promise<void> {
  while (!(await isSo())) await new Promise((wake) => setTimeout(wake, 20))
}
