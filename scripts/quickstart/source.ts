/** The folder that the quickstart copies: a person's, or sources that `npm ci` brought. */
import { createHash } from 'node:crypto'
import { createReadStream, createWriteStream, type Dirent } from 'node:fs'
import { lstat, mkdir, readdir, realpath } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { dirname, join, sep } from 'node:path'
import { pipeline } from 'node:stream/promises'
import { count } from '../../src/cli/output.ts'
import { UserError } from '../../src/errors.ts'
import { packageRoot } from '../../src/package-root.ts'
import { inParallel } from './places.ts'

/** A replica's content as it is compared: sha256 in hex, by key. */
export type Contents = Map<string, string>

export interface SourceFile {
  key: string
  size: number
}

export interface Source {
  folder: string
  /** What to call it in the output. */
  title: string
  /** In the order of the walk. */
  files: SourceFile[]
  bytes: number
  /** What isn't copied, by what it is: `symlink`, `special file`, … */
  skipped: Map<string, number>
}

/** The servers are emulators on this machine, and GCS's keeps all content in memory. */
const limits = { files: 20_000, bytes: 1024 ** 3 }
/** One for each change that is shown. */
const filesMin = 4

/** About 3,000 files, the same on every machine: packages that are pinned and need no build. */
const packages = ['@aws-sdk', '@google-cloud', 'kysely', 'undici', 'yaml']

export async function defaultSource(): Promise<Source> {
  const folder = join(packageRoot, 'node_modules')
  return await walk(folder, `sources in node_modules: ${packages.join(', ')}`, packages)
}

/** Throws UserError where `given` can't be one: not there, no folder, too small, too large, or
 *  around the work folder (null: a temporary one), which would then be written into it. */
export async function sourceAt(given: string, work: string | null): Promise<Source> {
  const folder = await folderAt(given)
  const where = await existing(work ?? tmpdir())
  if (folder === sep || `${where}${sep}`.startsWith(`${folder}${sep}`)) {
    throw new UserError('source-holds-work', `${given} holds the work folder`, {
      where: work ?? where,
      next: 'Nothing is written into the source: name a work folder elsewhere by --work DIR.',
    })
  }
  const source = await walk(folder, given, [''])
  const usable = source.files.filter(({ key }) => heldEverywhere(key)).length
  if (usable < filesMin) {
    const files = count(usable, 'file')
    throw new UserError('source-too-small', `${given} has ${files} that every store can hold`, {
      next: `Name a folder of at least ${filesMin}, so that each change has one of its own.`,
    })
  }
  return source
}

/** Well within what any store takes for a name: what goes further is skipped there, by name. */
export function heldEverywhere(key: string): boolean {
  return /^[^\\\p{Cc}]{1,200}$/u.test(key) && !/\.(\/|$)/.test(key)
}

async function folderAt(given: string): Promise<string> {
  try {
    const folder = await realpath(given)
    if ((await lstat(folder)).isDirectory()) return folder
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException
    if (code !== 'ENOENT' && code !== 'ENOTDIR') throw error
    throw new UserError('source-missing', `there is no folder ${given}`, {
      next: 'Name one that is there: npm run quickstart -- --source DIR',
    })
  }
  throw new UserError('source-no-folder', `${given} is no folder`, {
    next: 'Name the folder that it is in.',
  })
}

/** The nearest folder that is there already. */
async function existing(path: string): Promise<string> {
  try {
    return await realpath(path)
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error
    return await existing(dirname(path))
  }
}

async function walk(folder: string, title: string, below: string[]): Promise<Source> {
  const source: Source = { folder, title, files: [], bytes: 0, skipped: new Map() }
  const skip = (what: string) => source.skipped.set(what, (source.skipped.get(what) ?? 0) + 1)
  const pending = [...below].reverse()
  for (let at = pending.pop(); at !== undefined; at = pending.pop()) {
    const folders: string[] = []
    for (const entry of await readFolder(join(folder, at), skip)) {
      const key = at === '' ? entry.name : `${at}/${entry.name}`
      const what = oddity(entry, key)
      if (what !== null) skip(what)
      else if (entry.isDirectory()) folders.push(key)
      else await add(source, key, skip)
    }
    pending.push(...folders.reverse())
  }
  return source
}

async function readFolder(path: string, skip: (what: string) => void): Promise<Dirent[]> {
  try {
    const entries = await readdir(path, { withFileTypes: true })
    return entries.sort((a, b) => (a.name < b.name ? -1 : 1))
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException
    if (code !== 'EACCES' && code !== 'EPERM') throw error
    skip('unreadable folder')
    return []
  }
}

/** null: a file or folder like any other. */
function oddity(entry: Dirent, key: string): string | null {
  if (entry.isSymbolicLink()) return 'symlink'
  if (!entry.isFile() && !entry.isDirectory()) return 'special file'
  // Node puts U+FFFD where bytes are no UTF-8; such a path leads nowhere.
  if (entry.name.includes('\ufffd')) return 'name that is not UTF-8'
  // The source is a replica itself: the copy is another one, with an id of its own.
  return key === '.tidemark' ? "folder of Tidemark's own" : null
}

async function add(source: Source, key: string, skip: (what: string) => void): Promise<void> {
  try {
    const { size } = await lstat(join(source.folder, key))
    source.files.push({ key, size })
    source.bytes += size
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error
    skip('file that went meanwhile')
  }
  if (source.files.length <= limits.files && source.bytes <= limits.bytes) return
  const most = `${limits.files.toLocaleString('en-US')} files or ${limits.bytes / 1024 ** 3} GiB`
  throw new UserError('source-too-large', `${source.title} holds more than ${most}`, {
    next: 'Name a smaller folder: it is copied once, and to three servers on this machine.',
  })
}

/** Copies bytes alone: neither modes nor times. Gives what was copied, as it was read. */
export async function copySource(source: Source, target: string): Promise<Contents> {
  const contents: Contents = new Map()
  const unreadable = new Set<string>()
  await inParallel(source.files, async ({ key }) => {
    const path = join(target, key)
    await mkdir(dirname(path), { recursive: true })
    const hash = createHash('sha256')
    try {
      await pipeline(
        createReadStream(join(source.folder, key)),
        async function* (chunks: AsyncIterable<Buffer>) {
          for await (const chunk of chunks) {
            hash.update(chunk)
            yield chunk
          }
        },
        createWriteStream(path),
      )
      contents.set(key, hash.digest('hex'))
    } catch (error) {
      const { code, syscall } = error as NodeJS.ErrnoException
      if (syscall !== 'open' || (code !== 'EACCES' && code !== 'EPERM')) throw error
      unreadable.add(key)
    }
  })
  if (unreadable.size > 0) source.skipped.set('unreadable file', unreadable.size)
  source.files = source.files.filter(({ key }) => !unreadable.has(key))
  return contents
}
