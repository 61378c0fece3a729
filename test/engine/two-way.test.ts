/** The engine, two-way, on memory stores: what a user relies on when things go wrong. */
import { afterEach, beforeEach, expect, test } from 'vitest'
import { dropMemoryStores, memoryStore } from '../../connectors/memory-store.ts'
import type { LocationOptions } from '../../connectors/options.ts'
import type { DatasetConfig } from '../../src/config/index.ts'
import { StoreError } from '../../src/errors.ts'
import { ruleOf } from '../sync/deciding.ts'
import { createEngine, type Engine } from './engine.ts'

let engine: Engine
const open: Engine[] = []

const location = (store: string): LocationOptions => ({ type: 'memory', store, prefix: '' })

async function begin(stores: string[], dataset: Partial<DatasetConfig> = {}): Promise<void> {
  engine = await createEngine(stores.map(location), dataset)
  open.push(engine)
}

function put(store: string, key: string, text: string): void {
  memoryStore(store).put(key, Buffer.from(text))
}

/** Everything that a store holds, as text. */
function content(store: string): Record<string, string> {
  const { names, get } = memoryStore(store)
  return Object.fromEntries(names().map((name) => [name, String(get(name)?.bytes)]))
}

function fill(store: string, keys: number): void {
  for (let i = 0; i < keys; i++) put(store, `key-${String(i).padStart(4, '0')}`, `content ${i}`)
}

function unreachable(store: string): () => void {
  const { faults } = memoryStore(store)
  const fault = ({ when, location: name }: { when: string; location: string }) => {
    if (when !== 'before') return
    throw new StoreError('denied', 'the store is closed', { location: name, operation: 'any' })
  }
  faults.push(fault)
  return () => faults.splice(faults.indexOf(fault), 1)
}

beforeEach(() => dropMemoryStores())
afterEach(async () => {
  for (const one of open.splice(0)) await one.close()
})

test('a first sync fills every replica, and a second one does nothing (I6, I7)', async () => {
  await begin(['a', 'b', 'c'])
  fill('a', 25)
  put('b', 'only-b', 'b')
  const first = await engine.run()
  expect(first.state).toBe('complete')
  expect(content('b')).toEqual(content('a'))
  expect(content('c')).toEqual(content('a'))
  expect(first.counts).toMatchObject({ puts: 52, failed: 0, stale: 0 })
  const second = await engine.run()
  expect(second.counts).toMatchObject({ puts: 0, planned: 0, adopted: 0, deletes: 0 })
})

test('equal contents on both sides are adopted, and nothing is moved', async () => {
  await begin(['a', 'b'])
  fill('a', 5)
  fill('b', 5)
  const run = await engine.run()
  expect(run.counts).toMatchObject({ puts: 0, adopted: 10 })
  expect(memoryStore('b').writes.size).toBe(0)
})

test('an edit and a delete go to all others; what they take away is in the vault (I2)', async () => {
  await begin(['a', 'b', 'c'])
  fill('a', 20)
  await engine.run()
  const before = memoryStore('a').get('key-0003')?.digests ?? {}
  put('b', 'key-0003', 'edited')
  memoryStore('c').remove('key-0004')
  const run = await engine.run()
  expect(run.state).toBe('complete')
  expect(run.counts).toMatchObject({ puts: 2, deletes: 1 })
  expect(content('a')['key-0003']).toBe('edited')
  expect(content('a')).toEqual(content('b'))
  expect(content('b')).toEqual(content('c'))
  expect(content('a')).not.toHaveProperty('key-0004')
  const vault = await engine.deps.vault(engine.config)
  const { signal } = new AbortController()
  expect(await vault.has({ size: 9, digests: before }, signal)).toBe(true)
})

