/**
 * Changing a folder: temporary file, fsync, re-check, rename (or link, which never overwrites),
 * fsync of the folder. The re-check and the rename are synchronous with nothing in between, so in
 * this process no other write gets in; a foreign process has the few microseconds between two
 * system calls, which no file system lets us close for an overwrite.
 */
import { randomUUID } from 'node:crypto'
import * as fs from 'node:fs'
import { promisify } from 'node:util'
import type { StoreError } from '../src/errors.ts'
import { KIB } from '../src/limits.ts'
import type { Digests, Entry, Key, Token } from '../src/model.ts'
import { ALGORITHMS } from '../src/sync/content.ts'
import { keyProblem } from '../src/sync/keys.ts'
import type { Body, CallOptions, WriteOptions } from './connector.ts'
import { createDigester, digestProblem } from './digests.ts'
import {
  entryOf,
  errnoOf,
  type FilePlace,
  failure,
  isSpelledSo,
  type Look,
  look,
  ownFolder,
  refuseCancelled,
  requireRoot,
  tokenId,
  translated,
  tried,
} from './file-place.ts'
import { syncFolder } from './file-sync.ts'

const fsync = promisify(fs.fsync)
const writeSlowly = promisify(fs.write)

/** Up to here a write into the page cache costs less than a trip to the thread pool. */
const quickBytes = 64 * KIB
/** Folders that others remove while we make them: so many times we make them again. */
const parentTries = 5

export interface Temporary {
  path: string
  fd: number
}

export async function write(
  place: FilePlace,
  key: Key,
  body: Body,
  expect: Token | null,
  options: WriteOptions,
): Promise<Entry> {
  refuseCancelled(place, 'write', key, options.signal)
  const problem = keyProblem(key, place.traits.keys)
  if (problem !== null) throw failure(place, 'cannot-hold', 'write', key, problem)
  requireRoot(place, 'write', key)
  probeSpelling(place, 'write')
  // A look before the bytes are moved; the one that counts comes at the end.
  requireState(place, key, expect)
  const temporary = openTemporary(place, 'write', key)
  let committed = false
  try {
    const digests = await fill(place, key, temporary.fd, body, options)
    await fsync(temporary.fd).catch((error: unknown) => {
      throw translated(place, 'write', key, error)
    })
    await options.beforeCommit()
    refuseCancelled(place, 'write', key, options.signal)
    const entry = tried(place, 'write', key, () => commit(place, key, temporary, expect))
    committed = true
    await durable(place, key, 'write')
    return { ...entry, digests }
  } finally {
    fs.closeSync(temporary.fd)
    if (!committed) fs.rmSync(temporary.path, { force: true })
  }
}

/** Whether a name here is also found in other letters, or other code points for the same ones. */
export function probeSpelling(place: FilePlace, operation: string): void {
  if (place.folds !== undefined) return
  const { path, fd } = openTemporary(place, operation, ownFolder)
  const probe = `${path}-\u00c9`
  tried(place, operation, ownFolder, () => {
    try {
      fs.renameSync(path, probe)
      const others = [`${path}-\u00e9`, `${path}-E\u0301`]
      place.folds = others.some((other) => fs.existsSync(other))
    } finally {
      fs.closeSync(fd)
      fs.rmSync(probe, { force: true })
      fs.rmSync(path, { force: true })
    }
  })
}

// ── the bytes ───────────────────────────────────────────────────────────────────────────────────

/** In the root's own folder: the same file system, and never listed. */
export function openTemporary(place: FilePlace, operation: string, key: Key): Temporary {
  const folder = `${place.root}/${ownFolder}/tmp`
  const path = `${folder}/${randomUUID()}`
  const open = () => ({ path, fd: fs.openSync(path, 'wx') })
  return tried(place, operation, key, () => {
    try {
      return open()
    } catch (error) {
      if (errnoOf(error) !== 'ENOENT') throw error
    }
    for (const own of [`${place.root}/${ownFolder}`, folder]) {
      makeFolder(own)
      if (fs.lstatSync(own).isSymbolicLink()) {
        throw failure(place, 'cannot-hold', operation, key, `${own} is a symbolic link`)
      }
    }
    return open()
  })
}

