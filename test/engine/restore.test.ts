/** Back to what was agreed: what a person gets, and what is never overwritten unasked. */
import { afterEach, beforeEach, expect, test } from 'vitest'
import { dropMemoryStores, memoryStore } from '../../connectors/memory-store.ts'
import type { LocationOptions } from '../../connectors/options.ts'
import type { RunRecord } from '../../src/catalog/catalog.ts'
import type { DatasetConfig } from '../../src/config/index.ts'
import { StoreError } from '../../src/errors.ts'
import { ruleOf } from '../sync/deciding.ts'
import { createEngine, type Engine } from './engine.ts'
import { carryOut, planOf, restoreTo, undo } from './history.ts'

const stores = ['a', 'b', 'c']
let engine: Engine
let now: number

async function begin(dataset: Partial<DatasetConfig> = {}, replicas = stores): Promise<void> {
  const places = replicas.map((store): LocationOptions => ({ type: 'memory', store, prefix: '' }))
  engine = await createEngine(places, dataset, { clock: () => now })
}

function put(store: string, key: string, text: string, metadata = {}): void {
  memoryStore(store).put(key, Buffer.from(text), metadata)
}

/** Everything that a store holds, as text. */
function content(store: string): Record<string, string> {
  const { names, get } = memoryStore(store)
  return Object.fromEntries(names().map((name) => [name, String(get(name)?.bytes)]))
}

/** A minute later. */
async function sync(): Promise<RunRecord> {
  now += 60_000
  return await engine.run()
}

async function skippedOf({ run }: RunRecord) {
  const items = await engine.catalog.readItems({ run, states: ['skipped'], after: -1, limit: 99 })
  return items.map(({ key, outcomes }) => {
    const [[replica = '', outcome] = []] = Object.entries(outcomes)
    return [key, replica, outcome?.kind === 'skipped' ? outcome.code : outcome?.kind]
  })
}

function everywhere(expected: Record<string, string>): void {
  for (const store of stores) expect(content(store), store).toEqual(expected)
}

/** A run, a moment behind it, and what it left. */
interface Told {
  run: number
  at: number
  left: Record<string, string>
}

/** Three runs: made, changed and deleted, made again. */
async function story(): Promise<[Told, Told, Told]> {
  const tell = async (): Promise<Told> => {
    const { run, state } = await sync()
    expect(state).toBe('complete')
    now += 60_000
    return { run, at: now, left: content('a') }
  }
  put('a', 'kept', 'kept', { contentType: 'text/plain' })
  put('a', 'changed', 'one')
  put('b', 'deleted', 'deleted')
  const made = await tell()
  put('b', 'changed', 'two')
  memoryStore('c').remove('deleted')
  put('c', 'dir/new', 'new')
  const changed = await tell()
  put('c', 'changed', 'three')
  put('a', 'deleted', 'again')
  return [made, changed, await tell()]
}

beforeEach(() => {
  dropMemoryStores()
  now = Date.now() - 86_400_000
})
afterEach(() => engine.close())

test('a restore to a time brings every replica back to exactly what was agreed then', async () => {
  await begin()
  const told = await story()
  for (const { at, left } of [...told, ...told.toReversed()]) {
    now += 60_000
    const run = await carryOut(engine, restoreTo({ at }))
    expect(run.state).toBe('complete')
    everywhere(left)
  }
  expect(await sync()).toMatchObject({ counts: { planned: 0, puts: 0, deletes: 0 } })
})

test('a restore to before a run, and of one version, with its metadata', async () => {
  await begin()
  const [first, second, third] = await story()
  put('a', 'kept', 'other')
  await sync()
  await carryOut(engine, restoreTo({ beforeRun: second.run }))
  everywhere(first.left)
  expect(memoryStore('b').get('kept')?.metadata).toMatchObject({ contentType: 'text/plain' })
  const version = { version: third.run, key: 'changed' }
  await carryOut(engine, restoreTo(version))
  everywhere({ ...first.left, changed: 'three' })
})

test('only the keys below a prefix are taken back', async () => {
  await begin()
  const [first, , third] = await story()
  await carryOut(engine, restoreTo({ at: first.at }, { prefix: 'dir/' }))
  const { 'dir/new': _gone, ...left } = third.left
  everywhere(left)
})

test('undo takes back what a run did; undo of that brings it again; and so on', async () => {
  await begin()
  const [, second, third] = await story()
  const last = third.run
  const undone = await carryOut(engine, undo(last))
  expect(undone.state).toBe('complete')
  everywhere(second.left)
  const again = await carryOut(engine, undo(undone.run))
  everywhere(third.left)
  // By its plan's number, too: the versions bear it.
  await carryOut(engine, undo(again.base as number))
  everywhere(second.left)
})

