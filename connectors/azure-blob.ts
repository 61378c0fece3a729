/**
 * Azure Blob Storage, with ADLS Gen2 as an option. A token is the ETag, which every change of bytes
 * or metadata renews. No `copyWithin`: Copy Blob from URL can't set the standard headers, and what
 * can (Put Blob from URL) isn't in Azurite, so it could not be tested.
 * https://learn.microsoft.com/rest/api/storageservices/operations-on-blobs
 */
import { type StoreCode, StoreError } from '../src/errors.ts'
import { listPageKeys, MIB } from '../src/limits.ts'
import type { Entry, Key, Token } from '../src/model.ts'
import { keyProblem } from '../src/sync/keys.ts'
import { type AzureRequest, createAzureApi, isCode } from './azure-api.ts'
import { type FetchPage, listFlat, listFolders } from './azure-list.ts'
import { entryIn, isFolder, metadataHeaders, metadataIn } from './azure-metadata.ts'
import { readBlob } from './azure-read.ts'
import { type Upload, uploadInBlocks } from './azure-upload.ts'
import { versionsIn } from './azure-versions.ts'
import { parseListing } from './azure-xml.ts'
import type { Body, Connector, ConnectorContext, Traits, WriteOptions } from './connector.ts'
import { digestProblem, digestsOf } from './digests.ts'
import type { OptionsOf } from './options.ts'
import { gather } from './whole.ts'

/** Characters; counted as bytes here, which refuses some long names that Azure would take, and
 *  that no other object store does. The rules of names are on learn.microsoft.com under "Naming and
 *  referencing containers, blobs, and metadata". */
const nameBytesMax = 1024
const segmentsMax = 254
/** 50,000 blocks of 4,000 MiB. */
const blobBytesMax = 50_000 * 4_000 * MIB

