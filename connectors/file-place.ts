/** A folder as a location: paths that never leave it, tokens, and what an errno means here. */

import type { BigIntStats } from 'node:fs'
import { constants, lstatSync, readdirSync, readFileSync, realpathSync, statSync } from 'node:fs'
import { type StoreCode, StoreError } from '../src/errors.ts'
import { unsettledMs } from '../src/limits.ts'
import type { Entry, Key, Token } from '../src/model.ts'
import { keyProblem } from '../src/sync/keys.ts'
import type { Traits } from './connector.ts'

export interface FilePlace {
  location: string
  /** Absolute; may itself be a symbolic link. */
  root: string
  traits: Traits
  pageKeys: number
  /** The root as it was found first, so that a lost mount isn't taken for an empty folder. */
  seen: Seen | undefined
  /** Whether two spellings name one file here; undefined: not probed yet. */
  folds: boolean | undefined
  /** Folders that were made but aren't durable yet, by path. */
  fresh: Map<string, Promise<void>>
  /** Reading once took so long that the thread pool does it from now on. */
  slowReads: boolean
}

/** The root at one moment. */
export interface Seen {
  dev: bigint
  ino: bigint
  id: string | null
}

/** Ours, at the root: the id, and temporary files. */
export const ownFolder = '.tidemark'

// ── errors ──────────────────────────────────────────────────────────────────────────────────────

/** What isn't here is `unavailable`: an EIO or an ESTALE never looks like an absent key. */
const CODES: Record<string, StoreCode> = {
  ENOENT: 'not-found',
  ENOTDIR: 'cannot-hold',
  EISDIR: 'cannot-hold',
  ENOTEMPTY: 'cannot-hold',
  ENAMETOOLONG: 'cannot-hold',
  EILSEQ: 'cannot-hold',
  EINVAL: 'cannot-hold',
  ELOOP: 'cannot-hold',
  EXDEV: 'cannot-hold',
  EFBIG: 'cannot-hold',
  ENOSPC: 'no-space',
  EDQUOT: 'no-space',
  EACCES: 'denied',
  EPERM: 'denied',
  EROFS: 'denied',
  EMFILE: 'throttled',
  ENFILE: 'throttled',
}

export function errnoOf(error: unknown): string | undefined {
  return error instanceof Error && 'code' in error && typeof error.code === 'string'
    ? error.code
    : undefined
}

export function failure(
  place: FilePlace,
  code: StoreCode,
  operation: string,
  key: Key | undefined,
  message: string,
  cause?: unknown,
): StoreError {
  const details = { location: place.location, operation, cause }
  return new StoreError(code, message, key === undefined ? details : { ...details, key })
}

/** A file system's error in the contract's words; anything else stays what it is. */
export function translated(
  place: FilePlace,
  operation: string,
  key: Key | undefined,
  error: unknown,
): unknown {
  const errno = errnoOf(error)
  if (error instanceof StoreError || errno === undefined) return error
  return failure(place, CODES[errno] ?? 'unavailable', operation, key, String(error), error)
}

/** Runs file system calls only: an error of a body or a fence must not pass through here. */
export function tried<T>(
  place: FilePlace,
  operation: string,
  key: Key | undefined,
  run: () => T,
): T {
  try {
    return run()
  } catch (error) {
    throw translated(place, operation, key, error)
  }
}

export function refuseCancelled(
  place: FilePlace,
  operation: string,
  key: Key | undefined,
  signal: AbortSignal,
): void {
  if (signal.aborted) throw failure(place, 'cancelled', operation, key, 'cancelled')
}

// ── the root ────────────────────────────────────────────────────────────────────────────────────

/**
 * Throws `root-missing` unless the root is there, a folder, and the one that was seen first. Where
 * a mount is gone, its empty mount point has another device: that must not read as "all deleted",
 * nor be written to. After a remount the numbers differ too, and the id tells that it's the same.
 */
export function requireRoot(place: FilePlace, operation: string, key?: Key): Seen {
  let stat: BigIntStats
  try {
    stat = statSync(place.root, { bigint: true })
  } catch (error) {
    const gone = ['ENOENT', 'ENOTDIR', 'ELOOP'].includes(errnoOf(error) ?? '')
    if (!gone) throw translated(place, operation, key, error)
    throw failure(place, 'root-missing', operation, key, `${place.root} does not exist`, error)
  }
  if (!stat.isDirectory()) {
    throw failure(place, 'root-missing', operation, key, `${place.root} is not a folder`)
  }
  const { seen } = place
  if (seen?.dev === stat.dev && seen.ino === stat.ino) return seen
  const id = readId(place, operation)
  const now = { dev: stat.dev, ino: stat.ino, id }
  if (seen) requireSame(place, seen, now, operation, key)
  place.seen = now
  return now
}

