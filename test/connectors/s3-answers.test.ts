/** Answers that no well-meaning S3 gives on demand: broken, encrypted, refused, cut short. */
import { describe, expect, it } from 'vitest'
import { digestsOf } from '../../connectors/digests.ts'
import { compareKeys } from '../../src/sync/keys.ts'
import {
  calling,
  entriesOf,
  failsWith,
  keysOf,
  pagesOf,
  put,
  readAll,
  text,
} from '../conformance/world.ts'
import { etag, found, listed, listing, more, refusal, scripted } from './s3-scripted.ts'
import type { Answer, Recorded } from './scripted-server.ts'

const token = { id: etag }
const last = '<IsTruncated>false</IsTruncated>'
const between = '</Contents><Contents>'
const isList = (request: Recorded) => request.query['list-type'] !== undefined

/** Answers listings with these, in turn; anything else is a plain object. */
function lists(...answers: (string | Buffer | Answer)[]) {
  let next = 0
  return (request: Recorded): Answer => {
    if (!isList(request)) return found()
    const answer = answers[Math.min(next++, answers.length - 1)] ?? ''
    return typeof answer === 'string' || Buffer.isBuffer(answer) ? { body: answer } : answer
  }
}

describe('a listing', () => {
  const whole = listing([listed('p/a'), listed('p/b')])

  it.each([
    ['cut anywhere', whole.slice(0, -30)],
    ['cut after an object', whole.slice(0, whole.indexOf('<Contents><Key>p/b'))],
    ['cut in an object', whole.slice(0, whole.indexOf('p/b'))],
    ['of a proxy', '<html><body>Sign in to the network</body></html>'],
    ['empty', ''],
    ['that does not say whether it is the last', listing([listed('p/a')], '')],
    ['that says so in no way we know', listing([], '<IsTruncated>perhaps</IsTruncated>')],
    [
      'with two objects run into one',
      listing([(listed('p/a') + listed('p/b')).replace(between, '')]),
    ],
    ['with other objects than it says', listing([listed('p/a')], `${last}<KeyCount>2</KeyCount>`)],
    ['with names in a way of its own', listing([listed('p/a')]).replace('>url<', '>hex<')],
    ['with an entity that is none', listing([listed('p/&toString;')])],
    [
      'with common prefixes',
      listing([], `${last}<CommonPrefixes><Prefix>p/a/</Prefix></CommonPrefixes>`),
    ],
    ['in another encoding', Buffer.from(listing([listed('p/\u00e9')]), 'latin1')],
  ])('%s is an error, never an end', async (_, body) => {
    const { connector } = await scripted(lists(body))
    await failsWith('unavailable', keysOf(connector))
  })

  it('with an object whose size, time or ETag makes no sense skips that one, by name', async () => {
    const objects = [
      listed('p/a').replace(/<Size>.*?<\/Size>/, ''),
      listed('p/b').replace('<Size>1<', '<Size><'),
      listed('p/c').replace('<Size>1<', '<Size>-1<'),
      listed('p/d').replace('2024-05', 'some-day'),
      listed('p/e', { etag: '' }),
      listed('p/f'),
    ]
    const { connector } = await scripted(lists(listing(objects)))
    const [page] = await pagesOf(connector)
    expect(page?.entries.map(({ key }) => key)).toEqual(['f'])
    expect(page?.skipped.map(({ key, reason, alone }) => [key, reason, alone])).toEqual(
      ['size', 'size', 'size', 'time', 'ETag'].map((what, i) => [
        'abcde'.charAt(i),
        `the listing gives it no ${what} that makes sense`,
        true,
      ]),
    )
  })

  it('that is cut on its way is an error, never an end', async () => {
    const { connector } = await scripted(lists({ body: whole, cutAt: whole.length - 10 }))
    await failsWith('unavailable', keysOf(connector))
  })

  it('that fails on its second page fails, whatever came before', async () => {
    const first = listing([listed('p/a')], more)
    const { connector } = await scripted(lists(first, refusal(500, 'InternalError')))
    await failsWith('unavailable', keysOf(connector))
  })

  it.each([
    ['repeats its page', listing([listed('p/a')], more)],
    ['goes back', listing([listed('p/A')])],
    ['leaves the prefix', listing([listed('q/b')])],
    ['has more and does not say where', listing([], more)],
  ])('that %s is corrupt', async (_, second) => {
    const { connector } = await scripted(lists(listing([listed('p/a')], more), second))
    await failsWith('corrupt', keysOf(connector))
  })

  it('goes on by the store’s token where a page has no name to go on behind', async () => {
    const about = `${more}<NextContinuationToken>t&amp;1</NextContinuationToken>`
    const { connector, requests } = await scripted(
      lists(listing([], about), listing([listed('p/b')])),
    )
    const [first] = await pagesOf(connector)
    expect(first?.resume).toBe('tt&1')
    expect(requests[1]?.query['continuation-token']).toBe('t&1')
    expect(await keysOf(connector, { from: null, to: null }, first?.resume)).toEqual(['b'])
  })

  it('is not gone on with behind a name that the store garbled', async () => {
    const page = listing([listed('p/\ufffdx')], more).replace(
      /<EncodingType>.*?<.EncodingType>/,
      '',
    )
    const { connector } = await scripted((request) =>
      request.method === 'HEAD' && request.path !== '/b/' ? { status: 404 } : { body: page },
    )
    await failsWith('corrupt', keysOf(connector))
  })

  it('has its names decoded, folder markers and names that are not UTF-8 left out', async () => {
    const names = ['p/', 'p/%01', 'p/a+b%2Bc%2Fd%25', 'p/d/', 'p/%F0%9F%98%80', 'p/%FF']
    const sizes = new Map([
      ['p/', 0],
      ['p/d/', 0],
    ])
    const objects = names.map((name) => listed(name, { size: sizes.get(name) ?? 1 }))
    const { connector } = await scripted(lists(listing(objects)))
    const [page] = await pagesOf(connector)
    expect(page?.entries.map(({ key }) => key)).toEqual(['\u0001', 'a b+c/d%', '\u{1f600}'])
    expect(page?.skipped.map(({ reason }) => reason)).toEqual([
      'a folder marker',
      'the name is not UTF-8',
    ])
  })

  it('with a name that is not UTF-8 at a page’s end goes on behind it, in order', async () => {
    const about = `${more}<NextContinuationToken>t</NextContinuationToken>`
    const pages = [
      listing([listed('p/a'), listed('p/a%FFb')], about),
      listing([listed('p/a%FFc'), listed('p/b')]),
    ]
    const { connector } = await scripted(lists(...pages))
    const found = await pagesOf(connector)
    const keys = found.flatMap(({ entries, skipped }) =>
      [...entries, ...skipped].map(({ key }) => key),
    )
    expect(keys.sort(compareKeys)).toEqual(['a', 'a\\xffb', 'a\\xffc', 'b'])
    expect(found[0]?.resume).toBe('tt')
  })

  it('of a bucket in another region says where the bucket is', async () => {
    const { connector } = await scripted(() => ({
      ...refusal(301, 'PermanentRedirect'),
      headers: { 'x-amz-bucket-region': 'eu-central-1' },
    }))
    const error = await failsWith('unsupported', keysOf(connector))
    expect(error.message).toContain('eu-central-1')
  })
})

