/**
 * A scan of N keys on two replicas against a full baseline: time and peak memory. The listings are
 * made up on the fly, so that what is measured is the engine's: join, reconcile, catalog.
 *
 *     npm run bench -- scan [--keys 1000000,5000000]
 */
import { spawnSync } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import { finishRun } from '../activities/finish.ts'
import { prepareRun } from '../activities/prepare.ts'
import type { Deps } from '../activities/run-context.ts'
import { scanPage } from '../activities/scan.ts'
import type { Connector, Page } from '../connectors/connector.ts'
import type { Settlement } from '../src/catalog/catalog.ts'
import { openCatalog } from '../src/catalog/open.ts'
import { type Config, configDigest, storedConfig } from '../src/config/index.ts'
import { deleteLimits, listPageKeys } from '../src/limits.ts'
import type { BaselineRow, Entry, Key, KeyRange, Version } from '../src/model.ts'
import { compareKeys } from '../src/sync/keys.ts'
import { workerEnvironment, workerFlags } from '../src/temporal/worker-process.ts'

const { values } = parseArgs({
  options: {
    keys: { type: 'string', default: '1000000,5000000' },
    child: { type: 'string' },
    folder: { type: 'string' },
  },
})

/** The catalog is filled by one process, and scanned by another, whose memory is told; that one is
 *  started as `up` starts a worker. */
