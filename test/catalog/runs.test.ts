import { describe, expect, it } from 'vitest'
import type { Catalog, RunMode, RunState } from '../../src/catalog/catalog.ts'
import { asked, catalogs, dataset, engines, runOf } from './engines.ts'

const noCounts = {
  ...{ scanned: 0, planned: 0, puts: 0, deletes: 0, adopted: 0, bytes: 0, stale: 0 },
  ...{ skipped: 0, failed: 0, held: 0, cancelled: 0, conflicts: 0, drift: 0, extra: 0 },
  renames: 0,
}

describe.each(engines)('runs on $engine', ({ make }) => {
  const { open, place } = catalogs(make)

  it('numbers runs over all datasets, and gives a run back as it was made', async () => {
    const catalog = await open()
    const first = await catalog.createRun(runOf())
    const input = runOf({
      ...{ dataset: 'other', mode: 'apply', base: first, trigger: 'schedule', liveAtStart: 7 },
      temporalRunId: 'execution',
    })
    const second = await catalog.createRun(input)
    expect([first, second]).toEqual([1, 2])
    const rest = { endedAt: null, counts: noCounts, problem: null }
    expect(await catalog.getRun(second)).toEqual({ ...input, run: second, ...rest })
    expect(await catalog.getRun(3)).toBeNull()
  })

  it('gives every run a number of its own, however many begin at once', async () => {
    const { url } = await place()
    const two = await Promise.all([open(url), open(url)])
    const starts = Array.from({ length: 20 }, (_, i) =>
      (two[i % 2] as Catalog).createRun(runOf({ dataset: `dataset ${i % 3}` })),
    )
    const numbers = await Promise.all(starts)
    expect(numbers.sort((a, b) => a - b)).toEqual(Array.from({ length: 20 }, (_, i) => i + 1))
  })

  it('lists runs newest first, by dataset, time and page', async () => {
    const catalog = await open()
    for (let i = 1; i <= 6; i++) {
      await catalog.createRun(runOf({ dataset: i % 2 ? 'odd' : 'even', startedAt: i * 1_000 }))
    }
    const listed = async (filter: Parameters<typeof catalog.listRuns>[0]) =>
      (await catalog.listRuns(filter)).map(({ run }) => run)
    expect(await listed({ limit: 3 })).toEqual([6, 5, 4])
    expect(await listed({ limit: 3, before: 4 })).toEqual([3, 2, 1])
    expect(await listed({ limit: 9, dataset: 'odd' })).toEqual([5, 3, 1])
    expect(await listed({ limit: 9, dataset: 'odd', since: 3_000, before: 5 })).toEqual([3])
    expect(await listed({ limit: 9, dataset: 'none' })).toEqual([])
  })

  it('changes what a patch names, and nothing else', async () => {
    const catalog = await open()
    const run = await catalog.createRun(runOf())
    const problem = { code: 'all-replicas-unreachable', message: 'none', next: 'doctor' }
    await catalog.updateRun(run, { problem, temporalRunId: 'execution' })
    await catalog.updateRun(run, { state: 'failed', endedAt: 1_700_000_009_999 })
    await catalog.updateRun(run, {})
    expect(await catalog.getRun(run)).toMatchObject({
      ...{ state: 'failed', endedAt: 1_700_000_009_999, problem, temporalRunId: 'execution' },
      counts: noCounts,
    })
    await catalog.updateRun(run, { problem: null, counts: { ...noCounts, puts: 3 } })
    expect(await catalog.getRun(run)).toMatchObject({
      ...{ state: 'failed', problem: null, counts: { ...noCounts, puts: 3 } },
    })
  })

  it('adds counts atomically, far past 2^32', async () => {
    const catalog = await open()
    const run = await catalog.createRun(runOf())
    const more = { bytes: 2 ** 40, puts: 1, stale: 0 }
    await Promise.all(Array.from({ length: 20 }, () => catalog.addCounts(run, more)))
    await catalog.addCounts(run, {})
    const counts = { ...noCounts, bytes: 20 * 2 ** 40, puts: 20 }
    expect((await catalog.getRun(run))?.counts).toEqual(counts)
  })

  it('knows the last complete scan: a sync that ended having settled what it saw', async () => {
    const catalog = await open()
    expect(await catalog.lastCompleteScan(dataset)).toBeNull()
    let startedAt = 0
    const ran = async (mode: RunMode, state: RunState, of = dataset) => {
      startedAt += 1_000
      await catalog.createRun(runOf({ mode, state, startedAt, dataset: of }))
      return await catalog.lastCompleteScan(dataset)
    }
    for (const state of ['running', 'failed', 'cancelled', 'abandoned'] as const) {
      expect(await ran('sync', state)).toBeNull()
    }
    expect(await ran('plan', 'planned')).toBeNull()
    expect(await ran('apply', 'complete')).toBeNull()
    expect(await ran('sync', 'complete', 'another')).toBeNull()
    for (const state of ['complete', 'conflicts', 'held'] as const) {
      expect(await ran('sync', state)).toBe(startedAt)
    }
    const last = startedAt
    expect(await ran('sync', 'partial')).toBe(last)
    expect(await ran('sync', 'running')).toBe(last)
    expect(await ran('plan', 'superseded')).toBe(last)
  })

  it('a run that left a replica out is no complete scan, held or not', async () => {
    const catalog = await open()
    const held = { state: 'held', startedAt: 1_000 } as const
    const run = await catalog.createRun(runOf(held))
    const none = { problem: null, seen: 0, gone: 0 }
    await catalog.putRunReplica(run, { replica: 'here', state: 'ok', ...none })
    expect(await catalog.lastCompleteScan(dataset)).toBe(1_000)
    await catalog.loseReplica(run, 'there', { code: 'unavailable', message: 'cut' })
    expect(await catalog.lastCompleteScan(dataset)).toBeNull()
  })
})

