/**
 * Multipart uploads: sent from a stream here, copied inside the store in `s3-copy.ts`. A few parts
 * are in flight, each
 * checked by the store; the write's condition goes with CompleteMultipartUpload.
 */
import { RETRIED, StoreError } from '../src/errors.ts'
import { MIB, partsMax } from '../src/limits.ts'
import type { Digests, Token } from '../src/model.ts'
import type { Body, UploadSession, WriteOptions } from './connector.ts'
import { createDigester, digestProblem, digestsOf, partsOf } from './digests.ts'
import { abortUpload, dropUpload } from './s3-abort.ts'
import { answered, s3CodeOf } from './s3-errors.ts'
import { networkFailure } from './s3-lean.ts'
import { hexToBase64, one } from './s3-metadata.ts'
import { type AskedOf, conditionsOf, type Store, type Written } from './s3-store.ts'
import { bareEtag, completeXml, elements, etagOf, textOf } from './s3-xml.ts'

/** Parts being sent while the next one is filled: what a large write holds of memory, in parts. */
export const partsInFlight = 3
/** How long an upload that failed may take to be dropped, ms: its own signal may have fired. */
const abortTimeoutMs = 10_000

export interface Part {
  etag: string
  size: number
  /** base64, where the upload keeps checksums. */
  crc32c?: string
}

export interface Upload {
  asked: AskedOf
  id: string
  partBytes: number
  /** The store agreed to keep a CRC32C of the whole, and wants each part's. */
  checksums: boolean
  /** By number, what an earlier attempt sent. */
  sent: Map<number, Part>
}

interface State {
  version: 2
  uploadId: string
  partBytes: number
  /** Digest of the headers that it was begun with: metadata can't be changed afterwards. */
  headers: string
}

export function parseState(text: string | undefined): State | null {
  if (text === undefined) return null
  try {
    const state: Partial<State> = JSON.parse(text)
    const { version, uploadId, partBytes, headers } = state
    if (version !== 2 || typeof uploadId !== 'string' || !uploadId) return null
    if (typeof headers !== 'string') return null
    return Number.isSafeInteger(partBytes) ? (state as State) : null
  } catch (error) {
    if (error instanceof SyntaxError) return null
    throw error
  }
}

/** Sends a body in parts; goes on with `options.session` where it can. */
export async function uploadInParts(
  store: Store,
  asked: AskedOf,
  body: Body,
  expected: Token | null,
  headers: Record<string, string>,
  options: WriteOptions,
): Promise<Written> {
  const upload =
    (await resumed(store, asked, headers, options)) ??
    (await begin(store, asked, headers, partBytesFor(options.size, store.traits.partBytes)))
  await options.session?.save(stateOf(upload, headers))
  return finishing(store, upload, options.session, async () => {
    const { parts, digests } = await sendParts(store, upload, body, options)
    const problem = digestProblem(options.digests, digests)
    if (problem) throw store.fail(asked, 'corrupt', problem)
    const written = await complete(store, upload, parts, expected, digests, options.beforeCommit)
    return { ...written, digests }
  })
}

/** S3 takes at most 10,000 parts: https://docs.aws.amazon.com/AmazonS3/latest/userguide/qfacts.html
 * */
export function partBytesFor(size: number, wanted: number): number {
  return size <= wanted * partsMax ? wanted : Math.ceil(size / partsMax / MIB) * MIB
}

function stateOf({ id, partBytes }: Upload, headers: Record<string, string>): string {
  const state: State = { version: 2, uploadId: id, partBytes, headers: headersDigest(headers) }
  return JSON.stringify(state)
}

function headersDigest(headers: Record<string, string>): string {
  const sorted = Object.entries(headers).sort(([a], [b]) => (a < b ? -1 : 1))
  return digestsOf(Buffer.from(JSON.stringify(sorted))).md5 ?? ''
}

export async function begin(
  store: Store,
  asked: AskedOf,
  headers: Record<string, string>,
  partBytes: number,
): Promise<Upload> {
  const wish = { 'x-amz-checksum-algorithm': 'CRC32C', 'x-amz-checksum-type': 'FULL_OBJECT' }
  const reply = await store.client.call({
    ...asked,
    method: 'POST',
    object: store.object(asked.key),
    query: { uploads: '' },
    headers: store.provider.checksums ? { ...headers, ...wish } : headers,
  })
  store.etags.heed(reply.headers)
  const id = textOf(reply.text, 'UploadId')
  if (!id) throw store.fail(asked, 'unavailable', 'the reply names no upload: is this S3?')
  const checksums = one(reply.headers['x-amz-checksum-type']) === 'FULL_OBJECT'
  return { asked, id, partBytes, checksums, sent: new Map() }
}