/** Gives what is known of the content after it was checked against what was claimed. */
async function fill(
  place: FilePlace,
  key: Key,
  fd: number,
  body: Body,
  options: WriteOptions,
): Promise<Digests> {
  const { size, digests: claimed, signal } = options
  const strongest = ALGORITHMS.find((algorithm) => claimed[algorithm] !== undefined)
  // With a claim, one digest is the check; without, the body checks itself.
  const none = { sha256: false, md5: false, crc32c: false }
  const digester = createDigester(strongest ? { ...none, [strongest]: true } : none)
  let bytes = 0
  for await (const chunk of body instanceof Uint8Array ? [body] : body) {
    refuseCancelled(place, 'write', key, signal)
    bytes += chunk.length
    if (bytes > size) {
      throw failure(place, 'corrupt', 'write', key, `the body has more than ${size} bytes`)
    }
    digester.update(chunk)
    await append(place, key, fd, chunk)
  }
  refuseCancelled(place, 'write', key, signal)
  if (bytes < size) {
    throw failure(place, 'corrupt', 'write', key, `the body has ${bytes} of ${size} bytes`)
  }
  const actual = digester.digest()
  const problem = digestProblem(claimed, actual)
  if (problem !== null) throw failure(place, 'corrupt', 'write', key, problem)
  return { ...claimed, ...actual }
}

async function append(place: FilePlace, key: Key, fd: number, chunk: Uint8Array): Promise<void> {
  try {
    for (let at = 0; at < chunk.length; ) {
      const length = chunk.length - at
      at +=
        length <= quickBytes
          ? fs.writeSync(fd, chunk, at, length)
          : (await writeSlowly(fd, chunk, at, length, null)).bytesWritten
    }
  } catch (error) {
    throw translated(place, 'write', key, error)
  }
}

// ── the commit ──────────────────────────────────────────────────────────────────────────────────

/** What lies there, where that is the state `expect`; else it throws. */
function requireState(place: FilePlace, key: Key, expect: Token | null): Look {
  const found = look(place, 'write', key)
  if (found.kind === 'obstacle') throw failure(place, 'cannot-hold', 'write', key, found.reason)
  if (found.kind === 'absent' && found.blocked !== undefined) {
    throw failure(place, 'cannot-hold', 'write', key, found.blocked)
  }
  if (found.kind === 'file') {
    if (expect === null) throw changed(place, key, 'a file is there')
    if (tokenId(found.stat) !== expect.id) throw changed(place, key, 'another token')
    return found
  }
  if (expect !== null) throw changed(place, key, 'the file is gone')
  // Empty folders aren't keys, and give way at the commit.
  if (found.kind === 'folder' && !isEmpty(place, key)) {
    throw failure(place, 'cannot-hold', 'write', key, 'a folder is there')
  }
  return found
}

function changed(place: FilePlace, key: Key, message: string): StoreError {
  return failure(place, 'changed-meanwhile', 'write', key, message)
}

function isEmpty(place: FilePlace, key: Key): boolean {
  return tried(place, 'write', key, () => fs.readdirSync(`${place.root}/${key}`).length === 0)
}

/** From here on nothing waits: what is checked is what is replaced. */
function commit(place: FilePlace, key: Key, temporary: Temporary, expect: Token | null): Entry {
  requireRoot(place, 'write', key)
  const target = `${place.root}/${key}`
  const before = fs.fstatSync(temporary.fd, { bigint: true })
  if (expect === null) {
    createAt(place, key, temporary, target)
  } else {
    keepMode(requireState(place, key, expect), before, temporary)
    fs.renameSync(temporary.path, target)
  }
  const after = fs.fstatSync(temporary.fd, { bigint: true })
  const entry = entryOf(key, after, Date.now())
  if (before.mtimeNs === after.mtimeNs && before.size === after.size) return entry
  // Somebody wrote into it since it was named: a token that is never seen again says "changed".
  return { ...entry, size: Number(before.size), token: { id: tokenId(before), unsettled: true } }
}

/** Else a secret's 0600 would become everybody's 0644. */
function keepMode(replaced: Look, before: fs.BigIntStats, temporary: Temporary): void {
  if (replaced.kind !== 'file' || replaced.stat.mode === before.mode) return
  fs.fchmodSync(temporary.fd, Number(replaced.stat.mode) & 0o777)
}

/** A name that isn't there: made so that of two creators, in any process, one wins. */
function createAt(place: FilePlace, key: Key, temporary: Temporary, target: string): void {
  let made: string[] = []
  for (let tries = 1; ; tries++) {
    const found = requireState(place, key, null)
    try {
      // rmdir never takes a folder that has something in it by now.
      if (found.kind === 'folder') fs.rmdirSync(target)
      linkOrRename(temporary.path, target)
      break
    } catch (error) {
      for (const folder of made.reverse()) removeEmpty(folder)
      const errno = errnoOf(error)
      if (errno === 'EEXIST') throw changed(place, key, 'it is there by now')
      // No folder yet, or somebody else's clean-up has just removed it.
      if (errno !== 'ENOENT' || tries === parentTries) throw error
      made = makeParents(place, key)
    }
  }
  if (place.folds && !isSpelledSo(place, key)) {
    fs.unlinkSync(target)
    throw failure(place, 'cannot-hold', 'write', key, 'this file system spells the name otherwise')
  }
}

