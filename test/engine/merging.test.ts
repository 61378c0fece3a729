/** Conflicts that are merged: what it takes, what comes of it, what is left for a person. */
import { expect, it } from 'vitest'
import { memoryStore } from '../../connectors/memory-store.ts'
import type { Strategy } from '../../src/model.ts'
import { conflictWorld, conflictWorlds, failing, keepBoth, merge } from './conflict-world.ts'

conflictWorlds()

const json = (value: object) => `${JSON.stringify(value, null, 2)}\n`
const base = { a: 1, b: 1, c: 1 }

it('three replicas change a field each: all get all of it, and nothing is left to do (I7)', async () => {
  const world = await conflictWorld(['a', 'b', 'c'], merge())
  world.put('a', 'k.json', json(base))
  await world.engine.run()
  for (const field of ['a', 'b', 'c']) world.put(field, 'k.json', json({ ...base, [field]: 2 }))
  expect(await world.engine.run()).toMatchObject({ state: 'complete', counts: { puts: 3 } })
  expect(JSON.parse(world.everywhere()['k.json'] ?? '')).toEqual({ a: 2, b: 2, c: 2 })
  const [resolved] = await world.conflicts('resolved')
  expect(resolved?.resolution).toMatchObject({
    ...{ strategy: 'merge', rule: 'test', why: 'merged as json', by: null, merged: true },
    ...{ winnerReplicas: [], base: { size: json(base).length }, tried: [] },
  })
  expect(resolved?.resolution?.losers).toHaveLength(3)
  for (const field of ['a', 'b', 'c']) {
    expect(await world.inVault(json({ ...base, [field]: 2 }))).toBe(true)
  }
  const [line] = await world.engine.catalog.linesOfKey('data', 'k.json', { limit: 1 })
  expect(line).toMatchObject({ reason: 'merged', version: { origin: '' } })
  expect(await world.engine.run()).toMatchObject({ counts: { planned: 0, puts: 0, conflicts: 0 } })
})

it('what nobody holds any more is merged with from the vault; other keys put nothing there', async () => {
  const rule = { name: 'r', when: null, later: null }
  const world = await conflictWorld(
    ['a', 'b'],
    [
      { ...rule, match: ['*.json'], strategy: merge() },
      { ...rule, match: [], strategy: { name: 'last-write-wins' } },
    ],
  )
  world.put('a', 'k.json', json(base))
  world.put('a', 'k.txt', 'text')
  await world.engine.run()
  expect(await world.inVault(json(base))).toBe(true)
  expect(await world.inVault('text')).toBe(false)
  world.put('a', 'k.json', json({ ...base, a: 2 }))
  world.put('b', 'k.json', json({ ...base, b: 2 }))
  await world.engine.run()
  expect(JSON.parse(world.everywhere()['k.json'] ?? '')).toEqual({ ...base, a: 2, b: 2 })
})

it('equal contents that are found everywhere at first can be merged with, too', async () => {
  const world = await conflictWorld(['a', 'b'], merge())
  for (const store of ['a', 'b']) world.put(store, 'k.json', json(base))
  await world.engine.run()
  world.put('a', 'k.json', json({ ...base, a: 2 }))
  world.put('b', 'k.json', json({ ...base, b: 2 }))
  await world.engine.run()
  expect(JSON.parse(world.everywhere()['k.json'] ?? '')).toEqual({ ...base, a: 2, b: 2 })
})

it('a change made behind the head is merged with what it was made of, and loses nothing', async () => {
  const world = await conflictWorld(['a', 'b', 'c'], merge())
  world.put('a', 'k.json', json(base))
  await world.engine.run()
  const back = failing('c', 'list', 'denied')
  world.put('a', 'k.json', json({ ...base, a: 2 }))
  await world.engine.run()
  world.put('c', 'k.json', json({ ...base, c: 2 }))
  back()
  await world.engine.run()
  expect(JSON.parse(world.everywhere()['k.json'] ?? '')).toEqual({ ...base, a: 2, c: 2 })
  expect(await world.engine.run()).toMatchObject({ counts: { planned: 0 } })
})

it('a put that fails is made good by the next run: merging again changes nothing', async () => {
  const world = await conflictWorld(['a', 'b'], merge())
  world.put('a', 'k.json', json(base))
  await world.engine.run()
  world.put('a', 'k.json', json({ ...base, a: 2 }))
  world.put('b', 'k.json', json({ ...base, b: 2 }))
  const back = failing('b', 'write', 'denied')
  expect(await world.engine.run()).toMatchObject({ state: 'partial' })
  back()
  expect(await world.engine.run()).toMatchObject({ state: 'complete' })
  expect(JSON.parse(world.everywhere()['k.json'] ?? '')).toEqual({ ...base, a: 2, b: 2 })
})

it('both changed one field: it stays open, and says where and why', async () => {
  const world = await conflictWorld(['a', 'b'], merge())
  world.put('a', 'k.json', json(base))
  await world.engine.run()
  world.put('a', 'k.json', json({ ...base, a: 2 }))
  world.put('b', 'k.json', json({ ...base, a: 3 }))
  expect(await world.engine.run()).toMatchObject({ state: 'conflicts', counts: { puts: 0 } })
  const [open] = await world.conflicts()
  expect(open?.conflict.undecided).toMatchObject([
    { strategy: 'merge', code: 'both-changed', at: '/a' },
  ])
})

