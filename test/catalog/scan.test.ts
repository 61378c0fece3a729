import { describe, expect, it } from 'vitest'
import { type Catalog, scanLane } from '../../src/catalog/catalog.ts'
import type { KeyRange } from '../../src/model.ts'
import { catalogs, engines, everything, foundOf, pageOf, runOf } from './engines.ts'

const place = 2 ** 32

describe.each(engines)('ranges and scans on $engine', ({ make }) => {
  const { open } = catalogs(make)

  async function scanning(ranges: KeyRange[] = [everything]) {
    const catalog = await open()
    const run = await catalog.createRun(runOf())
    await catalog.putRunReplica(run, {
      ...{ replica: 'here', state: 'ok', problem: null, seen: 0, gone: 0 },
    })
    await catalog.addRanges(run, ranges)
    return { catalog, run, attempt: await catalog.claim(run, scanLane(0)) }
  }

  const itemsOf = async (catalog: Catalog, run: number) =>
    (await catalog.readItems({ run, states: ['pending'], after: -1, limit: 100 })).map(
      ({ seq, key }) => [seq, key],
    )

  it('numbers a run’s ranges from 0 on', async () => {
    const { catalog, run } = await scanning([
      { from: null, to: 'g' },
      { from: 'g', to: 'p\0' },
    ])
    expect(await catalog.addRanges(run, [{ from: 'p\0', to: null }])).toBe(2)
    expect(await catalog.getRange(run, 1)).toEqual({
      ...{ run, number: 1, range: { from: 'g', to: 'p\0' }, state: 'open' },
      ...{ cursor: null, resume: {}, scanned: 0 },
    })
    expect(await catalog.getRange(run, 3)).toBeNull()
    const many = Array.from({ length: 3_000 }, () => everything)
    expect(await catalog.addRanges(run, many)).toBe(3)
  })

  it('commits a page at once: items in order, cursor, resume tokens, counts', async () => {
    const { catalog, run, attempt } = await scanning()
    const first = pageOf(run, attempt, {
      ...{ items: [foundOf('a'), foundOf('b')], cursor: 'b', resume: { here: 'token' } },
      counts: { scanned: 10, planned: 2 },
      seen: { here: { seen: 9, gone: 1 } },
    })
    expect(await catalog.commitScan(first)).toEqual({ newRange: null })
    expect(await catalog.getRange(run, 0)).toMatchObject({
      ...{ state: 'open', cursor: 'b', resume: { here: 'token' }, scanned: 10 },
    })
    const last = pageOf(run, attempt, {
      ...{ items: [foundOf('c')], cursor: 'c', ended: true, counts: { scanned: 1, planned: 1 } },
    })
    expect(await catalog.commitScan(last)).toEqual({ newRange: null })
    expect(await catalog.getRange(run, 0)).toMatchObject({
      ...{ state: 'scanned', cursor: 'c', resume: {}, scanned: 11 },
    })
    expect(await itemsOf(catalog, run)).toEqual([
      [0, 'a'],
      [1, 'b'],
      [2, 'c'],
    ])
    expect((await catalog.getRun(run))?.counts).toMatchObject({ scanned: 11, planned: 3 })
    expect(await catalog.runReplicas(run)).toMatchObject([{ seen: 9, gone: 1 }])
  })

  it('cuts a range: the rest is a new open one, whose items come behind', async () => {
    const { catalog, run, attempt } = await scanning([{ from: 'a', to: 'z' }])
    const cut = pageOf(run, attempt, {
      ...{ items: [foundOf('b')], cursor: 'm', ended: true, cutAt: 'm\0' },
    })
    expect(await catalog.commitScan(cut)).toEqual({ newRange: 1 })
    expect(await catalog.getRange(run, 0)).toMatchObject({
      ...{ range: { from: 'a', to: 'm\0' }, state: 'scanned' },
    })
    expect(await catalog.getRange(run, 1)).toMatchObject({
      ...{ range: { from: 'm\0', to: 'z' }, state: 'open', cursor: null, scanned: 0 },
    })
    const next = await catalog.claim(run, scanLane(1))
    const page = pageOf(run, next, { number: 1, items: [foundOf('n')], cursor: 'n' })
    expect(await catalog.commitScan(page)).toEqual({ newRange: null })
    expect(await itemsOf(catalog, run)).toEqual([
      [0, 'b'],
      [place, 'n'],
    ])
    expect(await catalog.addRanges(run, [everything])).toBe(2)
  })

  it('gives ranges that are cut at the same time numbers of their own', async () => {
    const ranges = Array.from({ length: 8 }, () => everything)
    const { catalog, run } = await scanning(ranges)
    const cuts = ranges.map(async (_, number) => {
      const attempt = await catalog.claim(run, scanLane(number))
      const page = pageOf(run, attempt, { number, cursor: 'm', cutAt: 'm\0', ended: true })
      return (await catalog.commitScan(page))?.newRange
    })
    const numbers = (await Promise.all(cuts)) as number[]
    expect(numbers.sort((a, b) => a - b)).toEqual([8, 9, 10, 11, 12, 13, 14, 15])
  })

  it('I6: a page of an attempt that was overtaken changes nothing', async () => {
    const { catalog, run, attempt } = await scanning()
    const page = pageOf(run, attempt, {
      ...{ items: [foundOf('a')], cursor: 'a', cutAt: 'a\0', counts: { scanned: 1 } },
      seen: { here: { seen: 1, gone: 0 } },
    })
    expect(await catalog.claim(run, scanLane(0))).toBe(attempt + 1)
    expect(await catalog.commitScan(page)).toBeNull()
    expect(await itemsOf(catalog, run)).toEqual([])
    expect(await catalog.getRange(run, 0)).toMatchObject({ cursor: null, scanned: 0 })
    expect(await catalog.getRange(run, 1)).toBeNull()
    expect((await catalog.getRun(run))?.counts.scanned).toBe(0)
    expect(await catalog.runReplicas(run)).toMatchObject([{ seen: 0 }])
  })

  it('I6: nor does one of a range that was scanned, or of a run that has ended', async () => {
    const { catalog, run, attempt } = await scanning()
    const page = pageOf(run, attempt, { items: [foundOf('a')], cursor: 'a', ended: true })
    expect(await catalog.commitScan(page)).toEqual({ newRange: null })
    expect(await catalog.commitScan(page)).toBeNull()
    expect(await itemsOf(catalog, run)).toHaveLength(1)
    await catalog.addRanges(run, [everything])
    const second = await catalog.claim(run, scanLane(1))
    await catalog.updateRun(run, { state: 'abandoned', endedAt: 5 })
    expect(await catalog.commitScan(pageOf(run, second, { number: 1 }))).toBeNull()
  })

  it('I6: a lane is held by whoever claimed it last, until the run has ended', async () => {
    const { catalog, run } = await scanning()
    const lane = 'range/0'
    expect(await catalog.holds(run, lane, 1)).toBe(false)
    expect(await catalog.claim(run, lane)).toBe(1)
    expect(await catalog.claim(run, 'deletes')).toBe(1)
    expect(await catalog.claim(run, lane)).toBe(2)
    expect(await catalog.holds(run, lane, 1)).toBe(false)
    expect(await catalog.holds(run, lane, 2)).toBe(true)
    expect(await catalog.holds(run, 'deletes', 1)).toBe(true)
    expect(await catalog.holds(run + 1, lane, 2)).toBe(false)
    const claims = await Promise.all(Array.from({ length: 10 }, () => catalog.claim(run, lane)))
    expect(claims.sort((a, b) => a - b)).toEqual([3, 4, 5, 6, 7, 8, 9, 10, 11, 12])
    await catalog.updateRun(run, { endedAt: 5 })
    expect(await catalog.holds(run, lane, 12)).toBe(false)
  })
})
