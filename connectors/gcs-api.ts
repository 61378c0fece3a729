/**
 * One authorised request to GCS's JSON API over undici; Google's SDK is used for credentials alone.
 * It retries nothing but a read whose kept-alive connection had gone, and every failure is a
 * StoreError. https://cloud.google.com/storage/docs/json_api/v1/status-codes
 */
import { type Dispatcher, Pool } from 'undici'
import { type StoreCode, StoreError } from '../src/errors.ts'
import type { Key } from '../src/model.ts'
import type { OptionsOf } from './options.ts'
import { wholeText } from './reply-body.ts'

export interface GcsRequest {
  operation: string
  key?: Key
  method: 'GET' | 'PUT' | 'POST' | 'DELETE'
  /** Encoded; `query` is added to it. */
  path: string
  query?: Record<string, string | number | undefined>
  headers?: Record<string, string>
  body?: Uint8Array
  /** Statuses beside 2xx that the caller wants to see. */
  accept?: number[]
  signal: AbortSignal
}

export interface GcsReply {
  status: number
  headers: Record<string, string | string[] | undefined>
  body: Dispatcher.ResponseData['body']
}

/** What the store said, kept as a StoreError's cause. `definite`: in Google's own words, not a
 *  proxy's. */
export interface GcsAnswer {
  status: number
  reason: string
  definite: boolean
}

export interface GcsApi {
  open(request: GcsRequest): Promise<GcsReply>
  /** The reply's JSON, an object; anything else is `unavailable`. */
  json(request: GcsRequest): Promise<Record<string, unknown>>
  failure(
    code: StoreCode,
    message: string,
    asked: { operation: string; key?: Key },
    cause?: unknown,
  ): StoreError
  /** The error to throw for one met below HTTP: in a reply's body, or on the way. */
  broken(error: unknown, request: Pick<GcsRequest, 'operation' | 'key' | 'signal'>): StoreError
  close(): Promise<void>
}

export const googleEndpoint = 'https://storage.googleapis.com'
/** Establishing a connection, ms: a firewall that drops packets should not hold a transfer. */
const connectTimeoutMs = 10_000
/** Until the reply's head, ms: a rewrite call takes up to 30 s before it answers with a token. */
const headersTimeoutMs = 120_000
/** Between two pieces of a body, ms. */
const bodyTimeoutMs = 60_000

/** `reason`s that say more than their status. */
const REASONS: Record<string, StoreCode> = {
  rateLimitExceeded: 'throttled',
  userRateLimitExceeded: 'throttled',
  dailyLimitExceeded: 'throttled',
  uploadTooLarge: 'cannot-hold',
  conditionNotMet: 'changed-meanwhile',
}

export async function createGcsApi(
  options: OptionsOf<'gcs'>,
  settings: { location: string; connections: number },
): Promise<GcsApi> {
  const endpoint = new URL(options.endpoint ?? googleEndpoint)
  const authorize = await createAuthorizer(options)
  const pool = new Pool(endpoint.origin, {
    connections: settings.connections,
    connect: { timeout: connectTimeoutMs },
    headersTimeout: headersTimeoutMs,
    bodyTimeout: bodyTimeoutMs,
  })

  const failure: GcsApi['failure'] = (code, message, { operation, key }, cause) =>
    new StoreError(code, message, {
      location: settings.location,
      operation,
      ...(key !== undefined && { key }),
      ...(cause !== undefined && { cause }),
    })

  const broken: GcsApi['broken'] = (error, request) => {
    if (error instanceof StoreError) return error
    const code = request.signal.aborted ? 'cancelled' : 'unavailable'
    return failure(code, words(error), request, error)
  }

  async function headersFor(request: GcsRequest): Promise<Record<string, string>> {
    try {
      return { ...request.headers, ...(await authorize()) }
    } catch (error) {
      throw failure(credentialCode(error), `no credentials: ${words(error)}`, request, error)
    }
  }

  async function send(request: GcsRequest, again = false): Promise<GcsReply> {
    if (request.signal.aborted) throw failure('cancelled', 'cancelled', request)
    const headers = await headersFor(request)
    try {
      const reply = await pool.request({
        method: request.method,
        path: request.path + queryString(request.query),
        headers,
        body: request.body ?? null,
        signal: request.signal,
      })
      return { status: reply.statusCode, headers: reply.headers, body: reply.body }
    } catch (error) {
      const stale = !again && request.method === 'GET' && isStaleConnection(error)
      if (stale && !request.signal.aborted) return send(request, true)
      throw broken(error, request)
    }
  }

  async function textOf(reply: GcsReply, request: GcsRequest): Promise<string> {
    try {
      return await wholeText(reply.body)
    } catch (error) {
      throw broken(error, request)
    }
  }

  async function open(request: GcsRequest): Promise<GcsReply> {
    const reply = await send(request)
    const { status } = reply
    if ((status >= 200 && status < 300) || request.accept?.includes(status)) return reply
    const { answer, message } = answerOf(status, await textOf(reply, request))
    throw failure(codeOf(answer), message, request, answer)
  }

  return {
    open,
    async json(request) {
      const text = await textOf(await open(request), request)
      const value = parseObject(text)
      if (!value) throw failure('unavailable', 'the reply is not a JSON object', request)
      return value
    },
    failure,
    broken,
    close: () => pool.destroy(),
  }
}

