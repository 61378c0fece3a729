/** Conflicts that stay open: they follow their sides, end by agreement, by a person, or in time. */
import { expect, it } from 'vitest'
import { resolveConflicts } from '../../activities/resolve.ts'
import { createDeciding } from '../../activities/verdict.ts'
import { memoryStore } from '../../connectors/memory-store.ts'
import type { RunRecord } from '../../src/catalog/catalog.ts'
import type { StrategyRule } from '../../src/model.ts'
import { conflictWorld, conflictWorlds, failing } from './conflict-world.ts'

conflictWorlds()

const stores = ['a', 'b', 'c']
const manual = { name: 'manual' } as const

it('follows its sides, keeps all they had, and ends by itself when they agree', async () => {
  const world = await conflictWorld(stores, manual)
  world.put('a', 'k', 'base')
  await world.engine.run()
  for (const store of stores) world.put(store, 'k', `of ${store}`)
  await world.engine.run()
  const [first] = await world.conflicts()
  world.put('b', 'k', 'of b again')
  await world.engine.run()
  world.put('c', 'k', 'of a')
  await world.engine.run()
  const [second, ...others] = await world.conflicts()
  expect(others).toEqual([])
  expect(second).toMatchObject({ id: first?.id, openedRun: first?.openedRun })
  expect(second?.identity).not.toBe(first?.identity)
  expect(second?.conflict.contenders.map(({ replicas }) => replicas.length).toSorted()).toEqual([
    1, 2,
  ])
  for (const text of ['of a', 'of b', 'of c', 'of b again']) {
    expect(await world.inVault(text)).toBe(true)
  }
  world.put('b', 'k', 'of a')
  expect(await world.engine.run()).toMatchObject({ state: 'complete', counts: { puts: 0 } })
  expect(await world.conflicts()).toEqual([])
  expect(await world.conflicts('closed')).toHaveLength(1)
})

it('of a key that was never agreed ends when nobody has it any more', async () => {
  const world = await conflictWorld(stores, manual)
  for (const key of ['a', 'k', 'z'])
    for (const store of stores) world.put(store, key, `${key} of ${store}`)
  await world.engine.run()
  for (const store of stores) world.remove(store, 'k')
  await world.engine.run()
  expect((await world.conflicts()).map(({ key }) => key).toSorted()).toEqual(['a', 'z'])
  for (const store of stores) for (const key of ['a', 'z']) world.remove(store, key)
  expect(await world.engine.run()).toMatchObject({ state: 'complete' })
  expect(await world.conflicts()).toEqual([])
})

const rule: StrategyRule = { name: 'r', match: [], when: null, strategy: manual, later: null }

it('is decided by another strategy once it has been open for so long', async () => {
  const later = { afterMs: 3_600_000, strategy: { name: 'first-write-wins' } } as const
  const world = await conflictWorld(['a', 'b'], [{ ...rule, later }])
  world.put('a', 'k', 'of a')
  world.put('b', 'k', 'of b')
  await world.engine.run()
  world.later(3_500_000)
  expect(await world.engine.run()).toMatchObject({ state: 'conflicts' })
  world.later(200_000)
  expect(await world.engine.run()).toMatchObject({ state: 'complete' })
  expect(world.everywhere()).toEqual({ k: 'of a' })
  const [resolved] = await world.conflicts('resolved')
  expect(resolved?.resolution).toMatchObject({
    ...{ strategy: 'first-write-wins', rule: 'r', tried: [{ strategy: 'manual', code: 'manual' }] },
  })
})

it('a clock that is not believed leaves it to a person; within the limit it counts as now', async () => {
  const strategy = { name: 'last-write-wins', skewMs: 300_000 } as const
  const world = await conflictWorld(['a', 'b'], strategy)
  const { clock } = memoryStore('b')
  const put = (ahead: number) => {
    memoryStore('b').clock = () => clock() + ahead
    world.put('b', 'k', `${ahead} ahead`)
    world.put('a', 'k', `of a, beside ${ahead}`)
  }
  put(3_600_000)
  await world.engine.run()
  const [open] = await world.conflicts()
  expect(open?.conflict.undecided).toMatchObject([
    { strategy: 'last-write-wins', code: 'clock-skew' },
  ])
  put(60_000)
  await world.engine.run()
  expect(world.everywhere()).toMatchObject({ k: expect.stringMatching('60000') })
})

