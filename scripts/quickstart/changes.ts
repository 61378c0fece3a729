/** What is changed behind Tidemark's back, and what must become of it: last write wins. */
import { createHash } from 'node:crypto'
import { readFile } from 'node:fs/promises'
import { join, posix } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import type { FolderPlace, Place } from './places.ts'
import { type Contents, heldEverywhere, type SourceFile } from './source.ts'

/** What one key must be at every replica once all is synced. */
export interface Fate {
  key: string
  /** What was done, for people: `edited in S3`. */
  done: string
  /** What is expected, for people: `the edit`. */
  expected: string
  /** sha256; null: it is gone. */
  content: string | null
}

export interface Changes {
  fates: Fate[]
  /** What no replica has any more and the vault must: its sha256 and what it is, for people. */
  kept: { content: string; what: string }[]
}

interface Keys {
  edited: string
  deleted: string
  renamed: string
  disputed: string
}

export interface Places {
  folder: FolderPlace
  s3: Place
  gcs: Place
  azure: Place
}

/** S3 gives times by the second: what is later by more than that is later for everybody. */
const laterMs = 1_500

/** Makes the five changes. `say` tells each as it is done. `contents`: of all replicas, as synced.
 * */
export async function change(
  places: Places,
  root: string,
  files: SourceFile[],
  contents: Contents,
  say: (done: string, key: string) => void,
): Promise<Changes> {
  const { edited, deleted, renamed, disputed } = chooseKeys(files)
  const { folder, s3, gcs, azure } = places
  const added = freeName('hello-from-azure.txt', contents)
  const movedTo = freeName(posix.join(posix.dirname(renamed), newName(renamed)), contents)
  const was = (key: string) => contents.get(key) as string
  const withLine = async (key: string, line: string) =>
    Buffer.concat([await readFile(join(root, key)), Buffer.from(`\n${line}\n`)])

  const ours = await withLine(disputed, 'The folder says: one.')
  const theirs = await withLine(disputed, 'S3 says: two, and says it later.')
  await folder.put(disputed, ours)
  const editedAt = performance.now()
  const edit = await withLine(edited, "Edited in S3, behind Tidemark's back.")
  await s3.put(edited, edit)
  say('edited in S3', edited)
  await gcs.remove(deleted)
  say('deleted in GCS', deleted)
  const hello = Buffer.from('Hello from Azure: no other place knows me yet.\n')
  await azure.put(added, hello)
  say('new in Azure', added)
  await folder.rename(renamed, movedTo)
  say('renamed in the folder', `${renamed} → ${posix.basename(movedTo)}`)
  await sleep(Math.max(0, laterMs - (performance.now() - editedAt)))
  await s3.put(disputed, theirs)
  say('edited in the folder, then otherwise in S3', disputed)

  const fate = (key: string, done: string, expected: string, content: string | null): Fate => ({
    ...{ key, done, expected, content },
  })
  return {
    fates: [
      fate(edited, 'edited in S3', 'the edit', sha256(edit)),
      fate(deleted, 'deleted in GCS', 'gone', null),
      fate(added, 'new in Azure', 'what Azure had', sha256(hello)),
      fate(renamed, 'renamed in the folder, from', 'gone', null),
      fate(movedTo, 'renamed in the folder, to', 'what the old name had', was(renamed)),
      fate(
        disputed,
        'edited in the folder, then in S3',
        'what S3 says, the later one',
        sha256(theirs),
      ),
    ],
    kept: [
      { content: sha256(ours), what: "the conflict's loser, what the folder said" },
      { content: was(deleted), what: 'what was deleted in GCS' },
      { content: was(edited), what: 'what was there before the edit in S3' },
      { content: was(disputed), what: 'what was there before the conflict' },
    ],
  }
}

/** Everything that every replica must have: what was copied, and what became of the changes. */
export function expectedContents(copied: Contents, fates: Fate[]): Contents {
  const expected = new Map(copied)
  for (const { key, content } of fates) {
    if (content === null) expected.delete(key)
    else expected.set(key, content)
  }
  return expected
}

/** Small files with short, plain names first, far apart in the tree; where there are too few, any
 *  that every store can hold. */
export function chooseKeys(files: SourceFile[]): Keys {
  const holdable = files.filter(({ key }) => heldEverywhere(key))
  const plain = holdable.filter(({ key, size }) => {
    return size > 0 && size <= 64 * 1024 && /^[\w@./-]{1,60}$/.test(key)
  })
  const from = plain.length >= 4 ? plain : holdable
  const at = (part: number) => (from[Math.floor(from.length * part)] as SourceFile).key
  return { edited: at(0), deleted: at(0.25), renamed: at(0.5), disputed: at(0.75) }
}

function newName(key: string): string {
  const { name, ext } = posix.parse(key)
  return `${name}-renamed${ext}`
}

/** Taken by nothing, also where a store folds case or a folder has that name. */
function freeName(wanted: string, taken: Contents): string {
  const folded = [...taken.keys()].map((key) => key.toLowerCase())
  for (let name = wanted, n = 2; ; n++) {
    const lower = name.toLowerCase()
    if (!folded.some((key) => key === lower || key.startsWith(`${lower}/`))) return name
    const { dir, name: stem, ext } = posix.parse(wanted)
    name = posix.join(dir, `${stem}-${n}${ext}`)
  }
}

export function sha256(bytes: Uint8Array): string {
  return createHash('sha256').update(bytes).digest('hex')
}
