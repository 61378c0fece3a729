/**
 * `npm run bench -- catalog URL [ROWS]`: what the catalog's hot methods take, on an empty catalog
 * at
 * URL, which is filled with ROWS (10,000) baseline rows of three replicas. Median of the calls.
 */
import { monitorEventLoopDelay } from 'node:perf_hooks'
import { type Catalog, type ItemRecord, scanLane } from '../src/catalog/catalog.ts'
import { openCatalog } from '../src/catalog/open.ts'
import type { BaselineRow, Key, PlanItem, Version } from '../src/model.ts'

const [url = '', rowsText = '10000'] = process.argv.slice(2)
const rowCount = Number(rowsText)
const dataset = 'bench'
const replicas = ['folder', 'bucket', 'container']
const everything = { from: null, to: null }

const catalog = await openCatalog(url)
const run = await createRun(catalog)
await fill(catalog)
await read(catalog)
await write(catalog)
await one(catalog)
await plans(catalog)
await catalog.close()

async function createRun(on: Catalog, base: number | null = null): Promise<number> {
  return await on.createRun({
    ...{ dataset, mode: 'sync', trigger: 'manual', state: 'running', configDigest: '', base },
    ...{ startedAt: 1, liveAtStart: 0, workflowId: '', temporalRunId: null },
    by: null,
  })
}

// ── what is measured ────────────────────────────────────────────────────────────────────────────

async function fill(on: Catalog): Promise<void> {
  const times: number[] = []
  const start = clock()
  for (let at = 0; at < rowCount; at += 500) {
    const page = range(at, at + 500).map((i) => settlement(i, versionOf(i, run), 0))
    times.push(await timed(() => on.settle(dataset, page)))
  }
  rate('first settle, rows', rowCount, start)
  report('settle of 500 new keys', times)
}

async function read(on: Catalog): Promise<void> {
  for (let round = 0; round < 3; round++) {
    let rows = 0
    const start = clock()
    for (let after: Key | null = null; ; ) {
      const page: BaselineRow[] = await on.readBaseline(dataset, everything, after, 1_000)
      rows += page.length
      after = page.at(-1)?.key ?? null
      if (page.length < 1_000) break
    }
    rate('readBaseline, rows', rows, start)
  }
  await watched('baselineBounds', () => on.baselineBounds(dataset, 10_000))
  report('countLive', await repeated(200, () => on.countLive(dataset)))
}

async function write(on: Catalog): Promise<void> {
  const scanRun = await createRun(on)
  await on.addRanges(scanRun, [everything])
  const attempt = await on.claim(scanRun, scanLane(0))
  const scans: number[] = []
  for (let page = 0; page < 20; page++) {
    const items = range(page * 1_000, page * 1_000 + 1_000).map((i) => {
      const { run: _run, seq: _seq, rangeNumber: _number, ...found } = recordOf(i)
      return { ...found, state: 'pending' as const, outcomes: {} }
    })
    const rest = { cursor: keyOf(page), resume: {}, ended: false, cutAt: null }
    const counts = { scanned: 1_000, planned: 1_000 }
    scans.push(
      await timed(() =>
        on.commitScan({
          ...{ dataset, run: scanRun, number: 0, attempt, items, counts, seen: {}, ...rest },
        }),
      ),
    )
  }
  report('commitScan of 1,000 items', scans)
  const settles: number[] = []
  for (let page = 0; page < Math.min(20, rowCount / 500); page++) {
    const next = range(page * 500, page * 500 + 500).map((i) =>
      settlement(i, versionOf(i, run + 1), 1),
    )
    settles.push(await timed(() => on.settle(dataset, next)))
  }
  report('settle of 500 changed keys', settles)
  const states: ItemRecord['state'][] = ['pending']
  const filter = { run: scanRun, rangeNumber: 0, states, after: -1, limit: 1_000 }
  report('readItems of 1,000', await repeated(10, () => on.readItems(filter)))
}

async function one(on: Catalog): Promise<void> {
  report('claim', await repeated(500, () => on.claim(run, 'range/0')))
  report('holds', await repeated(2_000, () => on.holds(run, 'range/0', 500)))
  report('getRun', await repeated(1_000, () => on.getRun(run)))
  report('addCounts', await repeated(500, () => on.addCounts(run, { puts: 1 })))
  const keys = range(0, 1_000).map((i) => keyOf((i * 7_919) % rowCount))
  report('getBaseline of 1,000 keys', await repeated(10, () => on.getBaseline(dataset, keys)))
}

