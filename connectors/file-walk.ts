/**
 * Listing a folder in the order of its keys' UTF-8 bytes, as a stream. A walk that sorts only names
 * gives `a/x` before `a.txt`; here a folder sorts as its name with the slash. Memory: the names of
 * the folders on the way. A range or a resume opens only the folders on the way to it.
 */
import { isUtf8 } from 'node:buffer'
import { type BigIntStats, type Dirent, lstatSync, readdirSync } from 'node:fs'
import { lstat, readdir } from 'node:fs/promises'
import { setImmediate as nextTurn } from 'node:timers/promises'
import type { Key, KeyRange } from '../src/model.ts'
import { compareKeys } from '../src/sync/keys.ts'
import type { Page } from './connector.ts'
import {
  entryOf,
  errnoOf,
  type FilePlace,
  kindOf,
  ownFolder,
  refuseCancelled,
  requireRoot,
  requireSame,
  translated,
} from './file-place.ts'

/** Files looked at in one go: about 0.15 ms of synchronous lstat on a local disk. */
const batchFiles = 64
/** A turn of the event loop is left to others after this long (ms). */
const sliceMs = 8
/** A go that took longer (ms) is a slow file system's: from then on its calls go to the thread
 *  pool, which costs 4 times the CPU and blocks nobody. */
const slowMs = 20

interface Folder {
  /** '' or with the slash at its end. */
  path: string
  /** Sorted; subfolders end with a slash. */
  names: string[]
  /** Shown instead of names that aren't UTF-8. */
  unreadable: Set<string> | undefined
  at: number
}

interface Walk {
  place: FilePlace
  from: Key | null
  to: Key | null
  folders: Folder[]
  page: Page
  /** For the first page. */
  hidden: NonNullable<Page['hidden']>
  slow: boolean
  sliceStart: number
}

export async function* list(
  place: FilePlace,
  range: KeyRange,
  resume: string | undefined,
  signal: AbortSignal,
): AsyncGenerator<Page, void> {
  refuseCancelled(place, 'list', undefined, signal)
  const root = requireRoot(place, 'list')
  // The least key behind the one where the page before it ended.
  const from = resume === undefined ? range.from : `${resume}\0`
  const walk: Walk = {
    ...{ place, from, to: range.to, folders: [], page: { entries: [], skipped: [] }, hidden: [] },
    ...{ slow: false, sliceStart: performance.now() },
  }
  try {
    await open(walk, '')
    for (let more = true; more; ) {
      more = await step(walk)
      refuseCancelled(place, 'list', undefined, signal)
      const full = walk.page.entries.length + walk.page.skipped.length >= place.pageKeys
      if (more && !full) continue
      // A folder that vanished in between read as empty: that is true only under the same root.
      requireSame(place, root, requireRoot(place, 'list'), 'list')
      const done = walk.page
      walk.page = { entries: [], skipped: [] }
      if (more) done.resume = lastOf(done)
      if (walk.hidden.length > 0) done.hidden = walk.hidden.splice(0)
      yield done
      walk.sliceStart = performance.now()
      refuseCancelled(place, 'list', undefined, signal)
    }
  } catch (error) {
    throw translated(place, 'list', undefined, error)
  }
}

function lastOf(page: Page): Key {
  const keys = [page.entries.at(-1)?.key, page.skipped.at(-1)?.key]
  const [a, b] = keys.filter((key) => key !== undefined)
  if (a === undefined) throw new Error('a full page has a last key')
  return b === undefined || compareKeys(a, b) > 0 ? a : b
}

/** Goes on by one folder or one batch of files; false: the range has ended. */
async function step(walk: Walk): Promise<boolean> {
  const folder = walk.folders.at(-1)
  if (folder === undefined) return false
  const name = folder.names[folder.at]
  if (name === undefined) {
    walk.folders.pop()
    return walk.folders.length > 0
  }
  if (isBehind(walk, folder.path + name)) return false
  if (name.endsWith('/')) {
    folder.at++
    if (folder.path !== '' || name !== `${ownFolder}/`) await open(walk, folder.path + name)
  } else {
    await visitFiles(walk, folder)
  }
  if (performance.now() - walk.sliceStart > sliceMs) {
    await nextTurn()
    walk.sliceStart = performance.now()
  }
  return true
}

function isBehind({ to }: Walk, key: Key): boolean {
  return to !== null && compareKeys(key, to) >= 0
}

// ── folders ─────────────────────────────────────────────────────────────────────────────────────

async function open(walk: Walk, path: string): Promise<void> {
  const { place } = walk
  const full = `${place.root}/${path.slice(0, -1)}`
  let children: Dirent[]
  try {
    // It was a folder when its parent was read; by now it may be a link that leads elsewhere.
    const stat = path === '' ? undefined : lstatSync(full, { bigint: true })
    if (stat?.isSymbolicLink()) return skipFolder(walk, path, kindOf(stat))
    children = walk.slow
      ? await readdir(full, { withFileTypes: true })
      : readdirSync(full, { withFileTypes: true })
  } catch (error) {
    const vanished = ['ENOENT', 'ENOTDIR'].includes(errnoOf(error) ?? '')
    // Whether the root itself has vanished is asked before the page is given.
    if (vanished && path !== '') return
    if (vanished) requireRoot(place, 'list')
    // One below the root that is closed to us (`lost+found`) hides what is in it, and no more.
    if (path !== '' && ['EACCES', 'EPERM'].includes(errnoOf(error) ?? '')) {
      return skipFolder(walk, path, `the folder cannot be read: ${errnoOf(error)}`)
    }
    throw translated(place, 'list', path === '' ? undefined : path, error)
  }
  const folder: Folder = { path, names: [], unreadable: undefined, at: 0 }
  let damaged = false
  for (const child of children) {
    damaged ||= child.name.includes('\ufffd')
    folder.names.push(child.isDirectory() ? `${child.name}/` : child.name)
  }
  if (damaged) markUnreadable(folder, full)
  sortNames(folder.names)
  folder.at = firstFrom(folder, walk.from)
  await noteHidden(walk, folder)
  walk.folders.push(folder)
}

