/** What the end of a run leaves, and steps that are repeated after their worker was killed. */
import { randomBytes } from 'node:crypto'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { weighRunDeletes } from '../../activities/deletes.ts'
import { finishRun } from '../../activities/finish.ts'
import { dropMemoryStores, memoryStore } from '../../connectors/memory-store.ts'
import type { LocationOptions } from '../../connectors/options.ts'
import type { Catalog, ItemState } from '../../src/catalog/catalog.ts'
import type { DatasetConfig } from '../../src/config/index.ts'
import { StoreError } from '../../src/errors.ts'
import { itemsKeptMs, uploadsKeptMs } from '../../src/limits.ts'
import { createEngine, type Engine } from './engine.ts'

const partBytes = 1_000
let now = Date.now()
let engine: Engine

async function begin(stores: string[], dataset: Partial<DatasetConfig> = {}): Promise<void> {
  const places = stores.map((store): LocationOptions => ({ type: 'memory', store, prefix: '' }))
  engine = await createEngine(places, dataset, { partBytes, clock: () => now })
}

function fill(store: string, keys: number): void {
  for (let i = 0; i < keys; i++) memoryStore(store).put(`key-${i}`, Buffer.from(`content ${i}`))
}

/** Aborts, or throws, when so many chunks have gone to the store. */
function atChunk(store: string, chunk: number, act: () => void): void {
  let seen = 0
  memoryStore(store).faults.push(({ when, operation }) => {
    if (when === 'chunk' && operation === 'write' && ++seen === chunk) act()
  })
}

const uploads = (store: string) => memoryStore(store).uploads.size

async function itemsOf(catalog: Catalog, run: number, states: ItemState[]) {
  return await catalog.readItems({ run, states, after: -1, limit: 100 })
}

beforeEach(() => {
  dropMemoryStores()
  now = Date.now()
})
afterEach(() => engine.close())

// ── uploads ─────────────────────────────────────────────────────────────────────────────────────

test('an upload that was cut off is gone on with by the next run, and nothing is left of it', async () => {
  await begin(['a', 'b'])
  memoryStore('a').put('large', randomBytes(10 * partBytes))
  const killed = new AbortController()
  atChunk('b', 7, () => killed.abort())
  const first = await engine.run({ signal: killed.signal, cut: 'failed' })
  expect(first.state).toBe('failed')
  expect(memoryStore('b').names()).toEqual([])
  const sent = memoryStore('b').partsSent
  expect(sent).toBeGreaterThan(4)
  expect(uploads('b')).toBe(1)
  expect(await engine.run()).toMatchObject({ state: 'complete', counts: { puts: 1 } })
  expect(memoryStore('b').partsSent).toBe(10)
  expect(uploads('b')).toBe(0)
  expect(await engine.catalog.getUpload('b', 'large')).toBeNull()
})

test('a run that is cancelled leaves no parts behind', async () => {
  await begin(['a', 'b'])
  memoryStore('a').put('large', randomBytes(10 * partBytes))
  const interrupt = new AbortController()
  atChunk('b', 5, () => interrupt.abort())
  expect((await engine.run({ signal: interrupt.signal })).state).toBe('cancelled')
  expect(memoryStore('b').names()).toEqual([])
  expect(uploads('b')).toBe(0)
  expect(await engine.catalog.getUpload('b', 'large')).toBeNull()
})

test('an upload of a key that became something else is dropped at the end of that run', async () => {
  await begin(['a', 'b'])
  memoryStore('a').put('large', randomBytes(10 * partBytes))
  const killed = new AbortController()
  atChunk('b', 5, () => killed.abort())
  await engine.run({ signal: killed.signal, cut: 'failed' })
  memoryStore('a').put('large', Buffer.from('small by now'))
  expect(await engine.run({ mode: 'plan' })).toMatchObject({ state: 'planned' })
  expect(uploads('b')).toBe(1)
  expect(await engine.run()).toMatchObject({ state: 'complete' })
  expect(uploads('b')).toBe(0)
})

