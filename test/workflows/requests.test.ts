/** What a person asks for, on a real Temporal: beside a run of the dataset, and in its place. */
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from 'vitest'
import { dropMemoryStores, memoryStore } from '../../connectors/memory-store.ts'
import type { LocationOptions } from '../../connectors/options.ts'
import type { Directive, Request } from '../../src/model.ts'
import { gateAt, openGates, writing } from './gates.ts'
import { startWorld, type Temporal, type World } from './temporal.ts'

let temporal: Temporal
let world: World

beforeAll(async () => {
  temporal = await startWorld()
})
afterAll(() => temporal.stop())
beforeEach(async () => {
  dropMemoryStores()
  const memory = (store: string): LocationOptions => ({ type: 'memory', store, prefix: '' })
  world = await temporal.world([memory('a'), memory('b')], { batchSize: 5 }, { rangeKeys: 10 })
})
afterEach(async () => {
  openGates()
  await world.close()
})

const keyOf = (i: number) => `key-${String(i).padStart(3, '0')}`
const put = (store: string, key: string, text: string) =>
  memoryStore(store).put(key, Buffer.from(text))
const text = (store: string, key: string) => memoryStore(store).get(key)?.bytes.toString()

function fill(keys: number): void {
  for (let i = 0; i < keys; i++) put('a', keyOf(i), `content ${i}`)
}

async function ask(request: Request, keys: string[] = []): Promise<number> {
  const { catalog } = world.engine
  const id = await catalog.createRequest(world.dataset, request, 'me@here', Date.now())
  if (request.kind !== 'resolve') return id
  const take = { strategy: 'manual' }
  const directive: Directive = { do: 'resolve', conflict: 0, identity: '', take }
  await catalog.addRequestKeys(
    id,
    keys.map((key) => ({ key, directive })),
  )
  await catalog.endSelection(id)
  return id
}

test('selected keys are synced while a run of the dataset is under way', async () => {
  fill(12)
  await world.run()
  put('a', keyOf(3), 'edited 3')
  const gate = gateAt('b', writing(keyOf(3)))
  const full = await world.start()
  await gate.reached
  // After the range was scanned: two runs that write one key at once leave it to the next scan.
  put('a', keyOf(8), 'edited 8')
  const request = await ask({ kind: 'resolve' }, [keyOf(8)])
  const beside = await world.start({ request })
  expect(beside.handle.workflowId).toBe(`keys/${world.dataset}/${request}`)
  expect(await beside.ended()).toMatchObject({ state: 'complete', counts: { scanned: 1 } })
  expect(text('b', keyOf(8))).toBe('edited 8')
  gate.open()
  expect(await full.ended()).toMatchObject({ counts: { failed: 0 } })
  expect((await world.run()).counts).toMatchObject({ planned: 0, puts: 0 })
  // The same request is one workflow at a time, and nothing to do the second time.
  expect(await world.run({ request })).toMatchObject({ counts: { planned: 0, scanned: 1 } })
})

test('an undo is planned and applied under the dataset’s lock, over several ranges', async () => {
  put('a', 'first', 'there before')
  await world.run()
  fill(35)
  const made = await world.run()
  const undo: Request = { kind: 'undo', run: made.run, prefix: '', overwriteLater: false }
  const request = await ask(undo)
  const plan = await world.start({ mode: 'plan', request })
  expect(plan.handle.workflowId).toBe(`sync/${world.dataset}`)
  const planned = await plan.ended()
  expect(planned).toMatchObject({ state: 'planned', request, counts: { planned: 35 } })
  expect(memoryStore('b').names()).toHaveLength(36)
  const applied = await world.run({ mode: 'apply', base: planned.run })
  expect(applied).toMatchObject({ state: 'complete', request, counts: { deletes: 35, held: 0 } })
  for (const store of ['a', 'b']) expect(memoryStore(store).names()).toEqual(['first'])
})

test('what history cannot answer ends the run with the reason', async () => {
  fill(2)
  const { run } = await world.run()
  const undo: Request = { kind: 'undo', run, prefix: '', overwriteLater: false }
  expect(await world.run({ mode: 'plan', request: await ask(undo) })).toMatchObject({
    state: 'failed',
    problem: { code: 'before-history' },
  })
})
