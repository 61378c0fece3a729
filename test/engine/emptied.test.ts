/** A replica found empty although it held more than one key: a person must say that it is meant. */
import { afterEach, beforeEach, expect, test } from 'vitest'
import { dropMemoryStores, memoryStore } from '../../connectors/memory-store.ts'
import { createEngine, type Engine } from './engine.ts'

let engine: Engine

beforeEach(async () => {
  dropMemoryStores()
  engine = await createEngine([
    { type: 'memory', store: 'a', prefix: '' },
    { type: 'memory', store: 'b', prefix: '' },
  ])
  for (const key of ['k1', 'k2', 'k3']) memoryStore('a').put(key, Buffer.from(key))
  expect(await engine.run()).toMatchObject({ state: 'complete', counts: { puts: 3 } })
})
afterEach(() => engine.close())

const empty = (store: string) => {
  for (const name of [...memoryStore(store).names()]) memoryStore(store).remove(name)
}

/** b is emptied, and a run that holds the deletes puts another key there. */
async function emptyAndRefill() {
  empty('b')
  memoryStore('a').put('k4', Buffer.from('k4'))
  expect(await engine.run()).toMatchObject({ state: 'held', counts: { puts: 1, deletes: 0 } })
  expect(memoryStore('b').names()).toEqual(['k4'])
}

test('I3: an emptied replica deletes nothing, also when a run has put something there', async () => {
  await emptyAndRefill()
  for (let i = 0; i < 3; i++) {
    expect(await engine.run()).toMatchObject({ state: 'held', counts: { deletes: 0, held: 3 } })
  }
  expect(memoryStore('a').names()).toEqual(['k1', 'k2', 'k3', 'k4'])
})

test('I3: nor where conflicts have put all but one of its keys back', async () => {
  empty('b')
  for (const key of ['k1', 'k2']) memoryStore('a').put(key, Buffer.from('edited'))
  expect(await engine.run()).toMatchObject({ state: 'held', counts: { puts: 2, held: 1 } })
  expect(await engine.run()).toMatchObject({ state: 'held', counts: { deletes: 0, held: 1 } })
  expect(memoryStore('a').names()).toEqual(['k1', 'k2', 'k3'])
})

test('I3: what an emptied replica caused is deleted when a person says so, and once', async () => {
  await emptyAndRefill()
  const { run } = await engine.run()
  const approved = await engine.run({ mode: 'approve', base: run })
  expect(approved).toMatchObject({ state: 'complete', counts: { deletes: 3 } })
  expect(memoryStore('a').names()).toEqual(['k4'])
  expect(await engine.run()).toMatchObject({ state: 'complete', counts: { deletes: 0 } })
})

test('I3: when its keys are back, an emptied replica is believed again', async () => {
  await emptyAndRefill()
  for (const key of ['k1', 'k2', 'k3']) memoryStore('b').put(key, Buffer.from(key))
  expect(await engine.run()).toMatchObject({ state: 'complete', counts: { puts: 0, deletes: 0 } })
  for (const key of ['k1', 'k2']) memoryStore('b').remove(key)
  expect(await engine.run()).toMatchObject({ state: 'complete', counts: { deletes: 2 } })
})