/** Gives the headers to send; Google's library keeps the token, and renews it before it ends. */
async function createAuthorizer(options: OptionsOf<'gcs'>) {
  if (options.anonymous) return async () => ({})
  // Loaded here alone: it takes a third of a second.
  const { Storage } = await import('@google-cloud/storage')
  const { authClient } = new Storage({
    ...(options['key-file'] !== undefined && { keyFilename: options['key-file'] }),
    ...(options['project-id'] !== undefined && { projectId: options['project-id'] }),
  })
  return async () => Object.fromEntries(await authClient.getRequestHeaders())
}

// ── what an answer means ────────────────────────────────────────────────────────────────────────

function answerOf(status: number, text: string): { answer: GcsAnswer; message: string } {
  const error = parseObject(text)?.error as
    | { code?: unknown; message?: unknown; errors?: { reason?: unknown }[] }
    | undefined
  const reason = error?.errors?.[0]?.reason
  return {
    answer: {
      status,
      reason: typeof reason === 'string' ? reason : '',
      definite: error?.code === status,
    },
    message: typeof error?.message === 'string' ? error.message : `HTTP ${status}`,
  }
}

function codeOf({ status, reason, definite }: GcsAnswer): StoreCode {
  const known = REASONS[reason]
  if (known) return known
  if (status === 401) return 'unauthenticated'
  if (status === 403) return 'denied'
  // A 404 that isn't Google's own isn't a definite absence: some proxy may have said it.
  if (status === 404) return definite ? 'not-found' : 'unavailable'
  if (status === 412 || status === 304) return 'changed-meanwhile'
  if (status === 413) return 'cannot-hold'
  if (status === 429) return 'throttled'
  if (status === 507) return 'no-space'
  if (status === 408 || status === 409 || status === 410 || status >= 500) return 'unavailable'
  return 'unsupported'
}

/** The HTTP status that GCS gave with this error; 0 where it gave none. */
export function statusOf(error: unknown): number {
  if (!(error instanceof StoreError)) return 0
  return (error.cause as Partial<GcsAnswer> | undefined)?.status ?? 0
}

export function isCode(error: unknown, code: StoreCode, operation?: string): boolean {
  if (!(error instanceof StoreError) || error.code !== code) return false
  return operation === undefined || error.operation === operation
}

/** The same failure under another code, where the operation knows better what it means. */
export function recoded(
  api: GcsApi,
  error: unknown,
  code: StoreCode,
  asked: { operation: string; key?: Key },
  from: StoreCode = 'not-found',
): unknown {
  if (!isCode(error, from)) return error
  return api.failure(code, (error as Error).message, asked, (error as Error).cause)
}

/** Whether the credentials' own server could not be reached, or there are none that it takes. */
function credentialCode(error: unknown): StoreCode {
  const { status, response, code } = error as {
    status?: number
    response?: { status?: number }
    code?: string | number
  }
  const said = response?.status ?? status
  if (said !== undefined) return said === 429 || said >= 500 ? 'unavailable' : 'unauthenticated'
  return typeof code === 'string' && NETWORK.has(code) ? 'unavailable' : 'unauthenticated'
}

const NETWORK = new Set(['ECONNREFUSED', 'ECONNRESET', 'ETIMEDOUT', 'ENOTFOUND', 'EAI_AGAIN'])

/** The server closed a connection that had served before, as our request was on its way: it says
 *  nothing of the store, and a read may be sent again on a new connection. */
function isStaleConnection(error: unknown): boolean {
  const { code, socket } = error as { code?: string; socket?: { bytesRead?: number } }
  return code === 'UND_ERR_SOCKET' && (socket?.bytesRead ?? 0) > 0
}

/** null: not JSON, not an object, or with a field twice: of two, JSON.parse takes the last. */
export function parseObject(text: string): Record<string, unknown> | null {
  try {
    const value: unknown = JSON.parse(text)
    const isObject = typeof value === 'object' && value !== null && !Array.isArray(value)
    if (!isObject || fieldsWritten(text) !== fieldsIn(value)) return null
    return value as Record<string, unknown>
  } catch (error) {
    if (error instanceof SyntaxError) return null
    throw error
  }
}

function fieldsWritten(text: string): number {
  let count = 0
  for (const [, colon] of text.matchAll(/"(?:[^"\\]|\\.)*"\s*(:?)/g)) if (colon) count++
  return count
}

/** Without recursion: what nests too deep for the stack would be no answer of this file's. */
function fieldsIn(value: unknown): number {
  let count = 0
  const left = [value]
  for (let one = left.pop(); one !== undefined; one = left.pop()) {
    if (typeof one !== 'object' || one === null) continue
    const parts: unknown[] = Object.values(one)
    if (!Array.isArray(one)) count += parts.length
    for (const part of parts) left.push(part)
  }
  return count
}

function queryString(query: GcsRequest['query'] = {}): string {
  const pairs = Object.entries(query).flatMap(([name, value]) =>
    value === undefined ? [] : [`${name}=${encodeURIComponent(value)}`],
  )
  return pairs.length === 0 ? '' : `?${pairs.join('&')}`
}

function words(error: unknown): string {
  return error instanceof Error ? error.message || error.name : String(error)
}
