/** Stores that are away, closed, emptied or exchanged: never read as absence (I3, I4, I12). */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, expect, onTestFinished, test } from 'vitest'
import { exitOf } from '../../src/cli/run-report.ts'
import { freePort } from '../../src/temporal/ports.ts'
import { createEngine, type Engine } from '../engine/engine.ts'
import { startS3 } from '../servers.ts'
import { ruleOf } from '../sync/deciding.ts'
import { datasetOf, expectAlike, expectAll, expectQuiet, partBytes } from './datasets.ts'
import { filePlace, memoryPlace, type Place, s3Place } from './places.ts'

async function replica(engine: Engine, run: number, name: string) {
  return (await engine.catalog.runReplicas(run)).find((one) => one.replica === name)
}

async function fill(place: Place, keys: number): Promise<Record<string, string>> {
  const content: Record<string, string> = {}
  for (let i = 0; i < keys; i++) {
    content[`key-${i}`] = `content ${i}`
    await place.put(`key-${i}`, `content ${i}`)
  }
  return content
}

describe.each(['s3', 'gcs', 'azure', 'file'] as const)('a root at %s that vanished', (kind) => {
  test('deletes nothing anywhere, is left out with the reason, and the others go on', async () => {
    const { engine, places } = await datasetOf([kind, 'memory', 'file'])
    const [gone, memory, folder] = places as [Place, Place, Place]
    const content = await fill(gone, 12)
    await engine.run()
    await gone.vanish()
    await memory.put('new', 'n')
    const run = await engine.run()
    expect(run).toMatchObject({ state: 'partial', counts: { deletes: 0, held: 0, puts: 1 } })
    expect(exitOf(run, false)).toBe(3)
    expect(await replica(engine, run.run, 'a')).toMatchObject({
      ...{ state: 'unknown', problem: { code: 'root-missing' } },
    })
    await expectAll([memory, folder], { ...content, new: 'n' })
  })
})

test('wrong credentials at one of three: it is left out, and caught up when they are right', async () => {
  const { engine, places } = await datasetOf(['file', 's3', 'azure'])
  const [source, s3, azure] = places as [Place, Place, Place]
  const content = await fill(source, 5)
  await engine.run()
  if (s3.options.type !== 's3') return expect.unreachable()
  await engine.relocate('b', { ...s3.options, 'secret-access-key': 'wrong' })
  await source.put('key-1', 'edited')
  await source.remove('key-2')
  const run = await engine.run()
  expect(run).toMatchObject({ state: 'partial', counts: { puts: 1, deletes: 1 } })
  const { problem } = (await replica(engine, run.run, 'b')) ?? {}
  expect(['unauthenticated', 'denied']).toContain(problem?.code)
  await expectAll([s3], content)
  await engine.relocate('b', s3.options)
  expect((await engine.run()).state).toBe('complete')
  await expectAlike([source, s3, azure])
  expect(await s3.keys()).toHaveLength(4)
})

test('a server that is down for two runs: nothing is taken for deleted, and it catches up', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'tidemark-outage-'))
  const port = await freePort()
  let server = await startS3({ folder, port })
  onTestFinished(async () => {
    await server.stop()
    rmSync(folder, { recursive: true, force: true })
  })
  const places = [filePlace(), await s3Place(server), memoryPlace()] as const
  const [source, s3, memory] = places
  const engine = await createEngine(
    places.map(({ options }) => options),
    {},
    { partBytes },
  )
  onTestFinished(async () => {
    await engine.close()
    for (const place of places) await place.close()
  })
  await fill(source, 12)
  await engine.run()
  await server.stop()
  await source.put('key-1', 'edited')
  await memory.remove('key-2')
  const first = await engine.run()
  expect(first).toMatchObject({ state: 'partial', counts: { puts: 1, deletes: 1 } })
  expect(await replica(engine, first.run, 'b')).toMatchObject({
    ...{ state: 'unknown', problem: { code: 'unavailable' } },
  })
  await memory.put('key-1', 'edited again')
  await source.remove('key-3')
  await source.put('key-2', 'made anew')
  expect(await engine.run()).toMatchObject({ state: 'partial', counts: { deletes: 1 } })
  server = await startS3({ folder, port })
  // Meanwhile somebody had edited there what nobody else had.
  await s3.put('key-5', 'edited there')
  expect((await engine.run()).state).toBe('complete')
  await expectAlike([...places])
  expect(await s3.keys()).toHaveLength(11)
  expect((await source.get('key-5')).bytes.toString()).toBe('edited there')
  expect((await source.get('key-1')).bytes.toString()).toBe('edited again')
  await expectQuiet(engine)
})

test('all replicas out of reach: the run is refused, with the next step', async () => {
  const { engine, places } = await datasetOf(['s3', 'azure'])
  for (const place of places) await place.vanish()
  const run = await engine.run()
  expect(run).toMatchObject({ state: 'failed', problem: { code: 'all-replicas-unreachable' } })
  expect(exitOf(run, false)).toBe(6)
})

