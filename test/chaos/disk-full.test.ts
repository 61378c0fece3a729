/** A disk that is full: nothing is lost, it is said by code, and it goes on when there is room. */
import { mkdirSync, readdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, onTestFinished, type TestContext, test } from 'vitest'
import { digestsOf } from '../../connectors/digests.ts'
import type { RunReport } from '../../src/cli/run-report.ts'
import { EXIT } from '../../src/errors.ts'
import { folder, start, run as tidemark } from '../cli/process.ts'
import { until } from '../cli/served.ts'
import { noise } from '../conformance/world.ts'
import { failing } from '../engine/conflict-world.ts'
import { createEngine, type Engine } from '../engine/engine.ts'
import { datasetOf, expectAlike, expectQuiet } from '../integration/datasets.ts'
import { contentOf, filePlace, memoryPlace, type Place } from '../integration/places.ts'
import { mountSmallDisk, type SmallDisk } from './small-disk.ts'

const MiB = 1024 * 1024
const { signal } = new AbortController()

/** The test is skipped, by name, where none can be had. */
function smallDisk(context: TestContext, bytes: number): SmallDisk {
  const made = mountSmallDisk(bytes)
  if (typeof made === 'string') context.skip(made)
  const disk = made as SmallDisk
  onTestFinished(() => disk.remove())
  return disk
}

async function failures(engine: Engine, run: number): Promise<Record<string, string[]>> {
  const filter = { run, states: ['failed' as const], after: -1, limit: 100 }
  const items = await engine.catalog.readItems(filter)
  return Object.fromEntries(
    items.map(({ key, outcomes }) => [
      key,
      Object.values(outcomes).flatMap((one) => (one.kind === 'failed' ? [one.code] : [])),
    ]),
  )
}

/** Like `filePlace`, on that disk. */
function placeOn({ path }: SmallDisk): Place {
  const root = join(path, 'replica')
  mkdirSync(root)
  return { ...filePlace(root), close: async () => {} }
}

