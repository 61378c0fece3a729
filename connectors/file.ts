/**
 * A folder. What it promises beyond the contract: no path leaves the root, no symbolic link is
 * followed below it, and what a read gives was the file's content from its first byte to its last.
 * Modes are kept on an overwrite; owners, times and empty folders aren't kept.
 */
import { randomUUID } from 'node:crypto'
import * as fs from 'node:fs'
import { resolve } from 'node:path'
import { promisify } from 'node:util'
import { StoreError } from '../src/errors.ts'
import { KIB, listPageKeys } from '../src/limits.ts'
import type { Entry, Key, Token } from '../src/model.ts'
import type { Connector, ConnectorContext, ReadResult, Traits } from './connector.ts'
import {
  entryOf,
  errnoOf,
  type FilePlace,
  failure,
  look,
  ownFolder,
  readId,
  refuseCancelled,
  requireRoot,
  tokenId,
  translated,
  tried,
} from './file-place.ts'
import { syncFolder } from './file-sync.ts'
import { list } from './file-walk.ts'
import { openTemporary, probeSpelling, remove, type Temporary, write } from './file-write.ts'
import type { OptionsOf } from './options.ts'

const readAt = promisify(fs.read)
const fsync = promisify(fs.fsync)

/** Linux PATH_MAX less the final NUL: root and key together. */
const pathBytesMax = 4_095
/** NAME_MAX of every file system in use; some hold less, and say so themselves. */
const nameBytesMax = 255
const smallReadBytes = 64 * KIB
/** A read that took longer (ms) was no cached one. */
const slowReadMs = 20
/** A temporary file this old (ms) belongs to no write: one that goes on changes its file. */
const temporaryAgeMax = 24 * 60 * 60 * 1000

export async function create(
  options: OptionsOf<'file'>,
  context: ConnectorContext,
): Promise<Connector> {
  const root = resolve(options.path)
  const place: FilePlace = {
    location: context.name,
    root,
    traits: traitsOf(root, context),
    pageKeys: context.pageKeys ?? listPageKeys,
    seen: undefined,
    folds: undefined,
    fresh: new Map(),
    slowReads: false,
  }
  return {
    name: context.name,
    traits: place.traits,
    identity: (given) => identity(place, given.create, given.signal),
    list: (range, resume, { signal }) => list(place, range, resume, signal),
    stat: (key, { signal }) => stat(place, key, signal),
    read: (key, token, range, { signal }) => read(place, key, token, range, signal),
    write: (key, body, expect, given) => write(place, key, body, expect, given),
    remove: (key, expect, given) => remove(place, key, expect, given),
    close: async () => {},
  }
}

function traitsOf(root: string, context: ConnectorContext): Traits {
  return {
    conditionalCreate: true,
    conditionalOverwrite: true,
    conditionalDelete: true,
    listStart: true,
    listingDigests: [],
    listingMetadata: false,
    carriesMetadata: false,
    keys: {
      bytesMax: pathBytesMax,
      segmentBytesMax: nameBytesMax,
      prefixBytes: Buffer.byteLength(root) + 1,
      pathLike: true,
      reservedPrefix: `${ownFolder}/`,
    },
    sizeMax: Number.MAX_SAFE_INTEGER,
    copyDomain: null,
    partBytes: context.partBytes,
  }
}

// ── identity ────────────────────────────────────────────────────────────────────────────────────

async function identity(place: FilePlace, create: boolean, signal: AbortSignal): Promise<string> {
  refuseCancelled(place, 'identity', undefined, signal)
  // Asked anew: the folder may have been exchanged and bound again since this connector was made.
  const before = place.seen
  place.seen = undefined
  const { dev, ino, id } = requireRoot(place, 'identity')
  // A mount point whose mount is gone has no id: whoever else uses this connector isn't let in.
  if (before?.id && id === null && !create) place.seen = before
  tried(place, 'identity', undefined, () => fs.opendirSync(place.root).closeSync())
  if (!create) return id === null ? `file:dev:${dev}:ino:${ino}` : `file:${id}`
  try {
    const made = id ?? (await makeId(place))
    place.seen = { dev, ino, id: made }
    probeSpelling(place, 'identity')
    removeOldTemporaries(place)
    return `file:${made}`
  } catch (error) {
    const cause = error instanceof StoreError ? error.cause : error
    const readOnly = ['EROFS', 'EACCES', 'EPERM'].includes(errnoOf(cause) ?? '')
    if (!readOnly) throw translated(place, 'identity', undefined, error)
    return id === null ? `file:dev:${dev}:ino:${ino}` : `file:${id}`
  }
}

/** Whole and durable, or not there: of two makers the first wins. */
async function makeId(place: FilePlace): Promise<string> {
  const folder = `${place.root}/${ownFolder}`
  const temporary: Temporary = openTemporary(place, 'identity', `${ownFolder}/id`)
  try {
    fs.writeSync(temporary.fd, `${randomUUID()}\n`)
    await fsync(temporary.fd)
    try {
      fs.linkSync(temporary.path, `${folder}/id`)
    } catch (error) {
      // Without hard links the first rename may be overwritten by the second, both in this moment.
      if (errnoOf(error) !== 'EEXIST') fs.renameSync(temporary.path, `${folder}/id`)
    }
  } finally {
    fs.closeSync(temporary.fd)
    fs.rmSync(temporary.path, { force: true })
  }
  await Promise.all([syncFolder(folder), syncFolder(place.root)])
  const id = readId(place, 'identity')
  if (id !== null) return id
  throw failure(place, 'cannot-hold', 'identity', undefined, `${folder} can't hold an id`)
}

