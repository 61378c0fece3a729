/** The workflows on a real server with a real worker: what a person sees of a run, and does to it.
 * */
import { mkdirSync, mkdtempSync, readdirSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Context } from '@temporalio/activity'
import { WorkflowFailedError } from '@temporalio/client'
import { afterAll, afterEach, beforeAll, beforeEach, expect, onTestFinished, test } from 'vitest'
import { dropMemoryStores, memoryStore } from '../../connectors/memory-store.ts'
import type { LocationOptions } from '../../connectors/options.ts'
import type { Catalog } from '../../src/catalog/catalog.ts'
import type { DatasetConfig } from '../../src/config/index.ts'
import { EXIT, UserError } from '../../src/errors.ts'
import { searchAttributes } from '../../workflows/messages.ts'
import { noise } from '../conformance/world.ts'
import { gateAt, openGates, writing } from './gates.ts'
import { startWorld, type Temporal, until, type World, type WorldOptions } from './temporal.ts'

let temporal: Temporal
let world: World

beforeAll(async () => {
  temporal = await startWorld()
})
afterAll(() => temporal.stop())
beforeEach(() => dropMemoryStores())
afterEach(async () => {
  openGates()
  await world.close()
})

const memory = (store: string): LocationOptions => ({ type: 'memory', store, prefix: '' })

async function begin(dataset: Partial<DatasetConfig> = {}, options: WorldOptions = {}) {
  world = await temporal.world([memory('a'), memory('b')], dataset, options)
}

const keyOf = (i: number) => `key-${String(i).padStart(3, '0')}`

function fill(keys: number): void {
  for (let i = 0; i < keys; i++) memoryStore('a').put(keyOf(i), Buffer.from(`content ${i}`))
}

const names = (store: string) => [...memoryStore(store).names()]

/** Some of its methods instead of the catalog's own. */
const withCatalog = (change: (catalog: Catalog) => Partial<Catalog>): WorldOptions => ({
  deps: ({ catalog }) => ({ catalog: { ...catalog, ...change(catalog) } }),
})

async function detailsOf(handle: { query<T>(name: string): Promise<T> }): Promise<string> {
  const metadata = await handle.query<{ currentDetails: string }>('__temporal_workflow_metadata')
  return metadata.currentDetails
}

// ── what is seen ────────────────────────────────────────────────────────────────────────────────

test('a run shows its progress, its details, and the attributes it is found by', async () => {
  await begin({ batchSize: 10 }, { rangeKeys: 10 })
  fill(25)
  const gate = gateAt('b', writing(keyOf(3)))
  const started = await world.start()
  await gate.reached
  // Two ranges end; the third is held by the gate, so that nothing moves any more.
  await until(async () => {
    const { rangesKnown, rangesDone } = await started.progress()
    return rangesKnown === 3 && rangesDone === 2
  })
  const now = await started.progress()
  expect(now).toMatchObject({ phase: 'ranges', paused: false, rangesKnown: 3 })
  expect(await detailsOf(started.handle)).toBe(
    `Run ${now.run} of ${world.dataset}: ranges, ${now.rangesDone} of 3 ranges`,
  )
  const { typedSearchAttributes: found } = await started.handle.describe()
  expect(found.get(searchAttributes.dataset)).toBe(world.dataset)
  expect(found.get(searchAttributes.mode)).toBe('sync')
  expect(found.get(searchAttributes.trigger)).toBe('manual')
  expect(found.get(searchAttributes.state)).toBe('running')
  gate.open()
  const run = await started.ended()
  expect(run).toMatchObject({ state: 'complete', counts: { puts: 25, scanned: 25 } })
  expect(await started.progress()).toMatchObject({ phase: 'ended', rangesDone: 3, rangesKnown: 3 })
  expect(await detailsOf(started.handle)).toBe(`Run ${run.run} of ${world.dataset}: complete`)
  const query = `TidemarkDataset = '${world.dataset}' AND TidemarkState = 'complete'`
  await until(async () => (await temporal.client.workflow.count(query)).count === 1)
})

test('a run whose config is not stored fails with the words that say why', async () => {
  await begin()
  const started = await world.start({ configDigest: 'none' })
  const failure = await started.ended().catch((error: unknown) => error)
  expect(failure).toBeInstanceOf(WorkflowFailedError)
  expect(String(((failure as Error).cause as Error).cause)).toContain(
    'The catalog has no config none',
  )
  const { typedSearchAttributes: found } = await started.handle.describe()
  expect(found.get(searchAttributes.state)).toBe('failed')
})

test('a run goes by the config that it was started with, whatever is stored since', async () => {
  await begin()
  fill(3)
  const { digest } = world.engine.config
  await world.engine.configure({ exclude: [keyOf(1)] })
  const run = await world.run({ configDigest: digest })
  expect(run).toMatchObject({ configDigest: digest, counts: { puts: 3 } })
  memoryStore('a').put(keyOf(1), Buffer.from('edited'))
  expect(await world.run()).toMatchObject({ counts: { puts: 0 } })
})

// ── what is done to it ──────────────────────────────────────────────────────────────────────────