describe('on a small tmpfs', () => {
  test('a full replica keeps what it has; the others go on; it catches up', async (context) => {
    const full = smallDisk(context, 8 * MiB)
    const [one, two, small] = [memoryPlace(), memoryPlace(), placeOn(full)] as const
    const engine = await createEngine([one, two, small].map(({ options }) => options))
    onTestFinished(() => engine.close())
    await one.put('edited', noise(MiB, 'old'))
    await one.put('still', 'still')
    await engine.run()
    await expectAlike([one, two, small])
    const before = await contentOf(small)
    full.leave(64 * 1024)
    await one.put('edited', noise(2 * MiB, 'new'))
    await two.put('large', noise(MiB, 'large'))
    await two.remove('still')
    const run = await engine.run()
    expect(run).toMatchObject({ state: 'partial', counts: { failed: 2 } })
    expect(await failures(engine, run.run)).toEqual({ edited: ['no-space'], large: ['no-space'] })
    await expectAlike([one, two])
    // Not torn, and nothing is left of what was begun; a delete needs no room.
    expect(await contentOf(small)).toEqual({ edited: before.edited })
    expect(readdirSync(join(full.path, 'replica', '.tidemark', 'tmp'))).toEqual([])
    full.free()
    expect(await engine.run()).toMatchObject({ state: 'complete', counts: { puts: 2 } })
    await expectAlike([one, two, small])
    await expectQuiet(engine)
  })

  test('a full vault: what it can’t keep is neither overwritten nor deleted', async (context) => {
    const full = smallDisk(context, 8 * MiB)
    const [one, two] = [memoryPlace(), memoryPlace()]
    const engine = await createEngine([one, two].map(({ options }) => options))
    onTestFinished(() => engine.close())
    const vault = placeOn(full)
    await engine.moveVault(vault.options)
    const old = { edited: noise(MiB, 'edited'), removed: noise(MiB, 'removed') }
    for (const [key, bytes] of Object.entries(old)) await one.put(key, bytes)
    await engine.run()
    const before = await contentOf(two)
    full.leave(64 * 1024)
    await one.put('edited', 'new')
    await one.remove('removed')
    await one.put('created', 'created')
    const run = await engine.run()
    expect(run).toMatchObject({ state: 'partial', counts: { failed: 2, puts: 1, deletes: 0 } })
    expect(await failures(engine, run.run)).toEqual({ edited: ['no-space'], removed: ['no-space'] })
    expect(await contentOf(two)).toEqual({ ...before, created: 'created' })
    full.free()
    expect(await engine.run()).toMatchObject({ state: 'complete', counts: { puts: 1, deletes: 1 } })
    await expectAlike([one, two])
    for (const bytes of Object.values(old)) expect(await inVault(engine, bytes)).toBe(true)
  })

  test('a full catalog: the run ends by its code, and nothing that it did is lost', async (context) => {
    const full = smallDisk(context, 16 * MiB)
    const [one, two] = [memoryPlace(), memoryPlace()]
    const catalogUrl = `sqlite:${join(full.path, 'catalog.db')}`
    const engine = await createEngine(
      [one, two].map(({ options }) => options),
      {},
      { catalogUrl },
    )
    onTestFinished(() => engine.close())
    await one.put('first', 'first')
    await engine.run()
    for (let i = 0; i < 3_000; i++) await one.put(`key-${i}`, `content ${i}`)
    await two.remove('first')
    full.leave(300 * 1024)
    await expect(engine.run()).rejects.toMatchObject({ code: 'catalog-full', exit: 1 })
    full.free()
    expect(await engine.run()).toMatchObject({ state: 'complete', counts: { failed: 0 } })
    await expectAlike([one, two])
    expect((await one.keys()).length).toBe(3_000)
    await expectQuiet(engine)
  })

  test('a full state folder, Temporal and all: `sync` ends by a code, and goes on', async (context) => {
    const full = smallDisk(context, 64 * MiB)
    const place = folder()
    const [one, two] = [join(place, 'one'), join(place, 'two')]
    for (const path of [one, two]) mkdirSync(path)
    const config = join(place, 'tidemark.yaml')
    const locations = { one: { type: 'file', path: one }, two: { type: 'file', path: two } }
    const datasets = [{ name: 'data', source: 'one', destinations: ['two'], direction: 'two-way' }]
    writeFileSync(config, JSON.stringify({ locations, datasets }))
    const given = ['--config', config, '--state', join(full.path, 'state'), '--json', 'sync']
    for (let i = 0; i < 3_000; i++) writeFileSync(join(one, `f${i}`), `content ${i}`)
    const begun = start(given)
    await until(() => readdirSync(two).length > 1)
    full.leave(0)
    const cut = await begun.ended
    expect(cut.code, cut.stderr).toBe(EXIT.failed)
    expect(cut.stderr).toMatch(/"code":"(state-full|catalog-full|run-failed)"/)
    const refused = await tidemark(given)
    expect(refused.code).toBe(EXIT.failed)
    expect(refused.stderr).toContain('"code":"state-full"')
    expect(readdirSync(one)).toHaveLength(3_001)
    full.free()
    const again = await tidemark(given)
    expect(again.code, again.stderr).toBe(0)
    const [report] = JSON.parse(again.stdout) as RunReport[]
    expect(report?.run.counts).toMatchObject({ failed: 0, deletes: 0 })
    expect(readdirSync(two)).toHaveLength(3_001)
  }, 300_000)
})

test('ENOSPC, injected: where no small disk can be had this still holds', async () => {
  const { engine, places } = await datasetOf(['memory', 'memory', 'memory'])
  const [one, two, full] = places as [Place, Place, Place]
  await one.put('edited', 'old')
  await engine.run()
  const store = full.options.type === 'memory' ? full.options.store : ''
  const room = failing(store, 'write', 'no-space')
  await one.put('edited', 'new')
  await two.put('created', 'created')
  const run = await engine.run()
  expect(run).toMatchObject({ state: 'partial', counts: { failed: 2 } })
  expect(await failures(engine, run.run)).toEqual({ edited: ['no-space'], created: ['no-space'] })
  expect(await contentOf(full)).toEqual({ edited: 'old' })
  room()
  expect((await engine.run()).state).toBe('complete')
  await expectAlike(places)
  await expectQuiet(engine)
})

async function inVault(engine: Engine, bytes: Buffer): Promise<boolean> {
  const vault = await engine.deps.vault(engine.config)
  return await vault.has({ size: bytes.length, digests: digestsOf(bytes) }, signal)
}
