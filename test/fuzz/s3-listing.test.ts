/** S3’s listings, mangled in every way that we could think of: what must hold is in listed.ts. */
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import type { Connector } from '../../connectors/connector.ts'
import { textOf } from '../../connectors/reply-body.ts'
import { networkFailure } from '../../connectors/s3-lean.ts'
import { listPages } from '../../connectors/s3-list.ts'
import { createStore } from '../../connectors/s3-store.ts'
import { resolveTarget } from '../../connectors/s3-target.ts'
import { compareKeys } from '../../src/sync/keys.ts'
import { suiteContext } from '../conformance/suite.ts'
import { expectSaid, isTruth, type Listed, prefix, readAs, truths } from './listed.ts'
import { mutate, mutations } from './mutations.ts'
import { readXml, textIn } from './strict-xml.ts'

const options = {
  ...{
    type: 's3' as const,
    bucket: 'b',
    prefix,
    endpoint: 'http://127.0.0.1:1',
    region: 'us-east-1',
  },
  ...{ 'access-key-id': 'id', 'secret-access-key': 'secret' },
}
const store = createStore(options, await resolveTarget(options), suiteContext('s3'))
store.etags.heed({})

/** A bucket whose answers are these bytes, or what the question asks for. */
function bucket(answer: (after: string | undefined) => Buffer): Connector['list'] {
  const call = async (request: Parameters<typeof store.client.call>[0]) => {
    const bytes = answer(request.query?.['start-after'])
    try {
      return { status: 200, headers: {}, text: textOf(bytes) }
    } catch (error) {
      throw networkFailure('s3', request, error)
    }
  }
  const own = { ...store, client: { ...store.client, call } }
  return (range, resume, { signal }) => listPages(own, range, resume, signal)
}

const encode = (name: string) =>
  encodeURIComponent(name).replaceAll('%20', '+').replaceAll('%2F', '/')

/** As AWS writes it, or (`about` behind, spaces between) as others do. */
function answerOf(all: Listed[], more: boolean, other: boolean): Buffer {
  const objects = all.map(
    ({ key, id, size, modifiedAt }) =>
      `<Contents><Key>${encode(prefix + key)}</Key>` +
      `<LastModified>${new Date(modifiedAt).toISOString()}</LastModified>` +
      `<ETag>${other ? '&#34;' : '&quot;'}${id}${other ? '&#34;' : '&quot;'}</ETag>` +
      `<ChecksumAlgorithm>CRC32</ChecksumAlgorithm><Size>${size}</Size>` +
      `<StorageClass>STANDARD</StorageClass></Contents>`,
  )
  const about =
    `<Name>b</Name><Prefix>p/</Prefix><KeyCount>${all.length}</KeyCount><MaxKeys>4</MaxKeys>` +
    `<EncodingType>url</EncodingType><IsTruncated>${more}</IsTruncated>` +
    `${more ? '<NextContinuationToken>t&amp;1</NextContinuationToken>' : ''}<Delimiter/>`
  const inner = other ? [objects.join('\n  '), about] : [about, ...objects]
  return Buffer.from(
    `<?xml version="1.0" encoding="UTF-8"?>\n<ListBucketResult xmlns="http://s3.aws/doc/">` +
      `${inner.join('')}</ListBucketResult>`,
  )
}

/** What a wholly well-formed page says; null: it isn't one. */
function saidBy(bytes: Buffer): { objects: Listed[]; more: boolean } | null {
  const root = readXml(bytes)
  if (root?.name !== 'ListBucketResult') return null
  const encoding = textIn(root, 'EncodingType') || null
  const more = textIn(root, 'IsTruncated')
  if ((more !== 'true' && more !== 'false') || (encoding !== null && encoding !== 'url'))
    return null
  const contents = root.children.filter(({ name }) => name === 'Contents')
  const count = textIn(root, 'KeyCount')
  if (count !== null && count !== String(contents.length)) return null
  const objects = contents.map((one) => {
    const key = textIn(one, 'Key') ?? ''
    const [size, time, etag] = ['Size', 'LastModified', 'ETag'].map((name) => textIn(one, name))
    return {
      key: (encoding ? (decoded(key) ?? key) : key).slice(prefix.length),
      // What isn't UTF-8 is no entry, whatever else is said of it.
      id: encoding && decoded(key) === null ? '' : (etag ?? '').replace(/^"(.*)"$/s, '$1'),
      size: /^\d{1,16}$/.test(size ?? '') ? Number(size) : Number.NaN,
      modifiedAt: /^\d{4}-\d\d-\d\dT/.test(time ?? '') ? Date.parse(time ?? '') : Number.NaN,
    }
  })
  return { objects, more: more === 'true' }
}