describe('an ETag', () => {
  const objects = listing([listed('p/a'), listed('p/b', { etag: `${etag}-3` })])

  it('is an md5 where it has no dash', async () => {
    const { connector } = await scripted(lists(objects))
    const [a, b] = await entriesOf(connector)
    expect([a?.digests, b?.digests]).toEqual([{ md5: etag }, {}])
    expect(b?.token.id).toBe(`${etag}-3`)
  })

  it.each(['aws:kms', 'aws:kms:dsse'])(
    'is no md5 under %s: one head a connector finds out',
    async (kind) => {
      const answer = lists(objects)
      const { connector, asked } = await scripted((request) =>
        isList(request) ? answer(request) : found({ 'x-amz-server-side-encryption': kind }),
      )
      for (const { digests } of await entriesOf(connector)) expect(digests).toEqual({})
      await keysOf(connector)
      expect(asked()).toEqual(['list', 'HEAD', 'list'])
      expect(connector.traits.listingDigests).toEqual([])
    },
  )

  it('is no md5 where we may not look', async () => {
    const answer = lists(objects)
    const { connector } = await scripted((request) =>
      isList(request) ? answer(request) : { status: 403 },
    )
    expect((await entriesOf(connector))[0]?.digests).toEqual({})
  })

  it('that is not the md5 of what was written is none from then on', async () => {
    const { connector } = await scripted(lists(listing([listed('p/a')])))
    const written = await put(connector, 'a', text('other bytes'))
    expect(written.token.id).toBe(etag)
    expect(written.digests).toEqual(digestsOf(text('other bytes')))
    expect((await entriesOf(connector))[0]?.digests).toEqual({})
  })

  it('has digests beside it, but for those made of parts’ digests', async () => {
    const sha256 = digestsOf(text('x')).sha256 ?? ''
    const sum = Buffer.from(sha256, 'hex').toString('base64')
    const answers = [
      found({ 'x-amz-checksum-sha256': sum, 'x-amz-checksum-type': 'FULL_OBJECT' }),
      found({ 'x-amz-checksum-sha256': sum, 'x-amz-checksum-type': 'COMPOSITE' }),
      found({ 'x-amz-checksum-sha256': `${sum}-2` }),
    ]
    const { connector } = await scripted(() => answers.shift() ?? found())
    const seen = []
    for (let i = 0; i < 3; i++) seen.push((await connector.stat('a', calling()))?.digests)
    expect(seen).toEqual([{ md5: etag, sha256 }, { md5: etag }, { md5: etag }])
  })
})