it('I2: where the losers cannot be kept, nothing is overwritten, whatever decides', async () => {
  for (const name of ['last-write-wins', 'first-write-wins', 'largest', 'smallest'] as const) {
    const world = await conflictWorld(['a', 'b'], { name })
    world.put('a', name, 'of a')
    world.put('b', name, 'of b!')
    const back = failing('vault', 'write', 'no-space')
    expect(await world.engine.run()).toMatchObject({ state: 'partial', counts: { puts: 0 } })
    expect([world.at('a')[name], world.at('b')[name]]).toEqual(['of a', 'of b!'])
    back()
    await world.engine.run()
    const winner = world.everywhere()[name]
    expect(await world.inVault(winner === 'of a' ? 'of b!' : 'of a')).toBe(true)
  }
})

it('I2: the loser is in the vault before the winner is written', async () => {
  const world = await conflictWorld(['a', 'b'], { name: 'last-write-wins' })
  world.put('a', 'k', 'of a')
  world.put('b', 'k', 'of b')
  const kept: boolean[] = []
  memoryStore('a').faults.push(async ({ when, operation }) => {
    if (when === 'commit' && operation === 'write') kept.push(await world.inVault('of a'))
  })
  await world.engine.run()
  expect(kept).toEqual([true])
})

it('one-way, drift is never decided by a strategy', async () => {
  const world = await conflictWorld(['a', 'b'], { name: 'last-write-wins' })
  await world.engine.configure({ direction: 'one-way' })
  world.put('a', 'k', 'source')
  await world.engine.run()
  world.put('b', 'k', 'drifted')
  expect(await world.engine.run()).toMatchObject({ state: 'conflicts', counts: { puts: 0 } })
  const [open] = await world.conflicts()
  expect(open?.kind).toBe('drift')
})

it('of a key that went while its other side was away ends when that one is back without it', async () => {
  const world = await conflictWorld(['a', 'b'], manual)
  await world.engine.configure({ direction: 'one-way', drift: 'conflict' })
  world.put('b', 'k', 'of b')
  world.put('a', 'k', 'of a')
  expect(await world.engine.run()).toMatchObject({ state: 'conflicts' })
  for (const store of ['a', 'b']) world.remove(store, 'k')
  const back = failing('b', 'list', 'unavailable')
  await world.engine.run()
  expect(await world.conflicts()).toHaveLength(1)
  back()
  expect(await world.engine.run()).toMatchObject({ state: 'complete' })
  expect(await world.conflicts()).toEqual([])
})

it('stays open whatever a plan sees: the run that follows ends it', async () => {
  const world = await conflictWorld(['a', 'b'], manual)
  world.put('a', 'k', 'of a')
  world.put('b', 'k', 'of b')
  await world.engine.run()
  world.put('b', 'k', 'of a')
  await world.engine.run({ mode: 'plan' })
  expect(await world.conflicts()).toHaveLength(1)
  await world.engine.run()
  expect(await world.conflicts()).toEqual([])
})

it('an attempt that was given up opens nothing over what its successor decided', async () => {
  const world = await conflictWorld(['a', 'b'], manual)
  const { catalog, deps } = world.engine
  const shared = { ...deps, deciding: createDeciding() }
  world.put('a', 'k', 'of a')
  world.put('b', 'k', 'of b')
  let asked = 0
  const run = world.engine.run({
    async atFence(lane) {
      if (!lane.startsWith('resolve') || asked++ > 0) return
      const [record] = await catalog.listRuns({ limit: 1 })
      const { run: number } = record as RunRecord
      // It asked in time, and was overtaken before it wrote.
      const late = { ...(await world.engine.attempt(number, lane)), fence: async () => undefined }
      await catalog.claim(number, lane)
      await expect(resolveConflicts(shared, number, 0, late)).rejects.toThrow(lane)
    },
  })
  await expect(run).rejects.toThrow('resolve/0')
  expect(asked).toBe(1)
  expect(await world.conflicts()).toEqual([])
})
