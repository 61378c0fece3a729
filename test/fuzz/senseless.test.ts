/** What becomes of a run where a store says nonsense of one object. */
import { afterEach, expect, it } from 'vitest'
import type { Page } from '../../connectors/connector.ts'
import { dropMemoryStores, memoryStore } from '../../connectors/memory-store.ts'
import { createEngine, type Engine } from '../engine/engine.ts'

let engine: Engine | undefined

afterEach(async () => {
  await engine?.close()
  dropMemoryStores()
})

it('I3, I5: one object without a size that makes sense is no delete, and the others sync', async () => {
  const keys = ['a', 'b', 'b/below', 'c']
  for (const key of keys) memoryStore('one').put(key, Buffer.from(key))
  engine = await createEngine([
    { type: 'memory', store: 'one', prefix: '' },
    { type: 'memory', store: 'two', prefix: '' },
  ])
  expect(await engine.run()).toMatchObject({ state: 'complete', counts: { puts: 4 } })

  const reason = 'the listing gives it no size that makes sense'
  const fault = ({ page }: { page?: Page }) => {
    const at = page?.entries.findIndex(({ key }) => key === 'b') ?? -1
    if (!page || at < 0) return
    page.entries.splice(at, 1)
    page.skipped.push({ key: 'b', reason, alone: true })
  }
  memoryStore('one').faults.push(fault)
  memoryStore('one').put('c', Buffer.from('edited'))
  memoryStore('one').remove('b/below')
  const counts = { puts: 1, deletes: 1, skipped: 1, conflicts: 0 }
  expect(await engine.run()).toMatchObject({ state: 'complete', counts })
  expect(memoryStore('two').names()).toEqual(['a', 'b', 'c'])

  memoryStore('one').faults.length = 0
  const quiet = { puts: 0, deletes: 0, skipped: 0 }
  expect(await engine.run()).toMatchObject({ state: 'complete', counts: quiet })
})
