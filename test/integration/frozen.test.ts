/** Workers that freeze and wake up again beside those that took over: zombies do no harm (I6). */
import { randomBytes } from 'node:crypto'
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, inject, test } from 'vitest'
import type { Catalog } from '../../src/catalog/catalog.ts'
import { openCatalogOf } from '../../src/catalog/of-config.ts'
import { type Config, loadConfig, storedConfig } from '../../src/config/index.ts'
import { connect, type TemporalClient } from '../../src/temporal/connection.ts'
import { hostId, hostTaskQueue } from '../../src/temporal/host.ts'
import { startOptions } from '../../src/temporal/start.ts'
import { type Embedded, startEmbedded } from '../../src/temporal/supervisor.ts'
import type { SyncResult } from '../../workflows/messages.ts'
import { type CountingProxy, countingProxy } from './counting-proxy.ts'
import { type Place, s3Place } from './places.ts'

const keys = 2_000
const folder = mkdtempSync(join(tmpdir(), 'tidemark-frozen-'))
const stateDir = join(folder, 'state')
let embedded: Embedded
let proxy: CountingProxy
let target: Place
let config: Config
let catalog: Catalog
let temporal: TemporalClient

beforeAll(async () => {
  const { s3 } = inject('servers')
  proxy = await countingProxy(s3.endpoint)
  target = await s3Place(s3)
  mkdirSync(join(folder, 'source'))
  for (let i = 0; i < keys; i++) writeFileSync(join(folder, 'source', `f${i}`), randomBytes(512))
  const file = join(folder, 'tidemark.yaml')
  const yaml = {
    locations: {
      core: { type: 'file', path: './source' },
      cloud: { ...target.options, endpoint: proxy.endpoint },
    },
    synchronization: { 'batch-size': 500 },
    datasets: [{ name: 'data', source: 'core', destinations: ['cloud'] }],
  }
  writeFileSync(file, JSON.stringify(yaml))
  config = await loadConfig(file)
  embedded = await startEmbedded({ stateDir, configPath: file, workers: 2, log: () => undefined })
  catalog = await openCatalogOf(config, stateDir)
  await catalog.putConfig(config.digest, storedConfig(config))
  temporal = await connect({ address: embedded.server.address })
})

afterAll(async () => {
  await temporal?.close()
  await catalog?.close()
  await embedded?.stop()
  await proxy?.close()
  await target?.close()
  rmSync(folder, { recursive: true, force: true })
})

function signal(worker: string, name: 'SIGSTOP' | 'SIGCONT'): void {
  const { programs } = JSON.parse(readFileSync(join(stateDir, 'server.json'), 'utf8')) as {
    programs: { name: string; pid: number }[]
  }
  const { pid } = programs.find((program) => program.name === worker) ?? {}
  if (pid !== undefined) process.kill(pid, name)
}

const sleep = (ms: number) => new Promise((wake) => setTimeout(wake, ms))

test('a worker that was frozen for long wakes up, and writes nothing that another has written', async () => {
  const queue = hostTaskQueue(hostId(stateDir))
  const handle = await temporal.client.workflow.start(
    'syncDataset',
    startOptions(config, {
      ...{ dataset: 'data', mode: 'sync', trigger: 'manual', base: null, queue },
      configDigest: config.digest,
    }),
  )
  const done = async () => (await catalog.listRuns({ limit: 1 }))[0]?.counts.puts ?? 0
  for (let round = 0; round < 3; round++) {
    const before = await done()
    while ((await done()) < Math.min(before + 200, keys)) await sleep(20)
    for (const worker of ['worker-1', 'worker-2']) signal(worker, 'SIGSTOP')
    // Longer than heartbeats may be missed: what they were doing is begun anew, here or there.
    await sleep(8_000)
    for (const worker of ['worker-1', 'worker-2']) signal(worker, 'SIGCONT')
  }
  const result = (await handle.result()) as SyncResult
  const ended = await catalog.getRun(result.run)
  expect(ended).toMatchObject({ state: 'complete', counts: { failed: 0, stale: 0, scanned: keys } })
  const range = temporal.client.workflow.getHandle(`sync/data/${result.run}/r0`)
  const { events } = await range.fetchHistory()
  const attempts = events?.map((one) => one.activityTaskStartedEventAttributes?.attempt ?? 0)
  expect(Math.max(...(attempts ?? []))).toBeGreaterThan(1)
  expect([...proxy.written.values()].filter((times) => times > 1)).toEqual([])
  expect(proxy.written.size).toBe(keys)
}, 180_000)
