/** A dataset over real stores: made for one test, and gone with it. */
import { expect, onTestFinished } from 'vitest'
import type { DatasetConfig } from '../../src/config/index.ts'
import { createEngine, type Engine, type EngineOptions } from '../engine/engine.ts'
import { contentOf, makers, type Place } from './places.ts'

export type Kind = keyof typeof makers

/** The least that S3 takes for a part. */
export const partBytes = 5 * 1024 * 1024

export interface Dataset {
  engine: Engine
  /** In the order of the kinds; the engine calls them a, b, c, d. */
  places: Place[]
}

export async function datasetOf(
  kinds: Kind[],
  dataset: Partial<DatasetConfig> = {},
  options: EngineOptions = {},
): Promise<Dataset> {
  const places = await Promise.all(kinds.map((kind) => makers[kind]()))
  const locations = places.map((place) => place.options)
  const engine = await createEngine(locations, dataset, { partBytes, ...options })
  onTestFinished(async () => {
    await engine.close()
    for (const place of places) await place.close()
  })
  return { engine, places }
}

/** All hold the same, and exactly this. By the stores' own APIs. */
export async function expectAll(places: Place[], content: Record<string, string>): Promise<void> {
  for (const place of places) {
    expect(await contentOf(place), `what is at ${place.kind}`).toEqual(content)
  }
}

export async function expectAlike(places: Place[]): Promise<void> {
  await expectAll(places, await contentOf(places[0] as Place))
}

/** A run that finds nothing to do (I6). A file that was written just now is looked at once more
 *  when it has settled: that is the catalog's business alone. */
export async function expectQuiet(engine: Engine): Promise<void> {
  const run = await engine.run()
  const folders = Object.values(engine.config.locations).some(({ type }) => type === 'file')
  expect(run).toMatchObject({
    state: 'complete',
    counts: {
      ...{ puts: 0, deletes: 0, stale: 0, failed: 0 },
      ...(folders ? {} : { planned: 0, adopted: 0 }),
    },
  })
}

/** One key's outcomes in a run, by replica. */
export async function outcomesOf(engine: Engine, run: number, key: string) {
  const states = ['done', 'stale', 'skipped', 'failed', 'held', 'cancelled', 'open'] as const
  const items = await engine.catalog.readItems({
    run,
    states: [...states],
    after: -1,
    limit: 1_000,
  })
  return items.find((one) => one.key === key)?.outcomes ?? {}
}
