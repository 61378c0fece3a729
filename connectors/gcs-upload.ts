/**
 * A resumable upload: chunks in order to a session, whose preconditions GCS checks when the last
 * chunk makes the object. https://cloud.google.com/storage/docs/performing-resumable-uploads
 */
import { type StoreCode, StoreError } from '../src/errors.ts'
import { KIB } from '../src/limits.ts'
import type { Digests, Key } from '../src/model.ts'
import type { Body, CallOptions, WriteOptions } from './connector.ts'
import { createDigester, digestProblem, digestsOf, partsOf } from './digests.ts'
import { type GcsApi, type GcsReply, type GcsRequest, parseObject, statusOf } from './gcs-api.ts'
import { type GcsObject, isObject, objectFields, resourceOf, toBase64 } from './gcs-object.ts'

/** Chunks but the last must be multiples of it. */
const chunkQuantum = 256 * KIB
/** How GCS says that it knows no such session. */
const GONE = [404, 410]
/** How long a failed write waits for its session to be dropped, ms: the error shouldn't wait. */
const abortTimeoutMs = 10_000

export function chunkBytesFor(partBytes: number): number {
  return Math.ceil(partBytes / chunkQuantum) * chunkQuantum
}

export interface Upload {
  key: Key
  name: string
  /** Path of the bucket's uploads. */
  path: string
  /** Preconditions of the commit. */
  conditions: Record<string, string | undefined>
  chunkBytes: number
  body: Body
  options: WriteOptions
}

/** What is kept of a session between attempts. `first`: crc32c of the first chunk, which tells
 *  other content at once; a later difference is found by the checksum of the whole. `resource`:
 *  crc32c of the name and metadata that it was begun with, which can't be changed afterwards. */
interface SessionState {
  path: string
  size: number
  first: string
  resource: string
}

interface Session {
  path: string
  /** Bytes that the store has. */
  persisted: number
}

/** Errors after which the next attempt may go on with the bytes that are there. */
const RESUMABLE: StoreCode[] = ['unavailable', 'throttled', 'cancelled', 'unauthenticated']

export async function uploadInChunks(
  api: GcsApi,
  upload: Upload,
): Promise<{ object: GcsObject; digests: Digests }> {
  const { options } = upload
  const opened: { session?: Session } = {}
  try {
    const made = await sendAll(api, upload, opened)
    await options.session?.save(null)
    return made
  } catch (error) {
    const resumable = !(error instanceof StoreError) || RESUMABLE.includes(error.code)
    if (options.session && resumable && !isGone(error)) throw error
    if (opened.session) {
      const signal = AbortSignal.timeout(abortTimeoutMs)
      // The first error is the one to tell; GCS itself drops a session after a week.
      await dropSession(api, upload.key, opened.session.path, { signal }).catch(() => {})
    }
    await options.session?.save(null)
    throw error
  }
}

async function sendAll(api: GcsApi, upload: Upload, opened: { session?: Session }) {
  const { key, options, chunkBytes } = upload
  const { size, digests: given } = options
  const asked = { operation: 'write', key }
  const digester = createDigester({ crc32c: true, md5: !!given.md5, sha256: !!given.sha256 })
  const parts = partsOf(upload.body, chunkBytes)
  let next = await parts.next()
  let at = 0
  while (!next.done) {
    const part = next.value
    digester.update(part)
    if (at + part.length >= size) {
      const ended = at + part.length === size && (await parts.next()).done
      if (!ended) throw api.failure('corrupt', `the body has more than ${size} bytes`, asked)
      const digests = digester.digest()
      const problem = digestProblem(given, digests)
      if (problem) throw api.failure('corrupt', problem, asked)
      opened.session ??= await openSession(api, upload, part)
      return { object: await commit(api, upload, opened.session, part, at, digests), digests }
    }
    opened.session ??= await openSession(api, upload, part)
    // The source is read on while a chunk is under way. Both are waited for: nothing of this
    // upload may still be moving when it is given up.
    const [reading, sending] = await Promise.allSettled([
      parts.next(),
      sendChunk(api, upload, opened.session, part, at, {}),
    ])
    if (reading.status === 'rejected') throw reading.reason
    if (sending.status === 'rejected') throw sending.reason
    next = reading.value
    at += part.length
  }
  throw api.failure('corrupt', `the body has ${at} bytes instead of ${size}`, asked)
}

// ── sessions ────────────────────────────────────────────────────────────────────────────────────

async function openSession(api: GcsApi, upload: Upload, firstPart: Uint8Array): Promise<Session> {
  const { key, options } = upload
  const { metadata, digests, size } = options
  const first = sumOf(firstPart)
  const resource = sumOf(Buffer.from(JSON.stringify(resourceOf(upload.name, metadata, {}))))
  const state = parseState(options.session?.state)
  if (state) {
    const same =
      state.size === size &&
      state.first === first &&
      state.resource === resource &&
      // Of this bucket: the location may have been bound to another one.
      state.path.startsWith(`${upload.path}?`)
    const resumed = same && (await resumeSession(api, upload, state))
    if (resumed) return resumed
    await dropSession(api, key, state.path, options)
  }
  const { headers, body } = await api.open({
    operation: 'write',
    key,
    method: 'POST',
    path: upload.path,
    query: { uploadType: 'resumable', fields: objectFields, ...upload.conditions },
    headers: {
      'content-type': 'application/json; charset=UTF-8',
      'x-upload-content-type': metadata.contentType || 'application/octet-stream',
      'x-upload-content-length': String(options.size),
    },
    body: Buffer.from(JSON.stringify(resourceOf(upload.name, metadata, digests))),
    signal: options.signal,
  })
  await body.dump()
  if (typeof headers.location !== 'string') {
    throw api.failure('unavailable', 'no upload session was given', { operation: 'write', key })
  }
  // Only the path: a stored state must not be able to send content to another host.
  const { pathname, search } = new URL(headers.location)
  const path = pathname + search
  const saved: SessionState = { path, size, first, resource }
  await options.session?.save(JSON.stringify(saved))
  return { path, persisted: 0 }
}

