/** What all of S3's operations share: names, conditions, entries, and what its ETags mean. */
import { type StoreCode, StoreError } from '../src/errors.ts'
import { listPageKeys } from '../src/limits.ts'
import type { Digests, Entry, Key, Metadata, Token } from '../src/model.ts'
import { keyProblem } from '../src/sync/keys.ts'
import type { ConnectorContext, Traits } from './connector.ts'
import type { OptionsOf } from './options.ts'
import { type Asked, failure, s3CodeOf } from './s3-errors.ts'
import { createLeanClient, type LeanClient } from './s3-lean.ts'
import { checksumsOf, type Headers, metadataHeaders, metadataOf, one } from './s3-metadata.ts'
import { PROVIDERS, type Provider, type Resolved } from './s3-target.ts'
import { bareEtag, isNumber } from './s3-xml.ts'

export interface Store {
  location: string
  bucket: string
  prefix: string
  place: string
  client: LeanClient
  provider: Provider
  traits: Traits
  pageKeys: number
  /** The whole name of the object under a key. */
  object(key: Key): string
  fail(asked: Asked, code: StoreCode, message: string): StoreError
  /** Throws `cannot-hold` where S3 can't have this key, size or metadata; gives its headers. */
  writeHeaders(asked: Asked, key: Key, size: number, metadata: Metadata): Record<string, string>
  /** The headers of the present object, or of a version; null only where the bucket is there and
   *  that isn't. */
  head(asked: AskedOf, version?: string): Promise<Headers | null>
  /** `size` where content-length is that of a range. Throws `unavailable` on a reply without. */
  entry(asked: Asked & { key: Key }, headers: Headers): Entry
  /** For what can't be made conditional, or doesn't say what it found: looks just before. */
  expectNow(asked: AskedOf, expected: Token | null): Promise<void>
  etags: Etags
}

export type AskedOf = Asked & { key: Key; signal: AbortSignal }

/** What a write made. `at`: when, ms, where the store said so. */
export interface Written {
  etag: string
  at: number | undefined
  digests: Digests
}

/** An object anywhere in the copy domain. */
export interface Place {
  bucket: string
  object: string
}

/** What this bucket's ETags are. Under SSE-KMS and SSE-C they look like md5 and aren't. */
export interface Etags {
  digests(etag: string): Digests
  /** Takes in what a reply says of the object's encryption. */
  heed(headers: Headers): void
  /** An ETag beside the md5 of the bytes that it names. */
  compare(etag: string, md5: string): void
  /** Whether anything was learned yet. */
  known(): boolean
}

export function createStore(
  options: OptionsOf<'s3'>,
  target: Resolved,
  context: ConnectorContext,
): Store {
  const { bucket, prefix } = options
  const location = context.name
  const provider = PROVIDERS[target.provider]
  // Twice: a read may hold its connection while it waits for a write to this same place.
  const client = createLeanClient(target, { location, connections: context.concurrency * 2 })
  const traits = traitsOf(provider, options, target, context)
  const etags = createEtags(traits, target.provider === 'aws')
  const storageClass = options['storage-class']
  const object = (key: Key) => prefix + key

  function fail(asked: Asked, code: StoreCode, message: string): StoreError {
    return failure(location, asked, code, message)
  }

  const head: Store['head'] = async ({ operation, key, signal }, versionId) => {
    const asked = { operation, key, signal }
    const headers = { 'x-amz-checksum-mode': 'ENABLED' }
    const query = versionId === undefined ? {} : { versionId }
    const request = { ...asked, method: 'HEAD' as const, object: object(key), headers, query }
    try {
      const reply = await client.call(request)
      // An older state may have been encrypted otherwise than what is written now.
      if (versionId === undefined) etags.heed(reply.headers)
      return reply.headers
    } catch (error) {
      if (!(error instanceof StoreError)) throw error
      const status = (error.cause as { status?: number } | undefined)?.status
      // HEAD has no body: a missing bucket and a missing key are the same 404, and a refused key
      // and a forbidden one the same 403. Other requests tell them apart.
      if (status === 404) {
        await client.call({ ...asked, method: 'HEAD' }).catch((reason: unknown) => {
          throw missingRoot(reason, location, asked)
        })
        return null
      }
      if (status === 400 || status === 403) await client.call({ ...asked, ...oneKey(prefix) })
      throw error
    }
  }

  const entry: Store['entry'] = (asked, headers) => {
    const etag = bareEtag(one(headers.etag) ?? '')
    const modifiedAt = Date.parse(one(headers['last-modified']) ?? '')
    const total = one(headers['content-range'])?.split('/')[1] ?? one(headers['content-length'])
    const size = isNumber(total ?? '') ? Number(total) : Number.NaN
    if (!etag || Number.isNaN(modifiedAt) || !Number.isSafeInteger(size)) {
      throw fail(asked, 'unavailable', 'the reply has no ETag, time or size: is this S3?')
    }
    return {
      key: asked.key,
      token: { id: etag, at: modifiedAt },
      size,
      modifiedAt,
      digests: { ...etags.digests(etag), ...checksumsOf(headers) },
      metadata: metadataOf(headers),
    }
  }

  return {
    location,
    bucket,
    prefix,
    place: target.place,
    client,
    provider,
    traits,
    pageKeys: context.pageKeys ?? listPageKeys,
    object,
    fail,
    head,
    entry,
    etags,
    writeHeaders(asked, key, size, metadata) {
      const problem = keyProblem(key, traits.keys)
      if (problem) throw fail(asked, 'cannot-hold', problem)
      if (size > traits.sizeMax) throw fail(asked, 'cannot-hold', `${size} bytes are too many`)
      const headers = metadataHeaders(metadata)
      if (typeof headers === 'string') throw fail(asked, 'cannot-hold', headers)
      return { ...headers, ...(storageClass && { 'x-amz-storage-class': storageClass }) }
    },
    async expectNow(asked, expected) {
      const headers = await head(asked)
      const id = headers && entry(asked, headers).token.id
      if (expected !== null && id === null) throw fail(asked, 'not-found', 'the key is gone')
      if (id !== (expected?.id ?? null)) {
        throw fail(asked, 'changed-meanwhile', 'the key holds another state')
      }
    },
  }
}

