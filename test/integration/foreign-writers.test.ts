/** Others write while we do: what they wrote stays, and no reader ever sees a mixture (I1). */
import { closeSync, openSync, writeSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { memoryStore } from '../../connectors/memory-store.ts'
import { exitOf } from '../../src/cli/run-report.ts'
import { noise } from '../conformance/world.ts'
import { datasetOf, expectAlike, expectAll, type Kind, partBytes } from './datasets.ts'
import { contentOf, type Place } from './places.ts'

const stores: Kind[] = ['s3', 'gcs', 'azure', 'file']

/** At the first write of the puts' lane. */
function once(act: () => Promise<void>): (lane: string) => Promise<void> {
  let done = false
  return async (lane) => {
    if (done || !lane.startsWith('range/')) return
    done = true
    await act()
  }
}

describe.each(stores)('a foreign writer at %s', (kind) => {
  test('between plan and apply is never overwritten, and no second plan is made of it', async () => {
    const { engine, places } = await datasetOf(['memory', kind])
    const [ours, theirs] = places as [Place, Place]
    await ours.put('edited', 'first')
    await ours.put('other', 'first')
    await engine.run()
    await ours.put('edited', 'ours')
    await ours.put('other', 'ours')
    await ours.put('created', 'ours')
    const plan = await engine.run({ mode: 'plan' })
    await theirs.put('edited', 'theirs')
    await theirs.put('created', 'theirs')
    const applied = await engine.run({ mode: 'apply', base: plan.run })
    expect(applied).toMatchObject({ state: 'partial', counts: { stale: 2, puts: 1 } })
    expect(exitOf(applied, false)).toBe(3)
    await expectAll([theirs], { created: 'theirs', edited: 'theirs', other: 'ours' })
    await expectAll([ours], { created: 'ours', edited: 'ours', other: 'ours' })
  })

  test('in the last moment before the write that counts is not overwritten', async () => {
    const { engine, places } = await datasetOf(['memory', kind])
    const [ours, theirs] = places as [Place, Place]
    await ours.put('key', 'first')
    await engine.run()
    await ours.put('key', 'ours')
    const run = await engine.run({ atFence: once(() => theirs.put('key', 'theirs')) })
    expect(run).toMatchObject({ state: 'partial', counts: { stale: 1, puts: 0 } })
    await expectAll([theirs], { key: 'theirs' })
  })

  test('in the last moment before a large object is made is not overwritten', async () => {
    const { engine, places } = await datasetOf(['memory', kind])
    const [ours, theirs] = places as [Place, Place]
    await ours.put('key', noise(2 * partBytes + 7, 'ours'))
    const run = await engine.run({ atFence: once(() => theirs.put('key', 'theirs')) })
    expect(run).toMatchObject({ state: 'partial', counts: { stale: 1, puts: 0 } })
    await expectAll([theirs], { key: 'theirs' })
    expect(await theirs.uploads()).toEqual([])
  })

  test('between plan and apply keeps what was planned to be deleted', async (context) => {
    if (kind === 'gcs') context.skip('fake-gcs-server deletes whatever generation is named')
    const { engine, places } = await datasetOf(['memory', kind])
    const [ours, theirs] = places as [Place, Place]
    await ours.put('key', 'first')
    await ours.put('other', 'first')
    await engine.run()
    await ours.remove('key')
    const plan = await engine.run({ mode: 'plan' })
    await theirs.put('key', 'theirs')
    const applied = await engine.run({ mode: 'apply', base: plan.run })
    expect(applied).toMatchObject({ state: 'partial', counts: { stale: 1, deletes: 0 } })
    await expectAll([theirs], { key: 'theirs', other: 'first' })
  })
})

describe.each(stores)('a source at %s', (kind) => {
  test('that changes between scan and copy is left to the next run', async () => {
    const { engine, places } = await datasetOf([kind, 'memory'])
    const [source, target] = places as [Place, Place]
    await source.put('key', 'first')
    const plan = await engine.run({ mode: 'plan' })
    await source.put('key', 'later')
    const applied = await engine.run({ mode: 'apply', base: plan.run })
    expect(applied).toMatchObject({ state: 'partial', counts: { puts: 0, stale: 1 } })
    await expectAll([target], {})
    await engine.run()
    await expectAll([target], { key: 'later' })
  })

  test('that changes in mid-read never yields a mixture', async () => {
    const { engine, places } = await datasetOf([kind, 'memory'])
    const [source, target] = places as [Place, Place]
    const before = noise(6 * partBytes, 'before')
    const after = noise(6 * partBytes, 'after')
    await source.put('key', before)
    const { options } = target
    let parts = 0
    memoryStore(options.type === 'memory' ? options.store : '').faults.push(async (call) => {
      if (call.when === 'chunk' && call.operation === 'write' && ++parts === 2) {
        await source.put('key', after)
      }
    })
    await engine.run()
    // What was planned and could be read whole, or nothing.
    const [content] = Object.values(await contentOf(target))
    const keys = await target.keys()
    if (keys.length > 0) expect((await target.get('key')).bytes.equals(before)).toBe(true)
    expect(parts, content).toBeGreaterThan(1)
    await engine.run()
    expect((await target.get('key')).bytes.equals(after)).toBe(true)
    await expectAlike(places)
  })
})

test('a file that is written to in place, while it is read, never yields a mixture', async () => {
  const { engine, places } = await datasetOf(['file', 'memory', 's3'])
  const [source, memory, s3] = places as [Place, Place, Place]
  const before = noise(6 * partBytes, 'before')
  await source.put('key', before)
  const path = source.options.type === 'file' ? source.options.path : ''
  const { options } = memory
  let parts = 0
  memoryStore(options.type === 'memory' ? options.store : '').faults.push((call) => {
    if (call.when !== 'chunk' || call.operation !== 'write' || ++parts !== 2) return
    const file = openSync(join(path, 'key'), 'r+')
    // Behind what was read, and before it: the size stays.
    for (const at of [10, 6 * partBytes - 100]) writeSync(file, Buffer.from('torn'), 0, 4, at)
    closeSync(file)
  })
  const run = await engine.run()
  expect(run.state).toBe('partial')
  expect(parts).toBeGreaterThan(1)
  await expectAll([memory, s3], {})
  expect(await s3.uploads()).toEqual([])
  await engine.run()
  await expectAlike(places)
  expect((await s3.get('key')).bytes.subarray(10, 14).toString()).toBe('torn')
})
