/** Conflicts that were decided, taken back by a person, and decided anew. */
import { expect, it } from 'vitest'
import type { Strategy, Take } from '../../src/model.ts'
import { type ConflictWorld, conflictWorld, conflictWorlds, merge } from './conflict-world.ts'

conflictWorlds()

const stores = ['a', 'b', 'c']

/** Decided by this strategy, then taken back. Gives its number, too. */
async function undone(strategy: Strategy, key = 'k.txt', of = (store: string) => `of ${store}`) {
  const world = await conflictWorld(stores, strategy)
  world.put('a', key, of('base'))
  await world.engine.run()
  for (const store of stores) world.put(store, key, of(store))
  await world.engine.run()
  return { world, id: await takeBack(world) }
}

async function takeBack(world: ConflictWorld): Promise<number> {
  const [resolved] = await world.conflicts('resolved')
  const id = resolved?.id as number
  expect(await world.engine.catalog.reopenConflict(id, 'me@here')).toBe('open')
  return id
}

const lastWins = { name: 'last-write-wins' } as const

it('waits for a person, whatever runs: the replicas keep what they have', async () => {
  const { world, id } = await undone(lastWins)
  for (let i = 0; i < 2; i++) {
    expect(await world.engine.run()).toMatchObject({ state: 'conflicts', counts: { planned: 0 } })
  }
  expect(world.everywhere()).toEqual({ 'k.txt': 'of c' })
  expect(await world.conflicts()).toMatchObject([{ id, resolution: { strategy: lastWins.name } }])
})

it.each<[string, Take, string]>([
  ['a side that lost', { replica: 'a' }, 'of a'],
  ['the side that won', { replica: 'c' }, 'of c'],
  ['a strategy', { strategy: 'first-write-wins' }, 'of a'],
])('is decided for %s', async (_, take, expected) => {
  const { world, id } = await undone(lastWins)
  const request = await world.decide('k.txt', take)
  expect(await world.engine.run({ request })).toMatchObject({ state: 'complete' })
  expect(world.everywhere()).toEqual({ 'k.txt': expected })
  expect(await world.conflicts('resolved')).toMatchObject([
    { id, resolution: { by: 'me@here', merged: false, losers: [{}, {}] } },
  ])
  for (const text of ['of a', 'of b', 'of c']) {
    expect(text === expected || (await world.inVault(text))).toBe(true)
  }
  expect(await world.engine.run()).toMatchObject({ state: 'complete', counts: { planned: 0 } })
})

it('is decided also where a replica has the same content under another token', async () => {
  const { world } = await undone(lastWins)
  world.put('b', 'k.txt', 'of c')
  const request = await world.decide('k.txt', { replica: 'a' })
  expect(await world.engine.run({ request })).toMatchObject({ state: 'complete' })
  expect(world.everywhere()).toEqual({ 'k.txt': 'of a' })
})

it('as often as wished, each time between the same sides', async () => {
  const { world, id } = await undone(lastWins)
  for (const replica of ['a', 'b', 'c', 'b']) {
    await world.engine.run({ request: await world.decide('k.txt', { replica }) })
    expect(world.everywhere()).toEqual({ 'k.txt': `of ${replica}` })
    expect(await takeBack(world)).toBe(id)
  }
})

it('by keeping all sides', async () => {
  const { world } = await undone(lastWins)
  await world.engine.run({ request: await world.decide('k.txt', { strategy: 'keep-both' }) })
  expect(Object.values(world.everywhere()).toSorted()).toEqual(['of a', 'of b', 'of c'])
})

it('of what was merged: a side alone, by content that is in the vault', async () => {
  const of = (store: string) => JSON.stringify({ base: 1, [store]: 2 })
  const { world } = await undone(merge(), 'k.json', of)
  const merged = { base: 1, a: 2, b: 2, c: 2 }
  expect(JSON.parse(world.everywhere()['k.json'] ?? '')).toMatchObject(merged)
  await world.engine.run({ request: await world.decide('k.json', { replica: 'b' }) })
  expect(world.everywhere()).toEqual({ 'k.json': of('b') })
})

it.each([
  ['an update, where it was deleted', 'delete-wins', 'b', { 'k.txt': 'kept' }],
  ['the delete, where the update survived', 'last-write-wins', 'a', {}],
] as const)('for %s', async (_, name, replica, expected) => {
  const world = await conflictWorld(stores, { name } as Strategy)
  world.put('a', 'k.txt', 'base')
  world.put('a', 'other', 'other')
  await world.engine.run()
  world.remove('a', 'k.txt')
  world.put('b', 'k.txt', 'kept')
  await world.engine.run()
  await takeBack(world)
  const request = await world.decide('k.txt', { replica })
  expect(await world.engine.run({ request })).toMatchObject({ state: 'complete' })
  expect(world.everywhere()).toEqual({ ...expected, other: 'other' })
  expect(await world.engine.run()).toMatchObject({ state: 'complete', counts: { planned: 0 } })
})

it('what came later goes its way; a decision that was made before it is refused', async () => {
  const { world, id } = await undone(lastWins)
  const request = await world.decide('k.txt', { replica: 'a' })
  world.put('b', 'k.txt', 'later')
  await world.engine.run()
  expect(world.everywhere()).toEqual({ 'k.txt': 'later' })
  const { run } = await world.engine.run({ request })
  const filter = { run, states: ['skipped' as const], after: -1, limit: 10 }
  const [item] = await world.engine.catalog.readItems(filter)
  expect(item?.outcomes['']).toMatchObject({ code: 'moved-on', reason: 'run 3 changed it since' })
  expect(await world.conflicts()).toMatchObject([{ id }])
  await world.engine.run({ request: await world.decide('k.txt', { replica: 'a' }) })
  expect(world.everywhere()).toEqual({ 'k.txt': 'of a' })
  expect(await world.inVault('later')).toBe(true)
})

it('ends as it had where users come into conflict anew', async () => {
  const { world, id } = await undone(lastWins)
  world.put('a', 'k.txt', 'again of a')
  world.put('b', 'k.txt', 'again of b')
  expect(await world.engine.run()).toMatchObject({ state: 'complete' })
  expect(world.everywhere()).toEqual({ 'k.txt': 'again of b' })
  expect((await world.conflicts('resolved')).map((one) => one.id)).toEqual([id + 1, id])
})
