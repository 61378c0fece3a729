import { describe, expect, it } from 'vitest'
import type { BaselineRow, Key } from '../../src/model.ts'
import { compareKeys } from '../../src/sync/keys.ts'
import {
  asked,
  catalogs,
  dataset,
  engines,
  everything,
  fill,
  recordOf,
  rowOf,
  versionOf,
} from './engines.ts'

describe.each(engines)('the baseline on $engine', ({ make }) => {
  const { open } = catalogs(make)

  it('gives a row back as it was put, whatever its holds are', async () => {
    const catalog = await open()
    const older = versionOf(1, 3)
    const head = { ...versionOf(2), at: 1_700_000_000_123.456 }
    const rows: BaselineRow[] = [
      rowOf('a'),
      {
        key: 'b',
        rev: 1,
        head,
        holds: {
          current: { version: head, token: { id: 'x', at: 12.5 } },
          unsettled: { version: head, token: { id: 'y', unsettled: true } },
          behind: { version: older, token: { id: 'z', at: 0 } },
          drifted: { version: older, token: { id: 'own' }, drift: true },
          deleted: { version: versionOf(1, null), token: null },
          // The same run, but less was known of it then.
          poorer: {
            version: { ...head, content: { size: 5, digests: {} } },
            token: { id: 'p' },
          },
        },
      },
      rowOf('c', versionOf(3, null)),
      { key: 'd', rev: 1, head: { ...head, content: { size: 0, digests: {} } }, holds: {} },
      {
        key: 'e',
        rev: 1,
        head: { ...head, content: { size: 2 ** 40, digests: { crc32c: '0a' }, metadata: {} } },
        holds: {},
      },
    ]
    await fill(catalog, rows)
    expect(await catalog.readBaseline(dataset, everything, null, 10)).toEqual(rows)
    const found = await catalog.getBaseline(dataset, ['e', 'b', 'missing'])
    expect(new Set(found.keys())).toEqual(new Set(['b', 'e']))
    expect(found.get('b')).toEqual(rows[1])
  })

  it('I9: orders keys by UTF-8 bytes, where JavaScript orders them otherwise', async () => {
    const catalog = await open()
    const keys = [
      ...['a.txt', 'a/x', 'a', 'A', 'é', 'e\u0301', ' ', 'z'],
      ...['\u{1F600}', '\uFF5E', '\uFFFD', '\u{10FFFF}', '\uE000', '%41', '+', 'a\u{1F600}b'],
    ]
    const sorted = [...keys].sort(compareKeys)
    expect(sorted).not.toEqual([...keys].sort())
    await fill(
      catalog,
      keys.map((key) => rowOf(key)),
    )
    const read = await catalog.readBaseline(dataset, everything, null, 100)
    expect(read.map(({ key }) => key)).toEqual(sorted)
    // The emoji's first UTF-16 unit is below U+FF5E; its first byte is above.
    const between = { from: '\uFF5E', to: '\u{10FFFF}' }
    const inside = await catalog.readBaseline(dataset, between, null, 100)
    expect(inside.map(({ key }) => key)).toEqual(['\uFF5E', '\uFFFD', '\u{1F600}'])
    expect(await catalog.baselineBounds(dataset, 1)).toEqual(sorted.slice(1))
  })

  it('reads a range by pages: from is in it, to is not, and nothing comes twice', async () => {
    const catalog = await open()
    const keys = Array.from({ length: 25 }, (_, i) => `k${String(i).padStart(2, '0')}`)
    await fill(
      catalog,
      keys.map((key) => rowOf(key)),
    )
    const seen: Key[] = []
    for (let after: Key | null = null; ; ) {
      const page = await catalog.readBaseline(dataset, { from: 'k03', to: 'k20' }, after, 4)
      seen.push(...page.map(({ key }) => key))
      if (page.length < 4) break
      after = page.at(-1)?.key ?? null
    }
    expect(seen).toEqual(keys.slice(3, 20))
    expect(await catalog.readBaseline('another', everything, null, 10)).toEqual([])
  })

  it('takes a bound right behind a key: the key and a NUL, which no key has', async () => {
    const catalog = await open()
    await fill(
      catalog,
      ['a', 'a\u0001', 'b', 'c'].map((key) => rowOf(key)),
    )
    const keysIn = async (from: Key | null, to: Key | null) =>
      (await catalog.readBaseline(dataset, { from, to }, null, 10)).map(({ key }) => key)
    expect(await keysIn('a\0', null)).toEqual(['a\u0001', 'b', 'c'])
    expect(await keysIn('a\0', 'b\0')).toEqual(['a\u0001', 'b'])
    expect(await keysIn(null, 'a\0')).toEqual(['a'])
  })

  it('refuses a key that an engine can’t hold, by a code', async () => {
    const catalog = await open()
    const refused = expect.objectContaining({ code: 'catalog-text' })
    for (const key of ['a\0b', 'half \ud83d']) {
      await expect(fill(catalog, [rowOf(key)])).rejects.toEqual(refused)
      await expect(catalog.getBaseline(dataset, [key])).rejects.toEqual(refused)
      await expect(catalog.putUpload('here', key, '{}', 1)).rejects.toEqual(refused)
    }
    expect(await catalog.readBaseline(dataset, everything, null, 10)).toEqual([])
  })

  it('cuts into ranges of so many keys each', async () => {
    const catalog = await open()
    const keys = Array.from({ length: 2_500 }, (_, i) => `k${String(i).padStart(4, '0')}`)
    expect(await catalog.baselineBounds(dataset, 1_000)).toEqual([])
    await fill(
      catalog,
      keys.map((key) => rowOf(key)),
    )
    expect(await catalog.baselineBounds(dataset, 1_000)).toEqual(['k1000', 'k2000'])
    expect(await catalog.baselineBounds(dataset, 2_500)).toEqual([])
    expect(await catalog.baselineBounds(dataset, 2_499)).toEqual(['k2499'])
  })

  it('counts the live heads as they come, turn into tombstones and are forgotten', async () => {
    const catalog = await open()
    expect(await catalog.countLive(dataset)).toBe(0)
    await fill(
      catalog,
      ['a', 'b', 'c'].map((key) => rowOf(key)),
    )
    expect(await catalog.countLive(dataset)).toBe(3)
    const settle = (key: Key, row: BaselineRow | null, expectRev: number) =>
      catalog.settle(dataset, [{ record: recordOf(1, 9, key), row, expectRev, version: null }])
    expect(await settle('a', rowOf('a', versionOf(2, null)), 1)).toEqual([true])
    expect(await catalog.countLive(dataset)).toBe(2)
    expect(await settle('a', null, 2)).toEqual([true])
    expect(await settle('b', null, 1)).toEqual([true])
    expect(await settle('c', null, 7)).toEqual([false])
    expect(await catalog.countLive(dataset)).toBe(1)
    expect(await catalog.countLive('another')).toBe(0)
  })

  it('I12: drops a replica’s holds, and what was computed before is refused', async () => {
    const catalog = await open()
    const keys = Array.from({ length: 1_200 }, (_, i) => `k${String(i).padStart(4, '0')}`)
    await fill(
      catalog,
      keys.map((key) => rowOf(key)),
    )
    const alone = { ...rowOf('z'), holds: { here: { version: versionOf(1), token: { id: 't' } } } }
    await fill(catalog, [alone])
    await catalog.noteReplicas(dataset, ['here', 'there'])
    await catalog.noteReplicas(dataset, ['there', 'yonder'])
    expect(await catalog.knownReplicas(dataset)).toEqual(['here', 'there', 'yonder'])

    expect(await catalog.dropHolds(dataset, 'there', asked)).toBe(1_200)
    const row = (await catalog.getBaseline(dataset, ['k1100'])).get('k1100')
    const { there: _there, ...kept } = rowOf('k1100').holds
    expect(row).toEqual({ ...rowOf('k1100'), rev: 2, holds: kept })
    expect((await catalog.getBaseline(dataset, ['z'])).get('z')).toEqual(alone)
    expect(await catalog.knownReplicas(dataset)).toEqual(['here', 'yonder'])
    const late = { record: recordOf(1, 1, 'k1100'), row: rowOf('k1100'), expectRev: 1 }
    expect(await catalog.settle(dataset, [{ ...late, version: null }])).toEqual([false])
    expect(await catalog.dropHolds(dataset, 'there', asked)).toBe(0)
    expect(await catalog.countLive(dataset)).toBe(1_201)
  })
})
