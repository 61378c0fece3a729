/** A first copy from a folder to S3 by the embedded server, whose processes are harmed. */
import { randomBytes } from 'node:crypto'
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { CreateBucketCommand, S3Client } from '@aws-sdk/client-s3'
import type { S3Server } from '../../scripts/servers.ts'
import type { Catalog } from '../../src/catalog/catalog.ts'
import { openCatalogOf } from '../../src/catalog/of-config.ts'
import { loadConfig, storedConfig } from '../../src/config/index.ts'
import { connect, type TemporalClient } from '../../src/temporal/connection.ts'
import { hostId, hostTaskQueue } from '../../src/temporal/host.ts'
import { startOptions } from '../../src/temporal/start.ts'
import { startEmbedded } from '../../src/temporal/supervisor.ts'
import type { SyncInput, SyncResult } from '../../workflows/messages.ts'
import { type CountingProxy, countingProxy } from './counting-proxy.ts'

export interface Survival {
  /** In front of S3: what was written, and how often. */
  proxy: CountingProxy
  catalog: Catalog
  temporal: TemporalClient
  start(dataset: string): Promise<{ result(): Promise<SyncResult> }>
  /** Objects of the dataset's newest run that are written, as the catalog knows. */
  written(dataset: string): Promise<number>
  /** To the process of that name, as the state folder says; none where it is just being started. */
  signal(program: string, name: NodeJS.Signals): void
  close(): Promise<void>
}

/** Each dataset has a bucket of its name, and one folder of `keys` files as its source. */
export async function createSurvival(
  s3: S3Server,
  { keys, datasets, workers }: { keys: number; datasets: string[]; workers: number },
): Promise<Survival> {
  const folder = mkdtempSync(join(tmpdir(), 'tidemark-survival-'))
  const stateDir = join(folder, 'state')
  const proxy = await countingProxy(s3.endpoint)
  await makeBuckets(s3, datasets)
  mkdirSync(join(folder, 'source'))
  for (let i = 0; i < keys; i++) writeFileSync(join(folder, 'source', `f${i}`), randomBytes(512))
  const configPath = join(folder, 'tidemark.yaml')
  writeFileSync(configPath, JSON.stringify(configOf(s3, proxy.endpoint, datasets)))
  const config = await loadConfig(configPath)
  const embedded = await startEmbedded({ stateDir, configPath, workers, log: () => undefined })
  const catalog = await openCatalogOf(config, stateDir)
  await catalog.putConfig(config.digest, storedConfig(config))
  const temporal = await connect({ address: embedded.server.address })
  return {
    ...{ proxy, catalog, temporal },
    async start(dataset) {
      const input: SyncInput = {
        ...{ dataset, mode: 'sync', trigger: 'manual', base: null },
        configDigest: config.digest,
        queue: hostTaskQueue(hostId(stateDir)),
      }
      const { workflow } = temporal.client
      const handle = await workflow.start('syncDataset', startOptions(config, input))
      return { result: () => handle.result() as Promise<SyncResult> }
    },
    async written(dataset) {
      const [run] = await catalog.listRuns({ dataset, limit: 1 })
      return run?.counts.puts ?? 0
    },
    signal(program, name) {
      const pid = pidOf(stateDir, program)
      if (pid !== undefined) send(pid, name)
    },
    async close() {
      await temporal.close()
      await catalog.close()
      await embedded.stop()
      await proxy.close()
      rmSync(folder, { recursive: true, force: true })
    },
  }
}

async function makeBuckets(s3: S3Server, buckets: string[]): Promise<void> {
  const { accessKeyId, secretAccessKey } = s3
  const credentials = { accessKeyId, secretAccessKey }
  const client = new S3Client({ ...s3, credentials, forcePathStyle: true })
  for (const Bucket of buckets) await client.send(new CreateBucketCommand({ Bucket }))
  client.destroy()
}

function configOf(s3: S3Server, endpoint: string, datasets: string[]) {
  const bucket = (name: string) => ({
    ...{ type: 's3', bucket: name, endpoint, region: s3.region, 'path-style': true },
    ...{ 'access-key-id': s3.accessKeyId, 'secret-access-key': s3.secretAccessKey },
  })
  return {
    locations: {
      core: { type: 'file', path: './source' },
      ...Object.fromEntries(datasets.map((name) => [name, bucket(name)])),
    },
    // Small pages, so that every step of a run is met.
    synchronization: { 'batch-size': 500 },
    datasets: datasets.map((name) => ({ name, source: 'core', destinations: [name] })),
  }
}

function pidOf(stateDir: string, program: string): number | undefined {
  const { programs } = JSON.parse(readFileSync(join(stateDir, 'server.json'), 'utf8')) as {
    programs: { name: string; pid: number }[]
  }
  return programs.find(({ name }) => name === program)?.pid
}

function send(pid: number, name: NodeJS.Signals): void {
  try {
    process.kill(pid, name)
  } catch (error) {
    // It is just being started again.
    if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error
  }
}
