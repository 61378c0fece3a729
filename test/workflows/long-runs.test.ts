/** Runs that are longer than a history may be: they continue as new, and nothing is lost by it. */
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from 'vitest'
import { dropMemoryStores, memoryStore } from '../../connectors/memory-store.ts'
import type { LocationOptions } from '../../connectors/options.ts'
import type { DatasetConfig } from '../../src/config/index.ts'
import { EXIT, UserError } from '../../src/errors.ts'
import { searchAttributes } from '../../workflows/messages.ts'
import { gateAt, openGates, writing } from './gates.ts'
import {
  type Started,
  startWorld,
  type Temporal,
  until,
  type World,
  type WorldOptions,
} from './temporal.ts'

let temporal: Temporal
let world: World

beforeAll(async () => {
  // The server itself asks for a new execution, as it does at 4,096 events by default.
  temporal = await startWorld(['limit.historyCount.suggestContinueAsNew=40'])
})
afterAll(() => temporal.stop())
beforeEach(() => dropMemoryStores())
afterEach(async () => {
  openGates()
  await world.close()
})

const memory = (store: string): LocationOptions => ({ type: 'memory', store, prefix: '' })

async function begin(dataset: Partial<DatasetConfig> = {}, options: WorldOptions = {}) {
  const small = { rangeKeys: 10, ...options }
  world = await temporal.world([memory('a'), memory('b')], { batchSize: 4, ...dataset }, small)
}

const keyOf = (i: number) => `key-${String(i).padStart(3, '0')}`

function fill(keys: number): void {
  for (let i = 0; i < keys; i++) memoryStore('a').put(keyOf(i), Buffer.from(`content ${i}`))
}

const names = (store: string) => [...memoryStore(store).names()]

/** Executions that the run's workflow has been continued as, its first one included. */
async function executions({ handle }: Started): Promise<number> {
  const ids = new Set<string>()
  for (let runId = handle.workflowId && firstOf(handle); runId && !ids.has(runId); ) {
    ids.add(runId)
    const { events } = await temporal.client.workflow
      .getHandle(handle.workflowId, runId)
      .fetchHistory()
    const last = events?.at(-1)?.workflowExecutionContinuedAsNewEventAttributes
    runId = last?.newExecutionRunId ?? ''
  }
  return ids.size
}

const firstOf = (handle: Started['handle']) =>
  (handle as Started['handle'] & { firstExecutionRunId: string }).firstExecutionRunId

test('many ranges over several executions: each key once, every count kept', async () => {
  await begin()
  fill(120)
  const started = await world.start()
  const run = await started.ended()
  expect(run).toMatchObject({
    state: 'complete',
    counts: { scanned: 120, puts: 120, stale: 0, failed: 0 },
  })
  expect(names('b')).toEqual(names('a'))
  expect([...memoryStore('b').writes.values()].filter((times) => times > 1)).toEqual([])
  expect(await executions(started)).toBeGreaterThan(1)
  const { run: number, rangesDone, rangesKnown } = await started.progress()
  expect([number, rangesDone]).toEqual([run.run, rangesKnown])
  const { typedSearchAttributes: found } = await started.handle.describe()
  expect(found.get(searchAttributes.dataset)).toBe(world.dataset)
  expect(found.get(searchAttributes.state)).toBe('complete')

  // By the baseline's bounds, with deletes that wait for the last execution.
  for (const i of [3, 55, 118]) memoryStore('a').remove(keyOf(i))
  memoryStore('a').put(keyOf(70), Buffer.from('edited'))
  const again = await world.start()
  expect(await again.ended()).toMatchObject({
    state: 'complete',
    counts: { scanned: 120, puts: 1, deletes: 3 },
  })
  expect(await executions(again)).toBeGreaterThan(1)
  expect(names('b')).toEqual(names('a'))
})

test('I3: a range that failed in the first execution still cancels the deletes of the last', async () => {
  let broken = false
  await begin(
    {},
    {
      deps: ({ catalog }) => ({
        catalog: {
          ...catalog,
          async commitScan(page) {
            if (broken && page.number === 0) {
              throw new UserError('catalog-full', 'no space', { exit: EXIT.failed })
            }
            return await catalog.commitScan(page)
          },
        },
      }),
    },
  )
  fill(120)
  expect((await world.run()).state).toBe('complete')
  broken = true
  memoryStore('a').remove(keyOf(118))
  const started = await world.start()
  expect(await started.ended()).toMatchObject({
    state: 'partial',
    counts: { deletes: 0, cancelled: 1 },
  })
  expect(await executions(started)).toBeGreaterThan(1)
  expect(names('b')).toContain(keyOf(118))
})

test('a run that is paused again and again goes on where it was', async () => {
  await begin()
  fill(120)
  const gate = gateAt('b', writing(keyOf(60)))
  const started = await world.start()
  await gate.reached
  await started.handle.signal('pause')
  await until(async () => (await started.progress()).paused)
  gate.open()
  await started.handle.signal('resume')
  await started.handle.signal('pause')
  await until(async () => (await started.progress()).paused)
  await started.handle.signal('resume')
  const run = await started.ended()
  expect(run).toMatchObject({ state: 'complete', counts: { scanned: 120, failed: 0 } })
  expect(names('b')).toEqual(names('a'))
  expect([...memoryStore('b').writes.values()].filter((times) => times > 1)).toEqual([])
})