export async function create(
  options: OptionsOf<'azure-blob'>,
  context: ConnectorContext,
): Promise<Connector> {
  const { container, prefix, hierarchical } = options
  const traits = traitsOf(options, context)
  const pageKeys = context.pageKeys ?? listPageKeys
  const api = await createAzureApi(options, {
    location: context.name,
    connections: context.concurrency,
  })

  // ── https://learn.microsoft.com/rest/api/storageservices/list-blobs ──

  function fetcher(operation: string, pageKeysMax: number, signal: AbortSignal): FetchPage {
    return async ({ prefix: start, marker, delimiter }) => {
      const query = {
        comp: 'list',
        restype: 'container',
        include: 'metadata',
        maxresults: String(pageKeysMax),
        ...(start && { prefix: start }),
        ...(marker && { marker }),
        ...(delimiter && { delimiter }),
      }
      const { text } = await api.call({ operation, method: 'GET', query, signal })
      try {
        return parseListing(text)
      } catch (error) {
        if (error instanceof StoreError) throw error
        throw api.failure('unavailable', (error as Error).message, { operation }, error)
      }
    }
  }

  const list: Connector['list'] = (range, resume, { signal }) => {
    const fetch = fetcher('list', pageKeys, signal)
    const fail = (code: StoreCode, message: string) =>
      api.failure(code, message, { operation: 'list' })
    const listing = { prefix, range, resume, pageKeys, fetch, fail }
    return hierarchical ? listFolders(listing) : listFlat(listing)
  }

  // ── https://learn.microsoft.com/rest/api/storageservices/get-blob-properties ──

  async function stat(key: Key, operation: string, signal: AbortSignal): Promise<Entry | null> {
    const request: AzureRequest = { operation, key, method: 'HEAD', blob: prefix + key, signal }
    // What isn't Unicode can't be a name, nor be asked for.
    if (!key.isWellFormed()) return null
    try {
      const { headers } = await api.call(request)
      const entry = entryIn(key, headers)
      if (!entry) throw api.failure('unavailable', 'the reply is not of a blob', request)
      return isFolder(entry.metadata ?? {}) ? null : entry
    } catch (error) {
      if (isCode(error, 'not-found', operation)) return null
      throw error
    }
  }

  // ── https://learn.microsoft.com/rest/api/storageservices/put-blob ──

  async function write(
    key: Key,
    body: Body,
    expect: Token | null,
    options: WriteOptions,
  ): Promise<Entry> {
    const { signal, size, metadata } = options
    const asked = { operation: 'write', key }
    const own = metadataHeaders(metadata)
    const problem = keyProblem(key, traits.keys) ?? (typeof own === 'string' ? own : null)
    if (problem !== null || typeof own === 'string') {
      throw api.failure('cannot-hold', problem ?? '', asked)
    }
    if (signal.aborted) throw api.failure('cancelled', 'cancelled', asked)
    const headers = { ...own, ...conditionOf(expect) }
    try {
      const blob = prefix + key
      const upload = { key, blob, headers, partBytes: traits.partBytes, body, options }
      const made =
        size > traits.partBytes ? await uploadInBlocks(api, upload) : await writeWhole(upload)
      const entry = entryIn(key, { ...made.headers, 'content-length': String(size) })
      if (!entry) throw api.failure('unavailable', 'the reply names no ETag', asked)
      return { ...entry, digests: made.digests, metadata: asStored(own) }
    } catch (error) {
      // The blob that we expected is gone.
      if (!isCode(error, 'not-found', 'write') || expect === null) throw error
      throw api.failure('changed-meanwhile', (error as Error).message, asked, error)
    }
  }

  async function writeWhole(upload: Omit<Upload, 'partBytes'>) {
    const { key, blob, body, options } = upload
    const asked = { operation: 'write', key }
    const bytes = await gather(body, options.size)
    if (bytes.length !== options.size) {
      throw api.failure('corrupt', `the body does not have ${options.size} bytes`, asked)
    }
    const given = options.digests
    const digests = digestsOf(bytes, { md5: true, sha256: !!given.sha256, crc32c: !!given.crc32c })
    const problem = digestProblem(given, digests)
    if (problem) throw api.failure('corrupt', problem, asked)
    const md5 = Buffer.from(digests.md5 ?? '', 'hex').toString('base64')
    await options.beforeCommit()
    const request: AzureRequest = {
      ...asked,
      method: 'PUT',
      blob,
      headers: {
        ...upload.headers,
        'x-ms-blob-type': 'BlockBlob',
        // One for the service to check on arrival, one for it to keep.
        'content-md5': md5,
        'x-ms-blob-content-md5': md5,
      },
      body: bytes,
      signal: options.signal,
    }
    try {
      const { headers } = await api.call(request)
      return { headers, digests }
    } catch (error) {
      return await overBlocks({ ...upload, body: bytes }, error)
    }
  }

  /** Blocks that an interrupted upload left may be in a new blob's way (as at Azurite), though
   * there
   *  is no blob: a commit of blocks, under the same condition, takes them along. */
  async function overBlocks(upload: Omit<Upload, 'partBytes'>, error: unknown) {
    const { key, headers } = upload
    const creates = headers['if-none-match'] !== undefined
    if (!creates || !isCode(error, 'changed-meanwhile', 'write')) throw error
    const { session: _, ...options } = upload.options
    if (await stat(key, 'write', options.signal)) throw error
    return await uploadInBlocks(api, { ...upload, options, partBytes: traits.partBytes })
  }

  // ── https://learn.microsoft.com/rest/api/storageservices/delete-blob ──

  /** Without `x-ms-delete-snapshots`: a blob that has some is refused, they would go with it. */
  const remove: Connector['remove'] = async (key, expect, { beforeCommit, signal }) => {
    const asked = { operation: 'remove', key, signal }
    if (!key.isWellFormed()) throw api.failure('not-found', 'no blob has this name', asked)
    if (signal.aborted) throw api.failure('cancelled', 'cancelled', asked)
    await beforeCommit()
    const headers = conditionOf(expect)
    await api
      .call({ ...asked, method: 'DELETE', blob: prefix + key, headers })
      .catch((error: unknown) => absentOr(error, asked))
  }

  /** A condition fails just so where the blob is gone. */
  async function absentOr(
    error: unknown,
    asked: { operation: string; key: Key; signal: AbortSignal },
  ): Promise<never> {
    const { operation, key, signal } = asked
    if (!isCode(error, 'changed-meanwhile', operation)) throw error
    if (await stat(key, operation, signal)) throw error
    throw api.failure('not-found', 'there is no such blob', asked, error)
  }

  return {
    name: context.name,
    traits,
    async identity({ signal }) {
      await fetcher('identity', 1, signal)({ prefix, marker: undefined })
      return `azure:${api.endpoint}/${container}/${prefix}`
    },
    list,
    stat: (key, { signal }) => stat(key, 'stat', signal),
    async read(key, token, range, { signal }) {
      const request = { operation: 'read', key, blob: prefix + key, signal }
      if (!key.isWellFormed()) throw api.failure('not-found', 'no blob has this name', request)
      return readBlob(api, request, token, range, traits.partBytes).catch((error: unknown) =>
        absentOr(error, request),
      )
    },
    write,
    remove,
    versions: versionsIn(api, prefix),
    close: () => api.close(),
  }
}

function traitsOf(options: OptionsOf<'azure-blob'>, context: ConnectorContext): Traits {
  const slashes = options.prefix.split('/').length - 1
  const forbidden = [
    // Azure turns a backslash into a slash, and takes away dots and slashes at the end.
    '\\\\',
    '[\\u0000-\\u001f\\u007f-\\u009f\\ufffe\\uffff]',
    '\\.(?:/|$)',
    '/$',
    `(?:/[^/]*){${Math.max(1, segmentsMax - slashes)}}`,
  ]
  return {
    conditionalCreate: true,
    conditionalOverwrite: true,
    conditionalDelete: true,
    // A listing's start came to the REST API after the version that is used here.
    listStart: false,
    listingDigests: ['md5'],
    listingMetadata: true,
    carriesMetadata: true,
    keys: {
      bytesMax: nameBytesMax,
      prefixBytes: Buffer.byteLength(options.prefix),
      pathLike: options.hierarchical,
      forbidden: {
        pattern: forbidden.join('|'),
        reason:
          'Azure has no such names: no backslash or control character, no part that ends with a ' +
          `dot, no slash at the end, at most ${segmentsMax} parts`,
      },
    },
    sizeMax: blobBytesMax,
    copyDomain: null,
    partBytes: context.partBytes,
  }
}

function conditionOf(expect: Token | null): Record<string, string> {
  return expect === null ? { 'if-none-match': '*' } : { 'if-match': `"${expect.id}"` }
}

/** What a stat will show of these headers. */
function asStored(headers: Record<string, string>) {
  const shown = Object.entries(headers).map(([name, value]) => [
    name.replace(/^x-ms-blob-/, ''),
    value,
  ])
  return metadataIn(Object.fromEntries(shown))
}
