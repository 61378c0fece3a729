/** Back to what was agreed, on four kinds of store: looked at by the stores' own APIs. */
import { expect, onTestFinished, test } from 'vitest'
import { postgresPlace } from '../catalog/engines.ts'
import { noise } from '../conformance/world.ts'
import { carryOut, restoreTo, undo } from '../engine/history.ts'
import { type Dataset, datasetOf, expectAll, expectQuiet, partBytes } from './datasets.ts'
import { contentOf, type Place } from './places.ts'

const at = (places: Place[], i: number) => places[i] as Place

/** A run, what it left, and a moment behind it. */
async function chapter({ engine, places }: Dataset) {
  const run = await engine.run()
  expect(run).toMatchObject({ state: 'complete', counts: { failed: 0, stale: 0 } })
  const left = await contentOf(at(places, 0))
  await expectAll(places, left)
  await new Promise((wake) => setTimeout(wake, 5))
  return { run: run.run, at: Date.now(), left }
}

async function scenario(dataset: Dataset): Promise<void> {
  const { engine, places } = dataset
  const large = (name: string) => noise(2 * partBytes + 12_345, name)
  await at(places, 0).put('a.txt', 'one')
  await at(places, 1).put('a/emoji \u{1f600}', 'one')
  await at(places, 2).put('large', large('one'))
  await at(places, 3).put('empty', '')
  const first = await chapter(dataset)
  await at(places, 1).put('a.txt', 'two')
  await at(places, 3).put('large', large('two'))
  await at(places, 0).remove('a/emoji \u{1f600}')
  await at(places, 2).put('empty', 'no longer')
  await at(places, 2).put('new', 'new')
  const second = await chapter(dataset)
  await at(places, 2).put('a.txt', 'three')
  await at(places, 0).put('a/emoji \u{1f600}', 'again')
  await at(places, 1).remove('large')
  const third = await chapter(dataset)

  expect(await carryOut(engine, restoreTo({ at: first.at }))).toMatchObject({ state: 'complete' })
  await expectAll(places, first.left)
  await carryOut(engine, restoreTo({ beforeRun: third.run }))
  await expectAll(places, second.left)
  const back = await carryOut(engine, restoreTo({ at: third.at }))
  await expectAll(places, third.left)
  const undone = await carryOut(engine, undo(back.run))
  await expectAll(places, second.left)
  await carryOut(engine, undo(undone.run))
  await expectAll(places, third.left)
  await at(places, 3).put('a.txt', 'unsynced')
  const one = await carryOut(engine, restoreTo({ version: first.run, key: 'a.txt' }))
  expect(one.state).toBe('complete')
  expect(await contentOf(at(places, 3))).toMatchObject({ 'a.txt': 'unsynced' })
  await carryOut(engine, restoreTo({ version: first.run, key: 'a.txt' }, { overwriteLater: true }))
  await expectAll(places, { ...third.left, 'a.txt': 'one' })
  await expectQuiet(engine)
}

test('S3, GCS, Azure and a folder, two-way, on SQLite', { timeout: 120_000 }, async () => {
  await scenario(await datasetOf(['s3', 'gcs', 'azure', 'file']))
})

test('the same on PostgreSQL', { timeout: 120_000 }, async () => {
  const { url, remove } = await postgresPlace()
  onTestFinished(remove)
  await scenario(await datasetOf(['file', 's3', 'azure', 'gcs'], {}, { catalogUrl: url }))
})
