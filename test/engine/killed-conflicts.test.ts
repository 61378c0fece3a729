/** Conflicts of which a worker is killed at each durable step: decided once, nothing lost (I6). */
import { expect, it } from 'vitest'
import { dropMemoryStores } from '../../connectors/memory-store.ts'
import type { Strategy } from '../../src/model.ts'
import { conflictWorld, conflictWorlds, keepBoth, merge } from './conflict-world.ts'

conflictWorlds()

const json = (value: object) => JSON.stringify(value)
const base = { a: 1, b: 1, c: 1 }
const of = (store: string) => json({ ...base, [store]: 2 })
const counted: Strategy = {
  ...{ name: 'crdt', bytesMax: 1024 },
  fields: ['/a', '/b', '/c'].map((path) => ({ path, type: 'counter' })),
}

it.each<[string, Strategy, string[]]>([
  ['merged', merge(), [json({ a: 2, b: 2, c: 2 })]],
  ['counted', counted, [json({ a: 2, b: 2, c: 2 })]],
  ['kept side by side', keepBoth, ['a', 'b', 'c'].map(of)],
])('%s', async (_, strategy, expected) => {
  for (let step = 0; ; step++) {
    dropMemoryStores()
    const world = await conflictWorld(['a', 'b', 'c'], strategy)
    world.put('a', 'k.json', json(base))
    await world.engine.run()
    for (const store of ['a', 'b', 'c']) world.put(store, 'k.json', of(store))
    let seen = 0
    await world.engine.run({ kills: () => seen++ === step })
    expect(await world.engine.run(), `killed at step ${step}`).toMatchObject({ state: 'complete' })
    const contents = Object.values(world.everywhere()).map((text) => json(JSON.parse(text)))
    expect(contents.toSorted(), `killed at step ${step}`).toEqual(expected.toSorted())
    for (const loser of ['a', 'b']) expect(await world.inVault(of(loser))).toBe(true)
    expect(await world.engine.run()).toMatchObject({ counts: { planned: 0, conflicts: 0 } })
    if (seen <= step) return
  }
})