function traitsOf(
  provider: Provider,
  { bucket, prefix }: OptionsOf<'s3'>,
  target: Resolved,
  context: ConnectorContext,
): Traits {
  const { pathLike, segmentBytesMax, forbidden } = provider
  return {
    conditionalCreate: provider.conditionalWrite,
    conditionalOverwrite: provider.conditionalWrite,
    conditionalDelete: provider.conditionalDelete,
    listStart: true,
    listingDigests: ['md5'],
    listingMetadata: false,
    carriesMetadata: true,
    keys: {
      // https://docs.aws.amazon.com/AmazonS3/latest/userguide/object-keys.html
      bytesMax: 1_024,
      prefixBytes: Buffer.byteLength(prefix),
      pathLike,
      ...(segmentBytesMax !== undefined && { segmentBytesMax }),
      ...(forbidden && { forbidden }),
    },
    sizeMax: provider.sizeMax,
    copyDomain: `s3:${target.place}:${target.account}`,
    copyRoot: `/${bucket}/${prefix}`,
    partBytes: context.partBytes,
  }
}

function createEtags(traits: Traits, isAws: boolean): Etags {
  let plain: boolean | undefined
  function settle(answer: boolean): void {
    // One object that says no decides: for that bucket, md5 is unknown rather than wrong.
    plain = plain === false ? false : answer
    traits.listingDigests = plain ? ['md5'] : []
  }
  return {
    digests: (etag) => (plain !== false && /^[0-9a-f]{32}$/.test(etag) ? { md5: etag } : {}),
    heed(headers) {
      const kind = one(headers['x-amz-server-side-encryption'])
      const customer = headers['x-amz-server-side-encryption-customer-algorithm'] !== undefined
      // SSE-S3 leaves AWS's ETags as they are; what it does to others' isn't told.
      settle(!customer && (!kind || (kind === 'AES256' && isAws)))
    },
    compare(etag, md5) {
      if (/^[0-9a-f]{32}$/.test(etag) && etag !== md5) settle(false)
    },
    known: () => plain !== undefined,
  }
}

export function conditionsOf(
  expected: Token | null,
  names: { match: string; noneMatch: string } = { match: 'if-match', noneMatch: 'if-none-match' },
): Record<string, string> {
  return expected === null ? { [names.noneMatch]: '*' } : { [names.match]: `"${expected.id}"` }
}

/** The smallest listing: it needs the permission that every use of a location needs. */
export function oneKey(prefix: string) {
  return {
    method: 'GET' as const,
    query: { 'list-type': '2', 'max-keys': '1', ...(prefix && { prefix }) },
  }
}

function missingRoot(reason: unknown, location: string, asked: Asked): unknown {
  const status = (reason as { cause?: { status?: number } }).cause?.status
  if (status !== 404 || s3CodeOf(reason)) return reason
  return failure(location, asked, 'root-missing', 'there is no such bucket')
}