test('another bucket under the same name is left out until rebind, then filled and adopted', async () => {
  const { engine, places } = await datasetOf(['file', 's3', 'gcs'])
  const [source, old, gcs] = places as [Place, Place, Place]
  const content = await fill(source, 12)
  await engine.run()
  const { places: others } = await datasetOf(['s3'])
  const [fresh] = others as [Place]
  await fresh.put('key-1', 'content 1')
  await fresh.put('own', 'o')
  await engine.relocate('b', fresh.options)
  const run = await engine.run()
  expect(run).toMatchObject({ state: 'partial', counts: { puts: 0, deletes: 0 } })
  expect(await replica(engine, run.run, 'b')).toMatchObject({
    problem: { code: 'location-changed' },
  })
  await engine.rebind('b')
  const filled = await engine.run()
  // Eleven to it, and what only it has to two others.
  expect(filled).toMatchObject({ state: 'complete', counts: { puts: 13, deletes: 0 } })
  await expectAll([source, fresh, gcs], { ...content, own: 'o' })
  await expectAll([old], content)
  await expectQuiet(engine)
})

test('a lost catalog: what is equal is adopted, what differs a conflict, nothing is deleted (I4)', async () => {
  const { engine, places } = await datasetOf(['file', 's3', 'azure'])
  const [source, s3, azure] = places as [Place, Place, Place]
  const content = await fill(source, 5)
  await engine.run()
  await source.remove('key-0')
  await s3.put('key-1', 'edited')
  const again = await createEngine(
    places.map(({ options }) => options),
    { rules: ruleOf({ name: 'manual' }) },
    { partBytes },
  )
  onTestFinished(() => again.close())
  const run = await again.run()
  expect(run).toMatchObject({ state: 'conflicts', counts: { deletes: 0, conflicts: 1, puts: 1 } })
  await expectAll([source, azure], content)
  await expectAll([s3], { ...content, 'key-1': 'edited' })
})

test('I3: deletes count over a day and over runs: what is too many together is held', async () => {
  let now = Date.now()
  const { engine, places } = await datasetOf(['memory', 's3'], {}, { clock: () => now })
  const [source, s3] = places as [Place, Place]
  await fill(source, 40)
  await engine.run()
  const remove = async (from: number, to: number) => {
    for (let i = from; i < to; i++) await source.remove(`key-${i}`)
  }
  await remove(0, 15)
  now += 60_000
  expect(await engine.run()).toMatchObject({ state: 'complete', counts: { deletes: 15 } })
  await remove(15, 22)
  now += 60_000
  const held = await engine.run()
  expect(held).toMatchObject({ state: 'held', counts: { deletes: 0, held: 7 } })
  expect(exitOf(held, false)).toBe(7)
  expect(held.problem).toMatchObject({ message: expect.stringContaining('22 of 40') })
  expect(await s3.keys()).toHaveLength(25)
  // Held again by the next run: nothing went through meanwhile.
  now += 60_000
  const again = await engine.run()
  expect(again).toMatchObject({ state: 'held', counts: { held: 7 } })
  const approved = await engine.run({ mode: 'approve', base: again.run })
  expect(approved).toMatchObject({ state: 'complete', counts: { deletes: 7 } })
  // Approved ones don't count: five more are within the limit.
  await remove(22, 27)
  expect(await engine.run()).toMatchObject({ state: 'complete', counts: { deletes: 5 } })
  // A day later the window is empty.
  now += 24 * 60 * 60_000 + 1
  await remove(27, 32)
  expect(await engine.run()).toMatchObject({ state: 'complete', counts: { deletes: 5 } })
  expect(await s3.keys()).toHaveLength(8)
})

test('I3: an approval carries out what was held, and leaves alone what changed since', async () => {
  const { engine, places } = await datasetOf(['memory', 's3', 'file'])
  const [source, s3, folder] = places as [Place, Place, Place]
  await fill(source, 30)
  await engine.run()
  for (let i = 0; i < 20; i++) await source.remove(`key-${i}`)
  const held = await engine.run()
  expect(held).toMatchObject({ state: 'held', counts: { held: 20 } })
  await s3.put('key-0', 'edited since')
  await source.put('key-1', 'content 1')
  const approved = await engine.run({ mode: 'approve', base: held.run })
  expect(approved).toMatchObject({ state: 'partial', counts: { deletes: 19 } })
  expect((await s3.get('key-0')).bytes.toString()).toBe('edited since')
  expect(await folder.keys()).toContain('key-1')
  expect(await engine.run()).toMatchObject({ state: 'complete' })
  await expectAlike(places)
  expect(await s3.keys()).toHaveLength(12)
  const twice = await engine.run({ mode: 'approve', base: held.run })
  expect(twice).toMatchObject({ state: 'failed', problem: { code: 'run-not-held' } })
})