test('pause holds a run, resume lets it go on, and nothing is written twice (I6)', async () => {
  await begin({ batchSize: 5 }, { rangeKeys: 10 })
  fill(40)
  const gate = gateAt('b', writing(keyOf(12)))
  const started = await world.start()
  await gate.reached
  await started.handle.signal('pause')
  await until(async () => (await detailsOf(started.handle)).includes('paused'))
  gate.open()
  const ids = [0, 1, 2, 3].map((range) => `sync/${world.dataset}/1/r${range}`)
  await until(async () => {
    const handles = [`sync/${world.dataset}`, ...ids].map((id) =>
      temporal.client.workflow.getHandle(id),
    )
    // Ranges that weren't cut yet don't exist.
    const open = await Promise.all(
      handles.map((handle) => handle.describe().catch(() => ({ raw: { pendingActivities: [] } }))),
    )
    return open.every(({ raw }) => raw.pendingActivities?.length === 0)
  })
  const held = names('b').length
  expect(held).toBeLessThan(40)
  await new Promise((wake) => setTimeout(wake, 500))
  expect(names('b')).toHaveLength(held)
  expect(await started.progress()).toMatchObject({ paused: true })
  await started.handle.signal('resume')
  expect(await started.ended()).toMatchObject({ state: 'complete' })
  expect(names('b')).toEqual(names('a'))
  expect([...memoryStore('b').writes.values()].filter((times) => times > 1)).toEqual([])
})

test('a run that is paused at its very end stays open until it is resumed', async () => {
  const weighing = Promise.withResolvers<void>()
  const told = Promise.withResolvers<void>()
  await begin(
    {},
    withCatalog(({ readItems }) => ({
      async readItems(filter) {
        // What is left, of all ranges.
        if (filter.limit === 1 && filter.rangeNumber === undefined) {
          weighing.resolve()
          await told.promise
        }
        return await readItems(filter)
      },
    })),
  )
  fill(3)
  const started = await world.start()
  await weighing.promise
  expect(names('b')).toEqual(names('a'))
  await started.handle.signal('pause')
  told.resolve()
  await until(async () => {
    const { raw } = await started.handle.describe()
    return raw.pendingActivities?.length === 0 && !raw.pendingWorkflowTask
  })
  expect(await started.progress()).toMatchObject({ paused: true, phase: 'deletes' })
  expect((await started.handle.describe()).status.name).toBe('RUNNING')
  await started.handle.signal('resume')
  expect(await started.ended()).toMatchObject({ state: 'complete' })
})

test('cancel reaches the bytes: a large object in mid-body is given up, and nothing is left', async () => {
  const limits = { deletes: [], bandwidthBytesPerSecond: 64 * 1024, concurrency: null }
  await begin({ limits }, { partBytes: 16 * 1024 })
  // Ten minutes at that speed: that this test ends is the promise.
  memoryStore('a').put('large', noise(38 * 1024 * 1024, 'large'))
  const started = await world.start()
  await until(() => memoryStore('b').partsSent > 3)
  await started.handle.cancel()
  const run = await started.ended()
  expect(run.state).toBe('cancelled')
  expect(names('b')).toEqual([])
  expect(memoryStore('b').uploads.size).toBe(0)
  expect(await world.engine.catalog.getUpload('b', 'large')).toBeNull()
  expect((await started.handle.describe()).typedSearchAttributes.get(searchAttributes.state)).toBe(
    'cancelled',
  )
})

test('cancel leaves no temporary file in a folder', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'tidemark-cancel-'))
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }))
  mkdirSync(join(folder, 'b'))
  const limits = { deletes: [], bandwidthBytesPerSecond: 64 * 1024, concurrency: null }
  const target: LocationOptions = { type: 'file', path: join(folder, 'b') }
  world = await temporal.world([memory('a'), target], { limits }, { partBytes: 16 * 1024 })
  memoryStore('a').put('large', noise(38 * 1024 * 1024, 'large'))
  const started = await world.start()
  const temporary = () => readdirSync(join(folder, 'b'), { recursive: true, withFileTypes: true })
  const files = () => temporary().flatMap((one) => (one.isFile() ? [one.name] : []))
  await until(() => files().length > 1)
  await started.handle.cancel()
  expect((await started.ended()).state).toBe('cancelled')
  expect(files()).toEqual(['id'])
})

test('a run that is cancelled while it prepares is ended in the catalog, too', async () => {
  await begin()
  memoryStore('a').faults.push(async ({ operation, when }) => {
    if (operation === 'identity' && when === 'before') {
      await Context.current().cancelled.catch(() => undefined)
    }
  })
  const started = await world.start()
  const { catalog } = world.engine
  await until(async () => (await catalog.listRuns({ limit: 1 })).length === 1)
  await started.handle.cancel()
  expect(await started.ended()).toMatchObject({ state: 'cancelled' })
})

test('a plan is made without a write, and apply carries it out', async () => {
  await begin()
  fill(5)
  const plan = await world.run({ mode: 'plan' })
  expect(plan).toMatchObject({ state: 'planned', counts: { planned: 5, puts: 0 } })
  expect(names('b')).toEqual([])
  const applied = await world.run({ mode: 'apply', base: plan.run })
  expect(applied).toMatchObject({ state: 'complete', counts: { puts: 5 } })
  expect(names('b')).toEqual(names('a'))
})

