/** The history, as it is asked for a key, a dataset, a run, and a moment. */
import { describe, expect, it } from 'vitest'
import type { Catalog, HistoryPoint } from '../../src/catalog/catalog.ts'
import type { Key, Version } from '../../src/model.ts'
import { catalogs, dataset, engines, everything, recordOf, versionOf } from './engines.ts'

/** Agrees on these versions, in this order; a row of the baseline isn't needed for it. */
async function agree(
  catalog: Catalog,
  lines: [key: Key, run: number, agreedAt: number, size?: number | null, parents?: number[]][],
): Promise<void> {
  for (const [key, run, agreedAt, size, parents = []] of lines) {
    const version = versionOf(run, size)
    await catalog.settle(dataset, [
      {
        record: recordOf(run, agreedAt, key, { state: 'done' }),
        row: undefined,
        expectRev: 0,
        version: { key, version, parents, reason: 'new', agreedAt },
      },
    ])
  }
}

const names = (lines: { key: Key; version: Version }[]) =>
  lines.map(({ key, version }) => `${key}@${version.run}`)

async function changed(catalog: Catalog, point: HistoryPoint, limit = 3) {
  const found: string[] = []
  for (let after: Key | null = null; ; ) {
    const page = await catalog.changedSince(dataset, point, { range: everything, after, limit })
    found.push(...page.keys.map(({ key, then, newest }) => `${key}: ${then} → ${newest}`))
    if (page.after === null) return found
    after = page.after
  }
}

