/**
 * Google Cloud Storage by its JSON API: https://cloud.google.com/storage/docs/json_api/v1/objects
 * A token is `<generation>.<metageneration>`, and every write names both.
 */
import { GIB, listPageKeys } from '../src/limits.ts'
import type { Entry, Key, KeyRange, Token } from '../src/model.ts'
import { keyProblem } from '../src/sync/keys.ts'
import type {
  Body,
  CallOptions,
  Connector,
  ConnectorContext,
  CopySource,
  Page,
  ReadResult,
  Traits,
  WriteOptions,
} from './connector.ts'
import { digestProblem, digestsOf } from './digests.ts'
import { createGcsApi, type GcsRequest, isCode, recoded, statusOf } from './gcs-api.ts'
import { type ListedPage, pageFields, pageOf, readPage } from './gcs-list.ts'
import { bytesOf, multipartOf, nothing } from './gcs-media.ts'
import { entryOf, generationsOf, isObject, objectFields, resourceOf } from './gcs-object.ts'
import { chunkBytesFor, dropSession, sessionPath, uploadInChunks } from './gcs-upload.ts'
import { versionsIn } from './gcs-versions.ts'
import type { OptionsOf } from './options.ts'
import { createProgress } from './progress.ts'
import { gather } from './whole.ts'

/** UTF-8 bytes: https://cloud.google.com/storage/docs/objects#naming */
const nameBytesMax = 1024
/** https://cloud.google.com/storage/quotas#objects */
const objectBytesMax = 5 * 1024 * GIB

