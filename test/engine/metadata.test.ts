/** Metadata where some replicas can't carry any: all that can have the same in the end. */
import { afterEach, beforeEach, expect, test } from 'vitest'
import { dropMemoryStores, memoryStore } from '../../connectors/memory-store.ts'
import { StoreError } from '../../src/errors.ts'
import { createEngine, type Engine } from './engine.ts'

const buckets = ['x', 'y', 'z']
let engine: Engine

beforeEach(async () => {
  dropMemoryStores()
  // As a folder does, and a bucket whose listing tells none.
  memoryStore('folder').traits = { carriesMetadata: false, listingMetadata: false }
  for (const bucket of buckets) memoryStore(bucket).traits = { listingMetadata: false }
  const stores = ['folder', ...buckets]
  engine = await createEngine(
    stores.map((store) => ({ type: 'memory' as const, store, prefix: '' })),
  )
})
afterEach(() => engine.close())

const put = (store: string, text: string, contentType?: string) =>
  memoryStore(store).put('key', Buffer.from(text), contentType ? { contentType } : {})
const types = () => buckets.map((store) => memoryStore(store).get('key')?.metadata.contentType)

test('who has the content in a bucket, too, gives its type along, though a folder is read', async () => {
  put('folder', 'content')
  put('x', 'content', 'text/x')
  expect(await engine.run()).toMatchObject({ state: 'complete', counts: { puts: 2 } })
  expect(types()).toEqual(['text/x', 'text/x', 'text/x'])
})

test('an edit in a folder that wins over a bucket’s keeps its type, everywhere', async () => {
  put('x', 'loser', 'text/x')
  memoryStore('folder').clock = () => Date.now() + 1_000
  put('folder', 'winner')
  expect(await engine.run()).toMatchObject({ state: 'complete' })
  expect(types()).toEqual(['text/x', 'text/x', 'text/x'])
  expect((await engine.run()).counts).toMatchObject({ puts: 0, planned: 0 })
})

test('of several types that are replaced from a folder, one is everybody’s', async () => {
  put('x', 'one', 'text/x')
  put('y', 'two', 'text/y')
  memoryStore('folder').clock = () => Date.now() + 1_000
  put('folder', 'winner')
  // One target fails once: what was decided holds for its next try.
  let failed = false
  memoryStore('z').faults.push(({ when, operation }) => {
    if (when !== 'before' || operation !== 'write' || failed) return
    failed = true
    const details = { location: 'z', operation, key: 'key' }
    throw new StoreError('unavailable', 'the connection broke', details)
  })
  expect(await engine.run()).toMatchObject({ state: 'complete' })
  expect(new Set(types()).size).toBe(1)
})
