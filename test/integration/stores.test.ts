/** Four replicas at four kinds of store, two-way; looked at by the stores' own APIs. */
import { renameSync, symlinkSync } from 'node:fs'
import { join } from 'node:path'
import { expect, onTestFinished, test } from 'vitest'
import { exitOf } from '../../src/cli/run-report.ts'
import { postgresPlace } from '../catalog/engines.ts'
import { noise } from '../conformance/world.ts'
import type { EngineOptions } from '../engine/engine.ts'
import {
  type Dataset,
  datasetOf,
  expectAlike,
  expectAll,
  expectQuiet,
  outcomesOf,
  partBytes,
} from './datasets.ts'
import { contentOf, type Place } from './places.ts'

const odd = [
  'with space',
  'percent%',
  'percent%2Fslash',
  'plus+plus',
  'and&and=1?x#y',
  `quotes'"`,
  '<tag>',
  'semi;colon:at@comma,',
  '{braces}[brackets](parens)$*!~',
  'emoji \u{1f469}\u200d\u{1f52c} \u{1f600}',
  'nfc \u00e9',
  'nfd e\u0301',
  '中文/日本語/한국어',
  // UTF-8 bytes order these two otherwise than JavaScript does.
  'order \uffe5',
  'order \u{10000}',
  'a.txt',
  'a/x',
  `long/${'n'.repeat(200)}/${'m'.repeat(200)}/${'o'.repeat(200)}`,
]

async function fillOdd(place: Place): Promise<void> {
  for (const [i, key] of odd.entries()) await place.put(key, `content ${i}`)
  await place.put('empty', '')
  await place.put('large', noise(2 * partBytes + 12_345, 'large'))
}

const [a, b, c, d] = [0, 1, 2, 3]
const at = (places: Place[], i: number) => places[i] as Place

/** A day of four replicas, each of which is changed by somebody. */
async function wholeScenario({ engine, places }: Dataset): Promise<void> {
  await fillOdd(at(places, a))
  await at(places, b).put('only at b', 'b')
  await at(places, c).put('only at c', 'c')
  await at(places, d).put('only at d', 'd')
  const first = await engine.run()
  expect(first).toMatchObject({ state: 'complete', counts: { failed: 0, stale: 0, skipped: 0 } })
  await expectAlike(places)
  expect(Object.keys(await contentOf(at(places, d)))).toHaveLength(odd.length + 5)
  await expectQuiet(engine)

  await at(places, a).put('with space', 'edited at a')
  await at(places, b).put('plus+plus', 'edited at b')
  await at(places, c).put('nfd e\u0301', 'edited at c')
  await at(places, d).put('a/x', 'edited at d')
  await at(places, a).remove('percent%')
  await at(places, b).remove('<tag>')
  await at(places, c).remove('emoji \u{1f469}\u200d\u{1f52c} \u{1f600}')
  await at(places, d).remove('only at d')
  for (const [i, name] of ['a', 'b', 'c', 'd'].entries()) {
    await at(places, i).put(`new at ${name}`, `new ${name}`)
  }
  const large = noise(2 * partBytes + 12_345, 'large')
  await at(places, b).remove('large')
  await at(places, b).put('renamed/large', large)
  const second = await engine.run()
  expect(second).toMatchObject({ state: 'complete', counts: { deletes: 5, renames: 1 } })
  await expectAlike(places)
  const content = await contentOf(at(places, a))
  expect(content).toMatchObject({
    'with space': 'edited at a',
    'plus+plus': 'edited at b',
    'nfd e\u0301': 'edited at c',
    'nfc \u00e9': `content ${odd.indexOf('nfc \u00e9')}`,
    'a/x': 'edited at d',
    'new at c': 'new c',
  })
  expect(content).not.toHaveProperty('large')
  await expectQuiet(engine)
}

const kinds = ['file', 's3', 'gcs', 'azure'] as const

test('edits, deletes and renames at each of four stores reach the others, byte for byte (I7)', async () => {
  await wholeScenario(await datasetOf([...kinds]))
})

test('the same with the source elsewhere, and PostgreSQL as the catalog (I11)', async () => {
  const database = await postgresPlace()
  onTestFinished(() => database.remove())
  const options: EngineOptions = { catalogUrl: database.url }
  await wholeScenario(await datasetOf([...kinds].reverse(), {}, options))
})