/** `path` ends with its slash. A listing that begins inside it passed its name before. */
function skipFolder({ page, hidden, from }: Walk, path: string, reason: string): void {
  if (from?.startsWith(path)) hidden.push({ prefix: path, reason })
  else page.skipped.push({ key: path, reason })
}

/** What lies before the begin under a name that is no folder's (`a`, a symlink) would have been
 *  skipped, and the keys below it (`a/x`) with it: they may come behind the begin (`a-x`). */
async function noteHidden(walk: Walk, folder: Folder): Promise<void> {
  const { from, hidden } = walk
  if (!from?.startsWith(folder.path)) return
  const names = folder.names.slice(0, folder.at).filter((name) => {
    const next = from.charAt(folder.path.length + name.length)
    return !name.endsWith('/') && from.startsWith(folder.path + name) && next <= '/'
  })
  const stats = await statsOf(walk, folder, names)
  names.forEach((name, index) => {
    const reason = skipReason(folder, name, stats[index])
    if (reason !== null) hidden.push({ prefix: `${folder.path}${name}/`, reason })
  })
}

/** Node gives U+FFFD for bytes that aren't UTF-8: only the raw names tell those from real ones. */
function markUnreadable(folder: Folder, full: string): void {
  const names = new Set<string>()
  folder.unreadable = new Set()
  for (const child of readdirSync(full, { withFileTypes: true, encoding: 'buffer' })) {
    if (isUtf8(child.name)) {
      const name = child.name.toString('utf8')
      names.add(child.isDirectory() ? `${name}/` : name)
    } else {
      const shown = shownBytes(child.name)
      names.add(shown)
      folder.unreadable.add(shown)
    }
  }
  folder.names = [...names]
}

function shownBytes(name: Buffer): string {
  return Array.from(name, (byte) =>
    byte >= 0x20 && byte < 0x7f ? String.fromCharCode(byte) : `\\x${byte.toString(16)}`,
  ).join('')
}

/** By UTF-16 where that is the same order, as it is without surrogates: 10 times as fast. */
function sortNames(names: string[]): void {
  if (names.some((name) => /[\ud800-\udfff]/.test(name))) names.sort(compareKeys)
  // oxlint-disable-next-line typescript/require-array-sort-compare -- that is the point
  else names.sort()
}

/** The first name at or behind `from`, or the folder that `from` lies in. */
function firstFrom({ path, names }: Folder, from: Key | null): number {
  if (from === null) return 0
  let low = 0
  let high = names.length
  while (low < high) {
    const middle = (low + high) >>> 1
    const key = path + names[middle]
    const before = compareKeys(key, from) < 0 && !(key.endsWith('/') && from.startsWith(key))
    if (before) low = middle + 1
    else high = middle
  }
  return low
}

// ── files ───────────────────────────────────────────────────────────────────────────────────────

/** The files from here to the next subfolder, as many as the page still takes. */
async function visitFiles(walk: Walk, folder: Folder): Promise<void> {
  const { place, page } = walk
  const room = place.pageKeys - page.entries.length - page.skipped.length
  const names: string[] = []
  while (names.length < Math.min(room, batchFiles)) {
    const name = folder.names[folder.at]
    if (name === undefined || name.endsWith('/') || isBehind(walk, folder.path + name)) break
    names.push(name)
    folder.at++
  }
  const stats = await statsOf(walk, folder, names)
  const now = Date.now()
  names.forEach((name, index) => {
    const key = folder.path + name
    const stat = stats[index]
    const reason = skipReason(folder, name, stat)
    if (reason !== null) page.skipped.push({ key, reason })
    else if (stat?.isFile()) page.entries.push(entryOf(key, stat, now))
  })
}

/** null: a file; or nothing any more, or a folder since. */
function skipReason(folder: Folder, name: string, stat: BigIntStats | undefined): string | null {
  if (folder.unreadable?.has(name)) return 'the name is not UTF-8'
  if (folder.path === '' && name === ownFolder) return 'this name is kept for Tidemark'
  return stat === undefined || stat.isFile() || stat.isDirectory() ? null : kindOf(stat)
}

/** undefined: gone since its folder was read. */
async function statsOf(
  walk: Walk,
  folder: Folder,
  names: string[],
): Promise<(BigIntStats | undefined)[]> {
  const path = (name: string) => `${walk.place.root}/${folder.path}${name}`
  if (walk.slow) return Promise.all(names.map((name) => statSlowly(path(name))))
  const began = performance.now()
  const stats = names.map((name) => {
    return lstatSync(path(name), { bigint: true, throwIfNoEntry: false })
  })
  walk.slow = performance.now() - began > slowMs
  return stats
}

async function statSlowly(path: string): Promise<BigIntStats | undefined> {
  try {
    return await lstat(path, { bigint: true })
  } catch (error) {
    if (errnoOf(error) === 'ENOENT' || errnoOf(error) === 'ENOTDIR') return undefined
    throw error
  }
}
