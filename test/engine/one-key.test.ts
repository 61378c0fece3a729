/** A key whose content can't be looked at: that key's failure, unless its replica is away (I5). */
import { afterEach, beforeEach, expect, test } from 'vitest'
import { dropMemoryStores, memoryStore } from '../../connectors/memory-store.ts'
import { type StoreCode, StoreError } from '../../src/errors.ts'
import { createEngine, type Engine } from './engine.ts'

let engine: Engine

beforeEach(() => dropMemoryStores())
afterEach(() => engine.close())

/** Equal replicas whose listings show no digests: each key must be looked at. */
async function begin(stores: string[]): Promise<void> {
  for (const name of stores) {
    const store = memoryStore(name)
    store.traits = { listingDigests: [] }
    for (let i = 0; i < 3; i++) store.put(`key-000${i}`, Buffer.from(`content ${i}`))
  }
  engine = await createEngine(stores.map((store) => ({ type: 'memory', store, prefix: '' })))
}

/** Stats of `key` at `store` are refused so; gives what ends that. */
function refuseStats(store: string, code: StoreCode, key?: string) {
  const { faults } = memoryStore(store)
  faults.push(({ when, operation, key: asked, location: name }) => {
    if (when !== 'before' || operation !== 'stat' || (key && key !== asked)) return
    throw new StoreError(code, 'no', { location: name, operation, key: asked ?? '' })
  })
  return () => faults.splice(0)
}

test('I5: a key whose content cannot be looked at is listed as failed, and tried again', async () => {
  await begin(['a', 'b'])
  const answers = refuseStats('b', 'denied', 'key-0001')
  const run = await engine.run()
  expect(run).toMatchObject({ state: 'partial', counts: { failed: 1 } })
  const page = { run: run.run, states: ['failed' as const], after: -1, limit: 10 }
  const [failed] = await engine.catalog.readItems(page)
  expect(failed).toMatchObject({
    ...{ key: 'key-0001', outcomes: { b: { kind: 'failed', code: 'denied' } } },
  })
  answers()
  expect(await engine.run()).toMatchObject({ state: 'complete', counts: { puts: 0 } })
})

test('I5: a key that gets no answer while it is looked at is one key’s failure', async () => {
  await begin(['a', 'b'])
  memoryStore('a').put('new', Buffer.from('n'))
  const answers = refuseStats('b', 'unavailable', 'key-0001')
  const run = await engine.run()
  expect(run).toMatchObject({ state: 'partial', counts: { failed: 1, puts: 1 } })
  expect(await engine.catalog.runReplicas(run.run)).toMatchObject([
    { state: 'ok' },
    { state: 'ok' },
  ])
  answers()
  expect(await engine.run()).toMatchObject({ state: 'complete', counts: { failed: 0 } })
})

test('I5: a replica that lets nobody in any more is left out, and the others go on', async () => {
  await begin(['a', 'b', 'c'])
  memoryStore('a').put('new', Buffer.from('n'))
  refuseStats('b', 'unauthenticated')
  const run = await engine.run()
  expect(run).toMatchObject({ state: 'partial', counts: { failed: 0, puts: 1 } })
  const replicas = await engine.catalog.runReplicas(run.run)
  expect(replicas.map(({ problem }) => problem?.code)).toEqual([
    undefined,
    'unauthenticated',
    undefined,
  ])
  expect(memoryStore('c').get('new')?.bytes.toString()).toBe('n')
})
