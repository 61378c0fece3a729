import { expect } from 'vitest'
import { digestsOf } from '../../connectors/digests.ts'
import { compareKeys } from '../../src/sync/keys.ts'
import {
  type Cases,
  calling,
  entriesOf,
  entryAt,
  failsWith,
  keysOf,
  pagesOf,
  put,
  text,
  type World,
  whole,
} from './world.ts'

/** Each pair breaks an order that a programmer takes for granted: UTF-16 units (a surrogate pair
 *  is below U+FF01 there, above it by bytes), a directory walk (`a/x` before `a.txt`), locales. */
const awkward = [
  'a-1',
  'a.txt',
  'a/x',
  'a/y/z',
  'a0',
  'A',
  'Z/deep/er',
  'aa',
  'b b',
  'b%20b',
  'ä',
  'z',
  'é',
  '\uff01',
  '\ufffd',
  '\u{1f600}',
  '\u{10ffff}x',
  'd/\uff5e',
  'd/\u{1f600}',
  'd.d/1',
]

async function fill(world: World, keys: readonly string[] = awkward): Promise<string[]> {
  for (const key of keys) await put(world.connector, key, text(`content of ${key}`))
  return [...keys].sort((a, b) => Buffer.compare(Buffer.from(a), Buffer.from(b)))
}

export const listingCases: Cases = {
  'an empty location lists nothing, and ends well': async ({ connector }) => {
    const pages = await pagesOf(connector)
    expect(pages.flatMap((page) => [...page.entries, ...page.skipped])).toEqual([])
    expect(pages.at(-1)).not.toHaveProperty('resume')
  },

  'keys come in the order of their UTF-8 bytes, across pages': async (world) => {
    const sorted = await fill(world)
    const pages = await pagesOf(world.connector)
    expect(pages.flatMap((page) => page.entries.map((entry) => entry.key))).toEqual(sorted)
    expect(pages.length, 'pages (is context.pageKeys heeded?)').toBeGreaterThan(1)
  },

  'every page but the last has a resume': async (world) => {
    await fill(world)
    const pages = await pagesOf(world.connector)
    expect(pages.slice(0, -1).filter((page) => page.resume === undefined)).toEqual([])
    expect(pages.at(-1)?.resume).toBeUndefined()
  },

  'a range has its from, and not its to': async (world) => {
    const sorted = await fill(world)
    const bounds = [null, ...sorted, 'a', 'a/', 'a/x\0', 'a/y/', 'a/y/a', 'Z', 'd', 'd.d0', '~']
    for (const from of bounds) {
      for (const to of [null, 'a/x', 'a/y', 'd/', 'd.', '\u{1f600}', '!']) {
        const wanted = sorted.filter(
          (key) =>
            (from === null || compareKeys(key, from) >= 0) &&
            (to === null || compareKeys(key, to) < 0),
        )
        expect(await keysOf(world.connector, { from, to }), `[${from}, ${to})`).toEqual(wanted)
      }
    }
  },

  'a listing goes on behind any page': async (world) => {
    const sorted = await fill(world)
    let seen = 0
    for (const page of await pagesOf(world.connector)) {
      seen += page.entries.length
      if (page.resume === undefined) continue
      expect(await keysOf(world.connector, whole, page.resume)).toEqual(sorted.slice(seen))
    }
    expect(seen).toBe(sorted.length)
  },

  'a listing goes on within its range': async (world) => {
    const sorted = await fill(world)
    const range = { from: 'A', to: 'd/\u{1f600}' }
    const inside = sorted.filter((key) => compareKeys(key, range.to) < 0)
    const pages = await pagesOf(world.connector, range)
    const first = pages.find((page) => page.resume !== undefined)
    if (!first?.resume) throw new Error('one page only')
    const before = pages.slice(0, pages.indexOf(first) + 1).flatMap((page) => page.entries).length
    expect(await keysOf(world.connector, range, first.resume)).toEqual(inside.slice(before))
  },

  'a listing goes on although the key where it stopped is gone': async (world) => {
    const sorted = await fill(world)
    const [first] = await pagesOf(world.connector)
    const last = first?.entries.at(-1)
    if (first?.resume === undefined || last === undefined) throw new Error('one page only')
    await world.removeForeign(last.key)
    const rest = sorted.slice(sorted.indexOf(last.key) + 1)
    expect(await keysOf(world.connector, whole, first.resume)).toEqual(rest)
  },

  'a listing may be left in the middle': async (world) => {
    await fill(world)
    for await (const page of world.connector.list(whole, undefined, calling())) {
      expect(page.entries.length).toBeGreaterThan(0)
      break
    }
    expect((await keysOf(world.connector)).length).toBe(awkward.length)
  },

  "a listing's entry is the one that stat shows": async (world) => {
    await fill(world, ['a', 'b/c', 'd'])
    for (const listed of await entriesOf(world.connector)) {
      const { key, size, token, modifiedAt } = await entryAt(world.connector, listed.key)
      expect(listed).toMatchObject({ key, size, modifiedAt })
      expect(listed.token.id).toBe(token.id)
      expect(size).toBe(text(`content of ${key}`).length)
    }
  },

  "a listing's digests are those that the traits promise, and true": async (world) => {
    await fill(world, ['a', 'b/c'])
    for (const entry of await entriesOf(world.connector)) {
      const truth = digestsOf(text(`content of ${entry.key}`))
      expect(truth).toMatchObject(entry.digests)
      for (const algorithm of world.connector.traits.listingDigests) {
        expect(entry.digests, entry.key).toHaveProperty(algorithm)
      }
    }
  },

  'a listing brings metadata where the traits say so': async (world, context) => {
    const { traits } = world.connector
    if (!traits.listingMetadata) context.skip('its listing has no metadata')
    const metadata = { contentType: 'text/csv', user: { owner: 'me' } }
    await put(world.connector, 'a', text('1'), null, { metadata })
    expect((await entriesOf(world.connector))[0]?.metadata).toEqual(metadata)
  },

  'what others put is listed, and a change gives a new token': async (world) => {
    await world.putForeign('f/1', text('one'))
    const [before] = await entriesOf(world.connector)
    await world.putForeign('f/1', text('two'))
    const [after] = await entriesOf(world.connector)
    expect([before?.key, after?.key]).toEqual(['f/1', 'f/1'])
    expect(after?.token.id).not.toBe(before?.token.id)
  },

  'what was removed is not listed': async (world) => {
    await fill(world, ['a', 'b', 'c/d'])
    await world.removeForeign('c/d')
    await world.removeForeign('a')
    expect(await keysOf(world.connector)).toEqual(['b'])
  },

  'what is reserved is neither listed nor seen': async (world, context) => {
    const reserved = world.connector.traits.keys.reservedPrefix
    if (reserved === undefined) return context.skip('it reserves no names')
    await world.putForeign(`${reserved}mine`, text('1'))
    await world.putForeign('a', text('1'))
    expect(await keysOf(world.connector)).toEqual(['a'])
    expect(await keysOf(world.connector, { from: reserved, to: null })).toEqual(['a'])
  },

  'a cancelled listing ends as cancelled': async (world) => {
    await fill(world)
    const controller = new AbortController()
    const cut = async () => {
      for await (const _ of world.connector.list(whole, undefined, calling(controller.signal))) {
        controller.abort()
      }
    }
    await failsWith('cancelled', cut())
  },
}
