/** Losers that stay beside the winner under a name of their own: once each, and never in a loop. */
import { expect, it } from 'vitest'
import { memoryStore } from '../../connectors/memory-store.ts'
import { conflictWorld, conflictWorlds, failing, keepBoth } from './conflict-world.ts'

conflictWorlds()

const loserOfA = 'k.conflict-a-20260101T000002Z.txt'

it('the last write keeps the name, every other side is kept beside it, everywhere', async () => {
  const world = await conflictWorld(['a', 'b', 'c'], keepBoth)
  world.put('a', 'k.txt', 'base')
  await world.engine.run()
  for (const store of ['a', 'b', 'c']) world.put(store, 'k.txt', `of ${store}`)
  expect(await world.engine.run()).toMatchObject({ state: 'complete' })
  expect(world.everywhere()).toEqual({
    'k.txt': 'of c',
    [loserOfA]: 'of a',
    'k.conflict-b-20260101T000003Z.txt': 'of b',
  })
  const [resolved] = await world.conflicts('resolved')
  expect(resolved?.resolution?.losers.map(({ keptAs }) => keptAs).toSorted()).toEqual([
    loserOfA,
    'k.conflict-b-20260101T000003Z.txt',
  ])
  const [line] = await world.engine.catalog.linesOfKey('data', loserOfA, { limit: 1 })
  expect(line).toMatchObject({ reason: 'kept-both', version: { origin: 'a' } })
  expect(await world.engine.run()).toMatchObject({ counts: { planned: 0, conflicts: 0 } })
})

it('a side that deleted it leaves nothing to be kept', async () => {
  const world = await conflictWorld(['a', 'b'], keepBoth)
  world.put('a', 'k.txt', 'base')
  await world.engine.run()
  world.remove('a', 'k.txt')
  world.put('b', 'k.txt', 'edited')
  await world.engine.run()
  expect(world.everywhere()).toEqual({ 'k.txt': 'edited' })
})

it('nothing is overwritten before the loser is kept', async () => {
  const world = await conflictWorld(['a', 'b'], keepBoth)
  world.put('a', 'k.txt', 'of a')
  world.put('b', 'k.txt', 'of b')
  const backs = ['a', 'b'].map((store) => failing(store, 'write', 'denied', /conflict/))
  expect(await world.engine.run()).toMatchObject({ state: 'partial', counts: { puts: 0 } })
  expect(world.at('a')).toEqual({ 'k.txt': 'of a' })
  expect(world.at('b')).toEqual({ 'k.txt': 'of b' })
  for (const back of backs) back()
  expect(await world.engine.run()).toMatchObject({ state: 'complete' })
  expect(world.everywhere()).toMatchObject({ 'k.txt': 'of b' })
  expect(Object.values(world.everywhere())).toHaveLength(2)
})

it('the same loser is kept once: where the winner could not be put, and from who was away', async () => {
  const world = await conflictWorld(['a', 'b', 'c'], keepBoth)
  world.put('a', 'k.txt', 'base')
  await world.engine.run()
  const online = failing('c', 'list', 'denied')
  const writable = failing('a', 'write', 'denied', /^k\.txt$/)
  world.put('c', 'k.txt', 'theirs')
  world.put('a', 'k.txt', 'theirs')
  world.put('b', 'k.txt', 'ours')
  await world.engine.run()
  writable()
  await world.engine.run()
  expect(Object.keys(world.at('b'))).toHaveLength(2)
  online()
  await world.engine.run()
  await world.engine.run()
  expect(Object.values(world.everywhere()).toSorted()).toEqual(['ours', 'theirs'])
})

it('a copy that somebody deleted does not come back', async () => {
  const world = await conflictWorld(['a', 'b'], keepBoth)
  world.put('a', 'k.txt', 'of a')
  world.put('b', 'k.txt', 'of b')
  const writable = failing('a', 'write', 'denied', /^k\.txt$/)
  await world.engine.run()
  const [copy = ''] = Object.keys(world.at('b')).filter((key) => key.includes('conflict'))
  world.remove('a', copy)
  await world.engine.run()
  writable()
  await world.engine.run()
  expect(world.everywhere()).toEqual({ 'k.txt': 'of b' })
})