async function bench(keys: number): Promise<void> {
  const folder = mkdtempSync(join(tmpdir(), 'tidemark-bench-scan-'))
  try {
    const began = performance.now()
    await fill(keys, folder)
    const filled = (performance.now() - began) / 1000
    console.log(`${keys.toLocaleString('en-US')} keys; baseline filled in ${filled.toFixed(1)} s`)
    const self = fileURLToPath(import.meta.url)
    const args = [...workerFlags, self, '--child', String(keys), '--folder', folder]
    const { status } = spawnSync(process.execPath, args, {
      stdio: 'inherit',
      env: workerEnvironment(),
    })
    if (status !== 0) throw new Error(`the scan ended with ${status}`)
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
}

// ── what is scanned ─────────────────────────────────────────────────────────────────────────────

const keyOf = (i: number): Key =>
  `data/${String(Math.floor(i / 1000)).padStart(5, '0')}/object-${String(i).padStart(8, '0')}.bin`

function entryOf(i: number): Entry {
  const hex = i.toString(16).padStart(32, '0')
  return {
    key: keyOf(i),
    size: 4096,
    digests: { md5: hex },
    token: { id: hex, at: 1_700_000_000_000 },
    modifiedAt: 1_700_000_000_000,
  }
}

/** A store with `keys` objects that exists only as a listing. */
function listed(name: string, keys: number): Connector {
  const none = () => Promise.reject(new Error('a scan of unchanged keys only lists'))
  return {
    name,
    traits: {
      conditionalCreate: true,
      conditionalOverwrite: true,
      conditionalDelete: true,
      listStart: true,
      listingDigests: ['md5'],
      listingMetadata: false,
      carriesMetadata: true,
      keys: { bytesMax: 1024, prefixBytes: 0, pathLike: false },
      sizeMax: 2 ** 42,
      copyDomain: null,
      partBytes: 2 ** 23,
    },
    identity: async () => `bench:${name}`,
    async *list(range: KeyRange): AsyncGenerator<Page> {
      for (let i = firstFrom(range.from, keys); i < keys; ) {
        const entries: Entry[] = []
        for (; i < keys && entries.length < listPageKeys; i++) {
          const entry = entryOf(i)
          if (range.to !== null && compareKeys(entry.key, range.to) >= 0) {
            yield { entries, skipped: [] }
            return
          }
          entries.push(entry)
        }
        yield { entries, skipped: [], ...(i < keys ? { resume: String(i) } : {}) }
      }
    },
    stat: none,
    read: none,
    write: none,
    remove: none,
    close: async () => undefined,
  }
}

function firstFrom(from: Key | null, keys: number): number {
  let low = 0
  for (let high = from === null ? 0 : keys; low < high; ) {
    const middle = (low + high) >>> 1
    if (compareKeys(keyOf(middle), from as Key) < 0) low = middle + 1
    else high = middle
  }
  return low
}

// ── the catalog ─────────────────────────────────────────────────────────────────────────────────

function configOf(): Config {
  const location = (store: string) => ({ type: 'memory' as const, store, prefix: '' })
  const draft = {
    file: '/tidemark.yaml',
    locations: { a: location('a'), b: location('b') },
    catalog: null,
    vault: null,
    temporal: { address: null, namespace: 'default', 'task-queue': 'tidemark' },
    datasets: [
      {
        name: 'data',
        enabled: true,
        source: 'a',
        destinations: ['b'],
        direction: 'two-way' as const,
        mode: 'manual' as const,
        schedule: null,
        rules: [],
        drift: 'conflict' as const,
        delete: 'propagate' as const,
        include: [],
        exclude: [],
        batchSize: 1000,
        limits: { deletes: [...deleteLimits], bandwidthBytesPerSecond: null, concurrency: null },
        history: {
          ...{ content: 'vault' as const, when: 'replaced' as const },
          ...{ versions: null, keepMs: null },
        },
      },
    ],
    warnings: [],
  }
  return { ...draft, digest: configDigest(draft) }
}

async function fill(keys: number, folder: string): Promise<void> {
  const catalog = await openCatalog(`sqlite:${join(folder, 'catalog.db')}`)
  const config = configOf()
  await catalog.putConfig(config.digest, storedConfig(config))
  const run = await catalog.createRun({
    ...{ dataset: 'data', mode: 'sync', trigger: 'manual', state: 'running' },
    ...{ configDigest: config.digest, base: null, startedAt: Date.now(), liveAtStart: 0 },
    ...{ workflowId: 'bench', temporalRunId: 'fill' },
    by: null,
  })
  for (let i = 0; i < keys; ) {
    const settlements: Settlement[] = []
    for (; i < keys && settlements.length < 2_000; i++) settlements.push(settlementOf(i, run))
    await catalog.settle('data', settlements)
  }
  await catalog.updateRun(run, { state: 'complete', endedAt: Date.now() })
  await catalog.close()
}

function settlementOf(i: number, run: number): Settlement {
  const { key, token, size, digests, modifiedAt } = entryOf(i)
  const head: Version = { run, content: { size, digests }, origin: 'a', at: modifiedAt }
  const hold = { version: head, token }
  const row: BaselineRow = { key, rev: 1, head, holds: { a: hold, b: hold } }
  return {
    record: {
      ...{ run, seq: i, rangeNumber: 0, key, state: 'done', item: null, conflict: null },
      ...{ outcomes: {}, tries: 1, rev: 0, contentKey: null },
    },
    row,
    expectRev: 0,
    version: null,
  }
}

async function scanAll(keys: number, folder: string): Promise<void> {
  const catalog = await openCatalog(`sqlite:${join(folder, 'catalog.db')}`)
  const open = async (_: Config, name: string) => listed(name, keys)
  const vault = () => Promise.reject(new Error('nothing is lost in a scan'))
  const deps: Deps = { catalog, open, vault, clock: Date.now, host: 'bench' }
  const { signal } = new AbortController()
  const config = configOf()
  const began = performance.now()
  const { run, ranges } = await prepareRun(
    deps,
    {
      ...{ dataset: 'data', mode: 'sync', trigger: 'manual', base: null, queue: 'none' },
      configDigest: config.digest,
    },
    { workflowId: 'bench', runId: 'scan' },
    signal,
  )
  for (let range = 0; range < ranges; range++) {
    const lane = `scan/${range}`
    const holder = { run, lane, attempt: await catalog.claim(run, lane) }
    const attempt = { signal, holder, again: false, fence: async () => {}, tell: () => {} }
    await scanPage(deps, run, range, attempt)
  }
  await finishRun(deps, { run, how: 'ended', rangesFailed: 0 }, signal)
  const seconds = (performance.now() - began) / 1000
  const record = await catalog.getRun(run)
  if (record?.counts.scanned !== keys || record.counts.planned !== 0) {
    throw new Error(`scanned ${record?.counts.scanned}, planned ${record?.counts.planned}`)
  }
  const cpu = process.cpuUsage()
  const peak = Number(/VmHWM:\s+(\d+)/.exec(readFileSync('/proc/self/status', 'utf8'))?.[1]) / 1024
  console.log(
    `  scanned in ${seconds.toFixed(1)} s (${Math.round(keys / seconds).toLocaleString('en-US')} ` +
      `keys/s), ${((cpu.user + cpu.system) / 1e6).toFixed(1)} CPU s, ` +
      `peak ${peak.toFixed(0)} MB RSS`,
  )
  await catalog.close()
}

if (values.child) await scanAll(Number(values.child), values.folder as string)
else for (const keys of values.keys.split(',').map(Number)) await bench(keys)
