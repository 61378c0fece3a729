import { wholeBody } from '../../../connectors/digests.ts'
import type { HistoryLine } from '../../catalog/catalog.ts'
import { EXIT } from '../../errors.ts'
import { MIB } from '../../limits.ts'
import { compareContent } from '../../sync/content.ts'
import { readableDiff } from '../../sync/merge/readable-diff.ts'
import type { CommandContext } from '../command.ts'
import { type Contents, openContents } from '../contents.ts'
import { headers, numbers, rowOf, shownLine } from '../history/lines.ts'
import { bytesOf } from '../history/version-bytes.ts'
import { nameOf, parseVersionName, versionNamed } from '../history/version-name.ts'
import { printable } from '../output.ts'
import { openSession } from '../session.ts'

/** Above this (bytes) nobody reads a diff: sizes and digests say enough. */
const readableMax = 4 * MIB

/** What differs between two versions, of one key or of two. Exits with 5 where they differ. */
export async function run(context: CommandContext, texts: string[]): Promise<number> {
  const [a, b] = texts.map(parseVersionName) as [Named, Named]
  const { output } = context
  const session = await openSession(context)
  try {
    const old: Side = { ...a, line: await versionNamed(session, a) }
    const now: Side = { ...b, line: await versionNamed(session, b) }
    const contents = await openContents(context, session)
    try {
      const same = isSame(old.line, now.line)
      const text = same ? '' : await textOf(contents, old, now)
      const shown = [old, now].map(({ dataset, line }) => shownLine(dataset, line))
      output.result({ same, versions: shown, diff: text })
      const rows = [old, now].map(({ dataset, line }) => rowOf(dataset, line))
      output.table(headers, rows, numbers)
      if (same) output.line('the same content')
      else if (text) for (const line of text.split('\n')) output.line(printable(line))
      else if (text === null) output.line(unreadable(old, now))
      return same ? EXIT.ok : EXIT.differences
    } finally {
      await contents.close()
    }
  } finally {
    await session.close()
  }
}

function unreadable(...sides: Side[]): string {
  const gone = sides.find(({ line }) => line.version.content === null)
  if (gone) return `deleted in ${printable(nameOf(gone.dataset, gone.key, gone.run))}`
  return 'different content, which is not text that can be shown'
}

type Named = ReturnType<typeof parseVersionName>
type Side = Named & { line: HistoryLine }

function isSame({ version: a }: HistoryLine, { version: b }: HistoryLine): boolean {
  if (a.content === null || b.content === null) return a.content === b.content
  return compareContent(a.content, b.content) === 'same'
}

/** null: one of them is a delete, too large, or no text. */
async function textOf(contents: Contents, old: Side, now: Side): Promise<string | null> {
  const sides = [old, now]
  const readable = sides.every(({ line }) => {
    const { content } = line.version
    return content !== null && content.size <= readableMax
  })
  if (!readable) return null
  const bytes: Uint8Array[] = []
  for (const { dataset, line } of sides) {
    bytes.push(await wholeBody(bytesOf(contents, dataset, line)))
  }
  const { line, key } = now
  const [a, b] = bytes as [Uint8Array, Uint8Array]
  const labels = sides.map((side) => nameOf(side.dataset, side.key, side.run))
  const { contentType } = line.version.content?.metadata ?? {}
  return readableDiff(key, contentType, a, b, labels as [string, string])
}
