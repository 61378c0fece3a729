import { describe, expect, it } from 'vitest'
import type { Settlement } from '../../src/catalog/catalog.ts'
import type { BaselineRow, Key } from '../../src/model.ts'
import {
  catalogs,
  dataset,
  engines,
  everything,
  fill,
  itemOf,
  recordOf,
  rowOf,
  runOf,
  versionOf,
} from './engines.ts'

const run = 1

function settlement(key: Key, seq: number, more: Partial<Settlement> = {}): Settlement {
  const outcomes = { there: { kind: 'done' as const, token: { id: 'new' }, content: null } }
  return {
    record: recordOf(run, seq, key, { state: 'done', outcomes, tries: 1 }),
    row: rowOf(key),
    expectRev: 0,
    version: { key, version: versionOf(run), parents: [], reason: 'new', agreedAt: 7 },
    ...more,
  }
}

describe.each(engines)('settling on $engine', ({ make }) => {
  const { open, place } = catalogs(make)

  const stored = async (catalog: Awaited<ReturnType<typeof open>>) =>
    await catalog.readItems({ run, states: ['done', 'pending'], after: -1, limit: 10_000 })

  it('I6: commits nothing of an attempt that no longer holds its lane', async () => {
    const catalog = await open()
    const run = await catalog.createRun(runOf())
    const lane = 'range/0'
    const by = { run, lane, attempt: await catalog.claim(run, lane) }
    const one = settlement('a', 1, { record: recordOf(run, 1, 'a', { state: 'done' }) })
    await catalog.claim(run, lane)
    expect(await catalog.settle(dataset, [one], by)).toBeNull()
    expect(await catalog.getBaseline(dataset, ['a'])).toEqual(new Map())
    expect(await catalog.settle(dataset, [one], { ...by, attempt: 2 })).toEqual([true])
    await catalog.updateRun(run, { state: 'complete', endedAt: 1 })
    expect(await catalog.settle(dataset, [one], { ...by, attempt: 2 })).toBeNull()
  })

  it('I8: writes row, history and item together, under the rev that was expected', async () => {
    const catalog = await open()
    expect(await catalog.settle(dataset, [settlement('a', 1), settlement('b', 2)])).toEqual([
      true,
      true,
    ])
    const head = versionOf(2)
    const again = settlement('a', 3, {
      row: { ...rowOf('a', head), rev: 99 },
      expectRev: 1,
      version: { key: 'a', version: head, parents: [1], reason: 'changed', agreedAt: 8 },
    })
    expect(await catalog.settle(dataset, [again])).toEqual([true])
    const rows = await catalog.readBaseline(dataset, everything, null, 10)
    expect(rows).toEqual([{ ...rowOf('a', head), rev: 2 }, rowOf('b')])
    const items = await stored(catalog)
    expect(items.map(({ seq, rev }) => [seq, rev])).toEqual([
      [1, 1],
      [2, 1],
      [3, 2],
    ])
    expect(items[2]).toEqual({ ...again.record, rev: 2 })
    const lines = await catalog.linesOfKey(dataset, 'a', { limit: 10 })
    expect(lines.map(({ version, reason, parents }) => [version, reason, parents])).toEqual([
      [head, 'changed', [1]],
      [versionOf(1), 'new', []],
    ])
    expect(lines[0]?.agreedAt).toBe(8)
  })

  it('I8: leaves out whole what was computed from another rev, and commits the rest', async () => {
    const catalog = await open()
    await catalog.settle(dataset, [settlement('a', 1), settlement('b', 2)])
    const answer = await catalog.settle(dataset, [
      settlement('a', 11, { row: rowOf('a', versionOf(5)), expectRev: 0 }),
      settlement('b', 12, { row: rowOf('b', versionOf(5)), expectRev: 1 }),
      settlement('c', 13, { expectRev: 4 }),
      settlement('d', 14, { row: null, expectRev: 1 }),
    ])
    expect(answer).toEqual([false, true, false, false])
    expect((await stored(catalog)).map(({ seq }) => seq)).toEqual([1, 2, 12])
    const rows = await catalog.getBaseline(dataset, ['a', 'b', 'c', 'd'])
    expect([...rows.values()].map(({ key, rev }) => `${key}${rev}`).sort()).toEqual(['a1', 'b2'])
    expect(await catalog.linesOfKey(dataset, 'c', { limit: 10 })).toEqual([])
  })

  it('takes several settlements of one key in turn, each from what the last one made', async () => {
    const catalog = await open()
    const first = settlement('a', 1)
    const next = (expectRev: number, row: BaselineRow | null, state: 'pending' | 'done') =>
      settlement('a', 1, {
        row,
        expectRev,
        version: first.version,
        record: { ...first.record, state },
      })
    const answer = await catalog.settle(dataset, [
      next(0, rowOf('a'), 'pending'),
      next(1, rowOf('a', versionOf(3)), 'done'),
      next(1, rowOf('a', versionOf(4)), 'pending'),
    ])
    expect(answer).toEqual([true, true, false])
    expect((await catalog.getBaseline(dataset, ['a'])).get('a')).toEqual({
      ...rowOf('a', versionOf(3)),
      rev: 2,
    })
    expect(await stored(catalog)).toMatchObject([{ seq: 1, state: 'done', rev: 2 }])
    expect(await catalog.linesOfKey(dataset, 'a', { limit: 10 })).toHaveLength(1)
  })

  it('forgets a key, which counts as rev 0 from then on', async () => {
    const catalog = await open()
    await catalog.settle(dataset, [settlement('a', 1)])
    const gone = settlement('a', 2, { row: null, expectRev: 1, version: null })
    expect(await catalog.settle(dataset, [gone])).toEqual([true])
    expect(await catalog.readBaseline(dataset, everything, null, 10)).toEqual([])
    expect((await stored(catalog)).map(({ rev }) => rev)).toEqual([1, 0])
    expect(await catalog.settle(dataset, [settlement('a', 3)])).toEqual([true])
    expect(await catalog.linesOfKey(dataset, 'a', { limit: 10 })).toHaveLength(1)
  })

  it('writes an item alone where its row doesn’t change, whatever the row’s rev', async () => {
    const catalog = await open()
    await fill(catalog, [rowOf('a')])
    const stale = { kind: 'changed-meanwhile' as const }
    const record = recordOf(run, 7, 'a', { state: 'stale', outcomes: { there: stale }, rev: 1 })
    const left = { record, row: undefined, expectRev: 12, version: null }
    expect(await catalog.settle(dataset, [left])).toEqual([true])
    const read = await catalog.readItems({ run, states: ['stale'], after: -1, limit: 10 })
    expect(read).toEqual([record])
    expect((await catalog.getBaseline(dataset, ['a'])).get('a')?.rev).toBe(1)
    expect(await catalog.settle(dataset, [])).toEqual([])
  })

  it('takes pages of any size', async () => {
    const catalog = await open()
    const page = Array.from({ length: 1_337 }, (_, i) => settlement(`k${i}`, i))
    expect(await catalog.settle(dataset, page)).toEqual(page.map(() => true))
    expect(await catalog.settle(dataset, page)).toEqual(page.map(() => false))
    expect(await catalog.countLive(dataset)).toBe(1_337)
    expect(await stored(catalog)).toHaveLength(1_337)
    const keys = page.map(({ record }) => record.key)
    expect((await catalog.getBaseline(dataset, keys)).size).toBe(1_337)
  })

  it('I8: of writers that start from the same rev exactly one gets through', async () => {
    const { url } = await place()
    const writers = await Promise.all([1, 2, 3, 4].map(() => open(url)))
    for (let rev = 0; rev < 5; rev++) {
      const answers = await Promise.all(
        writers.map((writer, w) =>
          writer.settle(
            dataset,
            // In another order each, so that a deadlock would show.
            rotate(
              ['a', 'b', 'c', 'd', 'e', 'f'].map((key, i) =>
                settlement(key, rev * 100 + w * 10 + i, {
                  row: rowOf(key, versionOf(rev * 10 + w)),
                  expectRev: rev,
                }),
              ),
              w,
            ),
          ),
        ),
      )
      for (let i = 0; i < 6; i++) {
        const winners = answers.filter((answer, w) => rotateBack(answer ?? [], w)[i])
        expect(winners).toHaveLength(1)
      }
    }
    const [reader] = writers as [(typeof writers)[number]]
    const rows = await reader.readBaseline(dataset, everything, null, 10)
    expect(rows.map(({ rev }) => rev)).toEqual([5, 5, 5, 5, 5, 5])
    expect(await reader.countLive(dataset)).toBe(6)
    expect(await stored(reader)).toHaveLength(30)
  })

  it('keeps nothing of a transaction that fails', async () => {
    const catalog = await open()
    const broken = settlement('b', 2, {
      record: recordOf(run, 2, 'b', { item: itemOf('b'), tries: Number.NaN }),
    })
    await expect(catalog.settle(dataset, [settlement('a', 1), broken])).rejects.toThrow()
    expect(await catalog.readBaseline(dataset, everything, null, 10)).toEqual([])
    expect(await catalog.countLive(dataset)).toBe(0)
    expect(await catalog.settle(dataset, [settlement('a', 1)])).toEqual([true])
  })
})

const rotate = <T>(list: T[], by: number): T[] => [...list.slice(by), ...list.slice(0, by)]
const rotateBack = <T>(list: T[], by: number): T[] => rotate(list, (list.length - by) % list.length)
