import { describe, expect, it } from 'vitest'
import type { Catalog } from '../../src/catalog/catalog.ts'
import {
  catalogs,
  conflictOf,
  dataset,
  endOne,
  engines,
  everything,
  openOne,
  recordOf,
  runOf,
} from './engines.ts'

const all = { dataset, range: everything, after: null, limit: 9 }

describe.each(engines)('conflicts on $engine', ({ make }) => {
  const { open, place } = catalogs(make)

  it('keeps one open conflict of a key: other contenders update it', async () => {
    const catalog = await open()
    const id = await openOne(catalog, dataset, 3, 'same', conflictOf('a'), 10)
    expect(await openOne(catalog, dataset, 4, 'same', conflictOf('a'), 20)).toBe(id)
    const [opened] = await catalog.openConflicts(all)
    expect(opened).toEqual({
      ...{ id, dataset, key: 'a', identity: 'same', kind: 'update/update', state: 'open' },
      ...{ conflict: conflictOf('a'), openedRun: 3, openedAt: 10 },
      ...{ endedRun: null, endedAt: null, resolution: null },
    })
    const other = conflictOf('a', { kind: 'update/delete', rev: 2 })
    expect(await openOne(catalog, dataset, 5, 'other', other, 30)).toBe(id)
    expect(await catalog.openConflicts(all)).toEqual([
      { ...opened, identity: 'other', kind: 'update/delete', conflict: other },
    ])
    expect(await catalog.countOpenConflicts(dataset)).toBe(1)
  })

  it('has the newest tokens of the same contenders, so that they can be resolved', async () => {
    const catalog = await open()
    const touched = conflictOf('a')
    await openOne(catalog, dataset, 3, 'same', conflictOf('a'), 10)
    const [contender] = touched.contenders
    contender?.replicas.splice(0, 1, { replica: 'here', token: { id: 'newer' } })
    await openOne(catalog, dataset, 4, 'same', touched, 20)
    const [one] = await catalog.openConflicts(all)
    expect(one?.conflict).toEqual(touched)
  })

  it('opens one even where workers meet', async () => {
    const { url } = await place()
    const two = await Promise.all([open(url), open(url)])
    const ids = await Promise.all(
      Array.from({ length: 8 }, (_, i) =>
        openOne(two[i % 2] as Catalog, dataset, 1, `${i}`, conflictOf('a'), i),
      ),
    )
    expect(new Set(ids).size).toBe(1)
    expect(await two[0]?.countOpenConflicts(dataset)).toBe(1)
  })

  it('ends the open one, and a later one of that key is another', async () => {
    const catalog = await open()
    const id = await openOne(catalog, dataset, 3, 'same', conflictOf('a'), 10)
    const resolution = {
      ...{ strategy: 'manual', rule: 'keep', winner: null, winnerReplicas: ['there'] },
      losers: [{ content: null, replicas: ['here'] }],
    }
    const end = { state: 'resolved' as const, resolution, conflict: null, identity: null, at: 50 }
    await endOne(catalog, dataset, 4, 'a', end)
    await endOne(catalog, dataset, 4, 'a', end)
    await endOne(catalog, 'another', 4, 'a', end)
    expect(await catalog.openConflicts(all)).toEqual([])
    expect(await catalog.countOpenConflicts(dataset)).toBe(0)
    const next = await openOne(catalog, dataset, 5, 'same', conflictOf('a'), 60)
    expect(next).toBeGreaterThan(id)
  })

  it('records one that was never open, once a run', async () => {
    const catalog = await open()
    const end = {
      ...{ state: 'resolved' as const, resolution: null, at: 50 },
      ...{ conflict: conflictOf('a'), identity: 'same' },
    }
    await endOne(catalog, dataset, 4, 'a', end)
    await endOne(catalog, dataset, 4, 'a', end)
    expect(await catalog.countOpenConflicts(dataset)).toBe(0)
    // Numbers count records: the next one tells how many there were.
    expect(await openOne(catalog, dataset, 5, 'same', conflictOf('b'), 60)).toBe(2)
  })

  it('lists open ones by dataset in key order, by range and page', async () => {
    const catalog = await open()
    for (const key of ['c', 'a', '\u{1F600}', 'b', '\uFF5E']) {
      await openOne(catalog, dataset, 1, key, conflictOf(key), 1)
    }
    await openOne(catalog, 'another', 1, 'x', conflictOf('a'), 1)
    const keys = async (filter: Partial<typeof all> | Parameters<Catalog['openConflicts']>[0]) =>
      (await catalog.openConflicts({ ...all, ...filter })).map(({ key }) => key)
    expect(await keys({})).toEqual(['a', 'b', 'c', '\uFF5E', '\u{1F600}'])
    expect(await keys({ dataset: 'another' })).toEqual(['a'])
    expect(await keys({ dataset: 'unknown' })).toEqual([])
    expect(await keys({ ...all, limit: 2 })).toEqual(['a', 'b'])
    expect(await keys({ ...all, after: 'b', limit: 2 })).toEqual(['c', '\uFF5E'])
    const of = (from: string | null, to: string | null) => ({ ...all, range: { from, to } })
    expect(await keys(of('a\0', 'c'))).toEqual(['b'])
    expect(await keys(of('\uFF5F', null))).toEqual(['\u{1F600}'])
    expect(await keys(of(null, 'c\0'))).toEqual(['a', 'b', 'c'])
  })

  it('takes a page at once: what opens, what follows, what ends, and the items; or nothing', async () => {
    const catalog = await open()
    const run = await catalog.createRun(runOf())
    const number = await catalog.claim(run, 'resolve/0')
    const opening = (key: string) => ({ identity: key, conflict: conflictOf(key) })
    const change = { run, at: 10, opened: ['b', 'a'].map(opening), ended: [], items: [] }
    const by = { run, lane: 'resolve/0', attempt: number }
    expect(await catalog.changeConflicts(dataset, change, by)).toEqual([1, 2])
    const end = { state: 'closed', resolution: null, conflict: null, identity: null } as const
    const next = {
      ...{ run, at: 20, opened: ['c', 'a'].map(opening), ended: [{ key: 'b', ...end }] },
      items: [recordOf(run, 0, 'c', { state: 'open', item: null })],
    }
    await catalog.claim(run, 'resolve/0')
    expect(await catalog.changeConflicts(dataset, next, by)).toBeNull()
    expect(await catalog.countOpenConflicts(dataset)).toBe(2)
    expect(await catalog.countItems(run)).toEqual({})
    const later = { ...by, attempt: number + 1 }
    expect(await catalog.changeConflicts(dataset, next, later)).toEqual([3, 2])
    expect((await catalog.openConflicts(all)).map(({ id }) => id)).toEqual([2, 3])
    expect(await catalog.countItems(run)).toEqual({ open: 1 })
  })

  const resolution = {
    ...{ strategy: 'largest', rule: 'r', why: '', by: null, tried: [], merged: false },
    ...{ winner: null, winnerReplicas: [], losers: [], base: null },
  }
  const resolved = { state: 'resolved', resolution, conflict: null, identity: 'same' } as const

  it('opens one again that a person takes back: nothing but a person ends it then', async () => {
    const catalog = await open()
    const id = await openOne(catalog, dataset, 3, 'same', conflictOf('a'), 10)
    expect(await catalog.reopenConflict(id, 'ada@host')).toBe('not-resolved')
    await endOne(catalog, dataset, 4, 'a', { ...resolved, at: 20 })
    expect(await catalog.reopenConflict(id, 'ada@host')).toBe('open')
    expect(await catalog.reopenConflict(id, 'ada@host')).toBe('not-resolved')
    const [again] = await catalog.openConflicts(all)
    expect(again).toMatchObject({ id, state: 'open', endedRun: 4, resolution })
    await endOne(catalog, dataset, 5, 'a', { ...resolved, state: 'closed', at: 30 })
    expect(await catalog.countOpenConflicts(dataset)).toBe(1)
    const other = { ...resolution, strategy: 'smallest' }
    await endOne(catalog, dataset, 6, 'a', { ...resolved, resolution: other, at: 40 })
    expect(await catalog.findConflicts({ limit: 9 })).toMatchObject([
      { id, state: 'resolved', endedRun: 6, resolution: other },
    ])
    const told = await catalog.auditRows({ dataset, after: 0, limit: 9, key: 'a' })
    expect(told.map(({ what, by }) => `${what} by ${by}`)).toEqual([
      ...['conflict-opened by tidemark', 'conflict-resolved by rule: r'],
      ...['conflict-reopened by ada@host', 'conflict-resolved by rule: r'],
    ])
  })

  it('lets one that was taken back end as it had, where its key is in another conflict', async () => {
    const catalog = await open()
    const first = await openOne(catalog, dataset, 3, 'same', conflictOf('a'), 10)
    await endOne(catalog, dataset, 4, 'a', { ...resolved, at: 20 })
    await catalog.reopenConflict(first, 'ada@host')
    const second = await openOne(catalog, dataset, 5, 'other', conflictOf('a'), 30)
    const states = async () =>
      (await catalog.findConflicts({ limit: 9 })).map(({ id, state }) => [id, state])
    expect(await states()).toEqual([
      [second, 'open'],
      [first, 'resolved'],
    ])
    expect(await catalog.reopenConflict(first, 'ada@host')).toBe('another-open')
    await endOne(catalog, dataset, 6, 'a', { ...resolved, identity: 'other', at: 40 })
    expect(await catalog.reopenConflict(second, 'ada@host')).toBe('open')
    const third = { ...resolved, identity: 'third', conflict: conflictOf('a'), at: 50 }
    await endOne(catalog, dataset, 7, 'a', third)
    expect(await states()).toEqual([
      [second + 1, 'resolved'],
      [second, 'resolved'],
      [first, 'resolved'],
    ])
  })

  it('finds them by number, key, prefix, kind, state and time, newest first, page by page', async () => {
    const catalog = await open()
    const keys = ['a/1', 'a/2', 'a', 'b%_/\u{1F600}']
    for (const [i, key] of keys.entries()) {
      const kind = i === 1 ? ('update/delete' as const) : ('update/update' as const)
      await openOne(catalog, dataset, 1, key, conflictOf(key, { kind }), 10 * i)
    }
    const end = { resolution: null, conflict: null, identity: null }
    await endOne(catalog, dataset, 2, 'a', { ...end, state: 'closed', at: 99 })
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
