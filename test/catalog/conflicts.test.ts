import { describe, expect, it } from 'vitest'
import type { Catalog } from '../../src/catalog/catalog.ts'
import { catalogs, conflictOf, dataset, engines } from './engines.ts'

describe.each(engines)('conflicts on $engine', ({ make }) => {
  const { open, place } = catalogs(make)

  it('keeps one open conflict of a key: other contenders update it', async () => {
    const catalog = await open()
    const id = await catalog.openConflict(dataset, 3, 'same', conflictOf('a'), 10)
    expect(await catalog.openConflict(dataset, 4, 'same', conflictOf('a'), 20)).toBe(id)
    const [opened] = await catalog.openConflicts({ dataset, after: 0, limit: 9 })
    expect(opened).toEqual({
      ...{ id, dataset, key: 'a', identity: 'same', kind: 'update/update', state: 'open' },
      ...{ conflict: conflictOf('a'), openedRun: 3, openedAt: 10 },
      ...{ endedRun: null, endedAt: null, resolution: null },
    })
    const other = conflictOf('a', { kind: 'update/delete', rev: 2 })
    expect(await catalog.openConflict(dataset, 5, 'other', other, 30)).toBe(id)
    expect(await catalog.openConflicts({ dataset, after: 0, limit: 9 })).toEqual([
      { ...opened, identity: 'other', kind: 'update/delete', conflict: other },
    ])
    expect(await catalog.countOpenConflicts(dataset)).toBe(1)
  })

  it('has the newest tokens of the same contenders, so that they can be resolved', async () => {
    const catalog = await open()
    const touched = conflictOf('a')
    await catalog.openConflict(dataset, 3, 'same', conflictOf('a'), 10)
    const [contender] = touched.contenders
    contender?.replicas.splice(0, 1, { replica: 'here', token: { id: 'newer' } })
    await catalog.openConflict(dataset, 4, 'same', touched, 20)
    const [one] = await catalog.openConflicts({ dataset, after: 0, limit: 9 })
    expect(one?.conflict).toEqual(touched)
  })

  it('opens one even where workers meet', async () => {
    const { url } = await place()
    const two = await Promise.all([open(url), open(url)])
    const ids = await Promise.all(
      Array.from({ length: 8 }, (_, i) =>
        (two[i % 2] as Catalog).openConflict(dataset, 1, `${i}`, conflictOf('a'), i),
      ),
    )
    expect(new Set(ids).size).toBe(1)
    expect(await two[0]?.countOpenConflicts(dataset)).toBe(1)
  })

  it('ends the open one, and a later one of that key is another', async () => {
    const catalog = await open()
    const id = await catalog.openConflict(dataset, 3, 'same', conflictOf('a'), 10)
    const resolution = {
      ...{ strategy: 'manual', rule: 'keep', winner: null, winnerReplicas: ['there'] },
      losers: [{ content: null, replicas: ['here'] }],
    }
    const end = { state: 'resolved' as const, resolution, conflict: null, identity: null, at: 50 }
    await catalog.endConflict(dataset, 4, 'a', end)
    await catalog.endConflict(dataset, 4, 'a', end)
    await catalog.endConflict('another', 4, 'a', end)
    expect(await catalog.openConflicts({ after: 0, limit: 9 })).toEqual([])
    expect(await catalog.countOpenConflicts(dataset)).toBe(0)
    const next = await catalog.openConflict(dataset, 5, 'same', conflictOf('a'), 60)
    expect(next).toBeGreaterThan(id)
  })

  it('records one that was never open, once a run', async () => {
    const catalog = await open()
    const end = {
      ...{ state: 'resolved' as const, resolution: null, at: 50 },
      ...{ conflict: conflictOf('a'), identity: 'same' },
    }
    await catalog.endConflict(dataset, 4, 'a', end)
    await catalog.endConflict(dataset, 4, 'a', end)
    expect(await catalog.countOpenConflicts(dataset)).toBe(0)
    // Numbers count records: the next one tells how many there were.
    expect(await catalog.openConflict(dataset, 5, 'same', conflictOf('b'), 60)).toBe(2)
  })

  it('lists open ones by dataset, range of keys and page', async () => {
    const catalog = await open()
    for (const key of ['c', 'a', '\u{1F600}', 'b', '\uFF5E']) {
      await catalog.openConflict(dataset, 1, key, conflictOf(key), 1)
    }
    await catalog.openConflict('another', 1, 'x', conflictOf('a'), 1)
    const keys = async (filter: Omit<Parameters<typeof catalog.openConflicts>[0], 'limit'>) =>
      (await catalog.openConflicts({ limit: 9, ...filter })).map(({ key }) => key)
    expect(await keys({ after: 0 })).toHaveLength(6)
    const all = await catalog.openConflicts({ dataset, after: 0, limit: 2 })
    expect(all.map(({ key }) => key)).toEqual(['c', 'a'])
    expect(await keys({ dataset, after: all[1]?.id ?? 0 })).toEqual(['\u{1F600}', 'b', '\uFF5E'])
    const of = (from: string | null, to: string | null) => ({
      dataset,
      after: 0,
      range: { from, to },
    })
    expect(await keys(of('a\0', 'c'))).toEqual(['b'])
    expect(await keys(of('\uFF5F', null))).toEqual(['\u{1F600}'])
    expect(await keys(of(null, 'c\0'))).toEqual(['c', 'a', 'b'])
  })

  it('finds them by number, key, prefix, kind, state and time, newest first, page by page', async () => {
    const catalog = await open()
    const keys = ['a/1', 'a/2', 'a', 'b%_/\u{1F600}']
    for (const [i, key] of keys.entries()) {
      const kind = i === 1 ? ('update/delete' as const) : ('update/update' as const)
      await catalog.openConflict(dataset, 1, key, conflictOf(key, { kind }), 10 * i)
    }
    const end = { resolution: null, conflict: null, identity: null }
    await catalog.endConflict(dataset, 2, 'a', { ...end, state: 'closed', at: 99 })
    const found = async (filter: Partial<Parameters<typeof catalog.findConflicts>[0]>) =>
      (await catalog.findConflicts({ limit: 9, ...filter })).map(({ key }) => key)
    expect(await found({})).toEqual(keys.toReversed())
    expect(await found({ ids: [1, 3] })).toEqual(['a', 'a/1'])
    expect(await found({ key: 'a' })).toEqual(['a'])
    expect(await found({ prefix: 'a/' })).toEqual(['a/2', 'a/1'])
    expect(await found({ prefix: 'b%_/\u{1F600}' })).toEqual(['b%_/\u{1F600}'])
    expect(await found({ kind: 'update/delete' })).toEqual(['a/2'])
    expect(await found({ states: ['closed'] })).toEqual(['a'])
    expect(await found({ states: ['open'], since: 20 })).toEqual(['b%_/\u{1F600}'])
    expect(await found({ since: 50 })).toEqual(['a'])
    expect(await found({ limit: 2, before: 4 })).toEqual(['a', 'a/2'])
    expect(await found({ dataset: 'another' })).toEqual([])
    expect(await found({ ids: [] })).toEqual([])
  })
})