function decoded(key: string): string | null {
  try {
    return decodeURIComponent(key.replaceAll('+', ' '))
  } catch {
    return null
  }
}

/** Throws where the listing gives other than it may. Answers how it ended. */
async function expectNoLie(
  truth: Listed[],
  split: number,
  other: boolean,
  harm: (page: Buffer) => Buffer,
) {
  const [first, rest] = [truth.slice(0, split), truth.slice(split)]
  const page = harm(answerOf(first, rest.length > 0, other))
  const behind = (after: string) => truth.filter(({ key }) => compareKeys(prefix + key, after) > 0)
  const found = await readAs(
    bucket((after) => (after === undefined ? page : answerOf(behind(after), false, other))),
  )
  if (found === null) return 'refused'
  if (isTruth(found, truth)) return found.skipped.length > 0 ? 'skipped' : 'true'
  // What can't be seen: another page that is as well-formed. A changed letter of a key, digit of a
  // size or time, character of an ETag; objects cut out or doubled together with KeyCount; names
  // taken literally where all of <EncodingType> was cut out.
  const said = saidBy(page)
  expect(said, `not well-formed, and taken: ${page}`).not.toBeNull()
  const { objects, more } = said ?? { objects: [], more: false }
  const last = objects.at(-1)?.key
  const others = more && last !== undefined ? behind(prefix + last) : []
  expectSaid(found, [...objects, ...others], page)
  return 'another'
}

describe('a mangled listing of S3 is refused, or says what it says: it never loses a key', () => {
  it('mangled by chance and by design', async () => {
    const ends: Record<string, number> = {}
    const any = fc.asyncProperty(truths, fc.nat(6), fc.boolean(), mutations, async (...given) => {
      const [truth, split, other, harm] = given
      const end = await expectNoLie(truth, split, other, (page) => mutate(page, harm))
      ends[end] = (ends[end] ?? 0) + 1
    })
    await fc.assert(any, { numRuns: 20_000 })
    console.log('S3 listings:', ends)
    // The test would see nothing if all were refused, or none.
    expect(Math.min(ends.refused ?? 0, ends.true ?? 0, ends.another ?? 0)).toBeGreaterThan(100)
  })

  it.each([
    // What two million mangled pages found.
    ['an object within an object', '</Size><StorageClass>', '</Size><Contents><StorageClass>'],
    ['a part whose name is none', '<StorageClass>', '<-x/><StorageClass>'],
    ['a count with a space', '<KeyCount>2', '<KeyCount> 2'],
    ['a root that ends where it begins', 'xmlns="http://s3.aws/doc/">', 'xmlns="http:/>'],
  ])('%s is refused', async (_, right, wrong) => {
    const truth = ['a', 'b'].map((key) => ({ key, id: 'e', size: 1, modifiedAt: 1_000 }))
    const harm = (page: Buffer) => Buffer.from(page.toString().replace(right, wrong))
    expect(await expectNoLie(truth, 2, false, harm)).toBe('refused')
  })

  it('truncated at every place', async () => {
    const truth = ['a', 'b/\u{1f600}', 'c'].map((key) => ({
      key,
      id: 'e',
      size: 1,
      modifiedAt: 1_000,
    }))
    for (const other of [false, true]) {
      const { length } = answerOf(truth, false, other)
      for (let at = 0; at < length; at++) {
        const end = await expectNoLie(truth, 3, other, (page) => page.subarray(0, at))
        expect(end, `cut at ${at} of ${length}`).toBe('refused')
      }
    }
  })
})
