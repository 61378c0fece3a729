/**
 * What history costs: runs with `history: on` against runs with `off`, and runs with `native`
 * against runs with `off` whose destination keeps versions all the same, together, on the same
 * servers. Replicas and vault are in one versitygw, in a process of its own, so that the vault gets
 * its content by the store's own copies. `tidemark up` is running. Each round begins with a content
 * that no vault has yet: first copy, unchanged re-sync, and an update of every object, or of so
 * many percent of them.
 *
 *     npm run bench -- history [--pairs 5] [--objects 2000] [--changed 100] [--latency MS]
 *
 * Store and Tidemark share this machine's cores, so that each request costs what it takes them.
 * With `--latency` each answer takes its way over a network, as a cloud's does.
 */
import { type ChildProcess, spawn } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import {
  CreateBucketCommand,
  PutBucketVersioningCommand,
  PutObjectCommand,
  S3Client,
} from '@aws-sdk/client-s3'
import { numericOptions } from '../scripts/options.ts'
import { eachLimited } from '../src/sync/each-limited.ts'
import { type S3Server, startS3 } from '../test/servers.ts'
import { type Cost, type Helper, measure, spread } from './measure.ts'
import { upServer } from './peers.ts'

const values = numericOptions({
  pairs: { type: 'string', default: '5' },
  objects: { type: 'string', default: '2000' },
  changed: { type: 'string', default: '100' },
  latency: { type: 'string', default: '0' },
})
const pairs = Number(values.pairs)
const objects = Number(values.objects)
const changed = Math.ceil((objects * Number(values.changed)) / 100)
const latencyMs = Number(values.latency)
const bin = fileURLToPath(new URL('../bin/tidemark.js', import.meta.url))
const sides = ['on', 'off', 'native', 'versioned'] as const
type Side = (typeof sides)[number]

async function main(): Promise<void> {
  const folder = mkdtempSync(join(tmpdir(), 'tidemark-bench-'))
  const s3 = await startS3({ versions: true })
  const client = clientOf(s3)
  try {
    const network = latencyMs > 0 ? await networkTo(s3) : null
    await makeConfig(folder, network?.s3 ?? s3, client)
    const server = await upServer(bin, folder)
    try {
      await runPairs(folder, client, server.helpers())
    } finally {
      await server.stop()
      network?.process.kill()
    }
  } finally {
    client.destroy()
    await s3.stop()
    rmSync(folder, { recursive: true, force: true })
  }
}

/** Half of the latency each way. */
async function networkTo(s3: S3Server): Promise<{ s3: S3Server; process: ChildProcess }> {
  const path = fileURLToPath(new URL('latency.ts', import.meta.url))
  const port = new URL(s3.endpoint).port
  const child = spawn(process.execPath, [path, port, String(latencyMs / 2)], {
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  const [said] = await once(child.stdout, 'data')
  const endpoint = `http://127.0.0.1:${String(said).trim()}`
  return { s3: { ...s3, endpoint }, process: child }
}

async function runPairs(folder: string, client: S3Client, helpers: Helper[]): Promise<void> {
  const steps = ['first copy', 'unchanged', 'update'] as const
  const costs = steps.map(
    (): Record<Side, Cost[]> => ({
      ...{ on: [], off: [], native: [], versioned: [] },
    }),
  )
  const state = ['--config', join(folder, 'tidemark.yaml'), '--state', join(folder, 'state')]
  for (let pair = 0; pair < pairs; pair++) {
    for (const [i, step] of steps.entries()) {
      if (step !== 'unchanged') await writeSource(client, step === 'update' ? changed : objects)
      // By turns the first: whoever comes second finds the source in memory.
      for (const side of pair % 2 === 0 ? sides : sides.toReversed()) {
        const args = [bin, ...state, '--json', 'sync', `${side}-${pair}`]
        const cost = await measure(process.execPath, args, { helpers })
        costs[i]?.[side].push(cost)
      }
    }
  }
  for (const [i, step] of steps.entries()) {
    const { on, off, native, versioned } = costs[i] as Record<Side, Cost[]>
    const of = step === 'update' ? `${changed} of ${objects}` : `${objects}`
    console.log(`${step}, ${of} × 4 KiB from S3 to S3`)
    tell('history: on', on)
    tell('history: off', off)
    tellRatios('on / off', on, off)
    tell('history: native', native)
    tell('history: off, with versions', versioned)
    tellRatios('native / off', native, versioned)
  }
}

function tell(name: string, costs: Cost[]): void {
  const wall = spread(costs.map((cost) => cost.wall))
  const cpu = spread(costs.map((cost) => cost.cpu))
  console.log(`  ${name.padEnd(27)} wall ${wall} s   CPU ${cpu} s`)
}

function tellRatios(name: string, some: Cost[], others: Cost[]): void {
  const ratios = some.map(({ wall }, i) => wall / (others[i] as Cost).wall)
  console.log(`  ${name.padEnd(27)} ${spread(ratios)}`)
}

function clientOf({ endpoint, region, accessKeyId, secretAccessKey }: S3Server): S3Client {
  const credentials = { accessKeyId, secretAccessKey }
  return new S3Client({ endpoint, region, credentials, forcePathStyle: true })
}

/** One source, and a destination for each side of each pair. */
async function makeConfig(folder: string, s3: S3Server, client: S3Client): Promise<void> {
  const { endpoint, region, accessKeyId, secretAccessKey } = s3
  const location = async (bucket: string) => {
    await client.send(new CreateBucketCommand({ Bucket: bucket }))
    return {
      ...{ type: 's3', bucket, endpoint, region, 'path-style': true },
      ...{ 'access-key-id': accessKeyId, 'secret-access-key': secretAccessKey },
    }
  }
  const vault = await location('vault')
  const locations: Record<string, unknown> = { source: await location('source') }
  const datasets: unknown[] = []
  for (let pair = 0; pair < pairs; pair++) {
    for (const side of sides) {
      const name = `${side}-${pair}`
      locations[name] = await location(name)
      if (side === 'native' || side === 'versioned') await keepVersions(client, name)
      const history = side === 'native' ? { content: side } : side === 'on' ? 'on' : 'off'
      datasets.push({ name, source: 'source', destinations: [name], history })
    }
  }
  writeFileSync(join(folder, 'tidemark.yaml'), JSON.stringify({ vault, locations, datasets }))
}

async function keepVersions(client: S3Client, Bucket: string): Promise<void> {
  const VersioningConfiguration = { Status: 'Enabled' } as const
  await client.send(new PutBucketVersioningCommand({ Bucket, VersioningConfiguration }))
}

/** Spread over all of the keys. */
async function writeSource(client: S3Client, many: number): Promise<void> {
  const keys = Array.from({ length: many }, (_, i) => {
    return `${String(Math.floor((i * objects) / many)).padStart(6, '0')}.bin`
  })
  await eachLimited(keys, 32, async (key) => {
    const Body = randomBytes(4096)
    await client.send(new PutObjectCommand({ Bucket: 'source', Key: key, Body }))
  })
}

await main()