/** The upload of an earlier attempt with the parts that are there; null: begin a new one. */
async function resumed(
  store: Store,
  asked: AskedOf,
  headers: Record<string, string>,
  options: WriteOptions,
): Promise<Upload | null> {
  const state = parseState(options.session?.state)
  if (!state) return null
  const fits = Math.ceil(options.size / state.partBytes) <= partsMax
  if (!fits || state.headers !== headersDigest(headers)) {
    await dropUpload(store, asked, state.uploadId)
    return null
  }
  const { uploadId: id, partBytes } = state
  const upload: Upload = { asked, id, partBytes, checksums: false, sent: new Map() }
  for (let marker: string | undefined = '0'; marker !== undefined; ) {
    const query = { uploadId: id, 'part-number-marker': marker }
    let text: string
    try {
      const object = store.object(asked.key)
      text = (await store.client.call({ ...asked, method: 'GET', object, query })).text
    } catch (error) {
      if (s3CodeOf(error) === 'NoSuchUpload') return null
      throw error
    }
    upload.checksums = textOf(text, 'ChecksumType') === 'FULL_OBJECT'
    for (const part of elements(text, 'Part')) {
      const etag = etagOf(part)
      upload.sent.set(Number(textOf(part, 'PartNumber')), {
        etag,
        size: Number(textOf(part, 'Size')),
      })
    }
    const more = textOf(text, 'IsTruncated') === 'true'
    const next = more ? textOf(text, 'NextPartNumberMarker') : undefined
    if (next !== undefined && !(Number(next) > Number(marker))) {
      throw store.fail(asked, 'corrupt', 'the list of parts leads back to where it was')
    }
    marker = next
  }
  return upload
}

async function sendParts(
  store: Store,
  upload: Upload,
  body: Body,
  { size, digests: given }: Pick<WriteOptions, 'size' | 'digests'>,
): Promise<{ parts: Part[]; digests: Digests }> {
  // Each part is checked by the store; the whole is hashed again only to be held against a promise.
  const digester = createDigester({
    sha256: !!given.sha256,
    md5: !!given.md5,
    crc32c: !!given.crc32c,
  })
  const parts: Part[] = []
  const sending = createWindow(partsInFlight)
  let total = 0
  let number = 0
  try {
    for await (const bytes of partsOf(body, upload.partBytes)) {
      total += bytes.length
      if (total > size) break
      stopIfCancelled(store, upload.asked)
      digester.update(bytes)
      const own = ++number
      await sending.add(async () => {
        parts[own - 1] = await sendPart(store, upload, own, bytes)
      })
    }
    await sending.end()
  } finally {
    // Whoever aborts the upload, or goes on with it, must not meet a part still on its way.
    await sending.settled()
  }
  stopIfCancelled(store, upload.asked)
  if (total !== size) throw store.fail(upload.asked, 'corrupt', `the body has not ${size} bytes`)
  return { parts, digests: digester.digest() }
}

async function sendPart(
  store: Store,
  upload: Upload,
  number: number,
  bytes: Buffer,
): Promise<Part> {
  const earlier = upload.sent.get(number)
  const isCandidate = earlier?.size === bytes.length
  const sums = digestsOf(bytes, {
    sha256: false,
    crc32c: upload.checksums,
    md5: isCandidate || !upload.checksums,
  })
  const crc32c = sums.crc32c && hexToBase64(sums.crc32c)
  const part = { size: bytes.length, ...(crc32c && { crc32c }) }
  // Under SSE-KMS a part's ETag isn't its md5: then it is just sent again.
  if (isCandidate && earlier.etag === sums.md5) return { ...part, etag: earlier.etag }
  const check: Record<string, string> = crc32c
    ? { 'x-amz-checksum-crc32c': crc32c }
    : { 'content-md5': hexToBase64(sums.md5 ?? '') }
  const reply = await store.client.call({
    ...upload.asked,
    method: 'PUT',
    object: store.object(upload.asked.key),
    query: { uploadId: upload.id, partNumber: String(number) },
    headers: check,
    body: bytes,
  })
  const etag = bareEtag(one(reply.headers.etag) ?? '')
  if (!etag) throw store.fail(upload.asked, 'unavailable', 'the part has no ETag: is this S3?')
  return { ...part, etag }
}