it.each([
  ['malformed JSON on one side', 'malformed', 'k.json', '{"a": '],
  ['mixed encodings', 'encoding', 'k.txt', '\xfe\xff'],
])('%s falls to what the rule says, and nothing is lost', async (_, code, key, broken) => {
  const world = await conflictWorld(['a', 'b'], merge({ otherwise: keepBoth }))
  world.put('a', key, json(base))
  await world.engine.run()
  world.put('a', key, json({ ...base, a: 2 }))
  world.later(1_000)
  memoryStore('b').put(key, Buffer.from(broken, 'latin1'))
  await world.engine.run()
  const names = Object.keys(world.everywhere())
  expect(names).toHaveLength(2)
  const [resolved] = await world.conflicts('resolved')
  expect(resolved?.resolution).toMatchObject({ strategy: 'keep-both', tried: [{ code }] })
})

it('what is larger than is merged is not read: it falls to what the rule says', async () => {
  const strategy = merge({ bytesMax: 30, otherwise: { name: 'prefer', ranks: [['a']] } })
  const world = await conflictWorld(['a', 'b'], strategy)
  world.put('a', 'k.txt', 'short\n')
  await world.engine.run()
  world.put('a', 'k.txt', 'a'.repeat(40))
  world.put('b', 'k.txt', 'b'.repeat(40))
  await world.engine.run()
  expect(world.everywhere()['k.txt']).toBe('a'.repeat(40))
  const [resolved] = await world.conflicts('resolved')
  expect(resolved?.resolution?.tried).toMatchObject([{ strategy: 'merge', code: 'too-large' }])
})

it('a merge of a stored plan is made when that is applied', async () => {
  const world = await conflictWorld(['a', 'b'], merge())
  world.put('a', 'k.json', json(base))
  await world.engine.run()
  world.put('a', 'k.json', json({ ...base, a: 2 }))
  world.put('b', 'k.json', json({ ...base, b: 2 }))
  const writes = memoryStore('vault').writes.size
  const plan = await world.engine.run({ mode: 'plan' })
  expect(memoryStore('vault').writes.size).toBe(writes)
  await world.engine.run({ mode: 'apply', base: plan.run })
  expect(JSON.parse(world.everywhere()['k.json'] ?? '')).toEqual({ ...base, a: 2, b: 2 })
})

it.each(['no-space', 'denied', 'root-missing'] as const)(
  'I2: where the vault answers %s, nothing is overwritten',
  async (code) => {
    const world = await conflictWorld(['a', 'b'], merge())
    world.put('a', 'k.json', json(base))
    await world.engine.run()
    world.put('a', 'k.json', json({ ...base, a: 2 }))
    world.put('b', 'k.json', json({ ...base, b: 2 }))
    const back = failing('vault', 'write', code)
    expect(await world.engine.run()).toMatchObject({ state: 'partial', counts: { puts: 0 } })
    expect(world.at('a')['k.json']).toBe(json({ ...base, a: 2 }))
    expect(world.at('b')['k.json']).toBe(json({ ...base, b: 2 }))
    back()
    await world.engine.run()
    expect(JSON.parse(world.everywhere()['k.json'] ?? '')).toEqual({ ...base, a: 2, b: 2 })
  },
)

const counting: Strategy = {
  ...{ name: 'crdt', bytesMax: 1 << 20 },
  fields: [{ path: '/n', type: 'counter' }],
}

it('CRDTs: what a side counted is counted once, also where a put had to be tried again', async () => {
  const world = await conflictWorld(['a', 'b'], counting)
  world.put('a', 'k.json', json({ n: 1 }))
  await world.engine.run()
  world.put('a', 'k.json', json({ n: 2 }))
  world.put('b', 'k.json', json({ n: 4 }))
  const back = failing('b', 'write', 'denied')
  expect(await world.engine.run()).toMatchObject({ state: 'partial' })
  expect(JSON.parse(world.at('a')['k.json'] ?? '')).toEqual({ n: 5 })
  back()
  expect(await world.engine.run()).toMatchObject({ state: 'complete' })
  expect(JSON.parse(world.everywhere()['k.json'] ?? '')).toEqual({ n: 5 })
})

it('what is made of a side that was merged, before it got the result, is merged with that side', async () => {
  const world = await conflictWorld(['a', 'b'], counting)
  world.put('a', 'k.json', json({ n: 1 }))
  await world.engine.run()
  world.put('a', 'k.json', json({ n: 2 }))
  world.put('b', 'k.json', json({ n: 4 }))
  const back = failing('b', 'write', 'denied')
  await world.engine.run()
  world.put('b', 'k.json', json({ n: 14 }))
  back()
  await world.engine.run()
  expect(JSON.parse(world.everywhere()['k.json'] ?? '')).toEqual({ n: 15 })
})