test('a replica that was out of reach for two runs is brought up to date (I3, I7)', async () => {
  await begin(['a', 'b', 'c'])
  fill('a', 30)
  await engine.run()
  const back = unreachable('c')
  put('a', 'key-0001', 'edited')
  put('b', 'new', 'n')
  memoryStore('a').remove('key-0002')
  const first = await engine.run()
  expect(first.state).toBe('partial')
  put('b', 'key-0001', 'edited twice')
  memoryStore('b').remove('key-0005')
  await engine.run()
  expect(Object.keys(content('c'))).toHaveLength(30)
  back()
  const last = await engine.run()
  expect(last.state).toBe('complete')
  expect(content('c')).toEqual(content('a'))
  expect(content('c')['key-0001']).toBe('edited twice')
  expect(Object.keys(content('c'))).toHaveLength(29)
})

test('a listing that breaks half-way deletes nothing, and the others go on (I3)', async () => {
  await begin(['a', 'b', 'c'])
  fill('a', 2_500)
  await engine.run()
  put('b', 'zz-new', 'n')
  let pages = 0
  memoryStore('a').faults.push(({ when, location: name }) => {
    if (when !== 'page' || ++pages % 2 === 1) return
    throw new StoreError('denied', 'the listing broke', { location: name, operation: 'list' })
  })
  memoryStore('a').remove('key-0001')
  const run = await engine.run()
  expect(run.state).toBe('partial')
  expect(run.counts.deletes).toBe(0)
  expect(content('b')).toHaveProperty('key-0001')
  expect(content('c')['zz-new']).toBe('n')
})

test('an emptied replica holds its deletes until a person approves them (I3)', async () => {
  await begin(['a', 'b'])
  fill('a', 5)
  await engine.run()
  for (const name of [...memoryStore('a').names()]) memoryStore('a').remove(name)
  const held = await engine.run()
  expect(held.state).toBe('held')
  expect(held.problem).toMatchObject({ code: 'deletes-held' })
  expect(Object.keys(content('b'))).toHaveLength(5)
  const approved = await engine.run({ mode: 'approve', base: held.run })
  expect(approved.state).toBe('complete')
  expect(content('b')).toEqual({})
})

test('too many deletes are held while puts go on; a rename excuses its delete (I3)', async () => {
  await begin(['a', 'b'])
  fill('a', 40)
  await engine.run()
  const store = memoryStore('a')
  for (let i = 0; i < 25; i++) store.remove(`key-${String(i).padStart(4, '0')}`)
  put('a', 'new', 'n')
  const held = await engine.run()
  expect(held.state).toBe('held')
  expect(held.counts).toMatchObject({ held: 25, deletes: 0, puts: 1 })
  expect(Object.keys(content('b'))).toHaveLength(41)

  await begin(['c', 'd'])
  fill('c', 40)
  await engine.run()
  for (let i = 0; i < 25; i++) {
    const key = `key-${String(i).padStart(4, '0')}`
    put('c', `renamed/${key}`, `content ${i}`)
    memoryStore('c').remove(key)
  }
  const renamed = await engine.run()
  expect(renamed.state).toBe('complete')
  expect(content('d')).toEqual(content('c'))
})

test('a foreign write between plan and apply is never overwritten (I1)', async () => {
  await begin(['a', 'b'])
  fill('a', 3)
  await engine.run()
  put('a', 'key-0001', 'from a')
  const plan = await engine.run({ mode: 'plan' })
  expect(plan.state).toBe('planned')
  put('b', 'key-0001', 'foreign')
  const applied = await engine.run({ mode: 'apply', base: plan.run })
  expect(content('b')['key-0001']).toBe('foreign')
  expect(applied).toMatchObject({ state: 'partial', counts: { stale: 1, puts: 0 } })
})

test('a source that changes between scan and copy is left to the next run', async () => {
  await begin(['a', 'b'])
  put('a', 'key', 'first')
  const plan = await engine.run({ mode: 'plan' })
  put('a', 'key', 'second')
  const applied = await engine.run({ mode: 'apply', base: plan.run })
  expect(content('b')).toEqual({})
  expect(applied.state).toBe('partial')
  await engine.run()
  expect(content('b')).toEqual({ key: 'second' })
})

