/** Runs of selected keys: each looked at by itself, and nothing else touched. */
import { afterEach, beforeEach, expect, test } from 'vitest'
import { dropMemoryStores, memoryStore } from '../../connectors/memory-store.ts'
import type { LocationOptions } from '../../connectors/options.ts'
import type { DatasetConfig } from '../../src/config/index.ts'
import { type StoreCode, StoreError } from '../../src/errors.ts'
import type { Directive } from '../../src/model.ts'
import { ruleOf } from '../sync/deciding.ts'
import { createEngine, type Engine, type EngineOptions } from './engine.ts'

let engine: Engine

async function begin(
  stores: string[],
  dataset: Partial<DatasetConfig> = {},
  options: EngineOptions = {},
): Promise<void> {
  const places = stores.map((store): LocationOptions => ({ type: 'memory', store, prefix: '' }))
  engine = await createEngine(places, dataset, options)
}

const keyOf = (i: number) => `key-${String(i).padStart(3, '0')}`

function put(store: string, key: string, text: string): void {
  memoryStore(store).put(key, Buffer.from(text))
}

function fill(store: string, keys: number): void {
  for (let i = 0; i < keys; i++) put(store, keyOf(i), `content ${i}`)
}

const text = (store: string, key: string) => memoryStore(store).get(key)?.bytes.toString() ?? null

/** The decision of a conflict that there is none of: the key is looked at, and no more. */
const look: Directive = { do: 'resolve', conflict: 0, identity: '', take: { strategy: 'manual' } }

async function select(keys: string[]): Promise<number> {
  const id = await engine.catalog.createRequest('data', { kind: 'resolve' }, 'me@here', 1)
  await engine.catalog.addRequestKeys(
    id,
    keys.map((key) => ({ key, directive: look })),
  )
  await engine.catalog.endSelection(id)
  return id
}

/** What a store answers where this key (any) is looked at. */
function failAt(store: string, code: StoreCode, only?: string): void {
  memoryStore(store).faults.push(({ when, operation, key, location }) => {
    if (when !== 'before' || operation !== 'stat' || (only !== undefined && key !== only)) return
    throw new StoreError(code, 'as the test says', { location, operation })
  })
}

beforeEach(() => dropMemoryStores())
afterEach(() => engine.close())

test('only the selected keys are looked at, and nothing is listed', async () => {
  await begin(['a', 'b', 'c'])
  fill('a', 10)
  await engine.run()
  for (const i of [1, 2, 3]) put('b', keyOf(i), `edited ${i}`)
  memoryStore('a').remove(keyOf(5))
  put('c', 'new', 'n')
  for (const store of ['a', 'b', 'c']) {
    memoryStore(store).faults.push(({ when, location, operation }) => {
      if (when === 'page') throw new StoreError('denied', 'no listing', { location, operation })
    })
  }
  const run = await engine.run({ request: await select([keyOf(1), keyOf(5), keyOf(7), 'new']) })
  expect(run).toMatchObject({ state: 'complete', counts: { scanned: 4, puts: 4, deletes: 1 } })
  expect(run.request).not.toBeNull()
  expect(text('a', keyOf(1))).toBe('edited 1')
  expect(text('c', keyOf(1))).toBe('edited 1')
  expect(text('a', keyOf(2))).toBe('content 2')
  expect(text('b', keyOf(5))).toBeNull()
  expect(text('b', 'new')).toBe('n')
})

test('a selection of several pages and ranges is gone through whole', async () => {
  await begin(['a', 'b'], { batchSize: 5 }, { rangeKeys: 10 })
  fill('a', 60)
  const keys = Array.from({ length: 45 }, (_, i) => keyOf(i))
  const run = await engine.run({ request: await select(keys) })
  expect(run).toMatchObject({ state: 'complete', counts: { scanned: 45, puts: 45 } })
  expect(memoryStore('b').names()).toEqual(keys)
})

test('an empty selection is a run that does nothing', async () => {
  await begin(['a', 'b'])
  fill('a', 3)
  const run = await engine.run({ request: await select([]) })
  expect(run).toMatchObject({ state: 'complete', counts: { scanned: 0, puts: 0 } })
})

