/** A zombie beside its retry: two attempts of one step, of which the older must do no harm (I6). */
import { setTimeout as sleep } from 'node:timers/promises'
import { ApplicationFailure, CancelledFailure } from '@temporalio/common'
import { MockActivityEnvironment } from '@temporalio/testing'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { createActivities } from '../../activities/index.ts'
import type { Prepared } from '../../activities/prepare.ts'
import type { Deps } from '../../activities/run-context.ts'
import { dropMemoryStores, type FaultCall, memoryStore } from '../../connectors/memory-store.ts'
import type { LocationOptions } from '../../connectors/options.ts'
import { fenceCacheMs } from '../../src/limits.ts'
import type { SyncInput } from '../../workflows/messages.ts'
import { createEngine, type Engine } from '../engine/engine.ts'
import { gateAt } from './gates.ts'
import { until } from './temporal.ts'

let engine: Engine
let activities: ReturnType<typeof createActivities>

beforeEach(async () => {
  dropMemoryStores()
  const locations = ['a', 'b'].map(
    (store): LocationOptions => ({ type: 'memory', store, prefix: '' }),
  )
  engine = await createEngine(locations)
  activities = createActivities(engine.deps)
})
afterEach(() => engine.close())

const lane = 'range/0' as const

/** An attempt of an activity: the second one of the same step says so. */
const attempt = (number = 1) => new MockActivityEnvironment({ attempt: number })

/** A run whose first range has been scanned. */
async function scanned(keys: number): Promise<number> {
  for (let i = 0; i < keys; i++) memoryStore('a').put(`key-${i}`, Buffer.from(`content ${i}`))
  const run = await prepared()
  await attempt().run(activities.scan, { run, range: 0 })
  return run
}

async function prepared(): Promise<number> {
  const input: SyncInput = {
    ...{ dataset: 'data', mode: 'sync', trigger: 'manual', base: null, queue: '' },
    configDigest: engine.config.digest,
  }
  const { run } = await attempt().run<[SyncInput], Prepared, typeof activities.prepare>(
    activities.prepare,
    input,
  )
  return run
}

/** Of all calls that match, the first alone. */
function firstOf(matches: (call: FaultCall) => boolean): (call: FaultCall) => boolean {
  let seen = false
  return (call) => {
    if (seen || !matches(call)) return false
    seen = true
    return true
  }
}

const write =
  (moment: FaultCall['when']) =>
  ({ when, operation, key }: FaultCall) =>
    when === moment && operation === 'write' && key === 'key-1'

const states = async (run: number) => await engine.catalog.countItems(run)
const written = () => [...memoryStore('b').writes.values()]

async function failureOf(work: Promise<unknown>): Promise<unknown> {
  return await work.then(
    () => 'it went through',
    (error: unknown) => error,
  )
}

test('the older of two attempts no longer writes, nor commits', async () => {
  const run = await scanned(3)
  const gate = gateAt('b', firstOf(write('before')))
  const zombie = failureOf(attempt().run(activities.apply, { run, lane }))
  await gate.reached
  await attempt(2).run(activities.apply, { run, lane })
  expect(await states(run)).toEqual({ done: 3 })
  const before = await engine.catalog.getRun(run)
  gate.open()
  const failure = await zombie
  expect(failure).toBeInstanceOf(ApplicationFailure)
  expect(failure).toMatchObject({ type: 'superseded', nonRetryable: false })
  expect(written()).toEqual([1, 1, 1])
  expect(await engine.catalog.getRun(run)).toEqual(before)
})

test('what the older one wrote before its end is known by its content, and written no second time', async () => {
  const run = await scanned(3)
  // It has written, and hasn't heard of it yet.
  const gate = gateAt('b', firstOf(write('after')))
  const zombie = failureOf(attempt().run(activities.apply, { run, lane }))
  await gate.reached
  await attempt(2).run(activities.apply, { run, lane })
  gate.open()
  expect(await zombie).toMatchObject({ type: 'superseded' })
  expect(written()).toEqual([1, 1, 1])
  expect(await states(run)).toEqual({ done: 3 })
  expect(await engine.catalog.getRun(run)).toMatchObject({ counts: { stale: 0, failed: 0 } })
})

