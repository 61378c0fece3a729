/**
 * The composition root: the one place where parts are wired together. A worker process serves the
 * workflows, the activities of stores, and the activities of this host's folders.
 */
import { parseArgs } from 'node:util'
import { DefaultLogger, NativeConnection, Runtime, Worker } from '@temporalio/worker'
import { createActivities, type Deps } from '../activities/index.ts'
import type { Catalog } from './catalog/catalog.ts'
import { openCatalogOf } from './catalog/of-config.ts'
import { loadConfig } from './config/index.ts'
import { rangesInFlight } from './limits.ts'
import { createLocations, createVaults, type Locations } from './locations.ts'
import { workflowBundle } from './temporal/bundle.ts'
import { connectionOptions } from './temporal/connection.ts'
import { hostId, hostTaskQueue } from './temporal/host.ts'
import { targetOf } from './temporal/target.ts'

export interface WorkerOptions {
  stateDir: string
  /** host:port; null: as the config says. */
  address: string | null
  configPath: string
  onReady?: (line: string) => void
}

export function createDeps(catalog: Catalog, locations: Locations, stateDir: string): Deps {
  return {
    catalog,
    open: locations.open,
    vault: createVaults(locations, catalog, stateDir),
    clock: Date.now,
    host: hostId(stateDir),
  }
}

/** Runs until SIGTERM, SIGINT, or the supervisor's end. */
export async function runWorker(options: WorkerOptions): Promise<void> {
  const config = await loadConfig(options.configPath)
  const catalog = await openCatalogOf(config, options.stateDir)
  const locations = createLocations()
  Runtime.install({ logger: new DefaultLogger('WARN'), shutdownSignals: ['SIGTERM', 'SIGINT'] })
  const target = await targetOf(config, options.address)
  const connection = await NativeConnection.connect(await connectionOptions(target))
  const deps = createDeps(catalog, locations, options.stateDir)
  const shared = {
    connection,
    namespace: target.namespace ?? 'default',
    activities: createActivities(deps),
    // Cancel reaches an activity with its next heartbeat: a second, not 80 % of the time-out.
    maxHeartbeatThrottleInterval: '1s',
    defaultHeartbeatThrottleInterval: '1s',
    // Each range may scan and apply at once, and the parent's own activities come on top.
    maxConcurrentActivityTaskExecutions: 4 * rangesInFlight,
    shutdownGraceTime: '5s',
    shutdownForceTime: '9s',
  } as const
  const workers = await Promise.all([
    Worker.create({
      ...shared,
      taskQueue: config.temporal['task-queue'],
      workflowBundle: await workflowBundle(options.stateDir),
    }),
    Worker.create({ ...shared, taskQueue: hostTaskQueue(deps.host) }),
  ])
  const running = Promise.all(workers.map((worker) => worker.run()))
  process.on('disconnect', () => process.exit(1))
  process.send?.({ ready: true })
  options.onReady?.(`worker up: Temporal at ${target.address}; Ctrl-C ends it`)
  try {
    await running
  } finally {
    await locations.close()
    await catalog.close()
    await connection.close()
  }
}

if (import.meta.main) {
  const { values } = parseArgs({
    options: {
      state: { type: 'string', default: './.tidemark' },
      temporal: { type: 'string' },
      config: { type: 'string', default: './tidemark.yaml' },
    },
  })
  await runWorker({
    stateDir: values.state,
    address: values.temporal ?? null,
    configPath: values.config,
  })
  // Temporal's native runtime keeps the process alive after its workers have ended.
  process.exit(0)
}
