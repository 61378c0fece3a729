/** Answers that are no answers, over HTTP: none ends a listing early, none keeps it for ever. */
import { gzipSync } from 'node:zlib'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { entryIn, metadataIn } from '../../connectors/azure-metadata.ts'
import type { Connector } from '../../connectors/connector.ts'
import { entryOf, isObject } from '../../connectors/gcs-object.ts'
import { createProgress } from '../../connectors/progress.ts'
import { metadataOf } from '../../connectors/s3-metadata.ts'
import { createStore } from '../../connectors/s3-store.ts'
import { resolveTarget } from '../../connectors/s3-target.ts'
import { StoreError } from '../../src/errors.ts'
import { answerBytesMax, emptyPagesMax } from '../../src/limits.ts'
import type { Entry } from '../../src/model.ts'
import { suiteContext } from '../conformance/suite.ts'
import { calling, failsWith, keysOf } from '../conformance/world.ts'
import { scripted as azure, page as azurePage } from '../connectors/azure-world.ts'
import { scripted as gcs, object as gcsObject } from '../connectors/gcs-world.ts'
import { listed, listing, scripted as s3 } from '../connectors/s3-scripted.ts'
import type { Answer, Recorded, ScriptedServer } from '../connectors/scripted-server.ts'

type Scripted = (
  answer: (request: Recorded) => Answer,
) => Promise<ScriptedServer & { connector: Connector }>

const blob =
  '<Blob><Name>p/a</Name><Properties><Last-Modified>Mon, 06 May 2024 07:08:09 GMT</Last-Modified>' +
  '<Etag>0x1</Etag><Content-Length>7</Content-Length></Properties></Blob>'

interface Store {
  name: string
  scripted: Scripted
  /** A page with nothing in it; `next`: where it goes on. */
  empty(next?: string): string
  /** A page with one object. */
  one(): string
}

const stores: Store[] = [
  {
    name: 's3',
    scripted: s3,
    empty: (next) =>
      next === undefined
        ? listing([])
        : listing(
            [],
            `<IsTruncated>true</IsTruncated><NextContinuationToken>${next}</NextContinuationToken>`,
          ),
    one: () => listing([listed('p/a')]),
  },
  {
    name: 'gcs',
    scripted: gcs,
    empty: (next) => JSON.stringify({ kind: 'storage#objects', nextPageToken: next }),
    one: () => JSON.stringify({ kind: 'storage#objects', items: [gcsObject('a')] }),
  },
  {
    name: 'azure',
    scripted: azure,
    empty: (next) =>
      azurePage('', next === undefined ? undefined : `<NextMarker>${next}</NextMarker>`),
    one: () => azurePage(blob),
  },
]

describe.each(stores)('a listing of $name', ({ scripted, empty, one }) => {
  it.each<[string, (request: number) => string]>([
    ['to itself', () => 'x'],
    ['in a circle', (request) => `x${request % 3}`],
  ])('whose pages lead %s is corrupt, after few requests', async (_, token) => {
    let asked = 0
    const { connector, requests } = await scripted(() => ({ body: empty(token(asked++)) }))
    await failsWith('corrupt', keysOf(connector))
    expect(requests.length).toBeLessThan(6)
  })

  it('without an end is not kept in memory', async () => {
    const { connector } = await scripted(() => ({ body: Buffer.alloc(answerBytesMax + 1, ' ') }))
    const error = await failsWith('unavailable', keysOf(connector))
    expect(error.message).toContain(`longer than ${answerBytesMax} bytes`)
  })

  it.each<[string, (whole: Buffer) => Answer]>([
    [
      'packed, though nobody asked for that',
      (whole) => ({ body: gzipSync(whole), headers: { 'content-encoding': 'gzip' } }),
    ],
    ['shorter than it says', (whole) => ({ body: whole, cutAt: whole.length - 1 })],
    [
      'longer than it says',
      (whole) => ({ body: whole, headers: { 'content-length': String(whole.length - 1) } }),
    ],
    ['in UTF-16', (whole) => ({ body: Buffer.from(whole.toString(), 'utf16le') })],
    [
      'with a byte that is not UTF-8',
      (whole) => ({
        body: Buffer.from(whole.toString('latin1').replace('p/a', 'p/\xff'), 'latin1'),
      }),
    ],
    ['of nothing', () => ({ body: '' })],
    ['of a mark alone', () => ({ body: '\ufeff' })],
    ['of zeros', () => ({ body: Buffer.alloc(1_000) })],
    ['of a sign-in page', () => ({ body: '<html><body><h1>Sign in</h1></body></html>' })],
    [
      'of an error, though with status 200',
      () => ({ body: '<?xml version="1.0"?><Error><Code>InternalError</Code></Error>' }),
    ],
    ['of an error in JSON', () => ({ body: '{"error":{"code":500,"message":"no"}}' })],
    ['of another listing', (whole) => ({ body: Buffer.concat([whole, whole]) })],
    [
      'of an entity bomb',
      (whole) => ({ body: `<!DOCTYPE l [<!ENTITY a "aaaa"><!ENTITY b "&a;&a;&a;">]>${whole}` }),
    ],
    ['nested a million deep', () => ({ body: '[{"a":'.repeat(500_000) })],
    [
      'of a million elements that are open',
      () => ({ body: '<ListBucketResult><EnumerationResults>'.repeat(30_000) }),
    ],
    ['of many brackets', () => ({ body: `${'['.repeat(200_000)}${']'.repeat(200_000)}` })],
    ['partial', (whole) => ({ body: whole.subarray(0, 30), status: 206 })],
    ['of status 204', () => ({ status: 204 })],
  ])('%s is unavailable', async (_, mangled) => {
    const { connector } = await scripted(() => mangled(Buffer.from(one())))
    await failsWith('unavailable', keysOf(connector))
  })

  it('whose error makes no sense is an error all the same', async () => {
    const bodies = ['&#x110000;', '&toString;', '\xff', '{"error":[]}', '{"error":{"errors":5}}']
    for (const body of bodies) {
      for (const status of [400, 403, 404, 409, 500, 503]) {
        const error = `<Error><Code>${body}</Code><Message>${body}</Message></Error>`
        const { connector } = await scripted(() => ({
          status,
          body: body.startsWith('{') ? body : error,
        }))
        await expect(keysOf(connector)).rejects.toBeInstanceOf(StoreError)
        await expect(connector.stat('a', calling())).rejects.toBeInstanceOf(StoreError)
      }
    }
  })
})