function sumOf(bytes: Uint8Array): string {
  return digestsOf(bytes, { sha256: false, md5: false, crc32c: true }).crc32c ?? ''
}

/** null: the store forgot the session, or it has made its object: whether that is still the present
 *  one is for the precondition of a new upload to say. */
async function resumeSession(
  api: GcsApi,
  { key, options }: Upload,
  state: SessionState,
): Promise<Session | null> {
  const reply = await api.open({
    operation: 'write',
    key,
    method: 'PUT',
    path: state.path,
    headers: { 'content-range': `bytes */${state.size}` },
    accept: [308, 499, ...GONE],
    signal: options.signal,
  })
  await reply.body.dump()
  return reply.status === 308 ? { path: state.path, persisted: persistedIn(reply) } : null
}

export async function dropSession(
  api: GcsApi,
  key: Key,
  path: string,
  { signal }: CallOptions,
): Promise<void> {
  // 499 is how GCS says that it was cancelled.
  const request = { operation: 'abortUpload', key, method: 'DELETE' as const, path, signal }
  const { body } = await api.open({ ...request, accept: [499, ...GONE] })
  await body.dump()
}

export function sessionPath(state: string): string | null {
  return parseState(state)?.path ?? null
}

function parseState(text: string | undefined): SessionState | null {
  if (text === undefined) return null
  const { path, size, first, resource } = (parseObject(text) ?? {}) as Partial<SessionState>
  if (typeof path !== 'string' || !path.startsWith('/upload/')) return null
  if (typeof size !== 'number' || typeof first !== 'string') return null
  return typeof resource === 'string' ? { path, size, first, resource } : null
}

// ── chunks ──────────────────────────────────────────────────────────────────────────────────────

/** Sends what the store doesn't have yet of these bytes; the reply to the last request, null where
 *  there was nothing to send. The store may keep less than a chunk: then the rest is sent again. */
async function sendChunk(
  api: GcsApi,
  { key, options }: Upload,
  session: Session,
  part: Uint8Array,
  at: number,
  headers: Record<string, string>,
): Promise<GcsReply | null> {
  const end = at + part.length
  while (session.persisted < end) {
    const from = session.persisted
    const request: GcsRequest = {
      operation: 'write',
      key,
      method: 'PUT',
      path: session.path,
      headers: { ...headers, 'content-range': `bytes ${from}-${end - 1}/${options.size}` },
      body: part.subarray(from - at),
      accept: [308, ...GONE],
      signal: options.signal,
    }
    const reply = await api.open(request)
    if (reply.status < 300) return reply
    await reply.body.dump()
    if (GONE.includes(reply.status)) {
      const cause = { status: reply.status }
      throw api.failure('unavailable', 'the upload session is gone: begin anew', request, cause)
    }
    session.persisted = persistedIn(reply)
    if (session.persisted <= from) {
      throw api.failure('unavailable', 'the upload makes no progress', request)
    }
  }
  return null
}

async function commit(
  api: GcsApi,
  upload: Upload,
  session: Session,
  part: Uint8Array,
  at: number,
  digests: Digests,
): Promise<GcsObject> {
  const asked = { operation: 'write', key: upload.key }
  const sums = Object.entries({ crc32c: digests.crc32c, md5: digests.md5 })
  const hash = sums.flatMap(([name, hex]) => (hex ? [`${name}=${toBase64(hex)}`] : [])).join(',')
  await upload.options.beforeCommit()
  const reply = await sendChunk(api, upload, session, part, at, { 'x-goog-hash': hash }).catch(
    (error: unknown) => {
      // All else in this upload was accepted when it began: what is refused now is the checksum.
      throw statusOf(error) === 400
        ? api.failure('corrupt', (error as Error).message, asked, error)
        : error
    },
  )
  const object: unknown = await reply?.body.json().catch((error: unknown) => {
    throw api.broken(error, { ...asked, signal: upload.options.signal })
  })
  if (!isObject(object)) throw api.failure('unavailable', 'the upload gave no object', asked)
  if (object.crc32c && object.crc32c !== toBase64(digests.crc32c ?? '')) {
    await removeTorn(api, upload, object)
    throw api.failure('corrupt', 'the object has another checksum than what was sent', asked)
  }
  return object
}

/** Only a store that doesn't heed the checksum of the last chunk comes here. */
async function removeTorn(api: GcsApi, { key, path, options }: Upload, object: GcsObject) {
  const { body } = await api.open({
    operation: 'write',
    key,
    method: 'DELETE',
    path: `${path.replace('/upload', '')}/${encodeURIComponent(object.name)}`,
    query: { ifGenerationMatch: object.generation },
    accept: [404, 412],
    signal: options.signal,
  })
  await body.dump()
}

function persistedIn({ headers }: GcsReply): number {
  const range = /^bytes=0-(\d+)$/.exec(String(headers.range ?? ''))
  return range ? Number(range[1]) + 1 : 0
}

/** The session has ended or is lost: its state is of no more use. */
function isGone(error: unknown): boolean {
  return GONE.includes(statusOf(error))
}