test('a partial run keeps the parts of what it could not finish, for a day', async () => {
  await begin(['a', 'b'])
  memoryStore('a').put('large', randomBytes(10 * partBytes))
  const killed = new AbortController()
  atChunk('b', 5, () => killed.abort())
  await engine.run({ signal: killed.signal, cut: 'failed' })
  memoryStore('a').faults.push(({ when, operation, location }) => {
    if (when !== 'before' || operation !== 'read') return
    throw new StoreError('denied', 'not yours', { location, operation })
  })
  expect((await engine.run()).state).toBe('partial')
  expect(uploads('b')).toBe(1)
  now += uploadsKeptMs + 1
  // What can't be dropped now is tried again by the next run.
  const refuse = ({ when, operation, location }: Record<string, string | undefined>) => {
    if (when !== 'before' || operation !== 'abortUpload') return
    throw new StoreError('unavailable', 'not now', { location: location ?? '', operation })
  }
  memoryStore('b').faults.push(refuse as never)
  expect((await engine.run()).state).toBe('partial')
  expect(await engine.catalog.getUpload('b', 'large')).not.toBeNull()
  memoryStore('b').faults.length = 0
  expect((await engine.run()).state).toBe('partial')
  expect(uploads('b')).toBe(0)
  expect(await engine.catalog.getUpload('b', 'large')).toBeNull()
})

test('where a dataset only reads, uploads are another dataset’s', async () => {
  await begin(['a', 'b'], { direction: 'one-way' })
  await engine.catalog.putUpload('a', 'of another', 'state', now)
  await engine.catalog.putUpload('b', 'of this', 'state', now)
  await engine.run()
  expect(await engine.catalog.getUpload('a', 'of another')).toBe('state')
  expect(await engine.catalog.getUpload('b', 'of this')).toBeNull()
})

// ── items ───────────────────────────────────────────────────────────────────────────────────────

test('what old runs did to which key is forgotten; what waits for a person is kept', async () => {
  await begin(['a', 'b'])
  fill('a', 5)
  const first = await engine.run()
  for (const name of [...memoryStore('a').names()]) memoryStore('a').remove(name)
  const held = await engine.run()
  expect(held.state).toBe('held')
  now += itemsKeptMs + 1
  await engine.run()
  expect(await itemsOf(engine.catalog, first.run, ['done'])).toEqual([])
  expect(await itemsOf(engine.catalog, held.run, ['held'])).toHaveLength(5)
  expect((await engine.catalog.getRun(first.run))?.counts.puts).toBe(5)
})

// ── steps that are repeated ─────────────────────────────────────────────────────────────────────

/** Forty keys, of which 27 go and 5 of these come back under another name. */
async function manyDeletes(): Promise<void> {
  await begin(['a', 'b'])
  fill('a', 40)
  await engine.run()
  for (let i = 0; i < 27; i++) memoryStore('a').remove(`key-${i}`)
  for (let i = 0; i < 5; i++) {
    memoryStore('a').put(`renamed-${i}`, Buffer.from(`content ${i}`))
  }
}

test('I3: deletes that are weighed twice come to the same, counts and all', async () => {
  await manyDeletes()
  let weighed: unknown
  const run = await engine.run({
    async beforeDeletes(number) {
      weighed = await weighRunDeletes(engine.deps, number, 0, await engine.attempt(number, 'weigh'))
    },
  })
  expect(weighed).toMatchObject({ deletes: 0, held: 27, cancelled: 0, deferred: false })
  expect(run).toMatchObject({ state: 'held', counts: { held: 27, cancelled: 0, renames: 0 } })
  expect(memoryStore('b').names()).toHaveLength(45)
})

test('I3: a weighing that was cut off half-way holds the rest as well', async () => {
  await manyDeletes()
  const run = await engine.run({
    async beforeDeletes(number) {
      // As it is when the worker was killed behind the first page.
      const deferred = await itemsOf(engine.catalog, number, ['deferred'])
      const held = { kind: 'held' as const, reason: 'too many' }
      await engine.catalog.updateItems(
        deferred.slice(0, 20).map((one) => ({ ...one, state: 'held', outcomes: { b: held } })),
      )
    },
  })
  expect(run).toMatchObject({ state: 'held', counts: { held: 27, deletes: 0 } })
  expect(memoryStore('b').names()).toHaveLength(45)
})

test('an attempt that was given up does not weigh over what its successor did', async () => {
  await manyDeletes()
  await engine.run({
    async beforeDeletes(number) {
      const zombie = await engine.attempt(number, 'weigh')
      await engine.attempt(number, 'weigh')
      // It asked in time, and was overtaken before it wrote.
      const late = { ...zombie, fence: async () => undefined }
      for (const attempt of [zombie, late]) {
        await expect(weighRunDeletes(engine.deps, number, 0, attempt)).rejects.toThrow('weigh')
      }
      expect(await itemsOf(engine.catalog, number, ['held'])).toEqual([])
    },
  })
})