export async function create(
  options: OptionsOf<'gcs'>,
  context: ConnectorContext,
): Promise<Connector> {
  const { bucket, prefix } = options
  const api = await createGcsApi(options, {
    location: context.name,
    // A read opens two requests at once.
    connections: context.concurrency * 2,
  })
  const traits = traitsOf(options, context)
  const bucketPath = `/storage/v1/b/${encodeURIComponent(bucket)}/o`
  const uploadPath = `/upload${bucketPath}`
  const pathOf = (key: Key) => `${bucketPath}/${encodeURIComponent(prefix + key)}`

  // ── https://cloud.google.com/storage/docs/json_api/v1/objects/list ──

  async function listPage(
    range: KeyRange,
    pageToken: string | undefined,
    maxResults: number,
    operation: string,
    signal: AbortSignal,
  ): Promise<ListedPage> {
    const request: GcsRequest = {
      operation,
      method: 'GET',
      path: bucketPath,
      query: {
        prefix: prefix || undefined,
        startOffset: range.from === null ? undefined : prefix + range.from,
        endOffset: range.to === null ? undefined : prefix + range.to,
        pageToken,
        maxResults,
        fields: pageFields,
      },
      signal,
    }
    const reply = await api.json(request).catch((error: unknown) => {
      throw recoded(api, error, 'root-missing', request)
    })
    return understood(() => readPage(reply), operation)
  }

  function understood<T>(read: () => T, operation: string): T {
    try {
      return read()
    } catch (error) {
      throw api.failure('unavailable', (error as Error).message, { operation }, error)
    }
  }

  /** Resumes behind a key rather than by GCS's token: it holds for ever and for any `to`. */
  async function* list(
    range: KeyRange,
    resume: string | undefined,
    { signal }: CallOptions,
  ): AsyncGenerator<Page, void> {
    const after = resume
    const pageKeys = context.pageKeys ?? listPageKeys
    const from = after ?? range.from
    const goOn = createProgress((words) => api.failure('corrupt', words, { operation: 'list' }))
    let pageToken: string | undefined
    do {
      const listed = await listPage({ from, to: range.to }, pageToken, pageKeys, 'list', signal)
      pageToken = listed.next
      if (pageToken !== undefined) goOn(pageToken, listed.items.length)
      const { page, last } = understood(() => pageOf(listed, prefix, after), 'list')
      // GCS may give an empty page before the last one; it has nowhere to resume from.
      if (pageToken === undefined) yield page
      else if (last !== undefined) yield { ...page, resume: last }
    } while (pageToken !== undefined)
  }

  /** A 404 may mean the key or the bucket, and only its words tell which: a listing tells too. */
  async function expectRoot({ operation, signal }: Pick<GcsRequest, 'operation' | 'signal'>) {
    await listPage({ from: null, to: null }, undefined, 1, operation, signal)
  }

  function expectName(asked: Asked): void {
    if (asked.key?.isWellFormed()) return
    throw api.failure('not-found', 'no object has a name that is not Unicode', asked)
  }

  // ── https://cloud.google.com/storage/docs/json_api/v1/objects/get ──

  async function statFor(key: Key, operation: string, signal: AbortSignal, generation?: string) {
    // What isn't Unicode can't be a name, nor be asked for.
    if (!key.isWellFormed()) return null
    const query = { fields: objectFields, generation }
    const request: GcsRequest = { operation, key, method: 'GET', path: pathOf(key), query, signal }
    try {
      const object = await api.json(request)
      if (isObject(object)) return entryOf(key, object)
      throw api.failure('unavailable', 'the reply is not an object', request)
    } catch (error) {
      if (!isCode(error, 'not-found')) throw error
      await expectRoot(request)
      return null
    }
  }

  /** The media alone lacks user metadata, and an old generation can still be read in a versioned
   *  bucket: so the resource is asked for beside it, and says what is there now. */
  async function read(
    key: Key,
    token: Token,
    range: { start: number; end: number } | undefined,
    { signal }: CallOptions,
  ): Promise<ReadResult> {
    const asked = { operation: 'read', key, signal }
    expectName(asked)
    const generations = generationsOf(token)
    const request: GcsRequest = { ...asked, method: 'GET', path: pathOf(key) }
    const wantsBytes = generations && (!range || range.end > range.start)
    const media: GcsRequest = {
      ...request,
      query: { alt: 'media', generation: generations?.generation },
      headers: {
        // Without it, GCS unpacks what has contentEncoding gzip.
        'accept-encoding': 'gzip',
        ...(range && { range: `bytes=${range.start}-${range.end - 1}` }),
      },
    }
    const [seen, sent] = await Promise.allSettled([
      statFor(key, 'read', signal),
      wantsBytes ? api.open(media) : null,
    ])
    const entry = seen.status === 'fulfilled' ? seen.value : null
    if (entry?.token.id === token.id && sent.status === 'fulfilled') {
      return { entry, body: sent.value ? bytesOf(api, entry, range, sent.value, media) : nothing() }
    }
    // Its connection is of no matter: what is thrown below says all.
    if (sent.status === 'fulfilled') sent.value?.body.on('error', () => {}).destroy()
    if (seen.status === 'rejected') throw seen.reason
    if (entry === null) throw api.failure('not-found', 'there is no such object', request)
    // The bytes of a state that is the present one can be absent only if it changed since.
    if (sent.status === 'rejected' && entry.token.id === token.id) {
      if (statusOf(sent.reason) !== 404) throw sent.reason
    }
    throw api.failure('changed-meanwhile', `the object is at ${entry.token.id}`, request)
  }

  // ── https://cloud.google.com/storage/docs/json_api/v1/objects/insert ──

  async function write(
    key: Key,
    body: Body,
    expect: Token | null,
    options: WriteOptions,
  ): Promise<Entry> {
    const asked = { operation: 'write', key, signal: options.signal }
    const problem = keyProblem(key, traits.keys)
    if (problem) throw api.failure('cannot-hold', problem, asked)
    if (options.signal.aborted) throw api.failure('cancelled', 'cancelled', asked)
    const conditions = await conditionsFor(key, expect, asked)
    const name = prefix + key
    try {
      if (options.size > traits.partBytes) {
        const upload = { key, name, path: uploadPath, conditions, body, options }
        const made = await uploadInChunks(api, { ...upload, chunkBytes: traits.partBytes })
        return withDigests(entryOf(key, made.object), made.digests)
      }
      return await writeWhole(key, body, conditions, options)
    } catch (error) {
      if (!isCode(error, 'not-found', 'write')) throw error
      await expectRoot(asked)
      throw recoded(api, error, 'unavailable', asked)
    }
  }

  async function writeWhole(
    key: Key,
    body: Body,
    conditions: Record<string, string | undefined>,
    options: WriteOptions,
  ): Promise<Entry> {
    const asked = { operation: 'write', key }
    const bytes = await gather(body, options.size)
    if (bytes.length !== options.size) {
      throw api.failure('corrupt', `the body does not have ${options.size} bytes`, asked)
    }
    const given = options.digests
    const choice = { crc32c: true, md5: !!given.md5, sha256: !!given.sha256 }
    const digests = digestsOf(bytes, choice)
    const problem = digestProblem(given, digests)
    if (problem) throw api.failure('corrupt', problem, asked)
    const resource = resourceOf(prefix + key, options.metadata, digests)
    const multipart = multipartOf(resource, bytes)
    await options.beforeCommit()
    const object = await api.json({
      ...asked,
      method: 'POST',
      path: uploadPath,
      query: { uploadType: 'multipart', fields: objectFields, ...conditions },
      ...multipart,
      signal: options.signal,
    })
    if (!isObject(object)) throw api.failure('unavailable', 'the upload gave no object', asked)
    return withDigests(entryOf(key, object), digests)
  }

  /** A token that isn't GCS's can't be the present one. */
  async function conditionsFor(key: Key, expect: Token | null, asked: Asked) {
    if (expect === null) return { ifGenerationMatch: '0' }
    const generations = generationsOf(expect)
    if (!generations) {
      const entry = await statFor(key, asked.operation, asked.signal)
      const code = entry || asked.operation === 'write' ? 'changed-meanwhile' : 'not-found'
      throw api.failure(code, `${expect.id} is not the present state`, asked)
    }
    const { generation, metageneration } = generations
    return { ifGenerationMatch: generation, ifMetagenerationMatch: metageneration }
  }

  // ── https://cloud.google.com/storage/docs/json_api/v1/objects/delete ──

  /** Without `generation`: that would delete for good in a versioned bucket. */
  const remove: Connector['remove'] = async (key, expect, { beforeCommit, signal }) => {
    const asked = { operation: 'remove', key, signal }
    expectName(asked)
    if (signal.aborted) throw api.failure('cancelled', 'cancelled', asked)
    const query = await conditionsFor(key, expect, asked)
    await beforeCommit()
    try {
      const { body } = await api.open({ ...asked, method: 'DELETE', path: pathOf(key), query })
      await body.dump()
    } catch (error) {
      if (isCode(error, 'not-found')) await expectRoot(asked)
      const isAbsent = isCode(error, 'changed-meanwhile') && !(await statFor(key, 'remove', signal))
      throw isAbsent ? recoded(api, error, 'not-found', asked, 'changed-meanwhile') : error
    }
  }

  // ── https://cloud.google.com/storage/docs/json_api/v1/objects/rewrite ──

  const copyWithin: Connector['copyWithin'] = async (key, source, expect, options) => {
    const asked = { operation: 'copyWithin', key, signal: options.signal }
    const problem = keyProblem(key, traits.keys)
    if (problem) throw api.failure('cannot-hold', problem, asked)
    const from = generationsOf(source.token)
    const at = sourcePath(source)
    if (!from || !at) throw api.failure('changed-meanwhile', 'the source is not of GCS', asked)
    const query = {
      sourceGeneration: from.generation,
      ifSourceGenerationMatch: from.generation,
      ifSourceMetagenerationMatch: from.metageneration,
      fields: `done,rewriteToken,resource(${objectFields})`,
      ...(await conditionsFor(key, expect, asked)),
    }
    // Without a resource, the source's metadata goes along.
    const { metadata } = options
    const resource = metadata && {
      headers: { 'content-type': 'application/json; charset=UTF-8' },
      body: Buffer.from(JSON.stringify(resourceOf(prefix + key, metadata, {}))),
    }
    let rewriteToken: string | undefined
    for (;;) {
      // A copy between storage classes or regions takes several calls, any of which may be the one
      // that makes it visible.
      await options.beforeCommit()
      const reply = await api
        .json({
          ...asked,
          method: 'POST',
          path: `${at}/rewriteTo${pathOf(key).slice('/storage/v1'.length)}`,
          query: { ...query, rewriteToken },
          ...resource,
        })
        .catch(async (error: unknown) => {
          if (!isCode(error, 'not-found')) throw error
          await expectRoot(asked)
          const present = await source.connector.stat(source.key, options)
          throw present ? recoded(api, error, 'changed-meanwhile', asked) : error
        })
      if (reply.done === true) {
        if (!isObject(reply.resource)) {
          throw api.failure('unavailable', 'the copy gave no object', asked)
        }
        return entryOf(key, reply.resource)
      }
      if (typeof reply.rewriteToken !== 'string') {
        throw api.failure('unavailable', 'the copy neither ended nor goes on', asked)
      }
      rewriteToken = reply.rewriteToken
    }
  }

  return {
    name: context.name,
    traits,
    async identity({ signal }) {
      await expectRoot({ operation: 'identity', signal })
      return `${traits.copyDomain}/${bucket}/${prefix}`
    },
    list,
    stat: (key, { signal }) => statFor(key, 'stat', signal),
    read,
    write,
    remove,
    copyWithin,
    versions: versionsIn(api, bucket, pathOf, statFor),
    async abortUpload(key, state, options) {
      const path = sessionPath(state)
      if (path) await dropSession(api, key, path, options)
    },
    close: () => api.close(),
  }
}