describe.each(engines)('a run’s replicas on $engine', ({ make }) => {
  const { open } = catalogs(make)
  const none = { problem: null, seen: 0, gone: 0 }

  it('keeps the first reason why one is unknown', async () => {
    const catalog = await open()
    const run = await catalog.createRun(runOf())
    await catalog.putRunReplica(run, { replica: 'here', state: 'ok', ...none })
    await catalog.putRunReplica(run, { replica: 'there', state: 'ok', ...none })
    const first = { code: 'unavailable', message: 'cut' }
    await catalog.loseReplica(run, 'there', first)
    await catalog.loseReplica(run, 'there', { code: 'denied', message: 'later' })
    expect(await catalog.runReplicas(run)).toEqual([
      { replica: 'here', state: 'ok', ...none },
      { replica: 'there', state: 'unknown', ...none, problem: first },
    ])
    // Looked at anew, as a retry of prepare does.
    await catalog.putRunReplica(run, { replica: 'there', state: 'ok', ...none })
    expect((await catalog.runReplicas(run))[1]).toEqual({ replica: 'there', state: 'ok', ...none })
  })

  it('adds what the ranges saw, at once, and leaves the others alone', async () => {
    const catalog = await open()
    const run = await catalog.createRun(runOf())
    for (const replica of ['a', 'b', 'c']) {
      await catalog.putRunReplica(run, { replica, state: 'ok', ...none })
    }
    const delta = { b: { seen: 3, gone: 1 }, a: { seen: 2 ** 33, gone: 0 } }
    await Promise.all(Array.from({ length: 10 }, () => catalog.addSeen(run, delta)))
    expect(await catalog.runReplicas(run)).toMatchObject([
      { replica: 'a', seen: 10 * 2 ** 33, gone: 0 },
      { replica: 'b', seen: 30, gone: 10 },
      { replica: 'c', seen: 0, gone: 0 },
    ])
  })
})

describe.each(engines)('names on $engine', ({ make }) => {
  const { open } = catalogs(make)

  it('keeps configs by digest, and what a location was', async () => {
    const catalog = await open()
    expect(await catalog.getConfig('d1')).toBeNull()
    await catalog.putConfig('d1', '{"a":"\u{1F600}"}')
    await catalog.putConfig('d1', '{"a":"\u{1F600}"}')
    expect(await catalog.getConfig('d1')).toBe('{"a":"\u{1F600}"}')
    expect(await catalog.getLocation('here')).toBeNull()
    await catalog.setLocation('here', 'file:1', 'host', asked)
    await catalog.setLocation('there', 's3:bucket', null, asked)
    await catalog.setLocation('here', 'file:2', 'host', asked)
    expect(await catalog.getLocation('here')).toEqual({ identity: 'file:2', host: 'host' })
    expect(await catalog.getLocation('there')).toEqual({ identity: 's3:bucket', host: null })
  })
})

describe.each(engines)('uploads on $engine', ({ make }) => {
  const { open } = catalogs(make)

  it('keeps the state of each until it ends, and finds those that were left', async () => {
    const catalog = await open()
    await catalog.putUpload('s3', 'a', 'one', 10)
    await catalog.putUpload('s3', 'b', 'two', 20)
    await catalog.putUpload('gcs', 'a', 'other', 5)
    expect(await catalog.getUpload('s3', 'a')).toBe('one')
    await catalog.putUpload('s3', 'a', 'more', 30)
    expect(await catalog.getUpload('s3', 'a')).toBe('more')
    expect(await catalog.staleUploads('s3', 30, 10)).toEqual([{ key: 'b', state: 'two' }])
    expect((await catalog.staleUploads('s3', 31, 10)).map(({ key }) => key)).toEqual(['b', 'a'])
    expect(await catalog.staleUploads('s3', 31, 1)).toHaveLength(1)
    await catalog.putUpload('s3', 'a', null, 40)
    await catalog.putUpload('s3', 'a', null, 40)
    expect(await catalog.getUpload('s3', 'a')).toBeNull()
    expect(await catalog.getUpload('gcs', 'a')).toBe('other')
  })

  it('I12: forgets those of a location that is another place now', async () => {
    const catalog = await open()
    for (const location of ['moved', 'same', 'new']) {
      if (location !== 'new') await catalog.setLocation(location, 'here', null, asked)
      await catalog.putUpload(location, 'a', 'state', 10)
    }
    await catalog.setLocation('moved', 'there', null, asked)
    await catalog.setLocation('same', 'here', 'host', asked)
    await catalog.setLocation('new', 'here', null, asked)
    expect(await catalog.getUpload('moved', 'a')).toBeNull()
    expect(await catalog.getUpload('same', 'a')).toBe('state')
    expect(await catalog.getUpload('new', 'a')).toBe('state')
  })
})