test('metadata goes from S3 to GCS and Azure, and outlives an edit in a folder', async () => {
  const { engine, places } = await datasetOf(['s3', 'gcs', 'azure', 'file'])
  const metadata = {
    contentType: 'text/csv; charset=utf-8',
    cacheControl: 'max-age=60',
    user: { owner: 'ops', 'cost-center': '42' },
  }
  await at(places, a).put('report.csv', 'a;b', metadata)
  expect((await engine.run()).state).toBe('complete')
  const clouds = places.slice(0, 3)
  for (const place of clouds) {
    expect(await place.get('report.csv'), place.kind).toMatchObject(metadata)
  }
  await at(places, d).put('report.csv', 'a;b;c')
  expect((await engine.run()).state).toBe('complete')
  for (const place of clouds) {
    expect(await place.get('report.csv'), place.kind).toMatchObject({
      ...metadata,
      bytes: Buffer.from('a;b;c'),
    })
  }
  await expectQuiet(engine)
  const changed = { ...metadata, cacheControl: 'no-store' }
  await at(places, b).put('report.csv', 'a;b;c', changed)
  expect((await engine.run()).state).toBe('complete')
  for (const place of clouds) {
    expect(await place.get('report.csv'), place.kind).toMatchObject(changed)
  }
  await expectQuiet(engine)
})

test('a key that a folder cannot hold is skipped there, by name and reason; the rest is synced', async () => {
  const { engine, places } = await datasetOf(['gcs', 'file', 'azure'])
  const long = 'x'.repeat(260)
  await at(places, a).put('plain', 'p')
  await at(places, a).put(long, 'l')
  const run = await engine.run()
  expect(run).toMatchObject({ state: 'complete', counts: { skipped: 1, failed: 0 } })
  expect([exitOf(run, false), exitOf(run, true)]).toEqual([0, 3])
  expect(await outcomesOf(engine, run.run, long)).toMatchObject({
    b: { kind: 'skipped', reason: expect.stringContaining('255 bytes') },
  })
  await expectAll([at(places, b)], { plain: 'p' })
  // Said in every run, and never taken for a delete.
  const again = await engine.run()
  expect(again).toMatchObject({ state: 'complete', counts: { skipped: 1, puts: 0, deletes: 0 } })
  await expectAll([at(places, a), at(places, c)], { plain: 'p', [long]: 'l' })
})

test.each([
  ['a', 'a/b'],
  ['a/b', 'a'],
])('a rename of %s to %s: the put follows the delete that it waits for', async (from, to) => {
  const { engine, places } = await datasetOf(['memory', 'file', 's3'])
  await at(places, a).put(from, 'content')
  await engine.run()
  await at(places, a).remove(from)
  await at(places, a).put(to, 'content')
  const run = await engine.run()
  expect(run).toMatchObject({ state: 'complete', counts: { deletes: 1, renames: 1, skipped: 0 } })
  await expectAll(places, { [to]: 'content' })
  await expectQuiet(engine)
})

test('a key beside one that lies below it stays out of a folder, with the reason', async () => {
  const { engine, places } = await datasetOf(['memory', 'file'])
  await at(places, a).put('a', 'object')
  await at(places, a).put('a/b', 'below it')
  const run = await engine.run()
  expect(run).toMatchObject({ state: 'complete', counts: { puts: 1, skipped: 1 } })
  expect([exitOf(run, false), exitOf(run, true)]).toEqual([0, 3])
  const held = Object.keys(await contentOf(at(places, b)))
  expect(held).toHaveLength(1)
  const again = await engine.run()
  expect(again).toMatchObject({ state: 'complete', counts: { puts: 0, deletes: 0 } })
  expect(Object.keys(await contentOf(at(places, a)))).toEqual(['a', 'a/b'])
})

test('a symbolic link in a folder is skipped, by name and reason, and hides what lies below it', async () => {
  const { engine, places } = await datasetOf(['file', 'memory'])
  const { options } = at(places, a)
  const inFolder = (name: string) => join(options.type === 'file' ? options.path : '', name)
  await at(places, a).put('real/x', 'x')
  await engine.run()
  renameSync(inFolder('real'), inFolder('moved'))
  symlinkSync('moved', inFolder('real'))
  const run = await engine.run()
  expect(run).toMatchObject({ state: 'complete', counts: { puts: 1, deletes: 0, skipped: 2 } })
  expect([exitOf(run, false), exitOf(run, true)]).toEqual([0, 3])
  expect(await outcomesOf(engine, run.run, 'real')).toMatchObject({
    a: { kind: 'skipped', reason: expect.stringContaining('symbolic link') },
  })
  await expectAll([at(places, b)], { 'moved/x': 'x', 'real/x': 'x' })
})

test.each(['s3', 'gcs', 'azure'] as const)(
  'a marker for a folder at %s is skipped, and hides nothing: keys come and go below it',
  async (kind) => {
    const { engine, places } = await datasetOf([kind, 'memory'])
    await at(places, a).put('folder/', '')
    await at(places, b).put('folder/x', 'x')
    await at(places, a).put('folder/y', 'y')
    const first = await engine.run()
    expect(first).toMatchObject({ state: 'complete', counts: { puts: 2, skipped: 1 } })
    expect(await outcomesOf(engine, first.run, 'folder/')).toMatchObject({
      a: { kind: 'skipped', reason: expect.stringContaining('marker') },
    })
    await at(places, a).remove('folder/x')
    expect(await engine.run()).toMatchObject({ state: 'complete', counts: { deletes: 1 } })
    await expectAll([at(places, b)], { 'folder/y': 'y' })
  },
)