/** Left by a process that was killed. */
function removeOldTemporaries(place: FilePlace): void {
  const folder = `${place.root}/${ownFolder}/tmp`
  let names: string[]
  try {
    names = fs.readdirSync(folder)
  } catch (error) {
    if (errnoOf(error) === 'ENOENT') return
    throw error
  }
  for (const name of names) {
    const stat = fs.lstatSync(`${folder}/${name}`, { throwIfNoEntry: false })
    const old = stat?.isFile() && stat.mtimeMs < Date.now() - temporaryAgeMax
    if (old) fs.rmSync(`${folder}/${name}`, { force: true })
  }
}

// ── stat and read ───────────────────────────────────────────────────────────────────────────────

async function stat(place: FilePlace, key: Key, signal: AbortSignal): Promise<Entry | null> {
  refuseCancelled(place, 'stat', key, signal)
  requireRoot(place, 'stat', key)
  const found = look(place, 'stat', key)
  if (found.kind === 'obstacle') throw failure(place, 'cannot-hold', 'stat', key, found.reason)
  return found.kind === 'file' ? entryOf(key, found.stat, Date.now()) : null
}

async function read(
  place: FilePlace,
  key: Key,
  token: Token,
  range: { start: number; end: number } | undefined,
  signal: AbortSignal,
): Promise<ReadResult> {
  refuseCancelled(place, 'read', key, signal)
  const entry = entryOf(key, pinned(place, key, token), Date.now())
  const start = Math.min(range?.start ?? 0, entry.size)
  const end = Math.max(start, Math.min(range?.end ?? entry.size, entry.size))
  const chunks = chunksOf(place, key, token, { start, end }, signal)
  return { entry, body: chunks }
}

/** The file's stat, if it's the one that the token names, and no link leads to it. */
function pinned(place: FilePlace, key: Key, token: Token): fs.BigIntStats {
  const found = look(place, 'read', key)
  if (found.kind === 'obstacle') {
    throw failure(place, 'changed-meanwhile', 'read', key, found.reason)
  }
  if (found.kind !== 'file') throw failure(place, 'not-found', 'read', key, 'no such file')
  if (tokenId(found.stat) === token.id) return found.stat
  throw failure(place, 'changed-meanwhile', 'read', key, 'another token')
}

/**
 * Whole parts, each in memory of its own. Opened when the first chunk is asked for, so that a body
 * nobody reads leaves no file open. Before the last chunk is given, the file is looked at again: a
 * consumer that counts bytes and stops must not have missed that they are torn.
 */
async function* chunksOf(
  place: FilePlace,
  key: Key,
  token: Token,
  { start, end }: { start: number; end: number },
  signal: AbortSignal,
): AsyncGenerator<Uint8Array, void> {
  refuseCancelled(place, 'read', key, signal)
  const fd = openPinned(place, key, token)
  try {
    for (let at = start; at < end; ) {
      const chunk = Buffer.allocUnsafeSlow(Math.min(place.traits.partBytes, end - at))
      at += await fillFrom(place, key, fd, chunk, at)
      refuseCancelled(place, 'read', key, signal)
      // The token names the inode and its ctime: this is the open file, and it wasn't touched.
      if (at === end) requireUntouched(place, key, token)
      yield chunk
      refuseCancelled(place, 'read', key, signal)
    }
  } finally {
    fs.closeSync(fd)
  }
}

/** The way to the file was looked at before it was opened; the token names its inode. */
function requireUntouched(place: FilePlace, key: Key, token: Token): void {
  const there = fs.lstatSync(`${place.root}/${key}`, { bigint: true, throwIfNoEntry: false })
  if (!there?.isFile() || tokenId(there) !== token.id) pinned(place, key, token)
}

/** What opens in the token's state is that file, whatever way led there. */
function openPinned(place: FilePlace, key: Key, token: Token): number {
  // Not blocking: in place of the file there may be a pipe by now.
  const flags = fs.constants.O_RDONLY | fs.constants.O_NOFOLLOW | fs.constants.O_NONBLOCK
  let fd: number
  try {
    fd = fs.openSync(`${place.root}/${key}`, flags)
  } catch (error) {
    // A better answer than the errno's, where another file or a link has taken the name.
    pinned(place, key, token)
    throw translated(place, 'read', key, error)
  }
  const stat = fs.fstatSync(fd, { bigint: true })
  if (tokenId(stat) === token.id) return fd
  fs.closeSync(fd)
  throw failure(place, 'changed-meanwhile', 'read', key, 'it changed before it was opened')
}

async function fillFrom(
  place: FilePlace,
  key: Key,
  fd: number,
  chunk: Buffer,
  position: number,
): Promise<number> {
  for (let filled = 0; filled < chunk.length; ) {
    const left = chunk.length - filled
    const bytesRead = await readSome(place, fd, chunk, filled, left, position + filled).catch(
      (error: unknown) => {
        throw translated(place, 'read', key, error)
      },
    )
    if (bytesRead === 0) {
      throw failure(place, 'changed-meanwhile', 'read', key, 'it became shorter as it was read')
    }
    filled += bytesRead
  }
  return chunk.length
}

/** Small reads of a fast disk are done at once: handing 4 KiB to the thread pool and back costs ten
 *  times the reading. A disk that once took long is asked by the pool alone from then on. */
async function readSome(
  place: FilePlace,
  fd: number,
  chunk: Buffer,
  offset: number,
  length: number,
  position: number,
): Promise<number> {
  if (length > smallReadBytes || place.slowReads) {
    return (await readAt(fd, chunk, offset, length, position)).bytesRead
  }
  const began = performance.now()
  const bytesRead = fs.readSync(fd, chunk, offset, length, position)
  place.slowReads = performance.now() - began > slowReadMs
  return bytesRead
}