describe.each(engines)('history on $engine', ({ make }) => {
  const { open } = catalogs(make)

  it('is given newest first, of a key and of a dataset, page by page', async () => {
    const catalog = await open()
    await agree(catalog, [
      ['a', 1, 10],
      ['b', 1, 11],
      ['c', 1, 12],
      ['a', 2, 20],
      ['a', 5, 30, null],
      ['b', 5, 31],
    ])
    expect(names(await catalog.linesOfKey(dataset, 'a', { limit: 9 }))).toEqual([
      ...['a@5', 'a@2', 'a@1'],
    ])
    expect(names(await catalog.linesOfKey(dataset, 'a', { before: 5, limit: 1 }))).toEqual(['a@2'])
    const all = ['a@5', 'b@5', 'a@2', 'a@1', 'b@1', 'c@1']
    expect(names(await catalog.linesOfDataset(dataset, { limit: 9 }))).toEqual(all)
    for (let limit = 1; limit < 5; limit++) {
      const paged: string[] = []
      for (let behind: { run: number; key: Key } | undefined; ; ) {
        const page = await catalog.linesOfDataset(dataset, { limit, ...(behind && { behind }) })
        paged.push(...names(page))
        const last = page.at(-1)
        if (!last) break
        behind = { run: last.version.run, key: last.key }
      }
      expect(paged).toEqual(all)
    }
    const older = await catalog.linesOfDataset(dataset, { behind: { run: 5, key: null }, limit: 1 })
    expect(names(older)).toEqual(['a@2'])
    expect(await catalog.linesOfDataset('another', { limit: 9 })).toEqual([])
  })

  it('says of a run which versions it made, of what, and whether they are the newest', async () => {
    const catalog = await open()
    await agree(catalog, [
      ['a', 1, 10],
      ['b', 1, 11],
      ['a', 2, 20, 7, [1]],
      ['b', 2, 21, null, [1]],
      ['b', 3, 30],
    ])
    const made = await catalog.linesOfRun(dataset, 2, { range: everything, after: null, limit: 9 })
    expect(made.map(({ key, parents, newest }) => [key, parents, newest])).toEqual([
      ['a', [1], 2],
      ['b', [1], 3],
    ])
    expect(made[1]?.version.content).toBeNull()
    const rest = await catalog.linesOfRun(dataset, 2, { range: everything, after: 'a', limit: 9 })
    expect(names(rest)).toEqual(['b@2'])
    expect(await catalog.firstRun(dataset)).toBe(1)
    expect(await catalog.firstRun('another')).toBeNull()
  })

  it('gives lines by key and run, and leaves out what there is not', async () => {
    const catalog = await open()
    await agree(catalog, [
      ['a', 1, 10, 3],
      ['a', 2, 20, 4],
      ['b', 1, 11],
    ])
    const found = await catalog.getLines(dataset, [
      { key: 'a', run: 1 },
      { key: 'b', run: 2 },
      { key: 'b', run: 1 },
    ])
    expect(names(found).sort()).toEqual(['a@1', 'b@1'])
    expect(found.find(({ key }) => key === 'a')?.version).toEqual(versionOf(1, 3))
  })

  it('says what was at a time: only the keys that differ, in their order, by pages', async () => {
    const catalog = await open()
    await agree(catalog, [
      ['changed', 1, 10],
      ['deleted', 1, 11],
      ['same', 1, 12],
      ['changed', 2, 20],
      ['new', 2, 21],
      ['deleted', 3, 30, null],
    ])
    const at15 = ['changed: 1 → 2', 'deleted: 1 → 3', 'new: null → 2']
    for (const limit of [1, 2, 9]) expect(await changed(catalog, { at: 15 }, limit)).toEqual(at15)
    expect(await changed(catalog, { at: 20 })).toEqual(['deleted: 1 → 3', 'new: null → 2'])
    expect(await changed(catalog, { at: 30 })).toEqual([])
    const page = { range: { from: 'd', to: 'e' }, after: null, limit: 9 }
    expect((await catalog.changedSince(dataset, { at: 15 }, page)).keys).toMatchObject([
      { key: 'deleted', oldest: 1 },
    ])
  })

  it('says what was when a run began, though a plan of before was carried out later', async () => {
    const catalog = await open()
    await agree(catalog, [
      ['a', 1, 10],
      ['b', 1, 11],
      ['a', 3, 30],
      // Planned as 2, carried out by 4.
      ['b', 2, 40],
    ])
    const none = { carriedOutLater: [], beganAt: 0 }
    expect(await changed(catalog, { run: 3, carriedOutLater: [2], beganAt: 25 })).toEqual([
      ...['a: 1 → 3', 'b: 1 → 2'],
    ])
    expect(await changed(catalog, { run: 4, carriedOutLater: [2], beganAt: 35 })).toEqual([
      'b: 1 → 2',
    ])
    expect(await changed(catalog, { run: 5, ...none })).toEqual([])
  })

  it('knows that what is made again had a past, though its tombstone was forgotten', async () => {
    const catalog = await open()
    await agree(catalog, [
      ['a', 1, 10],
      ['a', 2, 20, null, [1]],
      ['a', 7, 70],
      ['b', 7, 71],
    ])
    const lines = await catalog.linesOfRun(dataset, 7, {
      ...{ range: everything, after: null, limit: 9 },
    })
    expect(lines.map(({ key, parents }) => [key, parents])).toEqual([
      ['a', [2]],
      ['b', []],
    ])
  })

  it('adds to a line what is learned of its content later, and to no other', async () => {
    const catalog = await open()
    const bare = (run: number): Version => {
      const version = versionOf(run)
      return { ...version, content: version.content && { size: 5, digests: { crc32c: '01' } } }
    }
    const settled = (key: Key, run: number, more: object) => ({
      record: recordOf(run, run, key),
      row: undefined,
      expectRev: 0,
      version: null,
      ...more,
    })
    const line = (key: Key, run: number) => ({
      version: { key, version: bare(run), parents: [], reason: 'new', agreedAt: run },
    })
    await catalog.settle(dataset, [settled('a', 1, line('a', 1)), settled('a', 2, line('a', 2))])
    await catalog.settle(dataset, [
      settled('a', 2, { learned: versionOf(2) }),
      settled('b', 2, { learned: versionOf(2) }),
    ])
    const lines = await catalog.linesOfKey(dataset, 'a', { limit: 9 })
    expect(lines.map(({ version }) => version)).toEqual([versionOf(2), bare(1)])
    expect(await catalog.linesOfKey(dataset, 'b', { limit: 9 })).toEqual([])
  })
})