async function plans(on: Catalog): Promise<void> {
  const copy = await createRun(on, run)
  await watched('copyItems', () => on.copyItems(run, copy, ['done'], 'pending'))
  await watched('supersededBy', () => on.supersededBy(copy))
  await watched('countRenames', () => on.countRenames(copy, new Map([['md5:0:1', 1]])))
}

// ── what is stored ──────────────────────────────────────────────────────────────────────────────

function keyOf(i: number): Key {
  const text = String(i).padStart(9, '0')
  return `team-${text.slice(0, 5)}/service/config-${text}.json`
}

function versionOf(i: number, of: number): Version {
  const hex = ((i * 2_654_435_761) % 2 ** 32).toString(16).padStart(8, '0')
  const digests = { sha256: hex.repeat(8), md5: hex.repeat(4), crc32c: hex }
  const metadata = { contentType: 'application/json' }
  return { run: of, content: { size: i, digests, metadata }, origin: 'folder', at: 1.7e12 + i }
}

function rowOf(i: number, head: Version): BaselineRow {
  const holds: BaselineRow['holds'] = {}
  for (const name of replicas) {
    holds[name] = { version: head, token: { id: `"${head.content?.digests.md5}"`, at: 1.7e12 + i } }
  }
  return { key: keyOf(i), rev: 0, head, holds }
}

function recordOf(i: number): ItemRecord {
  const head = versionOf(i, run)
  const [folder = '', ...targets] = replicas
  const token = { id: `"${head.content?.digests.md5}"`, at: 1.7e12 + i }
  const item: PlanItem = {
    ...{ key: keyOf(i), rev: 0, reason: 'new', head, rescues: [], goneAt: [] },
    actions: targets.map((replica) => ({ do: 'put', replica, expect: null })),
    sources: [{ replica: folder, token }],
  }
  const done = { kind: 'done' as const, token, content: head.content }
  return {
    ...{ run, seq: 2 ** 40 + i, rangeNumber: 256, key: keyOf(i), state: 'done', item },
    ...{ conflict: null, tries: 1, rev: 0, contentKey: `sha256:${head.content?.digests.sha256}:0` },
    outcomes: Object.fromEntries(targets.map((replica) => [replica, done])),
  }
}

function settlement(i: number, head: Version, expectRev: number) {
  const version = { key: keyOf(i), version: head, parents: [], reason: 'new', agreedAt: 1 }
  return { record: recordOf(i), row: rowOf(i, head), expectRev, version }
}

// ── clocks ──────────────────────────────────────────────────────────────────────────────────────

function range(from: number, to: number): number[] {
  return Array.from({ length: to - from }, (_, i) => from + i)
}

async function timed(work: () => Promise<unknown>): Promise<number> {
  const start = performance.now()
  await work()
  return performance.now() - start
}

/** With how long the thread was kept from everything else, at most. */
async function watched(what: string, work: () => Promise<unknown>): Promise<void> {
  const delay = monitorEventLoopDelay({ resolution: 1 })
  delay.enable()
  const time = await timed(work)
  // It counts when it has a turn: without one after the end the longest wait would be missed.
  await new Promise((wake) => setTimeout(wake, 10))
  delay.disable()
  report(`${what} (thread kept for ${(delay.max / 1e6).toFixed(0)} ms)`, [time])
}

async function repeated(times: number, work: () => Promise<unknown>): Promise<number[]> {
  const all: number[] = []
  for (let i = 0; i < times; i++) all.push(await timed(work))
  return all
}

/** Of this process, ms: on a machine that others use too, its own time says more. */
function clock(): { wall: number; cpu: number } {
  const { user, system } = process.cpuUsage()
  return { wall: performance.now(), cpu: (user + system) / 1_000 }
}

function rate(what: string, count: number, start: ReturnType<typeof clock>): void {
  const end = clock()
  const per = (ms: number) => Math.round((count / ms) * 1_000).toLocaleString('en')
  const cpu = per(end.cpu - start.cpu)
  console.log(`${what.padEnd(48)} ${per(end.wall - start.wall)}/s, ${cpu} a CPU second`)
}

function report(what: string, times: number[]): void {
  const sorted = [...times].sort((a, b) => a - b)
  const at = (share: number) => (sorted[Math.floor((sorted.length - 1) * share)] ?? 0).toFixed(2)
  console.log(`${what.padEnd(48)} ${at(0.5)} ms, 95 %: ${at(0.95)} ms`)
}