test('it is history itself: a line each, made of what it took the place of', async () => {
  await begin()
  const [first, second, third] = await story()
  const run = await carryOut(engine, undo(third.run))
  const [line] = await engine.catalog.linesOfKey('data', 'changed', { limit: 1 })
  expect(line).toMatchObject({ reason: 'restored', parents: [third.run] })
  expect(line?.version.run).toBe(run.base)
  const made = await engine.catalog.linesOfKey('data', 'deleted', { limit: 9 })
  expect(made.map(({ parents, version }) => [version.content?.size, parents])).toEqual([
    [undefined, [third.run]],
    [5, [second.run]],
    [undefined, [first.run]],
    [7, []],
  ])
})

test('a plan changes nothing, and is applied exactly or not at all', async () => {
  await begin()
  const [first, , third] = await story()
  const plan = await planOf(engine, restoreTo({ at: first.at }))
  everywhere(third.left)
  put('b', 'changed', 'four')
  await sync()
  const applied = await engine.run({ mode: 'apply', base: plan.run })
  expect(applied).toMatchObject({ state: 'failed', problem: { code: 'plan-superseded' } })
  everywhere({ ...third.left, changed: 'four' })
})

test('what is not synced yet is left alone and named; if wished it is overwritten, and kept', async () => {
  await begin()
  const [first] = await story()
  const at = first.at
  put('b', 'changed', 'unsynced')
  memoryStore('c').remove('deleted')
  const plan = await planOf(engine, restoreTo({ at }))
  expect(await skippedOf(plan)).toEqual([
    ['changed', 'b', 'later-work'],
    ['deleted', 'c', 'later-work'],
  ])
  const applied = await engine.run({ mode: 'apply', base: plan.run })
  expect(applied).toMatchObject({ state: 'complete', counts: { deletes: 1, puts: 0 } })
  expect(content('b')).toMatchObject({ changed: 'unsynced', deleted: 'again' })
  const all = await planOf(engine, restoreTo({ at }, { overwriteLater: true }))
  const items = await engine.catalog.readItems({
    ...{ run: all.run, states: ['pending'], after: -1, limit: 9 },
  })
  expect(items.map(({ key, item }) => [key, item?.overwrites?.replicas])).toEqual([
    ['changed', ['b']],
    ['deleted', ['c']],
  ])
  const digests = memoryStore('b').get('changed')?.digests ?? {}
  await engine.run({ mode: 'apply', base: all.run })
  everywhere(first.left)
  const vault = await engine.deps.vault(engine.config)
  expect(await vault.has({ size: 8, digests }, new AbortController().signal)).toBe(true)
})

test('undo leaves alone what a later run changed, unless that is wished', async () => {
  await begin()
  const [first, second] = await story()
  const plan = await planOf(engine, undo(second.run))
  expect(await skippedOf(plan)).toEqual([
    ['changed', '', 'later-work'],
    ['deleted', '', 'later-work'],
  ])
  await engine.run({ mode: 'apply', base: plan.run })
  everywhere({ kept: 'kept', changed: 'three', deleted: 'again' })
  await carryOut(engine, undo(second.run, { overwriteLater: true }))
  everywhere(first.left)
})

test('an edit that happens to be what is wanted is adopted, and nothing is moved', async () => {
  await begin()
  const [first] = await story()
  for (const store of stores) put(store, 'changed', 'one')
  const plan = await planOf(engine, restoreTo({ version: first.run, key: 'changed' }))
  const applied = await engine.run({ mode: 'apply', base: plan.run })
  expect(applied.counts).toMatchObject({ puts: 0, adopted: 3 })
})

test('a version that every replica has already is nothing to do', async () => {
  await begin()
  const [, , third] = await story()
  const last = third.run
  const plan = await planOf(engine, restoreTo({ version: last, key: 'changed' }))
  expect(plan.counts).toMatchObject({ scanned: 1, planned: 0, skipped: 0 })
  const now_ = await planOf(engine, restoreTo({ at: now }))
  expect(now_.counts).toMatchObject({ scanned: 0, planned: 0 })
})

test('content that nobody kept is named and left as it is, never replaced by something else', async () => {
  await begin({ history: { content: 'off', when: 'replaced', versions: null, keepMs: null } })
  const [first] = await story()
  const plan = await planOf(engine, restoreTo({ at: first.at }))
  expect(await skippedOf(plan)).toEqual([
    ['changed', '', 'not-kept'],
    ['deleted', '', 'not-kept'],
  ])
  await engine.run({ mode: 'apply', base: plan.run })
  everywhere({ kept: 'kept', changed: 'three', deleted: 'again' })
})

test('a replica that is away is brought to the restored version by the next run', async () => {
  await begin()
  const [first] = await story()
  const fault = ({ when, location }: { when: string; location: string }) => {
    if (when === 'before') throw new StoreError('denied', 'closed', { location, operation: 'any' })
  }
  memoryStore('c').faults.push(fault)
  const run = await carryOut(engine, restoreTo({ at: first.at }))
  expect(run.state).toBe('partial')
  expect(content('a')).toEqual(first.left)
  memoryStore('c').faults.length = 0
  expect((await sync()).state).toBe('complete')
  everywhere(first.left)
})

