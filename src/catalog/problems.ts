/** What an engine answers, as codes that a person can act on. */
import { EXIT, UserError } from '../errors.ts'

interface Problem {
  code: string
  message: string
  next: string
  exit: number
}

const unreachable: Problem = {
  code: 'catalog-unreachable',
  message: 'The catalog’s database doesn’t answer.',
  next: 'Check that it is running, and that the address in `catalog:` is right.',
  exit: EXIT.unreachable,
}
const unopened: Problem = {
  ...unreachable,
  message: 'The catalog’s file can’t be opened or written.',
  next: 'Check that its folder exists, and that this user may write there.',
}
const denied: Problem = {
  code: 'catalog-denied',
  message: 'The catalog’s database refuses this user or knows no such database.',
  next: 'Check user, password and database in `catalog:`; the user must be able to make tables.',
  exit: EXIT.usage,
}
const busy: Problem = {
  code: 'catalog-busy',
  message: 'Another process has kept the catalog locked.',
  next: 'End the other process that uses this state folder, then try again.',
  exit: EXIT.unreachable,
}
const full: Problem = {
  code: 'catalog-full',
  message: 'There is no space left for the catalog.',
  next: 'Free some space where it lies, then try again: nothing that was committed is lost.',
  exit: EXIT.failed,
}
const damaged: Problem = {
  code: 'catalog-damaged',
  message: 'The catalog isn’t a database, or is damaged.',
  next: 'Restore it from a backup, or move it away: then the next sync compares all content anew.',
  exit: EXIT.failed,
}
const text: Problem = {
  code: 'catalog-text',
  message: 'The catalog can’t hold a text: it has a NUL character or is not valid Unicode.',
  next: 'Rename the key that has it.',
  exit: EXIT.failed,
}
const foreign: Problem = {
  code: 'catalog-foreign',
  message: 'The database has tables of something else.',
  next: 'Give Tidemark a database of its own.',
  exit: EXIT.usage,
}

/** https://sqlite.org/rescode.html: the primary codes. */
const sqliteProblems: Record<number, Problem> = {
  3: unopened, // PERM
  5: busy, // BUSY
  8: unopened, // READONLY
  10: unopened, // IOERR
  11: damaged, // CORRUPT
  13: full, // FULL
  14: unopened, // CANTOPEN
  26: damaged, // NOTADB
}

/** https://www.postgresql.org/docs/current/errcodes-appendix.html: a code, or its class. */
const sqlStateProblems: Record<string, Problem> = {
  '08': unreachable,
  '28': denied,
  '3D': denied,
  '42501': denied,
  '42P07': foreign,
  '53': unreachable,
  '53100': full,
  '55000': unreachable, // it takes no connections now
  '57P': unreachable,
  '22021': text,
  '22P05': text,
  XX001: damaged,
  XX002: damaged,
}

/** Node's codes of a connection that can't be made or was cut. */
const networkCodes = new Set([
  ...['ECONNREFUSED', 'ECONNRESET', 'ECONNABORTED', 'EPIPE', 'ETIMEDOUT'],
  ...['EHOSTUNREACH', 'ENETUNREACH', 'ENOTFOUND', 'EAI_AGAIN', 'ENOENT', 'EACCES'],
])

/** SQLite's primary result code of an error of node:sqlite; null for another error. */
export function sqliteCode(error: unknown): number | null {
  if (!(error instanceof Error) || !('errcode' in error)) return null
  return typeof error.errcode === 'number' ? error.errcode & 0xff : null
}

export function hasSqlState(error: unknown, state: string): boolean {
  return error instanceof Error && 'code' in error && error.code === state
}

/** The error as a person should see it; what isn't the database's stays what it is. */
export function catalogProblem(error: unknown, where: string): unknown {
  if (!(error instanceof Error) || error instanceof UserError) return error
  const problem = problemOf(error)
  if (!problem) return error
  const { code, message, next, exit } = problem
  return new UserError(code, `${message} (${error.message})`, { where, next, exit, cause: error })
}

function problemOf(error: Error): Problem | undefined {
  const primary = sqliteCode(error)
  if (primary !== null) return sqliteProblems[primary]
  if (!('code' in error) || typeof error.code !== 'string') return undefined
  const { code } = error
  if (networkCodes.has(code)) return unreachable
  return (
    sqlStateProblems[code] ??
    sqlStateProblems[code.slice(0, 3)] ??
    sqlStateProblems[code.slice(0, 2)]
  )
}

/** A connection that pg lost or couldn't make: such an error of its own has no code. */
export function connectionLost(cause: Error): UserError {
  const { code, message, next, exit } = unreachable
  return new UserError(code, `${message} (${cause.message})`, { next, exit, cause })
}