describe('an error', () => {
  it.each([
    [403, 'SignatureDoesNotMatch', 'unauthenticated'],
    [403, 'InvalidAccessKeyId', 'unauthenticated'],
    [400, 'ExpiredToken', 'unauthenticated'],
    [403, 'AccessDenied', 'denied'],
    [404, 'NoSuchKey', 'not-found'],
    [404, 'NoSuchBucket', 'root-missing'],
    [503, 'SlowDown', 'throttled'],
    [429, 'Anything', 'throttled'],
    [500, 'InternalError', 'unavailable'],
    [503, 'ServiceUnavailable', 'unavailable'],
    [403, 'InvalidObjectState', 'denied'],
    [400, 'Unheard-of', 'unsupported'],
  ] as const)('%i %s is %s', async (status, code, wanted) => {
    const { connector } = await scripted(() => refusal(status, code))
    await failsWith(wanted, readAll(connector, 'a', token))
  })

  it('404 that S3 did not give is no absence', async () => {
    const { connector } = await scripted(() => ({ status: 404, body: '<html>not here</html>' }))
    await failsWith('unavailable', readAll(connector, 'a', token))
  })

  it('404 of a head is an absence only where the bucket is there', async () => {
    const { connector } = await scripted(({ path }) => ({ status: path === '/b/' ? 200 : 404 }))
    expect(await connector.stat('a', calling())).toBeNull()
    const gone = await scripted(() => ({ status: 404 }))
    await failsWith('root-missing', gone.connector.stat('a', calling()))
  })

  it('403 of a head is told by a listing', async () => {
    const { connector } = await scripted((request) =>
      isList(request) ? refusal(400, 'ExpiredToken') : { status: 403 },
    )
    await failsWith('unauthenticated', connector.stat('a', calling()))
  })

  it('of our clock is mended for the next request', async () => {
    const theirs = new Date(Date.now() + 3_600_000)
    const answers = [
      { ...refusal(403, 'RequestTimeTooSkewed'), headers: { date: theirs.toUTCString() } },
    ]
    const { connector, requests } = await scripted(() => answers.shift() ?? found())
    await failsWith('unavailable', connector.read('a', token, undefined, calling()))
    await connector.read('a', token, undefined, calling())
    const hour = theirs.toISOString().replaceAll('-', '').slice(0, 11)
    expect(requests[1]?.headers['x-amz-date']).toContain(hour)
  })
})

describe('a read', () => {
  it('of another state than it was told is changed-meanwhile', async () => {
    const { connector } = await scripted(() => found({ etag: '"other"' }))
    await failsWith('changed-meanwhile', readAll(connector, 'a', token))
  })

  it.each([100, 1_000_000])('of %i bytes that is cut short is unavailable', async (size) => {
    const body = Buffer.alloc(size)
    const { connector } = await scripted(() => ({ ...found(), body, cutAt: size / 2 }))
    await failsWith('unavailable', readAll(connector, 'a', token))
  })

  it('of a range that the store gives in part is unavailable', async () => {
    const answer = { ...found({ 'content-range': 'bytes 0-4/10' }), status: 206, body: 'five!' }
    const { connector } = await scripted(() => answer)
    await failsWith('unavailable', readAll(connector, 'a', token, { start: 0, end: 10 }))
  })

  it('of a range is refused where the store sends the whole', async () => {
    const { connector } = await scripted(() => found())
    await failsWith('unsupported', readAll(connector, 'a', token, { start: 0, end: 1 }))
  })
})