test('a zombie that had asked before the lane was taken commits nothing', async () => {
  const run = await scanned(3)
  const asked = Promise.withResolvers<void>()
  const taken = Promise.withResolvers<void>()
  const slow: Deps = {
    ...engine.deps,
    catalog: {
      ...engine.catalog,
      async settle(...given) {
        asked.resolve()
        await taken.promise
        return await engine.catalog.settle(...given)
      },
    },
  }
  const zombie = failureOf(attempt().run(createActivities(slow).apply, { run, lane }))
  await asked.promise
  await attempt(2).run(activities.apply, { run, lane })
  taken.resolve()
  expect(await zombie).toMatchObject({ type: 'superseded' })
  expect(await states(run)).toEqual({ done: 3 })
  expect(written()).toEqual([1, 1, 1])
})

test('a page that two attempts have scanned is committed once', async () => {
  for (let i = 0; i < 3; i++) memoryStore('a').put(`key-${i}`, Buffer.from(`content ${i}`))
  const run = await prepared()
  const gate = gateAt(
    'b',
    firstOf(({ when, operation }) => when === 'page' && operation === 'list'),
  )
  const zombie = failureOf(attempt().run(activities.scan, { run, range: 0 }))
  await gate.reached
  await attempt(2).run(activities.scan, { run, range: 0 })
  gate.open()
  expect(await zombie).toMatchObject({ type: 'superseded' })
  expect(await states(run)).toEqual({ pending: 3 })
  expect(await engine.catalog.getRun(run)).toMatchObject({ counts: { scanned: 3, planned: 3 } })
})

test('a prepare that is repeated finds the run and the ranges that it made', async () => {
  const first = await prepared()
  expect(await prepared()).toBe(first)
  expect(await engine.catalog.getRange(first, 1)).toBeNull()
})

test('an attempt of an ended run writes nothing any more', async () => {
  const run = await scanned(3)
  const gate = gateAt('b', firstOf(write('before')))
  const zombie = failureOf(attempt().run(activities.apply, { run, lane }))
  await gate.reached
  await engine.catalog.updateRun(run, { state: 'abandoned', endedAt: 1 })
  // Until then it may go on by what it has asked before: the window that remains.
  await sleep(fenceCacheMs)
  gate.open()
  expect(await zombie).toMatchObject({ type: 'superseded' })
  expect(memoryStore('b').names()).not.toContain('key-1')
})

test('the first heartbeat goes out before anything is waited for', async () => {
  const run = await scanned(1)
  const claimed = Promise.withResolvers<void>()
  const deps: Deps = {
    ...engine.deps,
    catalog: {
      ...engine.catalog,
      async claim(...given) {
        await claimed.promise
        return await engine.catalog.claim(...given)
      },
    },
  }
  const environment = attempt()
  let beats = 0
  environment.on('heartbeat', () => beats++)
  const work = environment.run(createActivities(deps).apply, { run, lane })
  await until(() => beats > 0)
  claimed.resolve()
  await work
})

test('an attempt that is cancelled ends as cancelled, with what it did committed', async () => {
  const run = await scanned(3)
  const gate = gateAt('b', firstOf(write('before')))
  const environment = attempt()
  const work = failureOf(environment.run(activities.apply, { run, lane }))
  await gate.reached
  await until(() => memoryStore('b').names().length === 2)
  environment.cancel()
  gate.open()
  expect(await work).toBeInstanceOf(CancelledFailure)
  expect(await states(run)).toEqual({ done: 2, pending: 1 })
  expect(memoryStore('b').names()).not.toContain('key-1')
})
