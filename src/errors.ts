/**
 * The closed list of codes. Code acts on a code, never on a message's text. Two families: what a
 * store answers (`StoreError`), and what a person did or must do (`UserError`).
 */

export const STORE_CODES = [
  /** A definite "there is no such key": an HTTP 404 for the key, ENOENT below an existing root. */
  'not-found',
  /** The token we named isn't the present one: someone wrote, or deleted, meanwhile. */
  'changed-meanwhile',
  /** The bucket, container or folder itself is missing, or isn't the one it was. */
  'root-missing',
  'unauthenticated',
  'denied',
  /** 429, 503 SlowDown: the store asks us to go slower. */
  'throttled',
  /** Connection refused or cut, a time-out, a 5xx: it may work the next time. */
  'unavailable',
  /** This store can't hold this key or this object: length, characters, `a` beside `a/b`, size. */
  'cannot-hold',
  /** The bytes don't match their digest, or a listing is out of order. */
  'corrupt',
  /** Disk full, quota reached. */
  'no-space',
  /** The request was wrong, or the store can't do it: a bug of ours or a setting of theirs. */
  'unsupported',
  /** Our own AbortSignal ended it. */
  'cancelled',
] as const

export type StoreCode = (typeof STORE_CODES)[number]

/** Which codes are worth another try without a person doing something. */
export const RETRIED: Record<StoreCode, boolean> = {
  'not-found': false,
  'changed-meanwhile': false,
  'root-missing': false,
  unauthenticated: false,
  denied: false,
  throttled: true,
  unavailable: true,
  'cannot-hold': false,
  corrupt: true,
  'no-space': false,
  unsupported: false,
  cancelled: false,
}

export interface StoreErrorDetails {
  location: string
  operation: string
  key?: string
  cause?: unknown
}

/** Every failure of a connector is one of these. `message` is the store's own words, for people. */
export class StoreError extends Error {
  override name = 'StoreError'
  readonly code: StoreCode
  readonly location: string
  readonly operation: string
  readonly key: string | undefined

  constructor(code: StoreCode, message: string, details: StoreErrorDetails) {
    super(message, details.cause === undefined ? {} : { cause: details.cause })
    this.code = code
    this.location = details.location
    this.operation = details.operation
    this.key = details.key
  }
}

/** What a process ends with, by the first that applies (design.md, "Decided"). */
export const EXIT = {
  ok: 0,
  failed: 1,
  usage: 2,
  partial: 3,
  conflicts: 4,
  differences: 5,
  unreachable: 6,
  held: 7,
  interrupted: 130,
} as const

/**
 * A mistake or a state that a person can mend. `code` is stable; `where` is a file:line:column, a
 * location or a key; `next` says what to do now.
 */
export class UserError extends Error {
  override name = 'UserError'
  readonly code: string
  readonly where: string | undefined
  readonly next: string | undefined
  readonly exit: number

  constructor(
    code: string,
    message: string,
    details: { where?: string; next?: string; exit?: number; cause?: unknown } = {},
  ) {
    super(message, details.cause === undefined ? {} : { cause: details.cause })
    this.code = code
    this.where = details.where
    this.next = details.next
    this.exit = details.exit ?? EXIT.usage
  }
}