test('one-way: the source is written, too, since a person asked for it', async () => {
  await begin({ direction: 'one-way' })
  put('a', 'k', 'one')
  await sync()
  const at = now + 1_000
  now += 60_000
  put('a', 'k', 'two')
  await sync()
  await carryOut(engine, restoreTo({ at }))
  everywhere({ k: 'one' })
  expect((await sync()).counts).toMatchObject({ planned: 0, puts: 0 })
})

test('a key that the dataset no longer has is left as it is', async () => {
  await begin()
  const [first] = await story()
  await engine.configure({ exclude: ['changed'] })
  const plan = await planOf(engine, restoreTo({ at: first.at }))
  expect(await skippedOf(plan)).toEqual([['changed', '', 'excluded']])
})

test('a conflict that a restore overwrites ends with the next sync', async () => {
  await begin({ rules: ruleOf({ name: 'manual' }) })
  const [first] = await story()
  put('a', 'changed', 'this')
  put('b', 'changed', 'that')
  expect((await sync()).state).toBe('conflicts')
  const to = { version: first.run, key: 'changed' }
  expect(await skippedOf(await planOf(engine, restoreTo(to)))).toEqual([
    ['changed', 'a', 'later-work'],
  ])
  const run = await carryOut(engine, restoreTo(to, { overwriteLater: true }))
  expect(run.counts).toMatchObject({ puts: 3 })
  expect(content('c')).toMatchObject({ changed: 'one' })
  expect((await sync()).state).toBe('complete')
  expect(await engine.catalog.countOpenConflicts('data')).toBe(0)
})

test('many deletes that a person asked for are not held', async () => {
  await begin()
  put('a', 'first', '1')
  await sync()
  const before = content('a')
  for (let i = 0; i < 30; i++) put('a', `key-${i}`, `content ${i}`)
  const run = await sync()
  expect(await carryOut(engine, undo(run.run))).toMatchObject({
    state: 'complete',
    counts: { deletes: 30, held: 0 },
  })
  everywhere(before)
})

test('what was approved is a part of what was held: undone with it, or by itself', async () => {
  await begin()
  for (let i = 0; i < 30; i++) put('a', `key-${i}`, `content ${i}`)
  await sync()
  const all = content('a')
  for (let i = 0; i < 20; i++) memoryStore('a').remove(`key-${i}`)
  put('a', 'key-29', 'edited')
  const held = await sync()
  expect(held.state).toBe('held')
  now += 60_000
  const approved = await engine.run({ mode: 'approve', base: held.run })
  expect(approved.counts.deletes).toBe(20)
  now += 60_000
  const undone = await carryOut(engine, undo(approved.run))
  everywhere({ ...all, 'key-29': 'edited' })
  now += 60_000
  await carryOut(engine, undo(undone.run))
  await carryOut(engine, undo(held.run, { overwriteLater: true }))
  everywhere(all)
})

test('before a run that carried out an older plan, other runs between them stand', async () => {
  await begin()
  put('a', 'one', '1')
  put('a', 'two', '1')
  await sync()
  put('a', 'one', '2')
  now += 60_000
  const plan = await engine.run({ mode: 'plan' })
  put('b', 'two', '2')
  now += 60_000
  const between = await engine.run({ request: await selectTwo() })
  expect(between.counts.puts).toBe(2)
  now += 60_000
  const applied = await engine.run({ mode: 'apply', base: plan.run })
  expect(applied.counts.puts).toBe(2)
  now += 60_000
  put('b', 'two', '3')
  await sync()
  await carryOut(engine, restoreTo({ beforeRun: applied.run }))
  expect(content('c')).toEqual({ one: '1', two: '2' })
})

async function selectTwo(): Promise<number> {
  const id = await engine.catalog.createRequest('data', { kind: 'resolve' }, 'me', now)
  const take = { strategy: 'manual' }
  const directive = { do: 'resolve' as const, conflict: 0, identity: '', take }
  await engine.catalog.addRequestKeys(id, [{ key: 'two', directive }])
  await engine.catalog.endSelection(id)
  return id
}

test('what history cannot answer is refused, with the reason', async () => {
  await begin()
  const problem = async (request: Parameters<typeof planOf>[1]) => {
    const run = await planOf(engine, request)
    expect(run.state).toBe('failed')
    return run.problem?.code
  }
  expect(await problem(restoreTo({ at: now }))).toBe('no-history')
  const [first, second, third] = await story()
  const other = await engine.catalog.createRun({
    ...((await engine.catalog.getRun(first.run)) as RunRecord),
    ...{ dataset: 'other', state: 'complete' },
  })
  expect(await problem(restoreTo({ at: now - 86_000_000 }))).toBe('before-history')
  expect(await problem(restoreTo({ beforeRun: first.run }))).toBe('before-history')
  expect(await problem(undo(first.run))).toBe('before-history')
  expect(await problem(restoreTo({ beforeRun: 999 }))).toBe('run-unknown')
  expect(await problem(undo(other))).toBe('run-of-other-dataset')
  expect(await problem(restoreTo({ version: second.run, key: 'kept' }))).toBe('version-unknown')
  const quiet = await sync()
  expect(await problem(undo(quiet.run))).toBe('run-agreed-nothing')
  everywhere(third.left)
})