export function requireSame(
  place: FilePlace,
  before: Seen,
  now: Seen,
  operation: string,
  key?: Key,
): void {
  if (before.dev === now.dev && before.ino === now.ino) return
  if (before.id !== null && before.id === now.id) return
  throw failure(place, 'root-missing', operation, key, `${place.root} is another folder now`)
}

/** The id that an earlier run left in the root; null: there is none. */
export function readId(place: FilePlace, operation: string): string | null {
  const path = `${place.root}/${ownFolder}/id`
  let id: string
  try {
    if (lstatSync(`${place.root}/${ownFolder}`).isSymbolicLink()) return null
    const flag = constants.O_RDONLY | constants.O_NOFOLLOW
    id = readFileSync(path, { encoding: 'utf8', flag }).trim()
  } catch (error) {
    if (['ENOENT', 'ENOTDIR'].includes(errnoOf(error) ?? '')) return null
    throw translated(place, operation, undefined, error)
  }
  if (/^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/.test(id)) return id
  throw failure(place, 'corrupt', operation, undefined, `${path} has no id`)
}

// ── what lies under a key ───────────────────────────────────────────────────────────────────────

export type Look =
  | { kind: 'file'; stat: BigIntStats }
  /** `blocked`: a file is where the key would need a folder. */
  | { kind: 'absent'; blocked?: string }
  /** Empty or not: no key, but in a key's way. */
  | { kind: 'folder' }
  /** Something that can't be a key, at the key or on the way to it. */
  | { kind: 'obstacle'; reason: string }

/** Follows no symbolic link: each folder on the way is looked at by itself. */
export function look(place: FilePlace, operation: string, key: Key): Look {
  if (keyProblem(key, place.traits.keys) !== null) return { kind: 'absent' }
  const found = tried(place, operation, key, () => lookDown(place, key))
  // Absent is said only of an existing root.
  if (found.kind === 'absent') requireRoot(place, operation, key)
  if (found.kind !== 'absent' && place.folds && !isSpelledSo(place, key)) {
    return { kind: 'obstacle', reason: 'another spelling of this name is there' }
  }
  return found
}

function lookDown(place: FilePlace, key: Key): Look {
  for (let at = key.indexOf('/'); at >= 0; at = key.indexOf('/', at + 1)) {
    const folder = key.slice(0, at)
    const stat = statAt(`${place.root}/${folder}`)
    if (stat === undefined) return { kind: 'absent' }
    if (stat.isSymbolicLink()) return { kind: 'obstacle', reason: `${folder} is a symbolic link` }
    if (!stat.isDirectory()) return { kind: 'absent', blocked: `${folder} is not a folder` }
  }
  const stat = statAt(`${place.root}/${key}`)
  if (stat === undefined) return { kind: 'absent' }
  if (stat.isFile()) return { kind: 'file', stat }
  if (stat.isDirectory()) return { kind: 'folder' }
  return { kind: 'obstacle', reason: kindOf(stat) }
}

export function kindOf(stat: BigIntStats): string {
  return stat.isSymbolicLink() ? 'a symbolic link' : 'a special file'
}

function statAt(path: string): BigIntStats | undefined {
  try {
    return lstatSync(path, { bigint: true, throwIfNoEntry: false })
  } catch (error) {
    if (errnoOf(error) === 'ENOTDIR') return undefined
    throw error
  }
}

/** Whether the folders list the key by exactly its own spelling, on a file system that folds. */
export function isSpelledSo(place: FilePlace, key: Key): boolean {
  if (process.platform === 'darwin') {
    // It answers with the names as they are stored.
    return realpathSync.native(`${place.root}/${key}`).endsWith(`/${key}`)
  }
  let folder = place.root
  return key.split('/').every((segment) => {
    const listed = readdirSync(folder).includes(segment)
    folder = `${folder}/${segment}`
    return listed
  })
}

// ── tokens ──────────────────────────────────────────────────────────────────────────────────────

/** ctime is what a writer can't set back; mtime and size cost nothing more. */
export function tokenId(stat: BigIntStats): string {
  return `${stat.mtimeNs}-${stat.ctimeNs}-${stat.size}-${stat.ino}`
}

export function entryOf(key: Key, stat: BigIntStats, now: number, id = tokenId(stat)): Entry {
  const changed = Number(stat.ctimeMs)
  const modified = Number(stat.mtimeMs)
  // A ctime ahead of us is a file server's clock; an mtime far ahead is only what somebody set.
  const unsettled = changed > now - unsettledMs || Math.abs(now - modified) < unsettledMs
  const token: Token = unsettled ? { id, unsettled } : { id }
  const modifiedAt = Math.max(modified, changed)
  return { key, token, modifiedAt, size: Number(stat.size), digests: {} }
}
