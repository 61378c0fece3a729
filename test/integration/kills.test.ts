/** A run survives what runs it: workers and Temporal are killed in the middle of a first copy. */
import { randomBytes } from 'node:crypto'
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { CreateBucketCommand, S3Client } from '@aws-sdk/client-s3'
import { afterAll, beforeAll, expect, inject, test } from 'vitest'
import type { Catalog } from '../../src/catalog/catalog.ts'
import { openCatalogOf } from '../../src/catalog/of-config.ts'
import { type Config, loadConfig, storedConfig } from '../../src/config/index.ts'
import { transfersMax } from '../../src/limits.ts'
import { connect, type TemporalClient } from '../../src/temporal/connection.ts'
import { hostId, hostTaskQueue } from '../../src/temporal/host.ts'
import { startOptions } from '../../src/temporal/start.ts'
import { type Embedded, startEmbedded } from '../../src/temporal/supervisor.ts'
import type { SyncInput, SyncResult } from '../../workflows/messages.ts'
import { type CountingProxy, countingProxy } from './counting-proxy.ts'

const keys = 5_000
/** Ten kills, with so many writes under way at each. */
const inFlightMax = 10 * transfersMax
const folder = mkdtempSync(join(tmpdir(), 'tidemark-kills-'))
const stateDir = join(folder, 'state')
let embedded: Embedded
let proxy: CountingProxy
let config: Config
let catalog: Catalog
let temporal: TemporalClient

beforeAll(async () => {
  const { s3 } = inject('servers')
  proxy = await countingProxy(s3.endpoint)
  const { accessKeyId, secretAccessKey } = s3
  const credentials = { accessKeyId, secretAccessKey }
  const client = new S3Client({ ...s3, credentials, forcePathStyle: true })
  for (const Bucket of ['worker-kills', 'temporal-kills']) {
    await client.send(new CreateBucketCommand({ Bucket }))
  }
  client.destroy()
  mkdirSync(join(folder, 'source'))
  for (let i = 0; i < keys; i++) writeFileSync(join(folder, 'source', `f${i}`), randomBytes(512))
  const s3Location = (bucket: string) => ({
    ...{ type: 's3', bucket, endpoint: proxy.endpoint, region: s3.region, 'path-style': true },
    ...{ 'access-key-id': accessKeyId, 'secret-access-key': secretAccessKey },
  })
  const file = join(folder, 'tidemark.yaml')
  const dataset = (name: string) => ({ name, source: 'core', destinations: [name] })
  const yaml = {
    locations: {
      core: { type: 'file', path: './source' },
      'worker-kills': s3Location('worker-kills'),
      'temporal-kills': s3Location('temporal-kills'),
    },
    // Small pages, so that kills meet every step of a run.
    synchronization: { 'batch-size': 500 },
    datasets: [dataset('worker-kills'), dataset('temporal-kills')],
  }
  writeFileSync(file, JSON.stringify(yaml))
  config = await loadConfig(file)
  embedded = await startEmbedded({ stateDir, configPath: file, log: () => undefined })
  catalog = await openCatalogOf(config, stateDir)
  await catalog.putConfig(config.digest, storedConfig(config))
  temporal = await connect({ address: embedded.server.address })
})

afterAll(async () => {
  await temporal?.close()
  await catalog?.close()
  await embedded?.stop()
  await proxy?.close()
  rmSync(folder, { recursive: true, force: true })
})

/** The pid of a program of the embedded server, as its state folder says. */
function pidOf(name: string): number | undefined {
  const { programs } = JSON.parse(readFileSync(join(stateDir, 'server.json'), 'utf8')) as {
    programs: { name: string; pid: number }[]
  }
  return programs.find((program) => program.name.startsWith(name))?.pid
}

function kill(name: string): void {
  const pid = pidOf(name)
  if (pid === undefined) return
  try {
    process.kill(pid, 'SIGKILL')
  } catch (error) {
    // It is just being started again.
    if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error
  }
}

async function start(dataset: string) {
  const input: SyncInput = {
    dataset,
    mode: 'sync',
    trigger: 'manual',
    configDigest: config.digest,
    base: null,
    queue: hostTaskQueue(hostId(stateDir)),
  }
  const handle = await temporal.client.workflow.start('syncDataset', startOptions(config, input))
  return { result: () => handle.result() as Promise<SyncResult> }
}

async function written(dataset: string): Promise<number> {
  const [run] = await catalog.listRuns({ dataset, limit: 1 })
  return run?.counts.puts ?? 0
}

const sleep = (ms: number) => new Promise((wake) => setTimeout(wake, ms))

/** Every key once in the bucket, and written once: by a retry as little as by anybody. */
async function expectComplete(dataset: string, result: SyncResult): Promise<void> {
  expect(result.state).toBe('complete')
  const paths = [...proxy.written].filter(([path]) => path.startsWith(`/${dataset}/`))
  // An answer that came while its worker was killed may be missing here; the key is not (below).
  expect(paths.length).toBeGreaterThan(keys - inFlightMax)
  expect(paths.filter(([, times]) => times > 1)).toEqual([])
  const again = await (await start(dataset)).result()
  const record = await catalog.getRun(again.run)
  expect(record?.counts).toMatchObject({ scanned: keys, puts: 0, deletes: 0, failed: 0 })
}

test('ten kills of the worker: complete, and no object is written twice (I6)', async () => {
  const run = await start('worker-kills')
  for (let kills = 0, seen = -1; kills < 10; ) {
    await sleep(50 + Math.random() * 400)
    const now = await written('worker-kills')
    // Each kill meets a worker that has got on since the last one, or is about to begin.
    if (now === seen || now >= keys) {
      if (now >= keys) break
      continue
    }
    seen = now
    kill('worker')
    kills++
  }
  await expectComplete('worker-kills', await run.result())
}, 400_000)

test('Temporal killed and started again in mid-run: the same', async () => {
  const run = await start('temporal-kills')
  for (let kills = 0; kills < 2; kills++) {
    const before = await written('temporal-kills')
    while ((await written('temporal-kills')) < Math.min(before + 500, keys)) await sleep(20)
    kill('temporal')
  }
  // The client's connection was cut along with the server: the result is asked for anew.
  for (;;) {
    try {
      await expectComplete('temporal-kills', await run.result())
      return
    } catch (error) {
      if ((error as Error).name !== 'ServiceError') throw error
      await sleep(500)
    }
  }
}, 200_000)
