/** S3's answers as our codes. By `<Code>`, else by status; never by the words of a message. */
import { type StoreCode, StoreError } from '../src/errors.ts'
import type { Key } from '../src/model.ts'
import { type Headers, one } from './s3-metadata.ts'
import { wordsOf } from './s3-xml.ts'

/** What the store said, kept as a StoreError's cause. `code` is empty where the reply had no body.
 * */
export interface Answer {
  status: number
  code: string
  requestId: string | undefined
}

export interface Asked {
  operation: string
  key?: Key
}

// https://docs.aws.amazon.com/AmazonS3/latest/API/ErrorResponses.html, and those of MinIO and
// versitygw where they have their own.
const CODES: Record<string, StoreCode> = {
  NoSuchKey: 'not-found',
  NoSuchVersion: 'not-found',
  NoSuchBucket: 'root-missing',
  PreconditionFailed: 'changed-meanwhile',
  SignatureDoesNotMatch: 'unauthenticated',
  InvalidAccessKeyId: 'unauthenticated',
  ExpiredToken: 'unauthenticated',
  InvalidToken: 'unauthenticated',
  TokenRefreshRequired: 'unauthenticated',
  InvalidSecurity: 'unauthenticated',
  MissingSecurityHeader: 'unauthenticated',
  AccessDenied: 'denied',
  AllAccessDisabled: 'denied',
  AccountProblem: 'denied',
  SlowDown: 'throttled',
  Throttling: 'throttled',
  ThrottlingException: 'throttled',
  RequestLimitExceeded: 'throttled',
  TooManyRequests: 'throttled',
  BandwidthLimitExceeded: 'throttled',
  // 409: two conditional writes met. Neither says what is there now, so the engine looks again.
  ConditionalRequestConflict: 'unavailable',
  OperationAborted: 'unavailable',
  // The upload we go on with was aborted or completed by someone: a retry begins a new one.
  NoSuchUpload: 'unavailable',
  InternalError: 'unavailable',
  ServiceUnavailable: 'unavailable',
  RequestTimeout: 'unavailable',
  IncompleteBody: 'unavailable',
  RequestTimeTooSkewed: 'unavailable',
  BadDigest: 'corrupt',
  InvalidDigest: 'corrupt',
  XAmzContentSHA256Mismatch: 'corrupt',
  XAmzContentChecksumMismatch: 'corrupt',
  KeyTooLongError: 'cannot-hold',
  EntityTooLarge: 'cannot-hold',
  MetadataTooLarge: 'cannot-hold',
  XMinioInvalidObjectName: 'cannot-hold',
  XMinioParentIsObject: 'cannot-hold',
  XMinioObjectExistsAsDirectory: 'cannot-hold',
  ObjectParentIsFile: 'cannot-hold',
  ExistingObjectIsDirectory: 'cannot-hold',
  DirectoryObjectContainsData: 'cannot-hold',
  QuotaExceeded: 'no-space',
  XMinioStorageFull: 'no-space',
}

function codeOf({ status, code }: Answer): StoreCode {
  const known = CODES[code]
  if (known) return known
  // A success with something else in it: a proxy's page, or a copy that failed half-way.
  if (status < 300) return 'unavailable'
  if (status === 401) return 'unauthenticated'
  if (status === 403) return 'denied'
  if (status === 412) return 'changed-meanwhile'
  if (status === 429) return 'throttled'
  if (status === 507) return 'no-space'
  // A 404 that doesn't say NoSuchKey isn't a definite absence: some proxy may have said it.
  if (status === 404 || status === 409 || status >= 500) return 'unavailable'
  return 'unsupported'
}

/** The error for a reply that isn't a success; `body` is its text, if it has one. */
export function answered(
  location: string,
  asked: Asked,
  status: number,
  headers: Headers,
  body: string,
): StoreError {
  const isError = body.includes('<Error>') && body.includes('</Error>')
  const code = (isError && wordsOf(body, 'Code')) || ''
  const answer: Answer = { status, code, requestId: one(headers['x-amz-request-id']) }
  const region = one(headers['x-amz-bucket-region'])
  const words = (isError && wordsOf(body, 'Message')) || `HTTP ${status}`
  const elsewhere = status >= 300 && status < 400 && region ? `; the bucket is in ${region}` : ''
  return failure(location, asked, codeOf(answer), `${code} ${words}${elsewhere}`.trim(), answer)
}

export function failure(
  location: string,
  { operation, key }: Asked,
  code: StoreCode,
  message: string,
  cause?: unknown,
): StoreError {
  const details = { location, operation, ...(key !== undefined && { key }) }
  return new StoreError(code, message, cause === undefined ? details : { ...details, cause })
}

/** The `<Code>` that S3 gave with this error; '' where it gave none. */
export function s3CodeOf(error: unknown): string {
  if (!(error instanceof StoreError)) return ''
  return (error.cause as Answer | undefined)?.code ?? ''
}

/** The same failure under another code: where the operation knows better what it means. */
export function recoded(error: unknown, from: StoreCode, to: StoreCode): unknown {
  if (!(error instanceof StoreError) || error.code !== from) return error
  return failure(
    error.location,
    { operation: error.operation, ...(error.key !== undefined && { key: error.key }) },
    to,
    error.message,
    error.cause,
  )
}
