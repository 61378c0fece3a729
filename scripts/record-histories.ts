/**
 * Records what real runs leave in Temporal, for `test/workflows/replay.test.ts`:
 *
 *     node scripts/record-histories.ts            into test/fixtures/histories/<version>/
 *
 * Run it when a release is made, never over the histories of one that is out: runs that it began
 * are still open somewhere, and must be gone on with by the code of today. A change of a workflow
 * that breaks them needs `patched` (https://docs.temporal.io/develop/typescript/versioning). Before
 * the release, changes that break replay just record anew.
 */
import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { historyToJSON } from '@temporalio/common/lib/proto-utils.js'
import { dropMemoryStores, memoryStore } from '../connectors/memory-store.ts'
import type { LocationOptions } from '../connectors/options.ts'
import type { DatasetConfig } from '../src/config/index.ts'
import { EXIT, UserError } from '../src/errors.ts'
import { packageRoot } from '../src/package-root.ts'
import { gateAt, writing } from '../test/workflows/gates.ts'
import {
  type Started,
  startWorld,
  type Temporal,
  until,
  type World,
  type WorldOptions,
} from '../test/workflows/temporal.ts'

const { version } = JSON.parse(readFileSync(join(packageRoot, 'package.json'), 'utf8')) as {
  version: string
}
const folder = join(packageRoot, 'test', 'fixtures', 'histories', version)

// What must never be in a history (I10); the test looks for these words.
const keyOf = (i: number) => `confidential/key-${String(i).padStart(3, '0')}`
const contentOf = (i: number) => Buffer.from(`classified ${i}`)

const memory = (store: string): LocationOptions => ({ type: 'memory', store, prefix: '' })

/** A run that is recorded under its dataset's name. */
interface Scenario {
  name: string
  dataset?: Partial<DatasetConfig>
  options?: WorldOptions
  play(world: World, temporal: Temporal): Promise<void>
}

function fill(keys: number): void {
  for (let i = 0; i < keys; i++) memoryStore('a').put(keyOf(i), contentOf(i))
}

async function complete(started: Started): Promise<number> {
  return (await started.ended()).run
}

const small = { dataset: { batchSize: 5 }, options: { rangeKeys: 10 } }

const scenarios: Scenario[] = [
  {
    name: 'cut-ranges',
    ...small,
    async play(world) {
      fill(35)
      await complete(await world.start())
    },
  },
  {
    name: 'known-ranges',
    ...small,
    async play(world) {
      fill(35)
      await complete(await world.start())
      memoryStore('a').put(keyOf(3), contentOf(100))
      memoryStore('a').remove(keyOf(20))
      await complete(await world.start())
    },
  },
  {
    name: 'unchanged',
    async play(world) {
      fill(5)
      await complete(await world.start())
      await complete(await world.start())
    },
  },
  {
    name: 'selected',
    async play(world) {
      fill(5)
      await complete(await world.start())
      memoryStore('a').put(keyOf(3), contentOf(100))
      const { catalog } = world.engine
      const request = await catalog.createRequest(world.dataset, { kind: 'resolve' }, 'me@here', 1)
      const take = { strategy: 'manual' }
      const directive = { do: 'resolve', conflict: 0, identity: '', take } as const
      await catalog.addRequestKeys(request, [{ key: keyOf(3), directive }])
      await catalog.endSelection(request)
      await complete(await world.start({ request }))
    },
  },
  {
    name: 'conflicts',
    dataset: {
      rules: [{ name: 'test', match: [], when: null, strategy: { name: 'manual' }, later: null }],
    },
    async play(world) {
      memoryStore('a').put(keyOf(1), contentOf(1))
      memoryStore('b').put(keyOf(1), contentOf(2))
      await complete(await world.start())
    },
  },
  {
    name: 'paused',
    ...small,
    async play(world) {
      fill(25)
      const gate = gateAt('b', writing(keyOf(7)))
      const started = await world.start()
      await gate.reached
      await started.handle.signal('pause')
      await until(async () => (await started.progress()).paused)
      gate.open()
      await started.handle.signal('resume')
      await complete(started)
    },
  },
  {
    name: 'cancelled',
    dataset: { limits: { deletes: [], bandwidthBytesPerSecond: 65_536, concurrency: null } },
    options: { partBytes: 16_384 },
    async play(world) {
      memoryStore('a').put(keyOf(1), Buffer.alloc(16 * 1024 * 1024, 'classified '))
      const started = await world.start()
      await until(() => memoryStore('b').partsSent > 1)
      await started.handle.cancel()
      await complete(started)
    },
  },
  {
    name: 'planned',
    async play(world) {
      fill(5)
      const base = await complete(await world.start({ mode: 'plan' }))
      await complete(await world.start({ mode: 'apply', base }))
    },
  },
  {
    name: 'held',
    async play(world) {
      fill(40)
      await complete(await world.start())
      for (let i = 0; i < 30; i++) memoryStore('a').remove(keyOf(i))
      const base = await complete(await world.start())
      await complete(await world.start({ mode: 'approve', base }))
    },
  },
  {
    name: 'failed-range',
    ...small,
    options: {
      rangeKeys: 10,
      deps: ({ catalog }) => ({
        catalog: {
          ...catalog,
          async commitScan(page) {
            const full = new UserError('catalog-full', 'no space', { exit: EXIT.failed })
            if (page.number === 1) throw full
            return await catalog.commitScan(page)
          },
        },
      }),
    },
    async play(world) {
      fill(35)
      await complete(await world.start())
    },
  },
  {
    name: 'refused',
    async play(world) {
      memoryStore('a').missing = true
      memoryStore('b').missing = true
      await complete(await world.start())
    },
  },
  {
    name: 'scheduled',
    async play(world, temporal) {
      fill(3)
      const scheduled = async (workflowId: string) =>
        await temporal.client.workflow.execute('scheduledSync', {
          ...{ taskQueue: world.queue, workflowId: `scheduled/${world.dataset}-${workflowId}` },
          args: [world.input({ trigger: 'schedule' })],
        })
      await scheduled('ran')
      memoryStore('a').put(keyOf(1), contentOf(100))
      const gate = gateAt('b', writing(keyOf(1)))
      const started = await world.start()
      await gate.reached
      await scheduled('skipped')
      gate.open()
      await complete(started)
    },
  },
]