test('I3, I5: a key that cannot be looked at at one replica is that key’s failure there', async () => {
  await begin(['a', 'b', 'c'])
  fill('a', 3)
  await engine.run()
  for (const i of [0, 1]) put('a', keyOf(i), `edited ${i}`)
  failAt('b', 'denied', keyOf(0))
  const run = await engine.run({ request: await select([keyOf(0), keyOf(1)]) })
  expect(run).toMatchObject({ state: 'partial', counts: { puts: 3, failed: 1, deletes: 0 } })
  expect([text('b', keyOf(0)), text('c', keyOf(0))]).toEqual(['content 0', 'edited 0'])
  expect([text('b', keyOf(1)), text('c', keyOf(1))]).toEqual(['edited 1', 'edited 1'])
})

test('I3: a replica that refuses all is unknown in this run, and the others go on', async () => {
  await begin(['a', 'b', 'c'])
  fill('a', 3)
  await engine.run()
  put('a', keyOf(0), 'edited')
  failAt('b', 'unauthenticated')
  const run = await engine.run({ request: await select([keyOf(0), keyOf(1)]) })
  expect(run).toMatchObject({ state: 'partial', counts: { puts: 1, deletes: 0 } })
  const replicas = await engine.catalog.runReplicas(run.run)
  expect(replicas.find(({ replica }) => replica === 'b')).toMatchObject({
    state: 'unknown',
    problem: { code: 'unauthenticated' },
  })
  expect(text('c', keyOf(0))).toBe('edited')
})

test('what a person asked for is not weighed against the delete limit, nor counted in it', async () => {
  await begin(['a', 'b'])
  fill('a', 40)
  await engine.run()
  for (let i = 0; i < 30; i++) memoryStore('a').remove(keyOf(i))
  const keys = Array.from({ length: 25 }, (_, i) => keyOf(i))
  const run = await engine.run({ request: await select(keys) })
  expect(run).toMatchObject({ state: 'complete', counts: { deletes: 25, held: 0 } })
  expect(await engine.run()).toMatchObject({ state: 'complete', counts: { deletes: 5 } })
})

test('a conflict outside the selection stays open, and is not this run’s', async () => {
  await begin(['a', 'b'], { rules: ruleOf({ name: 'manual' }) })
  put('a', 'left', '1')
  put('b', 'left', '2')
  put('a', 'right', '1')
  expect((await engine.run()).state).toBe('conflicts')
  put('a', 'right', '2')
  const run = await engine.run({ request: await select(['right']) })
  expect(run).toMatchObject({ state: 'complete', counts: { puts: 1, conflicts: 0 } })
  expect(await engine.catalog.countOpenConflicts('data')).toBe(1)
})

test('it goes on beside the dataset’s run, and is no complete scan', async () => {
  await begin(['a', 'b'])
  fill('a', 3)
  await engine.run()
  const scan = await engine.catalog.lastCompleteScan('data')
  put('a', keyOf(0), 'edited 0')
  put('a', keyOf(1), 'edited 1')
  const request = await select([keyOf(0)])
  let beside: number | null = null
  const run = await engine.run({
    beforeDeletes: async () => {
      put('a', keyOf(2), 'edited 2')
      beside = (await engine.run({ request: await select([keyOf(2)]) })).run
    },
  })
  expect(run).toMatchObject({ state: 'complete', counts: { puts: 2 } })
  expect(text('b', keyOf(2))).toBe('edited 2')
  expect((await engine.catalog.getRun(beside ?? 0))?.state).toBe('complete')
  expect(await engine.catalog.lastCompleteScan('data')).toBe(run.startedAt)
  expect((await engine.run({ request })).counts).toMatchObject({ puts: 0, planned: 0 })
  expect(await engine.catalog.lastCompleteScan('data')).toBe(run.startedAt)
  expect(scan).toBeLessThanOrEqual(run.startedAt)
})

test('a request of another dataset, or of nobody, is refused', async () => {
  await begin(['a', 'b'])
  const other = await engine.catalog.createRequest('other', { kind: 'resolve' }, 'me', 1)
  for (const request of [other, 99]) {
    expect(await engine.run({ request })).toMatchObject({
      state: 'failed',
      problem: { code: 'request-unknown' },
    })
  }
})
