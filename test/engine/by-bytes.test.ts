/** What the bytes tell, where stores don't: rot, and our own writes. */
import { afterEach, beforeEach, expect, test } from 'vitest'
import { digestsOf } from '../../connectors/digests.ts'
import { dropMemoryStores, type FaultCall, memoryStore } from '../../connectors/memory-store.ts'
import { StoreError } from '../../src/errors.ts'
import { createEngine, type Engine } from './engine.ts'

let engine: Engine

beforeEach(async () => {
  dropMemoryStores()
  engine = await createEngine(
    ['a', 'b'].map((store) => ({ type: 'memory' as const, store, prefix: '' })),
  )
})
afterEach(() => engine.close())

test('what is read to compare it, and has rotted, is neither agreed nor taken for a change', async () => {
  const [good, rotten] = [Buffer.from('as it was'), Buffer.from('as it is.')]
  // One store knows crc32c, the other md5: to compare them, one is read.
  const { crc32c, md5 } = digestsOf(good)
  memoryStore('a').put('key', rotten, undefined, { crc32c: String(crc32c) })
  memoryStore('b').put('key', good, undefined, { md5: String(md5) })
  const { state, counts, run } = await engine.run()
  expect({ state, counts }).toMatchObject({
    state: 'partial',
    counts: { failed: 1, adopted: 1, puts: 0, conflicts: 0 },
  })
  const [item] = await engine.catalog.readItems({ run, states: ['failed'], after: -1, limit: 9 })
  expect(item?.outcomes.a).toMatchObject({ kind: 'failed', code: 'corrupt' })
  expect(memoryStore('b').get('key')?.bytes).toEqual(good)
  // Mended by its user, it is agreed.
  memoryStore('a').put('key', good, undefined, { crc32c: String(crc32c) })
  expect((await engine.run()).counts).toMatchObject({ failed: 0, adopted: 1 })
})

test('a write whose reply was lost is recognised, though its source changed meanwhile', async () => {
  // A folder: it shows no digests, so what was sent is known only to who sent it.
  memoryStore('a').keeps = () => ({})
  memoryStore('a').put('key', Buffer.from('first'))
  const details = { location: 'b', operation: 'write', key: 'key' }
  const lost = async ({ when, operation }: FaultCall) => {
    if (when !== 'after' || operation !== 'write') return
    memoryStore('b').faults.pop()
    memoryStore('a').put('key', Buffer.from('second'))
    throw new StoreError('unavailable', 'the reply is lost', details)
  }
  memoryStore('b').faults.push(lost)
  expect((await engine.run()).counts).toMatchObject({ puts: 1, stale: 0, failed: 0 })
  expect((await engine.run()).counts).toMatchObject({ puts: 1, conflicts: 0 })
  expect(memoryStore('b').get('key')?.bytes.toString()).toBe('second')
})
