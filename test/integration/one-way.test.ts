/** One-way at real stores: the source decides, and what destinations have besides is theirs. */
import { expect, test } from 'vitest'
import { digestsOf } from '../../connectors/digests.ts'
import { exitOf } from '../../src/cli/run-report.ts'
import type { DatasetConfig, HistoryConfig } from '../../src/config/index.ts'
import type { Content } from '../../src/model.ts'
import type { Engine } from '../engine/engine.ts'
import { datasetOf, expectAll, expectQuiet } from './datasets.ts'
import type { Place } from './places.ts'

/** A folder to S3 and Azure, three keys each, in step. */
async function inStep(dataset: Partial<DatasetConfig> = {}) {
  const made = await datasetOf(['file', 's3', 'azure'], { direction: 'one-way', ...dataset })
  const [source, s3, azure] = made.places as [Place, Place, Place]
  for (const key of ['a', 'b', 'c']) await source.put(key, `first ${key}`)
  expect((await made.engine.run()).state).toBe('complete')
  return { ...made, source, s3, azure }
}

const kept: HistoryConfig = {
  ...{ content: 'vault', when: 'replaced', versions: null, keepMs: null },
}

const first = { a: 'first a', b: 'first b', c: 'first c' }

async function inVault(engine: Engine, text: string): Promise<boolean> {
  const vault = await engine.deps.vault(engine.config)
  const content: Content = { size: text.length, digests: digestsOf(Buffer.from(text)) }
  return await vault.has(content, new AbortController().signal)
}

test('edits and deletes at the source go to every destination, and never back', async () => {
  const { engine, places, source, s3 } = await inStep()
  await source.put('a', 'edited')
  await source.remove('b')
  await source.put('d', 'new')
  expect(await engine.run()).toMatchObject({ state: 'complete', counts: { puts: 4, deletes: 1 } })
  await expectAll(places, { a: 'edited', c: 'first c', d: 'new' })
  await s3.remove('c')
  expect(await engine.run()).toMatchObject({ state: 'complete', counts: { puts: 1, deletes: 0 } })
  await expectAll(places, { a: 'edited', c: 'first c', d: 'new' })
  await expectQuiet(engine)
})

test('drift: conflict leaves the destination as it is, and says so until it is agreed', async () => {
  const { engine, source, s3, azure } = await inStep({ drift: 'conflict' })
  await s3.put('a', 'drifted')
  const run = await engine.run()
  expect(run).toMatchObject({ state: 'conflicts', counts: { conflicts: 1, puts: 0 } })
  expect(exitOf(run, false)).toBe(4)
  await source.put('a', 'edited')
  expect((await engine.run()).state).toBe('conflicts')
  await expectAll([s3], { ...first, a: 'drifted' })
  expect(await source.get('a')).toMatchObject({ bytes: Buffer.from('edited') })
  expect(await inVault(engine, 'drifted')).toBe(true)
  await s3.put('a', 'edited')
  await engine.run()
  const last = await engine.run()
  expect(last).toMatchObject({ state: 'complete', counts: { conflicts: 0 } })
  await expectAll([source, s3, azure], { ...first, a: 'edited' })
})

test('drift: overwrite puts the source’s content there, and keeps the other in the vault', async () => {
  const { engine, places, s3 } = await inStep({ drift: 'overwrite' })
  await s3.put('a', 'drifted')
  expect(await engine.run()).toMatchObject({ state: 'complete', counts: { puts: 1 } })
  await expectAll(places, first)
  expect(await inVault(engine, 'drifted')).toBe(true)
  await expectQuiet(engine)
})

test('drift: keep leaves it, and tells of it again when it changes', async () => {
  const { engine, source, s3, azure } = await inStep({ drift: 'keep' })
  await s3.put('a', 'drifted')
  expect(await engine.run()).toMatchObject({ state: 'complete', counts: { drift: 1, puts: 0 } })
  expect(await engine.run()).toMatchObject({ state: 'complete', counts: { puts: 0, planned: 0 } })
  await s3.put('a', 'drifted again')
  expect(await engine.run()).toMatchObject({ state: 'complete', counts: { drift: 1, puts: 0 } })
  await source.put('b', 'edited')
  await engine.run()
  await expectAll([s3], { ...first, a: 'drifted again', b: 'edited' })
  await expectAll([source, azure], { ...first, b: 'edited' })
})

test('what only a destination has is kept and told, never deleted, even above all limits', async () => {
  const { engine, source, s3, azure } = await inStep()
  for (let i = 0; i < 20; i++) await s3.put(`extra-${i}`, 'theirs')
  const run = await engine.run()
  expect(run).toMatchObject({ state: 'complete', counts: { extra: 20, deletes: 0, puts: 0 } })
  expect(await s3.keys()).toHaveLength(23)
  await expectAll([source, azure], first)
})

test('delete: never keeps at the destinations what the source deletes', async () => {
  const { engine, source, s3, azure } = await inStep({ delete: 'never' })
  await source.remove('a')
  await source.put('b', 'edited')
  expect(await engine.run()).toMatchObject({ state: 'complete', counts: { deletes: 0, puts: 2 } })
  await expectAll([s3, azure], { ...first, b: 'edited' })
  await expectAll([source], { b: 'edited', c: 'first c' })
  await expectQuiet(engine)
  // It comes back: as an edit of what the destinations have kept.
  await source.put('a', 'again')
  expect((await engine.run()).state).toBe('complete')
  await expectAll([source, s3, azure], { a: 'again', b: 'edited', c: 'first c' })
})

test('history: off keeps nothing in the vault, and does all the rest', async () => {
  const { engine, places, source } = await inStep({ history: { ...kept, content: 'off' } })
  await source.put('a', 'edited')
  await source.remove('b')
  expect(await engine.run()).toMatchObject({ state: 'complete', counts: { deletes: 1 } })
  await expectAll(places, { a: 'edited', c: 'first c' })
  for (const text of ['first a', 'first b']) expect(await inVault(engine, text)).toBe(false)
})

test('history: what an edit or a delete takes away is in the vault (I2)', async () => {
  const { engine, source } = await inStep()
  await source.put('a', 'edited')
  await source.remove('b')
  await engine.run()
  for (const text of ['first a', 'first b']) expect(await inVault(engine, text)).toBe(true)
})