/** Where the server wants short histories: of the run, and of each range. */
const long: Scenario = {
  name: 'continued',
  dataset: { batchSize: 3 },
  options: { rangeKeys: 20 },
  async play(world) {
    fill(120)
    await complete(await world.start())
  },
}

// ── recording ───────────────────────────────────────────────────────────────────────────────────

async function record(given: string[], scenarios: Scenario[]): Promise<void> {
  const temporal = await startWorld(given)
  try {
    for (const { name, dataset, options, play } of scenarios) {
      dropMemoryStores()
      const locations = [memory('a'), memory('b')]
      const world = await temporal.world(locations, { ...dataset, name }, options)
      await play(world, temporal)
      await world.close()
      const saved = await save(temporal, name)
      process.stdout.write(`${name}: ${saved} histories\n`)
    }
  } finally {
    await temporal.stop()
  }
}

/** All executions of the scenario, in the order in which they began. */
async function save(temporal: Temporal, name: string): Promise<number> {
  const { workflow } = temporal.client
  const query = `WorkflowType IN ('syncDataset', 'syncRange', 'scheduledSync')`
  const found: { id: string; runId: string; at: Date }[] = []
  // The list lags behind: until nothing runs any more, and as many are there as a moment before.
  for (let before = -1; before !== found.length; ) {
    before = found.length
    await new Promise((wake) => setTimeout(wake, 1_500))
    found.length = 0
    for await (const { workflowId: id, runId, startTime: at } of workflow.list({ query })) {
      if (id.split('/')[1]?.startsWith(name)) found.push({ id, runId, at })
    }
  }
  found.sort((x, y) => x.at.getTime() - y.at.getTime())
  for (const [i, { id, runId }] of found.entries()) {
    const history = await workflow.getHandle(id, runId).fetchHistory()
    const number = String(i).padStart(2, '0')
    const file = join(folder, `${name}.${number}.${id.replaceAll('/', '-')}.json`)
    writeFileSync(file, `${JSON.stringify({ workflowId: id, history: plain(history) })}\n`)
  }
  return found.length
}

/** Without what says where it was recorded: no replay reads it. */
function plain(history: Parameters<typeof historyToJSON>[0]): unknown {
  return JSON.parse(historyToJSON(history), (name, value: unknown) => {
    if (name === 'identity') return 'recorded'
    return name === 'stackTrace' ? '' : value
  })
}

rmSync(folder, { recursive: true, force: true })
mkdirSync(folder, { recursive: true })
await record([], scenarios)
await record(['limit.historyCount.suggestContinueAsNew=40'], [long])
// Temporal's native runtime keeps the process alive.
process.exit(0)
