/** Open conflicts that a person decides: each as it was looked at, or not at all. */
import { expect, it } from 'vitest'
import type { Take } from '../../src/model.ts'
import { conflictWorld, conflictWorlds, merge } from './conflict-world.ts'

conflictWorlds()

async function openConflict(stores = ['a', 'b', 'c']) {
  const world = await conflictWorld(stores, { name: 'manual' })
  world.put('a', 'k.txt', 'base')
  await world.engine.run()
  for (const store of stores) world.put(store, 'k.txt', `of ${store}`)
  await world.engine.run()
  expect(await world.conflicts()).toHaveLength(1)
  return world
}

it.each<[string, Take, string]>([
  ['a side', { replica: 'a' }, 'of a'],
  ['a strategy', { strategy: 'last_write_wins' }, 'of c'],
  ['another', { strategy: 'first-write-wins' }, 'of a'],
])('by %s', async (_, take, expected) => {
  const world = await openConflict()
  const request = await world.decide('k.txt', take)
  expect(await world.engine.run({ request })).toMatchObject({ state: 'complete' })
  expect(world.everywhere()).toEqual({ 'k.txt': expected })
  const [resolved] = await world.conflicts('resolved')
  expect(resolved?.resolution).toMatchObject({ rule: 'a person', by: 'me@here' })
  expect(resolved?.resolution?.losers).toHaveLength(2)
})

it('by keeping both: the sides that lose stay beside the winner', async () => {
  const world = await openConflict()
  const request = await world.decide('k.txt', { strategy: 'keep_both' })
  await world.engine.run({ request })
  expect(Object.values(world.everywhere()).toSorted()).toEqual(['of a', 'of b', 'of c'])
  expect(await world.engine.run()).toMatchObject({ counts: { planned: 0, conflicts: 0 } })
})

it('by content of their own, which is in the vault', async () => {
  const world = await openConflict()
  const vault = await world.engine.deps.vault(world.engine.config)
  const content = await vault.putBytes(Buffer.from('mine'), new AbortController().signal)
  const request = await world.decide('k.txt', { content })
  await world.engine.run({ request })
  expect(world.everywhere()).toEqual({ 'k.txt': 'mine' })
  const [resolved] = await world.conflicts('resolved')
  expect(resolved?.resolution).toMatchObject({ by: 'me@here', winnerReplicas: [], merged: true })
})

it('drift, and a replica that lacks the key: both get the source’s, in one item', async () => {
  const world = await conflictWorld(['a', 'b', 'c'], { name: 'manual' })
  await world.engine.configure({ direction: 'one-way', drift: 'conflict' })
  world.put('b', 'k', 'drifted')
  world.put('a', 'k', 'source')
  await world.engine.run()
  world.remove('c', 'k')
  const request = await world.decide('k', { replica: 'a' })
  const run = await world.engine.run({ request })
  expect(run).toMatchObject({ state: 'complete', counts: { puts: 2, stale: 0 } })
  expect(world.everywhere()).toEqual({ k: 'source' })
  expect(await world.inVault('drifted')).toBe(true)
})

it('a merge with the options of the rule, though that waits for something', async () => {
  const rule = { name: 'r', match: [], later: null }
  const world = await conflictWorld(
    ['a', 'b'],
    [
      { ...rule, when: { sizeMax: 1 }, strategy: merge({ lists: 'union' }) },
      { ...rule, when: null, strategy: { name: 'manual' } },
    ],
  )
  world.put('a', 'k.json', '[1,2]')
  const kept = { content: 'vault', versions: null, keepMs: null } as const
  await world.engine.configure({ history: { ...kept, when: 'agreed' } })
  await world.engine.run()
  world.put('a', 'k.json', '[1,2,3]')
  world.put('b', 'k.json', '[1,2,4]')
  await world.engine.run()
  await world.engine.run({ request: await world.decide('k.json', { strategy: 'merge' }) })
  expect(JSON.parse(world.everywhere()['k.json'] ?? '').toSorted()).toEqual([1, 2, 3, 4])
})

async function skipped(world: Awaited<ReturnType<typeof openConflict>>, request: number) {
  const { run, state } = await world.engine.run({ request })
  const filter = { run, states: ['skipped' as const], after: -1, limit: 10 }
  const [item] = await world.engine.catalog.readItems(filter)
  return { state, told: item?.outcomes[''] }
}

it('what moved on meanwhile is refused, and stays open with its new sides', async () => {
  const world = await openConflict()
  const request = await world.decide('k.txt', { replica: 'a' })
  world.put('b', 'k.txt', 'edited since')
  expect(await skipped(world, request)).toMatchObject({
    told: { code: 'moved-on', reason: 'it moved on: its sides are not those that were looked at' },
  })
  expect(world.at('b')).toEqual({ 'k.txt': 'edited since' })
  expect(await world.conflicts()).toHaveLength(1)
})

it('what is no conflict any more is refused', async () => {
  const world = await openConflict()
  const request = await world.decide('k.txt', { replica: 'a' })
  for (const store of ['a', 'b', 'c']) world.put(store, 'k.txt', 'agreed')
  expect(await skipped(world, request)).toMatchObject({
    told: { code: 'moved-on', reason: 'the key is not in conflict any more' },
  })
  expect(await world.conflicts('closed')).toHaveLength(1)
})

it('the same decision twice is done once', async () => {
  const world = await openConflict()
  const [first, second] = [
    await world.decide('k.txt', { replica: 'a' }),
    await world.decide('k.txt', { replica: 'a' }),
  ]
  await world.engine.run({ request: first })
  expect(await skipped(world, second)).toMatchObject({ told: { code: 'moved-on' } })
  expect(world.everywhere()).toEqual({ 'k.txt': 'of a' })
})

it.each<[Take, string, string]>([
  [{ replica: 'nobody' }, 'moved-on', 'nobody takes no side in it'],
  [{ strategy: 'custom' }, 'undecided', 'custom is no strategy that needs no more than its name'],
  [{ strategy: 'manual' }, 'undecided', 'it waits for a person'],
  [{ content: { size: 3, digests: { sha256: 'no' } } }, 'not-kept', 'the vault does not have'],
])('what decides nothing is refused with the reason: %o', async (take, code, reason) => {
  const world = await openConflict()
  const { told } = await skipped(world, await world.decide('k.txt', take))
  expect(told).toMatchObject({ code, reason: expect.stringContaining(reason) })
  expect(await world.conflicts()).toHaveLength(1)
})

it('a plan of one side is recorded as resolved when it is applied', async () => {
  const world = await conflictWorld(['a', 'b'], { name: 'manual' })
  world.put('a', 'k.txt', 'of a')
  world.put('b', 'k.txt', 'of b')
  await world.engine.run()
  await world.engine.configure({
    rules: [
      { name: 'lww', match: [], when: null, strategy: { name: 'last-write-wins' }, later: null },
    ],
  })
  const plan = await world.engine.run({ mode: 'plan' })
  expect(await world.conflicts()).toHaveLength(1)
  const applied = await world.engine.run({ mode: 'apply', base: plan.run })
  expect(applied).toMatchObject({ state: 'complete', counts: { conflicts: 0 } })
  const [resolved] = await world.conflicts('resolved')
  expect(resolved).toMatchObject({ endedRun: plan.run, resolution: { rule: 'lww' } })
})
