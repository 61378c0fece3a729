/** Azure's own order brought into that of bytes, on listings made up by the thousand. */
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { type FetchPage, type Listing, listFlat, listFolders } from '../../connectors/azure-list.ts'
import type { Page } from '../../connectors/connector.ts'
import type { KeyRange } from '../../src/model.ts'
import { compareKeys, inRange } from '../../src/sync/keys.ts'

const prefix = 'p/'
/** Few characters, each from another class, so that orders differ often. */
const character = fc.constantFrom(
  'a',
  '-',
  '.',
  '/',
  '0',
  '\uff01',
  '\ufffd',
  '\u{1f600}',
  '\u{10ffff}',
)
const key = fc.string({ unit: character, minLength: 1, maxLength: 5 })
const keys = fc.uniqueArray(key, { maxLength: 30 })
const bound = fc.option(key, { nil: null })

function blobOf(name: string) {
  return { name, etag: 'e', size: 1, modifiedAt: 0, digests: {}, metadata: {} }
}

/** A container that lists like Azure: by UTF-16 units, a page's marker the first of the next. */
function flatStore(held: string[], pageKeys: number): FetchPage {
  const names = held.map((one) => prefix + one).sort()
  return async ({ marker }) => {
    const from = marker === undefined ? 0 : names.findIndex((name) => name >= marker)
    const blobs = names.slice(from, from + pageKeys).map(blobOf)
    return { blobs, folders: [], marker: names[from + pageKeys] }
  }
}

/** One that lists by folder, in an order that nobody promised. */
function folderStore(held: string[]): FetchPage {
  return async ({ prefix: start }) => {
    const below = held.map((one) => prefix + one).filter((name) => name.startsWith(start))
    const cut = (name: string) => name.indexOf('/', start.length)
    const folders = below
      .filter((name) => cut(name) >= 0)
      .map((name) => name.slice(0, cut(name) + 1))
    const blobs = below.filter((name) => cut(name) < 0).map(blobOf)
    return { blobs: blobs.reverse(), folders: [...new Set(folders)], marker: undefined }
  }
}

function listing(fetch: FetchPage, range: KeyRange, pageKeys: number, resume?: string): Listing {
  const fail = (code: string, message: string) => new Error(`${code}: ${message}`)
  return { prefix, range, resume, pageKeys, fetch, fail }
}

async function pagesIn(pages: AsyncIterable<Page>): Promise<Page[]> {
  const all: Page[] = []
  for await (const page of pages) all.push(page)
  return all
}

const keysIn = (pages: Page[]) => pages.flatMap(({ entries }) => entries.map((entry) => entry.key))

async function expectOrdered(
  list: (resume?: string) => AsyncIterable<Page>,
  held: string[],
  range: KeyRange,
): Promise<void> {
  const wanted = held.filter((one) => inRange(one, range)).sort(compareKeys)
  const pages = await pagesIn(list())
  expect(keysIn(pages)).toEqual(wanted)
  let seen = 0
  for (const { entries, resume } of pages) {
    seen += entries.length
    if (resume === undefined) continue
    expect(entries.length).toBeGreaterThan(0)
    expect(keysIn(await pagesIn(list(resume)))).toEqual(wanted.slice(seen))
  }
  expect(pages.at(-1)?.resume).toBeUndefined()
}

describe('the order of bytes', () => {
  it('comes out of a flat listing, in any range and from any page on', async () => {
    const any = fc.asyncProperty(
      keys,
      bound,
      bound,
      fc.integer({ min: 1, max: 5 }),
      async (...given) => {
        const [held, from, to, pageKeys] = given
        const range = { from, to }
        const store = flatStore(held, pageKeys)
        await expectOrdered(
          (resume) => listFlat(listing(store, range, pageKeys, resume)),
          held,
          range,
        )
      },
    )
    await fc.assert(any, { numRuns: 3_000 })
  })

  it('comes out of a walk by folder, in any range and from any page on', async () => {
    const paths = fc.uniqueArray(key, { maxLength: 20 })
    const any = fc.asyncProperty(
      paths,
      bound,
      bound,
      fc.integer({ min: 1, max: 5 }),
      async (...given) => {
        const [names, from, to, pageKeys] = given
        const held = names.filter((name) => !name.endsWith('/'))
        const range = { from, to }
        const store = folderStore(held)
        await expectOrdered(
          (resume) => listFolders(listing(store, range, pageKeys, resume)),
          held,
          range,
        )
      },
    )
    await fc.assert(any, { numRuns: 2_000 })
  })

  it('is not bought with all memory: too many to hold back are refused', async () => {
    const fetch: FetchPage = async ({ marker }) => {
      const at = Number(marker ?? 0)
      const blobs = Array.from({ length: 10_000 }, (_, i) => blobOf(`p/\u{1f600}${1e6 + at + i}`))
      return { blobs, folders: [], marker: String(at + 10_000) }
    }
    const whole = { from: null, to: null }
    await expect(pagesIn(listFlat(listing(fetch, whole, 10_000)))).rejects.toThrow('unsupported')
  })
})
