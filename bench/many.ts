/**
 * `npm run bench -- many [KEYS]`: KEYS (100,000) keys that two replicas made differently: opened as
 * conflicts in one run, listed, resolved at once; then the vault of their losers is checked and
 * collected. Stores in memory, which is part of what is told; the catalog in a file.
 */
import { openConnector } from '../connectors/index.ts'
import { memoryStore } from '../connectors/memory-store.ts'
import type { LocationOptions } from '../connectors/options.ts'
import { checkVault } from '../src/vault/check.ts'
import { collectVault } from '../src/vault/collect.ts'
import { createEngine } from '../test/engine/engine.ts'
import { ruleOf } from '../test/sync/deciding.ts'

const keys = Number(process.argv[2] ?? 100_000)
const day = 24 * 3_600_000
const { signal } = new AbortController()
const location = (store: string): LocationOptions => ({ type: 'memory', store, prefix: '' })
let now = Date.now()
const clock = () => now

const engine = await createEngine(
  ['one', 'two'].map(location),
  { rules: ruleOf({ name: 'manual' }) },
  { clock },
)
await engine.moveVault(location('vault'))
for (let i = 0; i < keys; i++) {
  const key = `folder-${i % 100}/key-${i}`
  memoryStore('one').put(key, Buffer.from(`one's ${i}`))
  memoryStore('two').put(key, Buffer.from(`the other's ${i}`))
}

await measured('a run opens them', () => engine.run())
await measured('a run finds them open', () => engine.run())
await measured('they are listed', async () => {
  for (let before: number | undefined; ; ) {
    const page = await engine.catalog.findConflicts({
      ...{ dataset: 'data', states: ['open'], limit: 500 },
      ...(before === undefined ? {} : { before }),
    })
    before = page.at(-1)?.id
    if (page.length < 500) return
  }
})
await measured('a run resolves them', async () => {
  const request = await engine.catalog.createRequest('data', { kind: 'resolve' }, 'me@here', now)
  const range = { from: null, to: null }
  for (let after: string | null = null; ; ) {
    const page = await engine.catalog.openConflicts({ dataset: 'data', range, after, limit: 1_000 })
    const take = { strategy: 'largest' }
    await engine.catalog.addRequestKeys(
      request,
      page.map(({ id, key, identity }) => ({
        key,
        directive: { do: 'resolve', conflict: id, identity, take },
      })),
    )
    after = page.at(-1)?.key ?? null
    if (page.length < 1_000) break
  }
  await engine.catalog.endSelection(request)
  await engine.run({ request })
})
now += 2 * day
const context = { concurrency: 32, partBytes: 1 << 23, pageKeys: 1_000 }
const vault = await openConnector('vault', location('vault'), context)
const parts = { store: vault, catalog: engine.catalog, place: null, clock }
const places = { catalog: engine.catalog, names: [], open: async () => vault, clock }
const historyOf = () => ({ versions: null, keepMs: null, heads: false })
for (const deep of [false, true]) {
  await measured(`vault check${deep ? ' --deep' : ''}`, () =>
    checkVault(parts, { deep, historyOf, signal, places }),
  )
}
for (const keepMs of [null, day]) {
  await measured(`vault gc, ${keepMs === null ? 'nothing' : 'all of it'} goes`, () =>
    collectVault(parts, {
      retentionOf: () => ({ versions: 1, keepMs }),
      ...{ dryRun: false, by: 'me@here', signal },
    }),
  )
}
await engine.close()

async function measured(what: string, work: () => Promise<unknown>): Promise<void> {
  const start = performance.now()
  const { user, system } = process.cpuUsage()
  const result = await work()
  const seconds = (performance.now() - start) / 1000
  const cpu = process.cpuUsage()
  const cpuSeconds = (cpu.user + cpu.system - user - system) / 1e6
  const rss = Math.round(process.memoryUsage().rss / 2 ** 20)
  const told = result ? brief(result) : ''
  const memory = `${rss} MiB, ${Math.round(process.resourceUsage().maxRSS / 1024)} at most`
  const times = [seconds, cpuSeconds].map((one) => one.toFixed(1).padStart(7))
  console.log(`${what.padEnd(28)} ${times[0]} s ${times[1]} s CPU  ${memory}  ${told}`)
}

function brief(result: unknown): string {
  const { state, objects, bad } = result as { state?: string; objects?: number; bad?: unknown[] }
  return state ?? `${objects} objects${bad ? `, ${bad.length} bad` : ''}`
}
