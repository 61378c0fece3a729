/**
 * S3 and its kin: AWS, MinIO, R2, B2, Wasabi, versitygw (their differences: `PROVIDERS`). The SDK
 * is
 * asked where a bucket is and who we are; every request is our own (`s3-lean.ts`).
 * https://docs.aws.amazon.com/AmazonS3/latest/API/API_Operations_Amazon_Simple_Storage_Service.html
 */
import type { Entry, Key, Metadata, Token } from '../src/model.ts'
import type { Connector, ConnectorContext, WriteOptions } from './connector.ts'
import type { OptionsOf } from './options.ts'
import { dropUpload } from './s3-abort.ts'
import { copyFrom } from './s3-copy.ts'
import { failure, recoded } from './s3-errors.ts'
import { listPages } from './s3-list.ts'
import { asStored } from './s3-metadata.ts'
import { putWhole, wholeOf } from './s3-put.ts'
import { bodyOf, openObject } from './s3-read.ts'
import {
  type AskedOf,
  conditionsOf,
  createStore,
  oneKey,
  type Store,
  type Written,
} from './s3-store.ts'
import { resolveTarget } from './s3-target.ts'
import { parseState, uploadInParts } from './s3-upload.ts'
import { versionsIn } from './s3-versions.ts'

/** Throws `unsupported` where no region or profile is found, or the bucket has no order. */
export async function create(
  options: OptionsOf<'s3'>,
  context: ConnectorContext,
): Promise<Connector> {
  const asked = { operation: 'connect' }
  // https://docs.aws.amazon.com/AmazonS3/latest/userguide/s3-express-differences.html
  if (options.bucket.endsWith('--x-s3')) {
    throw failure(context.name, asked, 'unsupported', 'a directory bucket lists without order')
  }
  const target = await resolveTarget(options).catch((error: unknown) => {
    const words = error instanceof Error ? error.message : String(error)
    throw failure(context.name, asked, 'unsupported', words, error)
  })
  const store = createStore(options, target, context)
  const { client, provider, traits } = store

  return {
    name: context.name,
    traits,

    async identity({ signal }) {
      await client.call({ operation: 'identity', signal, ...oneKey(store.prefix) })
      return `s3:${store.place}/${store.bucket}/${store.prefix}`
    },

    list: (range, resume, { signal }) => listPages(store, range, resume, signal),

    async stat(key, { signal }) {
      const asked = { operation: 'stat', key, signal }
      if (!key.isWellFormed()) return null
      const headers = await store.head(asked)
      return headers && store.entry(asked, headers)
    },

    async read(key, token, range, { signal }) {
      const asked = { operation: 'read', key, signal }
      const { entry, reply } = await openObject(store, asked, token, range)
      const bytes = range ? Math.max(0, range.end - range.start) : entry.size
      return { entry, body: bodyOf(store, asked, reply, bytes) }
    },

    async write(key, body, expected, options) {
      const { signal, size, metadata } = options
      const asked = { operation: 'write', key, signal }
      const headers = store.writeHeaders(asked, key, size, metadata)
      const guarded = { ...options, beforeCommit: guardOf(store, asked, expected, options) }
      const write = async () => {
        if (size > traits.partBytes) {
          return uploadInParts(store, asked, body, expected, headers, guarded)
        }
        const whole = await wholeOf(store, asked, body, size)
        return putWhole(store, asked, whole, expected, headers, guarded)
      }
      const written = await write().catch(missingMeansChanged(expected))
      return entryOf(store, key, size, written, metadata)
    },

    async remove(key, expected, { signal, beforeCommit }) {
      const asked = { operation: 'remove', key, signal }
      await beforeCommit()
      if (!provider.conditionalDelete || !provider.deleteTellsAbsence) {
        await store.expectNow(asked, expected)
      }
      const headers = provider.conditionalDelete ? conditionsOf(expected) : {}
      await client.call({ ...asked, method: 'DELETE', object: store.object(key), headers })
    },

    async copyWithin(key, source, expected, options) {
      const asked = { operation: 'copy', key, signal: options.signal }
      const guard = options.ownKey ? options.beforeCommit : guardOf(store, asked, expected, options)
      const guarded = { ...options, beforeCommit: guard }
      const copying = copyFrom(store, asked, source, expected, guarded)
      const written = await copying.catch((error: unknown) => {
        // A 404 may be the source's or the target's: either way not what was planned.
        throw recoded(error, 'not-found', 'changed-meanwhile')
      })
      return entryOf(store, key, source.size, written, written.metadata)
    },

    async abortUpload(key, state, { signal }) {
      const parsed = parseState(state)
      if (parsed) await dropUpload(store, { operation: 'abort', key, signal }, parsed.uploadId)
    },

    versions: versionsIn(store),

    close: () => client.close(),
  }
}

/** Where the store can't check the condition, we look just before: what remains is a window. */
function guardOf(
  store: Store,
  asked: AskedOf,
  expected: Token | null,
  { beforeCommit }: Pick<WriteOptions, 'beforeCommit'>,
): () => Promise<void> {
  if (store.provider.conditionalWrite) return beforeCommit
  return async () => {
    await beforeCommit()
    await store.expectNow(asked, expected)
  }
}

/** An If-Match write to a missing key is a 404 (NoSuchKey), not a 412. */
function missingMeansChanged(expected: Token | null) {
  return (error: unknown): never => {
    throw expected === null ? error : recoded(error, 'not-found', 'changed-meanwhile')
  }
}

function entryOf(
  store: Store,
  key: Key,
  size: number,
  { etag, at, digests }: Written,
  metadata: Metadata | undefined,
): Entry {
  return {
    key,
    token: { id: etag, ...(at !== undefined && { at }) },
    size,
    modifiedAt: at ?? Date.now(),
    digests: { ...store.etags.digests(etag), ...digests },
    ...(metadata && { metadata: asStored(metadata) }),
  }
}
