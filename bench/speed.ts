/**
 * Tidemark against rclone, in pairs, in the same run, on the same servers: versitygw in a process
 * of
 * its own, `tidemark up` running. What is told: the median of the pairs, and from least to most.
 *
 *     npm run bench -- speed [--pairs 5] [--objects 10000] [--large 2048] [--only CASE,…]
 */
import { spawnSync } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import {
  closeSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  rmSync,
  writeFileSync,
  writeSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { numericOptions } from '../scripts/options.ts'
import { getRclone } from '../scripts/tools.ts'
import { startS3 } from '../test/servers.ts'
import { type Cost, type Helper, measure, median, spread } from './measure.ts'
import { type Bench, rcloneConfig, tidemarkConfig, upServer } from './peers.ts'

const values = numericOptions({
  pairs: { type: 'string', default: '5' },
  objects: { type: 'string', default: '10000' },
  large: { type: 'string', default: '2048' },
  only: { type: 'string' },
})
const pairs = Number(values.pairs)
const objects = Number(values.objects)
const largeMiB = Number(values.large)

interface Case {
  name: string
  /** Source and target of pair `i`, as rclone's remotes and as Tidemark's dataset. */
  dataset: (pair: number) => string
  rclone: (pair: number) => string[]
  /** rclone in another way, for the same work. */
  rcloneToo?: { name: string; args: (pair: number) => string[] }
}

const flags = ['--transfers', '32', '--checkers', '32']

/** rclone's own 5 MiB, up to the number of parts (some 500) whose list versitygw can keep in one
 *  extended attribute of ext4: with more, it answers 507 to CompleteMultipartUpload for ever. */
const partSize = ['--s3-chunk-size', `${Math.max(5, Math.ceil(largeMiB / 410))}M`]

const cases: Case[] = [
  {
    name: `folder→S3: ${objects} × 4 KiB, first copy`,
    dataset: (pair) => `up-${pair}`,
    rclone: (pair) => ['copy', '{folder}', `s3:r-up-${pair}`, ...flags],
  },
  {
    name: `folder→S3: ${objects} unchanged`,
    dataset: (pair) => `up-${pair}`,
    rclone: (pair) => ['copy', '{folder}', `s3:r-up-${pair}`, ...flags, ...unchanged],
  },
  {
    name: `S3→S3: ${objects} × 4 KiB, first copy`,
    dataset: (pair) => `over-${pair}`,
    rclone: (pair) => ['copy', 's3:t-up-0', `s3:r-over-${pair}`, ...flags],
    rcloneToo: {
      name: 'rclone without server-side copy',
      args: (pair) => ['copy', 's3:t-up-0', `s3too:r-through-${pair}`, ...flags],
    },
  },
  {
    name: `S3→S3: ${objects} unchanged`,
    dataset: (pair) => `over-${pair}`,
    rclone: (pair) => ['copy', 's3:t-up-0', `s3:r-over-${pair}`, ...flags, ...unchanged],
  },
  {
    name: `folder→S3: one object of ${largeMiB} MiB`,
    dataset: (pair) => `large-${pair}`,
    rclone: (pair) => ['copy', '{large}', `s3:r-large-${pair}`, ...flags, ...partSize],
  },
]

const unchanged = ['--checksum', '--fast-list']
const bin = fileURLToPath(new URL('../bin/tidemark.js', import.meta.url))

async function main(): Promise<void> {
  const rclone = await getRclone({ report: (line) => console.error(line) })
  const folder = mkdtempSync(join(tmpdir(), 'tidemark-bench-'))
  const s3 = await startS3()
  try {
    const bench: Bench = { folder, s3, pairs }
    makeSources(folder)
    await tidemarkConfig(bench)
    await rcloneConfig(bench)
    const cold = await measure(process.execPath, [bin, ...state(folder), 'sync', 'cold'])
    console.log(
      `cold start of an embedded server, for a sync of an empty folder: ${cold.wall.toFixed(2)} s`,
    )
    const server = await upServer(bin, folder)
    try {
      const only = values.only?.split(',')
      for (const [i, one] of cases.entries()) {
        if (!only || only.includes(String(i))) await runCase(one, folder, rclone, server.helpers())
      }
    } finally {
      await server.stop()
    }
  } finally {
    await s3.stop()
    rmSync(folder, { recursive: true, force: true })
  }
}

const state = (folder: string) => [
  ...['--config', join(folder, 'tidemark.yaml'), '--state', join(folder, 'state')],
]

async function runCase(
  { name, dataset, rclone: argsOf, rcloneToo }: Case,
  folder: string,
  rclone: string,
  helpers: Helper[],
): Promise<void> {
  console.log(`\n${name}`)
  const ours: Cost[] = []
  const theirs: Cost[] = []
  const too: Cost[] = []
  const peer = (args: string[]) =>
    measure(rclone, [
      ...['--config', join(folder, 'rclone.conf')],
      ...args.map((arg) => arg.replace(/^\{(\w+)\}$/, (_, what) => join(folder, what))),
    ])
  for (let pair = 0; pair < pairs; pair++) {
    const args = [bin, ...state(folder), '--json', 'sync', dataset(pair)]
    warm(folder)
    ours.push(await measure(process.execPath, args, { helpers }))
    warm(folder)
    theirs.push(await peer(argsOf(pair)))
    if (rcloneToo) too.push(await peer(rcloneToo.args(pair)))
  }
  tell('tidemark', ours)
  tell('rclone', theirs)
  ratio('tidemark / rclone', ours, theirs)
  if (!rcloneToo) return
  tell(rcloneToo.name, too)
  ratio(`tidemark / ${rcloneToo.name}`, ours, too)
}

/** Whoever comes first would else read the sources from the disk, and the next from memory. */
function warm(folder: string): void {
  for (const source of ['folder', 'large']) {
    spawnSync('find', [join(folder, source), '-type', 'f', '-exec', 'cat', '{}', '+'], {
      stdio: 'ignore',
    })
  }
}

function tell(name: string, costs: Cost[]): void {
  const wall = spread(costs.map((cost) => cost.wall))
  const cpu = spread(costs.map((cost) => cost.cpu))
  console.log(`  ${name.padEnd(32)} wall ${wall} s   CPU ${cpu} s   peak ${peaksOf(costs)} MB`)
}

/** `246 (worker-1), 160 (temporal)`: of each process, the largest first. */
function peaksOf(costs: Cost[]): string {
  const names = Object.keys((costs[0] as Cost).peaks)
  return names
    .map((name) => ({ name, peak: median(costs.map(({ peaks }) => peaks[name] as number)) }))
    .toSorted((a, b) => b.peak - a.peak)
    .map(({ name, peak }) => `${peak.toFixed(0)} (${name})`)
    .join(', ')
}

function ratio(name: string, ours: Cost[], theirs: Cost[]): void {
  const ratios = ours.map(({ wall }, i) => wall / (theirs[i] as Cost).wall)
  console.log(`  ${name.padEnd(32)} ${spread(ratios)}`)
}

/** 4 KiB each in folders of 1,000; and one large file. Nothing in them compresses. */
function makeSources(folder: string): void {
  for (let i = 0; i < objects; i++) {
    const into = join(folder, 'folder', String(Math.floor(i / 1000)).padStart(3, '0'))
    mkdirSync(into, { recursive: true })
    writeFileSync(join(into, `${String(i).padStart(6, '0')}.bin`), randomBytes(4096))
  }
  mkdirSync(join(folder, 'large'))
  const fd = openSync(join(folder, 'large', 'object.bin'), 'w')
  const block = randomBytes(1024 * 1024)
  for (let i = 0; i < largeMiB; i++) {
    block.writeUInt32LE(i, 0)
    writeSync(fd, block)
  }
  closeSync(fd)
  mkdirSync(join(folder, 'cold'))
}

await main()