type Asked = Pick<GcsRequest, 'operation' | 'key' | 'signal'>

function traitsOf(
  { bucket, prefix, endpoint }: OptionsOf<'gcs'>,
  context: ConnectorContext,
): Traits {
  // As rules of the whole name: they can only be met by a key at its start.
  const forbidden = ['[\\r\\n]', ...(prefix ? [] : ['^\\.\\.?$', '^\\.well-known/acme-challenge/'])]
  return {
    conditionalCreate: true,
    conditionalOverwrite: true,
    conditionalDelete: true,
    listStart: true,
    listingDigests: ['md5', 'crc32c'],
    listingMetadata: true,
    carriesMetadata: true,
    keys: {
      bytesMax: nameBytesMax,
      prefixBytes: Buffer.byteLength(prefix),
      pathLike: false,
      forbidden: {
        pattern: forbidden.join('|'),
        reason: 'Google Cloud Storage has no such names: no line breaks, not . or ..',
      },
    },
    sizeMax: objectBytesMax,
    copyDomain: `gcs:${endpoint ? new URL(endpoint).origin : 'google'}`,
    copyRoot: `${bucket}/${prefix}`,
    partBytes: chunkBytesFor(context.partBytes),
  }
}

// ── small print ─────────────────────────────────────────────────────────────────────────────────

/** The source's path, by where its location lies in the store. */
function sourcePath({ connector, key }: CopySource): string | null {
  const [, bucket, prefix] = /^([^/]+)\/(.*)$/s.exec(connector.traits.copyRoot ?? '') ?? []
  if (bucket === undefined) return null
  return `/storage/v1/b/${encodeURIComponent(bucket)}/o/${encodeURIComponent(prefix + key)}`
}

function withDigests(entry: Entry, digests: Entry['digests']): Entry {
  return { ...entry, digests: { ...digests, ...entry.digests } }
}