test('an old plan is refused as a whole: config changed, or superseded', async () => {
  await begin(['a', 'b'])
  fill('a', 3)
  const plan = await engine.run({ mode: 'plan' })
  await engine.run()
  const late = await engine.run({ mode: 'apply', base: plan.run })
  expect(late).toMatchObject({ state: 'failed', problem: { code: 'plan-superseded' } })
  const again = await engine.run({ mode: 'plan' })
  await engine.configure({ batchSize: 17 })
  const changed = await engine.run({ mode: 'apply', base: again.run })
  expect(changed).toMatchObject({ state: 'failed', problem: { code: 'plan-config-changed' } })
})

test('one unreadable object among 1,000: 999 synced, the next run does the one (I5)', async () => {
  await begin(['a', 'b'])
  fill('a', 1_000)
  const { faults } = memoryStore('a')
  faults.push(({ when, operation, key, location: name }) => {
    if (when !== 'before' || operation !== 'read' || key !== 'key-0500') return
    throw new StoreError('denied', 'not yours', { location: name, operation, key })
  })
  const first = await engine.run()
  expect(first).toMatchObject({ state: 'partial', counts: { puts: 999, failed: 1 } })
  const page = { run: first.run, states: ['failed' as const], after: -1, limit: 10 }
  const failed = await engine.catalog.readItems(page)
  expect(failed.map(({ key, outcomes }) => [key, outcomes.b])).toEqual([
    ['key-0500', expect.objectContaining({ kind: 'failed', code: 'denied' })],
  ])
  faults.length = 0
  const second = await engine.run()
  expect(second).toMatchObject({ state: 'complete', counts: { puts: 1 } })
})

test('a replica added later, empty or full, is filled or adopted, never a cause of deletes', async () => {
  await begin(['a', 'b', 'c'], { destinations: ['b'] })
  fill('a', 10)
  await engine.run()
  await engine.configure({ destinations: ['b', 'c'] })
  const filled = await engine.run()
  expect(filled.counts).toMatchObject({ puts: 10, deletes: 0 })
  await engine.configure({ destinations: ['c'] })
  await engine.run()
  await engine.configure({ destinations: ['b', 'c'] })
  const adopted = await engine.run()
  expect(adopted.counts).toMatchObject({ puts: 0, deletes: 0, adopted: 10 })
})

test('a key that a changed filter excludes stays where it is', async () => {
  await begin(['a', 'b'])
  fill('a', 3)
  await engine.run()
  await engine.configure({ exclude: ['key-0001'] })
  memoryStore('a').remove('key-0001')
  const run = await engine.run()
  expect(run.counts.deletes).toBe(0)
  expect(content('b')).toHaveProperty('key-0001')
})

test('a manual conflict stays open with all contents kept, the rest goes on, agreement ends it', async () => {
  await begin(['a', 'b'], { rules: ruleOf({ name: 'manual' }) })
  fill('a', 3)
  await engine.run()
  put('a', 'key-0001', 'mine')
  put('b', 'key-0001', 'yours')
  put('b', 'key-0002', 'later')
  const first = await engine.run()
  expect(first.state).toBe('conflicts')
  expect(content('a')).toMatchObject({ 'key-0001': 'mine', 'key-0002': 'later' })
  expect(content('b')).toMatchObject({ 'key-0001': 'yours' })
  const range = { from: null, to: null }
  const filter = { dataset: 'data', range, after: null, limit: 10 }
  expect(await engine.catalog.openConflicts(filter)).toHaveLength(1)
  await engine.run()
  expect(await engine.catalog.openConflicts(filter)).toHaveLength(1)
  put('b', 'key-0001', 'mine')
  const last = await engine.run()
  expect(last.state).toBe('complete')
  expect(await engine.catalog.openConflicts(filter)).toHaveLength(0)
})