function linkOrRename(from: string, to: string): void {
  try {
    fs.linkSync(from, to)
  } catch (error) {
    // FAT and some network file systems have no hard links. The name was free a moment ago.
    if (!['EPERM', 'ENOTSUP', 'EOPNOTSUPP', 'ENOSYS', 'EMLINK'].includes(errnoOf(error) ?? '')) {
      throw error
    }
    fs.renameSync(from, to)
    return
  }
  fs.unlinkSync(from)
}

/** Makes the folders on the way to the key, each looked at first; gives those that were made. */
function makeParents(place: FilePlace, key: Key): string[] {
  const made: string[] = []
  for (let at = key.indexOf('/'); at >= 0; at = key.indexOf('/', at + 1)) {
    const path = `${place.root}/${key.slice(0, at)}`
    const stat = fs.lstatSync(path, { throwIfNoEntry: false })
    if (stat?.isDirectory()) continue
    if (stat) {
      throw failure(place, 'cannot-hold', 'write', key, `${key.slice(0, at)} is not a folder`)
    }
    if (!makeFolder(path)) continue
    made.push(path)
    const durable = syncFolder(path.slice(0, path.lastIndexOf('/')))
    place.fresh.set(path, durable)
    const forget = () => {
      if (place.fresh.get(path) === durable) place.fresh.delete(path)
    }
    durable.then(forget, forget)
  }
  return made
}

/** false: it was there. */
export function makeFolder(path: string): boolean {
  try {
    fs.mkdirSync(path)
    return true
  } catch (error) {
    if (errnoOf(error) === 'EEXIST') return false
    throw error
  }
}

/** The name survives a power cut: its folder, and the folders above it that are new. */
async function durable(place: FilePlace, key: Key, operation: string): Promise<void> {
  const waits: Promise<void>[] = []
  let folder = place.root
  for (let at = key.indexOf('/'); at >= 0; at = key.indexOf('/', at + 1)) {
    folder = `${place.root}/${key.slice(0, at)}`
    const fresh = place.fresh.get(folder)
    if (fresh) waits.push(fresh)
  }
  waits.push(syncFolder(folder))
  await Promise.all(waits).catch((error: unknown) => {
    throw translated(place, operation, key, error)
  })
}

// ── removing ────────────────────────────────────────────────────────────────────────────────────

export async function remove(
  place: FilePlace,
  key: Key,
  expect: Token,
  options: CallOptions & Pick<WriteOptions, 'beforeCommit'>,
): Promise<void> {
  refuseCancelled(place, 'remove', key, options.signal)
  requireRoot(place, 'remove', key)
  await options.beforeCommit()
  refuseCancelled(place, 'remove', key, options.signal)
  const left = tried(place, 'remove', key, () => {
    requireRoot(place, 'remove', key)
    const found = look(place, 'remove', key)
    if (found.kind === 'absent' || found.kind === 'folder') {
      throw failure(place, 'not-found', 'remove', key, 'no such file')
    }
    if (found.kind === 'obstacle') {
      throw failure(place, 'changed-meanwhile', 'remove', key, found.reason)
    }
    if (tokenId(found.stat) !== expect.id) {
      throw failure(place, 'changed-meanwhile', 'remove', key, 'another token')
    }
    fs.unlinkSync(`${place.root}/${key}`)
    return pruned(place, key)
  })
  await durable(place, left, 'remove')
}

/** Removes the folders that the key leaves empty, never the root. Gives a key in the folder that
 *  is left. */
function pruned(place: FilePlace, key: Key): Key {
  let left = key
  for (let at = left.lastIndexOf('/'); at >= 0; at = left.lastIndexOf('/')) {
    if (!removeEmpty(`${place.root}/${left.slice(0, at)}`)) break
    left = left.slice(0, at)
  }
  return left
}

/** An empty folder is no key and does no harm: where it can't be removed, it stays. */
function removeEmpty(path: string): boolean {
  try {
    fs.rmdirSync(path)
    return true
  } catch (error) {
    if (errnoOf(error) === undefined) throw error
    return false
  }
}