/** The one request that makes it visible. S3 answers 200 before it knows: the body says. */
export async function complete(
  store: Store,
  upload: Upload,
  parts: Part[],
  expected: Token | null,
  digests: Digests,
  beforeCommit: () => Promise<void>,
): Promise<{ etag: string; at: number | undefined }> {
  const { asked, id } = upload
  const body = Buffer.from(completeXml(parts))
  const whole = upload.checksums && digests.crc32c
  await beforeCommit()
  const { status, headers, text } = await store.client.call({
    ...asked,
    method: 'POST',
    object: store.object(asked.key),
    query: { uploadId: id },
    headers: {
      ...(store.provider.conditionalWrite && conditionsOf(expected)),
      ...(whole && {
        'x-amz-checksum-crc32c': hexToBase64(whole),
        'x-amz-checksum-type': 'FULL_OBJECT',
      }),
    },
    body,
    sha256: digestsOf(body).sha256 ?? '',
  })
  const etag = etagOf(text)
  if (!etag || !text.includes('</CompleteMultipartUploadResult>')) {
    throw answered(store.location, asked, status, headers, text)
  }
  return { etag, at: await timeOf(store, asked, etag) }
}

/** LastModified of a completed upload may be when it began, and only a head tells. The write is
 *  done: without an answer the token has no time, and the next listing gives it. */
async function timeOf(store: Store, asked: AskedOf, etag: string) {
  try {
    const headers = await store.head(asked)
    const entry = headers && store.entry(asked, headers)
    return entry?.token.id === etag ? entry.modifiedAt : undefined
  } catch (error) {
    if (error instanceof StoreError) return undefined
    throw error
  }
}

/** Runs an upload to its end; on failure leaves it for a retry to go on with, or drops it. */
export async function finishing(
  store: Store,
  upload: Upload,
  session: UploadSession | undefined,
  run: () => Promise<Written>,
): Promise<Written> {
  try {
    const written = await run()
    await session?.save(null)
    return written
  } catch (error) {
    if (session && isWorthKeeping(error)) throw error
    const { key } = upload.asked
    const signal = AbortSignal.timeout(abortTimeoutMs)
    try {
      // A part that was cut off by a cancel may land late.
      const drop = upload.asked.signal.aborted ? dropUpload : abortUpload
      await drop(store, { operation: 'abort', key, signal }, upload.id)
    } catch (left) {
      // The error that ended the upload is what matters. A session that isn't ended stays in the
      // catalog, and is aborted from there.
      if (left instanceof StoreError) throw error
      throw left
    }
    await session?.save(null)
    throw error
  }
}

/** Parts are worth keeping where a retry would send the same: not where the upload itself is spent
 *  or the content is wrong. Who is cancelled may be paused: whether it goes on is the caller's. */
function isWorthKeeping(error: unknown): boolean {
  if (!(error instanceof StoreError)) return true
  const spent = ['ConditionalRequestConflict', 'OperationAborted', 'NoSuchUpload', 'InvalidPart']
  if (error.code === 'cancelled') return true
  return RETRIED[error.code] && error.code !== 'corrupt' && !spent.includes(s3CodeOf(error))
}

function stopIfCancelled(store: Store, asked: AskedOf): void {
  if (asked.signal.aborted) throw networkFailure(store.location, asked, asked.signal.reason)
}

/** At most `size` tasks at a time; the first failure is told by the next `add`, or by `end`. */
export function createWindow(size: number) {
  const running = new Set<Promise<void>>()
  let failed: { error: unknown } | undefined
  return {
    async add(task: () => Promise<void>): Promise<void> {
      while (running.size >= size) await Promise.race(running)
      if (failed) throw failed.error
      const run: Promise<void> = task()
        .catch((error: unknown) => {
          failed ??= { error }
        })
        .finally(() => running.delete(run))
      running.add(run)
    },
    async end(): Promise<void> {
      await Promise.all(running)
      if (failed) throw failed.error
    },
    async settled(): Promise<void> {
      await Promise.all(running)
    },
  }
}