it('names do not nest: a conflict of a copy is kept beside the original', async () => {
  const world = await conflictWorld(['a', 'b'], keepBoth)
  world.put('a', 'k.txt', 'one of a')
  world.put('b', 'k.txt', 'one of b')
  await world.engine.run()
  const [copy = ''] = Object.keys(world.everywhere()).filter((key) => key.includes('conflict'))
  world.put('a', copy, 'two of a')
  world.put('b', copy, 'two of b')
  await world.engine.run()
  const { 'k.txt': original, [copy]: winner, ...rest } = world.everywhere()
  expect([original, winner]).toEqual(['one of b', 'two of b'])
  expect(Object.values(rest)).toEqual(['two of a'])
  expect(Object.keys(rest)[0]).toMatch(/^k\.conflict-a-20260101T000003Z\.[0-9a-f]{8}\.txt$/)
})

it('a copy and its original may lose at the same time: both losers are kept, once', async () => {
  const world = await conflictWorld(['a', 'b'], keepBoth)
  world.put('a', 'k.txt', 'one of a')
  world.put('b', 'k.txt', 'one of b')
  await world.engine.run()
  const [copy = ''] = Object.keys(world.everywhere()).filter((key) => key.includes('conflict'))
  world.later(1_000)
  for (const key of ['k.txt', copy]) memoryStore('a').put(key, Buffer.from(`${key} of a`))
  world.later(1_000)
  for (const key of ['k.txt', copy]) memoryStore('b').put(key, Buffer.from(`${key} of b`))
  expect(await world.engine.run()).toMatchObject({ state: 'complete' })
  const kept = Object.values(world.everywhere()).toSorted()
  expect(kept).toEqual(['k.txt', copy].flatMap((key) => [`${key} of a`, `${key} of b`]).toSorted())
})

it('a name that has this very content is adopted; one that has another gets a digest', async () => {
  const world = await conflictWorld(['a', 'b'], keepBoth)
  const name = 'k.conflict-a-20260101T000002Z.txt'
  world.put('b', name, 'of a')
  world.put('a', 'k.txt', 'of a')
  world.put('b', 'k.txt', 'of b')
  await world.engine.run()
  expect(world.everywhere()).toEqual({ 'k.txt': 'of b', [name]: 'of a' })

  const taken = 'l.conflict-a-20260101T000005Z.txt'
  world.put('b', taken, 'something else')
  world.put('a', 'l.txt', 'of a')
  world.put('b', 'l.txt', 'of b')
  await world.engine.run()
  const all = world.everywhere()
  expect(all).toMatchObject({ 'l.txt': 'of b', [taken]: 'something else' })
  const longer = Object.keys(all).find((key) => /^l\.conflict-a-.*Z\.[0-9a-f]{8}\.txt$/.test(key))
  expect(all[longer ?? '']).toBe('of a')
})

it('a name that the dataset leaves out is none: it stays open, and says so', async () => {
  const world = await conflictWorld(['a', 'b'], keepBoth)
  await world.engine.configure({ exclude: ['*conflict*'] })
  world.put('a', 'k.txt', 'of a')
  world.put('b', 'k.txt', 'of b')
  expect(await world.engine.run()).toMatchObject({ state: 'conflicts', counts: { puts: 0 } })
  const [open] = await world.conflicts()
  expect(open?.conflict.undecided).toMatchObject([{ strategy: 'keep-both', code: 'not-selected' }])
})

it('a replica that cannot hold the name is skipped there, and has the winner', async () => {
  memoryStore('b').traits = {
    keys: { bytesMax: 12, prefixBytes: 0, pathLike: false },
  }
  const world = await conflictWorld(['a', 'b'], keepBoth)
  world.put('a', 'k.txt', 'of a')
  world.put('b', 'k.txt', 'of b')
  await world.engine.run()
  expect(world.at('b')).toEqual({ 'k.txt': 'of b' })
  expect(world.at('a')).toEqual({ 'k.txt': 'of b', [loserOfA.replace('2Z', '1Z')]: 'of a' })
})

it('a stored plan keeps both exactly as planned', async () => {
  const world = await conflictWorld(['a', 'b'], keepBoth)
  world.put('a', 'k.txt', 'of a')
  world.put('b', 'k.txt', 'of b')
  const plan = await world.engine.run({ mode: 'plan' })
  expect(Object.keys(world.at('a'))).toEqual(['k.txt'])
  const applied = await world.engine.run({ mode: 'apply', base: plan.run })
  expect(applied).toMatchObject({ state: 'complete', counts: { puts: 3 } })
  expect(world.everywhere()).toEqual({
    'k.txt': 'of b',
    'k.conflict-a-20260101T000001Z.txt': 'of a',
  })
})
