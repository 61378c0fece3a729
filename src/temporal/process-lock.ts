/**
 * An exclusive lock on a file, between processes, that dies with its holder: kill -9, a crash and a
 * reused pid leave nothing stale. Node has no flock; SQLite's locks are the kernel's own, so a
 * transaction that is never ended is one. Nothing is written into the file.
 *
 * Trap: POSIX drops a process's locks on a file when the process closes *any* descriptor of it. So
 * nothing else may open a lock file, not even to read it; what is worth telling goes into another.
 */
import { existsSync, mkdirSync } from 'node:fs'
import { dirname } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { UserError } from '../errors.ts'

/** SQLITE_BUSY: another connection holds the lock. */
const busy = 5

/** SQLITE_NOTADB: somebody wrote something else into it. */
const noDatabase = 26

/** Keeps the connections reachable: a collected one would give its lock back. */
const held = new Set<DatabaseSync>()

function isBusy(error: unknown): boolean {
  return error instanceof Error && 'errcode' in error && error.errcode === busy
}

function damagedOr(error: unknown, file: string): unknown {
  if (!(error instanceof Error && 'errcode' in error && error.errcode === noDatabase)) return error
  return new UserError('lock-damaged', `${file} is no lock of Tidemark’s`, {
    where: file,
    next: 'Remove it, when no process of Tidemark runs with this folder.',
    cause: error,
  })
}

/**
 * Takes the lock and answers the function that gives it back, or null where another holds it.
 * `patience`: ms to wait for it, blocking; a look by `isLocked` may hold it for an instant.
 */
export function takeLock(file: string, patience = 500): (() => void) | null {
  mkdirSync(dirname(file), { recursive: true })
  const database = new DatabaseSync(file, { timeout: patience })
  try {
    // In memory: a holder that was killed would leave a journal beside the file.
    database.exec('PRAGMA journal_mode = MEMORY')
    database.exec('BEGIN EXCLUSIVE')
  } catch (error) {
    database.close()
    if (isBusy(error)) return null
    throw damagedOr(error, file)
  }
  held.add(database)
  return () => {
    if (held.delete(database)) database.close()
  }
}

/** Whether some process (this one too) holds the lock now. */
export function isLocked(file: string): boolean {
  if (!existsSync(file)) return false
  const database = new DatabaseSync(file, { timeout: 0, readOnly: true })
  try {
    database.prepare('SELECT count(*) FROM sqlite_schema').get()
    return false
  } catch (error) {
    if (isBusy(error)) return true
    throw damagedOr(error, file)
  } finally {
    database.close()
  }
}
