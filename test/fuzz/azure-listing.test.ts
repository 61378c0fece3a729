/** Azure's listings, mangled: flat, and by folder. What must hold is in listed.ts. */
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { listFlat, listFolders } from '../../connectors/azure-list.ts'
import { parseListing } from '../../connectors/azure-xml.ts'
import type { Connector } from '../../connectors/connector.ts'
import { textOf } from '../../connectors/reply-body.ts'
import { type StoreCode, StoreError } from '../../src/errors.ts'
import { expectSaid, isTruth, type Listed, prefix, readAs, truths } from './listed.ts'
import { mutate, mutations } from './mutations.ts'
import { type Element, readXml, textIn } from './strict-xml.ts'

const failure = (code: StoreCode, message: string) =>
  new StoreError(code, message, { location: 'azure', operation: 'list' })

/** A container whose pages are these bytes; as the connector reads them. */
function container(answer: (marker?: string) => Buffer, hierarchical: boolean): Connector['list'] {
  const fetch = async ({ marker }: { marker: string | undefined }) => {
    try {
      return parseListing(textOf(answer(marker)))
    } catch (error) {
      throw failure('unavailable', (error as Error).message)
    }
  }
  const listing = { prefix, pageKeys: 4, fetch, fail: failure }
  return (range, resume) => (hierarchical ? listFolders : listFlat)({ ...listing, range, resume })
}

const escaped = (text: string) =>
  text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;')

function pageOf(all: Listed[], marker: string): Buffer {
  const blobs = all.map(({ key, id, size, modifiedAt }, i) => {
    const isOdd = key.includes('\ufffd')
    const name = isOdd ? encodeURIComponent(prefix + key) : escaped(prefix + key)
    const more = ['<Metadata />', '<Metadata><Name>n</Name><Blob>b</Blob></Metadata><OrMetadata />']
    return (
      `<Blob><Name${isOdd ? ' Encoded="true"' : ''}>${name}</Name><Properties>` +
      `<Last-Modified>${new Date(modifiedAt).toUTCString()}</Last-Modified><Etag>${id}</Etag>` +
      `<Content-Length>${size}</Content-Length><Content-Type>text/plain</Content-Type>` +
      `<Content-Encoding /></Properties>${more[i % 2]}</Blob>`
    )
  })
  const next = marker ? `<NextMarker>${marker}</NextMarker>` : '<NextMarker />'
  return Buffer.from(
    `\ufeff<?xml version="1.0" encoding="utf-8"?><EnumerationResults ServiceEndpoint="http://x/">` +
      `<Prefix>p/</Prefix>${blobs.length > 0 ? `<Blobs>${blobs.join('')}</Blobs>` : '<Blobs />'}` +
      `${next}</EnumerationResults>`,
  )
}

/** What a wholly well-formed page says; null: it isn't one. */
function saidBy(bytes: Buffer): { blobs: Listed[]; marker: string } | null {
  const root = readXml(bytes)
  if (root?.name !== 'EnumerationResults') return null
  const marker = textIn(root, 'NextMarker')
  const blobs = root.children.find(({ name }) => name === 'Blobs')
  if (marker === null || !blobs) return null
  return { marker, blobs: blobs.children.filter(({ name }) => name === 'Blob').map(blobIn) }
}

function blobIn(blob: Element): Listed {
  const own = { name: '', attributes: '', text: '', children: [] }
  const properties = blob.children.find(({ name }) => name === 'Properties') ?? own
  const text = (name: string) => textIn(properties, name) ?? ''
  const encoded = blob.children.some(({ name, attributes }) => name === 'Name' && attributes)
  const name = textIn(blob, 'Name') ?? ''
  return {
    key: (encoded ? decodeURIComponent(name) : name).slice(prefix.length),
    id: text('Etag').replaceAll('"', ''),
    size: /^\d{1,16}$/.test(text('Content-Length')) ? Number(text('Content-Length')) : Number.NaN,
    modifiedAt: /^\w{3}, .* GMT$/.test(text('Last-Modified'))
      ? Date.parse(text('Last-Modified'))
      : Number.NaN,
  }
}

const byUnits = (a: Listed, b: Listed) => (a.key < b.key ? -1 : 1)

/** Throws where the listing gives other than it may. Answers how it ended. */
async function expectNoLie(given: {
  truth: Listed[]
  split: number
  hierarchical: boolean
  harm: (page: Buffer) => Buffer
}): Promise<string> {
  const { truth, split, hierarchical, harm } = given
  const listed = truth.toSorted(byUnits)
  const [first, rest] = [listed.slice(0, split), listed.slice(split)]
  const page = harm(pageOf(first, rest.length > 0 ? 'm1' : ''))
  const answer = (marker?: string) => (marker === undefined ? page : pageOf(rest, ''))
  const found = await readAs(container(answer, hierarchical))
  if (found === null) return 'refused'
  if (isTruth(found, truth)) return found.skipped.length > 0 ? 'skipped' : 'true'
  // What can't be seen: another page that is as well-formed. A changed letter of a name, of an
  // ETag, digit of a size or time; and, for Azure gives no count, blobs that were cut out from the
  // beginning of one exactly to the beginning of another, or all that is between <Blobs> and its
  // end; and in that way, the text of NextMarker.
  const said = saidBy(page)
  expect(said, `not well-formed, and taken: ${page}`).not.toBeNull()
  const all = [...(said?.blobs ?? []), ...(said?.marker ? rest : [])]
  expectSaid(found, all, page, byUnits)
  return 'another'
}

describe('a mangled listing of Azure is refused, or says what it says: it loses no name', () => {
  it.each([false, true])('by chance and by design; by folder: %s', async (hierarchical) => {
    const ends: Record<string, number> = {}
    const flat = (all: Listed[]) =>
      hierarchical ? all.filter(({ key }) => !key.includes('/')) : all
    const any = fc.asyncProperty(truths.map(flat), fc.nat(6), mutations, async (...one) => {
      const [truth, split, harm] = one
      const mangle = (page: Buffer) => mutate(page, harm)
      const end = await expectNoLie({ truth, split, hierarchical, harm: mangle })
      ends[end] = (ends[end] ?? 0) + 1
    })
    await fc.assert(any, { numRuns: 10_000 })
    console.log('Azure listings:', ends)
    expect(Math.min(ends.refused ?? 0, ends.true ?? 0, ends.another ?? 0)).toBeGreaterThan(50)
  })

  it('a root that ends where it begins is no listing', async () => {
    const truth = ['a', 'b'].map((key) => ({ key, id: 'e', size: 1, modifiedAt: 1_000 }))
    const harm = (page: Buffer) => Buffer.from(page.toString().replace('http://x/">', 'http:/>'))
    expect(await expectNoLie({ truth, split: 2, hierarchical: false, harm })).toBe('refused')
  })

  it('truncated at every place', async () => {
    const truth = ['a', 'b', 'c'].map((key) => ({ key, id: 'e', size: 1, modifiedAt: 1_000 }))
    const { length } = pageOf(truth, '')
    for (let at = 0; at < length; at++) {
      const harm = (page: Buffer) => page.subarray(0, at)
      const end = await expectNoLie({ truth, split: 3, hierarchical: false, harm })
      expect(end, `cut at ${at} of ${length}`).toBe('refused')
    }
  })
})
