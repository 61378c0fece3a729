/** What an action takes away is in the vault first, or the action isn't done (I2). */
import { afterEach, beforeEach, expect, test } from 'vitest'
import { dropMemoryStores, memoryStore } from '../../connectors/memory-store.ts'
import { StoreError } from '../../src/errors.ts'
import { createEngine, type Engine } from './engine.ts'

let engine: Engine

beforeEach(() => dropMemoryStores())
afterEach(() => engine.close())

/** All hold `old`, then `a` is edited. Stores that can't refuse a write by its token. */
async function edited(stores: string[]): Promise<void> {
  for (const name of stores) memoryStore(name).traits = { conditionalOverwrite: false }
  engine = await createEngine(stores.map((store) => ({ type: 'memory', store, prefix: '' })))
  memoryStore('a').put('key', Buffer.from('old'))
  await engine.run()
  memoryStore('a').put('key', Buffer.from('edited'))
}

const at = (store: string) => memoryStore(store).get('key')?.bytes.toString()

test('I2: a replica that moved on is not touched, as what it has now is nowhere else', async () => {
  await edited(['a', 'b'])
  const plan = await engine.run({ mode: 'plan' })
  memoryStore('b').put('key', Buffer.from('foreign'))
  const run = await engine.run({ mode: 'apply', base: plan.run })
  expect(run).toMatchObject({ state: 'partial', counts: { puts: 0, stale: 1, failed: 0 } })
  expect(at('b')).toBe('foreign')
})

test('I2: one that cannot be read keeps its content, though another that had it moved on', async () => {
  await edited(['a', 'b', 'c'])
  const plan = await engine.run({ mode: 'plan' })
  memoryStore('c').put('key', Buffer.from('foreign'))
  const { faults } = memoryStore('b')
  faults.push(({ when, operation, location, key }) => {
    if (when !== 'before' || (operation !== 'read' && operation !== 'stat')) return
    throw new StoreError('denied', 'not yours', { location, operation, key: key ?? '' })
  })
  const run = await engine.run({ mode: 'apply', base: plan.run })
  expect(run).toMatchObject({ state: 'partial', counts: { puts: 0 } })
  expect([at('b'), at('c')]).toEqual(['old', 'foreign'])
})