test('the last write wins; the loser is in the vault', async () => {
  await begin(['a', 'b'])
  fill('a', 3)
  await engine.run()
  put('a', 'key-0001', 'earlier')
  const loser = memoryStore('a').get('key-0001')?.digests ?? {}
  await new Promise((wake) => setTimeout(wake, 20))
  put('b', 'key-0001', 'written last')
  const run = await engine.run()
  expect(run.state).toBe('complete')
  expect(content('a')['key-0001']).toBe('written last')
  const vault = await engine.deps.vault(engine.config)
  expect(await vault.has({ size: 7, digests: loser }, new AbortController().signal)).toBe(true)
})

test('a write whose reply was lost is recognised, neither repeated nor a conflict (I6)', async () => {
  await begin(['a', 'b'])
  fill('a', 3)
  let lost = 0
  memoryStore('b').faults.push(({ when, operation, location: name }) => {
    if (when !== 'after' || operation !== 'write' || lost++ > 0) return
    throw new StoreError('unavailable', 'the reply was lost', { location: name, operation })
  })
  const run = await engine.run()
  expect(run).toMatchObject({ state: 'complete', counts: { failed: 0, stale: 0 } })
  expect([...memoryStore('b').writes.values()]).toEqual([1, 1, 1])
})

test('a bucket that vanished deletes nothing, and the reason is shown', async () => {
  await begin(['a', 'b', 'c'])
  fill('a', 3)
  await engine.run()
  memoryStore('a').missing = true
  put('b', 'new', 'n')
  const run = await engine.run()
  expect(run).toMatchObject({ state: 'partial', counts: { deletes: 0 } })
  expect(content('c')).toHaveProperty('new')
  const replicas = await engine.catalog.runReplicas(run.run)
  expect(replicas.find(({ replica }) => replica === 'a')).toMatchObject({
    state: 'unknown',
    problem: { code: 'root-missing' },
  })
})

test('another place under the same name is left out until rebind (I12)', async () => {
  await begin(['a', 'b'])
  fill('a', 3)
  await engine.run()
  memoryStore('b').id = 'another'
  for (const name of [...memoryStore('b').names()]) memoryStore('b').remove(name)
  const run = await engine.run()
  expect(run).toMatchObject({ state: 'partial', counts: { deletes: 0, puts: 0 } })
  const [, b] = await engine.catalog.runReplicas(run.run)
  expect(b).toMatchObject({ state: 'unknown', problem: { code: 'location-changed' } })
})

test('ranges that are cut on the way see each key once, and nothing is left between them', async () => {
  engine = await createEngine(['a', 'b'].map(location), { batchSize: 10 }, { rangeKeys: 20 })
  open.push(engine)
  fill('a', 205)
  const first = await engine.run()
  expect(first).toMatchObject({ state: 'complete', counts: { scanned: 205, puts: 205 } })
  expect(content('b')).toEqual(content('a'))
  expect(await engine.catalog.getRange(first.run, 5)).not.toBeNull()
  // By the baseline from now on.
  memoryStore('b').remove('key-0100')
  put('a', 'key-0101a', 'new')
  const second = await engine.run()
  expect(second).toMatchObject({ state: 'complete', counts: { scanned: 206, puts: 1, deletes: 1 } })
  expect(content('b')).toEqual(content('a'))
})

test('I5: a name that no catalog can hold is that name’s failure, and the rest is synced', async () => {
  await begin(['a', 'b'])
  fill('a', 3)
  put('a', 'nul\0nul', 'n')
  put('b', 'half a pair \ud83d', 'h')
  const first = await engine.run()
  expect(first).toMatchObject({ state: 'complete', counts: { puts: 3, skipped: 2 } })
  memoryStore('a').remove('key-0001')
  expect(await engine.run()).toMatchObject({ state: 'complete', counts: { deletes: 1 } })
})