it('a listing that has gone on for long without a key is not believed to end', () => {
  const goOn = createProgress((words) => new Error(words))
  for (let page = 0; page < emptyPagesMax; page++) goOn(String(page), 0)
  expect(() => goOn('more', 0)).toThrow('empty pages')
})

// ── heads ───────────────────────────────────────────────────────────────────────────────────────

const options = {
  ...{ type: 's3' as const, bucket: 'b', prefix: '', endpoint: 'http://127.0.0.1:1' },
  ...{ region: 'us-east-1', 'access-key-id': 'id', 'secret-access-key': 'secret' },
}
const store = createStore(options, await resolveTarget(options), suiteContext('s3'))

const values = fc.oneof(
  fc.constantFrom('', '-1', '0', '7', 'NaN', '1e9', '0x10', ' 7', '99999999999999999999', '*', '/'),
  fc.constantFrom('"e"', '""', '"', 'bytes 0-1/*', 'bytes 0-1/2', 'Mon, 06 May 2024 07:08:09 GMT'),
  fc.constantFrom(
    '=?utf-8?b?/w==?=',
    '=?utf-8?q?=FF?=',
    'COMPOSITE',
    'AAAA',
    'XUFAKrxLKna5cZ2REBfFkg==',
  ),
  fc.string({ unit: 'binary', maxLength: 8 }),
)
const names = fc.constantFrom(
  ...['etag', 'last-modified', 'content-length', 'content-range', 'content-md5', 'content-type'],
  ...['content-encoding', 'x-amz-checksum-sha256', 'x-amz-checksum-crc32c', 'x-amz-checksum-type'],
  ...['x-amz-meta-a', 'x-amz-meta-__proto__', 'x-amz-meta-constructor', 'x-ms-meta-__proto__'],
  ...['x-ms-meta-_xd800_', 'x-ms-blob-content-md5', '__proto__'],
)
const headers = fc
  .array(fc.tuple(names, fc.oneof(values, fc.array(values, { maxLength: 2 }))), { maxLength: 12 })
  .map((all) => Object.fromEntries(all))

function expectSane(entry: Entry): void {
  expect(entry.token.id).not.toBe('')
  expect(Number.isSafeInteger(entry.size) && entry.size >= 0, String(entry.size)).toBe(true)
  expect(Number.isFinite(entry.modifiedAt)).toBe(true)
  const lengths = { sha256: 64, md5: 32, crc32c: 8 }
  for (const [name, hex] of Object.entries(entry.digests)) {
    expect(hex).toMatch(/^[0-9a-f]+$/)
    expect(hex).toHaveLength(lengths[name as keyof typeof lengths])
  }
}

describe('what is said of one object', () => {
  it('in S3’s headers, or Azure’s, is an entry that makes sense, or none', () => {
    const any = fc.property(headers, (given) => {
      const entry = entryIn('k', given)
      if (entry) expectSane(entry)
      try {
        expectSane(store.entry({ operation: 'stat', key: 'k' }, given))
      } catch (error) {
        if (!(error instanceof StoreError)) throw error
      }
    })
    fc.assert(any, { numRuns: 20_000 })
  })

  it('in GCS’s JSON is an entry that makes sense, or none', () => {
    const field = fc.constantFrom(...Object.keys(gcsObject('a')), 'metadata', 'contentType')
    const value = fc.oneof(values, fc.jsonValue({ maxDepth: 2 }), fc.constant(undefined))
    const any = fc.property(fc.array(fc.tuple(field, value), { maxLength: 3 }), (changes) => {
      const object: unknown = { ...gcsObject('a'), ...Object.fromEntries(changes) }
      if (isObject(object)) expectSane(entryOf('a', object))
    })
    fc.assert(any, { numRuns: 10_000 })
    fc.assert(
      fc.property(fc.anything(), (value) => void isObject(value)),
      { numRuns: 5_000 },
    )
  })

  it('may be named as a prototype’s properties are', () => {
    const user = JSON.parse('{"__proto__":"p","constructor":"c"}')
    const sent = (prefix: string) => ({
      [`${prefix}__proto__`]: 'p',
      [`${prefix}constructor`]: 'c',
    })
    expect(metadataOf(sent('x-amz-meta-')).user).toEqual(user)
    expect(metadataIn(sent('x-ms-meta-')).user).toEqual(user)
  })
})