// ── what goes wrong ─────────────────────────────────────────────────────────────────────────────

test('I3: a range that fails cancels the run’s deletes, and the other ranges go on', async () => {
  let broken = false
  const full = new UserError('catalog-full', 'no space', { exit: EXIT.failed })
  const options = withCatalog((catalog) => ({
    async commitScan(page) {
      if (broken && page.number === 1) throw full
      return await catalog.commitScan(page)
    },
  }))
  await begin({}, { ...options, rangeKeys: 10 })
  fill(30)
  expect((await world.run()).state).toBe('complete')
  broken = true
  memoryStore('a').remove(keyOf(2))
  memoryStore('a').put(keyOf(25), Buffer.from('edited'))
  const run = await world.run()
  expect(run).toMatchObject({
    ...{ state: 'partial', problem: { code: 'ranges-failed' } },
    counts: { deletes: 0, cancelled: 1, puts: 1 },
  })
  expect(names('b')).toContain(keyOf(2))
  broken = false
  expect(await world.run()).toMatchObject({ state: 'complete', counts: { deletes: 1 } })
})

test('a catalog that is away for a while is waited for', async () => {
  const away = { getLocation: 2, readItems: 2 }
  const answer = (method: keyof typeof away) => {
    if (away[method]-- <= 0) return
    throw new UserError('catalog-unreachable', 'away', { exit: EXIT.unreachable })
  }
  const options = withCatalog((catalog) => ({
    async getLocation(name) {
      answer('getLocation')
      return await catalog.getLocation(name)
    },
    async readItems(filter) {
      answer('readItems')
      return await catalog.readItems(filter)
    },
  }))
  await begin({}, options)
  fill(3)
  expect(await world.run()).toMatchObject({ state: 'complete', counts: { puts: 3 } })
  expect(Math.max(...Object.values(away))).toBeLessThan(0)
})

test('a page whose answer was lost is scanned no second time, and all of it is applied', async () => {
  let lost = 0
  const options = withCatalog((catalog) => ({
    async commitScan(page) {
      const committed = await catalog.commitScan(page)
      const unreachable = { exit: EXIT.unreachable }
      if (lost++ % 2 === 0) throw new UserError('catalog-unreachable', 'cut', unreachable)
      return committed
    },
  }))
  await begin({ batchSize: 5 }, { ...options, rangeKeys: 10 })
  fill(40)
  const run = await world.run()
  expect(run).toMatchObject({ state: 'complete', counts: { scanned: 40, puts: 40, stale: 0 } })
  expect(names('b')).toEqual(names('a'))
})

test('I10: what nobody expected crosses Temporal without its words', async () => {
  let thrown = false
  const options = withCatalog((catalog) => ({
    async readItems(filter) {
      if (thrown) return await catalog.readItems(filter)
      thrown = true
      throw new TypeError('cannot read /home/me/secret-key')
    },
  }))
  await begin({}, options)
  fill(1)
  const started = await world.start()
  expect((await started.ended()).state).toBe('complete')
  const handles = ['', '/1/r0'].map((end) => `sync/${world.dataset}${end}`)
  for (const id of handles) {
    const history = await temporal.client.workflow.getHandle(id).fetchHistory()
    expect(JSON.stringify(history)).not.toContain('secret-key')
  }
})

// ── schedules ───────────────────────────────────────────────────────────────────────────────────

async function schedule(workflowId: string): Promise<unknown> {
  return await temporal.client.workflow.execute('scheduledSync', {
    taskQueue: world.queue,
    workflowId,
    args: [world.input({ trigger: 'schedule' })],
  })
}

test('a scheduled run is the dataset’s run; where one is under way, a skip is recorded', async () => {
  await begin()
  fill(3)
  const gate = gateAt('b', writing(keyOf(1)))
  const started = await world.start()
  await gate.reached
  expect(await schedule('scheduled/1')).toBeNull()
  const { catalog } = world.engine
  const [skipped, under] = await catalog.listRuns({ dataset: world.dataset, limit: 2 })
  expect(skipped).toMatchObject({
    ...{ state: 'cancelled', trigger: 'schedule', problem: { code: 'skipped-overlap' } },
    counts: { scanned: 0 },
  })
  expect(skipped?.endedAt).not.toBeNull()
  expect(under).toMatchObject({ state: 'running' })
  gate.open()
  expect((await started.ended()).state).toBe('complete')
  const result = await schedule('scheduled/2')
  expect(result).toMatchObject({ state: 'complete' })
  const { run } = result as { run: number }
  expect(await catalog.getRun(run)).toMatchObject({
    ...{ trigger: 'schedule', workflowId: `sync/${world.dataset}` },
  })
  const handle = temporal.client.workflow.getHandle(`sync/${world.dataset}`)
  const { typedSearchAttributes: found } = await handle.describe()
  expect(found.get(searchAttributes.trigger)).toBe('schedule')
  expect(found.get(searchAttributes.state)).toBe('complete')
})
