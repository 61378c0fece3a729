/** Server-side copies: pinned to the source's ETag, conditional on the target's. */
import { GIB, MIB } from '../src/limits.ts'
import type { Metadata, Token } from '../src/model.ts'
import type { CopyOptions, CopySource } from './connector.ts'
import { answered } from './s3-errors.ts'
import { encodePath } from './s3-lean.ts'
import { metadataOf } from './s3-metadata.ts'
import { putWhole, wholeOf } from './s3-put.ts'
import { bodyOf, openObject } from './s3-read.ts'
import { type AskedOf, conditionsOf, type Place, type Store, type Written } from './s3-store.ts'
import {
  begin,
  complete,
  createWindow,
  finishing,
  type Part,
  partBytesFor,
  partsInFlight,
  type Upload,
} from './s3-upload.ts'
import { etagOf, textOf } from './s3-xml.ts'

/** The most that CopyObject copies, bytes:
 *  https://docs.aws.amazon.com/AmazonS3/latest/API/API_CopyObject.html */
const copyBytesMax = 5 * GIB
/** Parts copied inside the store pass nobody's memory, so they are larger. */
const copyPartBytes = 128 * MIB

interface Origin {
  place: Place
  /** The value of x-amz-copy-source. */
  name: string
  token: Token
  size: number
}

/** Gives the target's metadata where it is known: it is the source's unless options have some. */
export async function copyFrom(
  store: Store,
  asked: AskedOf,
  source: CopySource,
  expected: Token | null,
  options: CopyOptions,
): Promise<Written & { metadata: Metadata | undefined }> {
  const { key, size } = source
  const from = originOf(store, asked, source)
  const headersFor = (metadata: Metadata) => store.writeHeaders(asked, asked.key, size, metadata)
  const { copyConditions } = store.provider
  if ((copyConditions || options.ownKey) && size <= copyBytesMax) {
    const headers = {
      ...headersFor(options.metadata ?? {}),
      ...(copyConditions && conditionsOf(expected, copyConditions)),
      'x-amz-metadata-directive': options.metadata ? 'REPLACE' : 'COPY',
    }
    const written = await copyWhole(store, asked, from, headers, options)
    return { ...written, metadata: options.metadata }
  }
  // A CopyObject that ignores its target's state would be a blind write. In parts the condition
  // goes
  // with the completion; a small object's bytes pass through us, so that its ETag stays an md5.
  const taken = { ...asked, key }
  if (size > store.traits.partBytes) {
    const metadata = options.metadata ?? (await metadataAt(store, taken, from))
    const headers = headersFor(metadata)
    return { ...(await copyInParts(store, asked, from, expected, headers, options)), metadata }
  }
  const { entry, reply } = await openObject(store, taken, from.token, undefined, from.place)
  const body = await wholeOf(store, asked, bodyOf(store, taken, reply, entry.size), size)
  const metadata = options.metadata ?? entry.metadata ?? {}
  const headers = headersFor(metadata)
  return { ...(await putWhole(store, asked, body, expected, headers, options)), metadata }
}

/** `copyRoot` is `/bucket/prefix`: the prefix may have slashes, the bucket has none. */
function originOf(store: Store, asked: AskedOf, { connector, key, token, size }: CopySource) {
  const root = connector.traits.copyRoot
  const [, bucket, prefix] = root?.match(/^\/([^/]+)\/(.*)$/s) ?? []
  if (connector.traits.copyDomain !== store.traits.copyDomain || !bucket) {
    throw store.fail(asked, 'unsupported', 'the source is not at this S3')
  }
  const place = { bucket, object: `${prefix}${key}` }
  return { place, name: `/${bucket}/${encodePath(place.object)}`, token, size }
}

async function metadataAt(store: Store, asked: AskedOf, { place, token }: Origin) {
  const headers = { 'if-match': `"${token.id}"` }
  return metadataOf(
    (await store.client.call({ ...asked, method: 'HEAD', ...place, headers })).headers,
  )
}

async function copyWhole(
  store: Store,
  asked: AskedOf,
  source: Origin,
  headers: Record<string, string>,
  { beforeCommit, digests }: CopyOptions,
): Promise<Written> {
  await beforeCommit()
  const {
    status,
    headers: answer,
    text,
  } = await store.client.call({
    ...asked,
    method: 'PUT',
    object: store.object(asked.key),
    headers: {
      ...headers,
      'x-amz-copy-source': source.name,
      'x-amz-copy-source-if-match': `"${source.token.id}"`,
    },
  })
  // S3 answers 200 before the copy is done: only the body says how it ended.
  const etag = etagOf(text)
  const at = Date.parse(textOf(text, 'LastModified') ?? '')
  if (!etag || Number.isNaN(at)) throw answered(store.location, asked, status, answer, text)
  store.etags.heed(answer)
  return { etag, at, digests }
}

async function copyInParts(
  store: Store,
  asked: AskedOf,
  source: Origin,
  expected: Token | null,
  headers: Record<string, string>,
  options: CopyOptions,
): Promise<Written> {
  const wanted = store.traits.partBytes < MIB ? store.traits.partBytes : copyPartBytes
  const upload = await begin(store, asked, headers, partBytesFor(source.size, wanted))
  return finishing(store, upload, undefined, async () => {
    const parts: Part[] = []
    const sending = createWindow(partsInFlight)
    for (let start = 0; start < source.size; start += upload.partBytes) {
      const end = Math.min(start + upload.partBytes, source.size)
      const index = start / upload.partBytes
      await sending.add(async () => {
        parts[index] = await copyPart(store, upload, index + 1, source, { start, end })
      })
    }
    await sending.end()
    const { digests } = options
    const written = await complete(store, upload, parts, expected, digests, options.beforeCommit)
    return { ...written, digests }
  })
}

async function copyPart(
  store: Store,
  upload: Upload,
  number: number,
  source: Origin,
  range: { start: number; end: number },
): Promise<Part> {
  const { status, headers, text } = await store.client.call({
    ...upload.asked,
    method: 'PUT',
    object: store.object(upload.asked.key),
    query: { uploadId: upload.id, partNumber: String(number) },
    headers: {
      'x-amz-copy-source': source.name,
      'x-amz-copy-source-if-match': `"${source.token.id}"`,
      'x-amz-copy-source-range': `bytes=${range.start}-${range.end - 1}`,
    },
  })
  const etag = etagOf(text)
  if (!etag) throw answered(store.location, upload.asked, status, headers, text)
  const crc32c = upload.checksums ? textOf(text, 'ChecksumCRC32C') : undefined
  return { etag, size: range.end - range.start, ...(crc32c && { crc32c }) }
}