test('I3: a held run’s renames excuse no delete of a later run', async () => {
  await manyDeletes()
  const held = await engine.run()
  expect(held.state).toBe('held')
  // The source has them again, and others go: as many as may.
  for (let i = 0; i < 27; i++) memoryStore('a').put(`key-${i}`, Buffer.from(`content ${i}`))
  for (let i = 27; i < 40; i++) memoryStore('a').remove(`key-${i}`)
  const next = await engine.run()
  expect(next).toMatchObject({ state: 'complete', counts: { deletes: 13 } })
  for (let i = 0; i < 12; i++) memoryStore('a').remove(`key-${i}`)
  expect(await engine.run()).toMatchObject({ state: 'held', counts: { held: 12 } })
})

test('I5: a failure whose count was lost with its worker still makes the run partial', async () => {
  await begin(['a', 'b'])
  fill('a', 3)
  memoryStore('a').faults.push(({ when, operation, key, location }) => {
    if (when !== 'before' || operation !== 'read' || key !== 'key-1') return
    throw new StoreError('denied', 'not yours', { location, operation, key })
  })
  const run = await engine.run({
    beforeDeletes: (number) => engine.catalog.updateRun(number, { counts: { failed: 0 } }),
  })
  expect(run.state).toBe('partial')
})

test('a run that ends twice ends the same', async () => {
  await manyDeletes()
  const run = await engine.run()
  const { signal } = new AbortController()
  const given = { run: run.run, how: 'ended' as const, rangesFailed: 0 }
  expect(await finishRun(engine.deps, given, signal)).toEqual({ state: run.state })
  expect((await engine.catalog.getRun(run.run))?.counts).toEqual(run.counts)
})

test('I3: a stored plan over an emptied replica is held when it is applied', async () => {
  await begin(['a', 'b'])
  fill('a', 5)
  await engine.run()
  for (const name of [...memoryStore('a').names()]) memoryStore('a').remove(name)
  const plan = await engine.run({ mode: 'plan' })
  const applied = await engine.run({ mode: 'apply', base: plan.run })
  expect(applied).toMatchObject({ state: 'held', counts: { held: 5 } })
  expect(memoryStore('b').names()).toHaveLength(5)
  const approved = await engine.run({ mode: 'approve', base: applied.run })
  expect(approved).toMatchObject({ state: 'complete', counts: { deletes: 5 } })
})

test('I3: a rename inside one store excuses its delete, though no byte passed through us', async () => {
  // Both are places of one store: content is copied there by the store itself.
  const at = (prefix: string): LocationOptions => ({ type: 'memory', store: 'one', prefix })
  memoryStore('one').traits = { listingDigests: ['crc32c', 'md5'] }
  memoryStore('far')
  const far: LocationOptions = { type: 'memory', store: 'far', prefix: '' }
  engine = await createEngine([far, at('x/'), at('y/')], {}, { partBytes, clock: () => now })
  fill('far', 40)
  await engine.run()
  for (let i = 0; i < 30; i++) {
    memoryStore('one').remove(`x/key-${i}`)
    memoryStore('one').put(`x/moved-${i}`, Buffer.from(`content ${i}`))
  }
  await engine.configure({ source: 'b', destinations: ['c'] })
  const run = await engine.run()
  expect(run).toMatchObject({ state: 'complete', counts: { deletes: 30, renames: 30 } })
})

// ── counts ──────────────────────────────────────────────────────────────────────────────────────

test('failures count as they ended, whatever killed attempts have counted on the way (I6)', async () => {
  await begin(['a', 'b'])
  fill('a', 3)
  const twice = async (run: number) => engine.catalog.addCounts(run, { failed: 2, skipped: 1 })
  const whole = await engine.run({ beforeDeletes: twice })
  expect(whole).toMatchObject({ state: 'complete', counts: { puts: 3, failed: 0, skipped: 0 } })
  memoryStore('b').faults.push(({ when, operation, key, location }) => {
    if (when !== 'before' || operation !== 'write' || key !== 'key-1') return
    throw new StoreError('denied', 'not yours', { location, operation, key })
  })
  for (const key of ['key-1', 'key-2']) memoryStore('a').put(key, Buffer.from('edited'))
  const partial = await engine.run({ beforeDeletes: twice })
  expect(partial).toMatchObject({ state: 'partial', counts: { puts: 1, failed: 1, skipped: 0 } })
})
