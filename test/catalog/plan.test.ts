import { describe, expect, it } from 'vitest'
import type { Catalog, ItemRecord, RunState } from '../../src/catalog/catalog.ts'
import {
  catalogs,
  conflictOf,
  dataset,
  engines,
  fill,
  itemOf,
  recordOf,
  rowOf,
  runOf,
  versionOf,
} from './engines.ts'

const place = 2 ** 32

describe.each(engines)('plan items on $engine', ({ make }) => {
  const { open } = catalogs(make)

  async function planned(records: (run: number) => ItemRecord[]) {
    const catalog = await open()
    const run = await catalog.createRun(runOf())
    await catalog.updateItems(records(run))
    return { catalog, run }
  }

  const seqs = async (catalog: Catalog, filter: Parameters<Catalog['readItems']>[0]) =>
    (await catalog.readItems(filter)).map(({ seq }) => seq)

  it('gives an item back as it was written', async () => {
    const outcomes = {
      a: { kind: 'failed' as const, code: 'denied', message: 'NUL \0, emoji \u{1F600}' },
      b: { kind: 'done' as const, token: { id: 't', at: 1.5 }, content: versionOf(1).content },
    }
    const full = { outcomes, tries: 3, rev: 7, contentKey: 'md5:00:5' }
    const { catalog, run } = await planned((run) => [
      recordOf(run, 0, 'a', full),
      recordOf(run, 1, 'b', { item: null, conflict: conflictOf('b') }),
    ])
    expect(await catalog.readItems({ run, states: ['pending'], after: -1, limit: 9 })).toEqual([
      recordOf(run, 0, 'a', full),
      recordOf(run, 1, 'b', { item: null, conflict: conflictOf('b') }),
    ])
  })

  it('reads by state, range and page, in the order of seq', async () => {
    const { catalog, run } = await planned((run) =>
      [0, 1, 2, place, place + 1, 2 * place].map((seq, i) =>
        recordOf(run, seq, `k${i}`, {
          rangeNumber: Math.floor(seq / place),
          state: i % 2 ? 'deferred' : 'pending',
        }),
      ),
    )
    const base = { run, after: -1, limit: 10 }
    const all = [0, 1, 2, place, place + 1, 2 * place]
    expect(await seqs(catalog, { ...base, states: ['deferred', 'pending'] })).toEqual(all)
    expect(await seqs(catalog, { ...base, states: ['deferred'] })).toEqual([1, place, 2 * place])
    const both = { ...base, states: ['pending', 'deferred'] as ItemRecord['state'][] }
    expect(await seqs(catalog, { ...both, rangeNumber: 0 })).toEqual([0, 1, 2])
    expect(await seqs(catalog, { ...both, rangeNumber: 1 })).toEqual([place, place + 1])
    expect(await seqs(catalog, { ...both, after: 1, limit: 3 })).toEqual(all.slice(2, 5))
    expect(await seqs(catalog, { ...base, states: [] })).toEqual([])
    expect(await catalog.countItems(run)).toEqual({ pending: 3, deferred: 3 })
  })

  it('updates what became of an item, and leaves its rev to settle', async () => {
    const { catalog, run } = await planned((run) => [recordOf(run, 0, 'a', { rev: 4 })])
    const failed = { there: { kind: 'failed' as const, code: 'denied', message: 'no' } }
    const next = recordOf(run, 0, 'a', { state: 'failed', outcomes: failed, tries: 2, rev: 9 })
    await catalog.updateItems([recordOf(run, 0, 'a', { state: 'held' }), next])
    const read = await catalog.readItems({ run, states: ['failed'], after: -1, limit: 9 })
    expect(read).toEqual([{ ...next, rev: 4 }])
    expect(await catalog.countItems(run)).toEqual({ failed: 1 })
  })

  it('copies a plan’s items as range 0, in their order, and none twice when repeated', async () => {
    const held = { kind: 'held' as const, reason: 'too many' }
    const done = { kind: 'done' as const, token: null, content: null }
    const skipped = { kind: 'skipped' as const, reason: 'too long' }
    const outcomes = { a: held, b: done, c: skipped }
    const { catalog, run: base } = await planned((run) => [
      recordOf(run, 0, 'a', { tries: 3, rev: 2 }),
      recordOf(run, 1, 'b', { state: 'held', outcomes, rev: 5 }),
      recordOf(run, place, 'c', { rangeNumber: 1, contentKey: 'md5:0:1' }),
      recordOf(run, place + 1, 'd', { rangeNumber: 1, state: 'done' }),
    ])
    const run = await catalog.createRun(runOf({ mode: 'apply', base }))
    expect(await catalog.copyItems(base, run, ['pending'], 'pending')).toBe(2)
    expect(await catalog.copyItems(base, run, ['held'], 'deferred')).toBe(1)
    expect(await catalog.copyItems(base, run, ['pending', 'held'], 'pending')).toBe(0)
    expect(await catalog.copyItems(base, run, [], 'pending')).toBe(0)
    const copied = await catalog.readItems({
      ...{ run, rangeNumber: 0, states: ['pending', 'deferred'], after: -1, limit: 9 },
    })
    expect(copied).toEqual([
      recordOf(run, 0, 'a', { rev: 2 }),
      recordOf(run, 1, 'b', { state: 'deferred', outcomes: { b: done, c: skipped }, rev: 5 }),
      recordOf(run, place, 'c', { contentKey: 'md5:0:1' }),
    ])
    expect(await catalog.countItems(base)).toEqual({ pending: 2, held: 1, done: 1 })
  })

  it('goes through runs that are longer than one step', async () => {
    const { catalog, run: base } = await planned((run) =>
      Array.from({ length: 5_001 }, (_, i) => recordOf(run, i, `k${i}`)),
    )
    const run = await catalog.createRun(runOf({ base }))
    expect(await catalog.copyItems(base, run, ['pending'], 'pending')).toBe(5_001)
    expect(await catalog.countItems(run)).toEqual({ pending: 5_001 })
    await fill(catalog, [rowOf('k5000')])
    expect(await catalog.supersededBy(run)).toBe('k5000')
  })

  it('I3: each create of equal content excuses one delete', async () => {
    const tombstone = { reason: 'deleted' as const, head: versionOf(2, null) }
    const deleted = (run: number, seq: number, contentKey: string | null) =>
      recordOf(run, seq, `old${seq}`, {
        ...{ state: 'deferred', contentKey, item: itemOf(`old${seq}`, tombstone) },
      })
    const { catalog, run } = await planned((run) => [
      ...[0, 1, 2].map((seq) => deleted(run, seq, 'x')),
      deleted(run, 3, 'y'),
      deleted(run, 4, null),
      recordOf(run, 10, 'new1', { contentKey: 'x' }),
      recordOf(run, 11, 'new2', { contentKey: 'x', state: 'done' }),
      recordOf(run, 12, 'new3', { contentKey: 'z' }),
      recordOf(run, 13, 'new4', { contentKey: null }),
      // An update isn't a create, and what failed made nothing.
      recordOf(run, 14, 'changed', {
        ...{ contentKey: 'y', item: itemOf('changed', { reason: 'changed' }) },
      }),
      recordOf(run, 15, 'failed', { contentKey: 'y', state: 'failed' }),
    ])
    const deletes = new Map([
      ['x', 3],
      ['y', 1],
    ])
    expect(await catalog.countRenames(run, deletes)).toBe(2)
    await catalog.updateItems([recordOf(run, 16, 'new5', { contentKey: 'y' })])
    expect(await catalog.countRenames(run, deletes)).toBe(3)
    await catalog.updateItems(
      [17, 18, 19].map((seq) => recordOf(run, seq, 'n', { contentKey: 'x' })),
    )
    expect(await catalog.countRenames(run, deletes)).toBe(4)
    expect(await catalog.countRenames(run + 1, deletes)).toBe(0)
  })

  it('knows whether a later run changed a key of a plan', async () => {
    const catalog = await open()
    await fill(catalog, [rowOf('a'), rowOf('b')], 90)
    const run = await catalog.createRun(runOf())
    const rev = (n: number) => ({ rev: n })
    await catalog.updateItems([
      recordOf(run, 0, 'a', rev(1)),
      recordOf(run, 1, 'b', rev(1)),
      recordOf(run, 2, 'c', rev(0)),
    ])
    expect(await catalog.supersededBy(run)).toBeNull()
    const change = (key: string, row: ReturnType<typeof rowOf> | null, expectRev: number) =>
      catalog.settle(dataset, [
        { record: recordOf(91, expectRev, key), row, expectRev, version: null },
      ])
    await change('c', rowOf('c'), 0)
    expect(await catalog.supersededBy(run)).toBe('c')
    await change('b', rowOf('b', versionOf(2)), 1)
    expect(await catalog.supersededBy(run)).toBe('b')
    await change('a', null, 1)
    expect(await catalog.supersededBy(run)).toBe('a')
  })

  it('prunes items of old ended runs, but of none that waits for a person', async () => {
    const catalog = await open()
    const ran = async (state: RunState, startedAt: number, endedAt: number | null) => {
      const run = await catalog.createRun(runOf({ state, startedAt }))
      await catalog.updateRun(run, { endedAt })
      await catalog.updateItems([recordOf(run, 0, 'a'), recordOf(run, 1, 'b')])
      return run
    }
    const old = await ran('complete', 1_000, 1_500)
    const kept = [
      await ran('held', 1_000, 1_500),
      await ran('planned', 1_000, 1_500),
      await ran('running', 1_000, null),
      await ran('complete', 2_000, 2_500),
    ]
    expect(await catalog.pruneItems(2_000)).toBe(2)
    expect(await catalog.pruneItems(2_000)).toBe(0)
    expect(await catalog.countItems(old)).toEqual({})
    for (const run of kept) expect(await catalog.countItems(run)).toEqual({ pending: 2 })
    expect(await catalog.getRun(old)).not.toBeNull()
  })
})
