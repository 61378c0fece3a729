/** One conflict, whole: what was agreed, each side, and how they differ where that can be read. */

import { wholeBody } from '../../../connectors/digests.ts'
import type { ConflictRecord } from '../../catalog/catalog.ts'
import { EXIT } from '../../errors.ts'
import { MIB } from '../../limits.ts'
import type { Content, Key, Source } from '../../model.ts'
import { readableDiff } from '../../sync/merge/readable-diff.ts'
import { sideOf } from '../../sync/strategies/choose.ts'
import type { CommandContext } from '../command.ts'
import { type Contents, openContents } from '../contents.ts'
import { shortDigest } from '../history/lines.ts'
import { bytes, type Output, printable, time } from '../output.ts'
import { openSession } from '../session.ts'
import { conflictNumbered } from './filter.ts'
import { shownConflict, stateWords, whyOpenBy } from './words.ts'

/** Longer contents are told by size, digest and time alone. */
const readBytesMax = 4 * MIB

interface Side {
  /** `aws = office`; of the base: `agreed`. */
  label: string
  content: Content | null
  at: number | null
  /** null: deleted, too long, or nobody has it any more: `why` says which. */
  bytes: Uint8Array | null
  why: string | null
}

export async function showConflict(context: CommandContext, text: string): Promise<number> {
  const { output } = context
  const session = await openSession(context)
  try {
    const record = await conflictNumbered(session, text)
    const contents = await openContents(context, session)
    try {
      const { base, sides } = await sidesOf(contents, record)
      const [first, ...rest] = [base, ...sides].filter((one) => one?.bytes)
      const diffs = first ? rest.flatMap((side) => diffOf(record.key, first, side as Side)) : []
      const why = whyOpenBy(session.config)(record)
      output.result({ ...shownConflict(record), why, sides: sides.map(shownSide), diffs })
      print(output, record, why, [...(base ? [base] : []), ...sides], diffs)
    } finally {
      await contents.close()
    }
    return EXIT.ok
  } finally {
    await session.close()
  }
}

async function sidesOf(contents: Contents, { dataset, key, conflict }: ConflictRecord) {
  const read = async (label: string, content: Content | null, at: number | null, from: Source[]) =>
    await readSide(contents, { dataset, key }, { label, content, at }, from)
  const head = conflict.head?.content ?? null
  const base = head && (await read('agreed', head, conflict.head?.at ?? null, []))
  const sides: Side[] = []
  for (const one of conflict.contenders) {
    const label = sideOf(one).join(' = ') || 'agreed'
    sides.push(await read(label, one.content, one.at, one.replicas))
  }
  return { base, sides }
}

async function readSide(
  contents: Contents,
  { dataset, key }: { dataset: string; key: Key },
  side: Pick<Side, 'label' | 'content' | 'at'>,
  from: Source[],
): Promise<Side> {
  const { content } = side
  if (content === null) return { ...side, bytes: null, why: null }
  if (content.size > readBytesMax) return { ...side, bytes: null, why: 'too long to be shown' }
  const found = await contents.open(dataset, key, content, from)
  if (found === null) return { ...side, bytes: null, why: 'nobody has it any more' }
  return { ...side, bytes: await wholeBody(found.body), why: null }
}

/** Against what was agreed; where nobody has that, against the first side. */
function diffOf(key: Key, from: Side, to: Side): { from: string; to: string; diff: string }[] {
  if (!from.bytes || !to.bytes) return []
  const type = to.content?.metadata?.contentType
  const diff = readableDiff(key, type, from.bytes, to.bytes, [from.label, to.label])
  return diff === null || diff === '' ? [] : [{ from: from.label, to: to.label, diff }]
}

function shownSide({ label, content, at, why }: Side) {
  return { label, content, at: at === null ? null : new Date(at).toISOString(), why }
}

function print(
  output: Output,
  record: ConflictRecord,
  why: string | null,
  sides: Side[],
  diffs: { from: string; to: string; diff: string }[],
): void {
  const { id, dataset, key, kind, state } = record
  output.line(`conflict ${id} of ${dataset}: ${printable(key)}`)
  output.line(`  ${kind}, ${printable(stateWords(record, why))}`)
  const rows = sides.map(({ label, content, at, why: unread }) => [
    `  ${label}`,
    content === null ? 'deleted' : bytes(content.size),
    content === null ? '' : shortDigest(content) || 'no digest known',
    at === null ? '' : time(at),
    unread ?? '',
  ])
  output.table(['  SIDE', 'SIZE', 'DIGEST', 'WRITTEN', ''], rows, ['SIZE'])
  for (const { from, to, diff } of diffs) {
    output.line()
    output.line(output.paint('bold', `${from} → ${to}`))
    for (const line of diff.split('\n')) output.line(painted(output, line))
  }
  output.line()
  if (state === 'open') {
    output.line(`resolve it: tidemark conflicts resolve ${id} --take REPLICA`)
    output.line('  or --content FILE, or --strategy NAME')
  } else if (state === 'resolved') {
    output.line(`another side after all: tidemark conflicts resolve ${id} --take REPLICA`)
    output.line(`open again, to be decided anew: tidemark conflicts undo ${id}`)
    output.line(`a side's bytes: tidemark conflicts cat ${id} REPLICA`)
  }
}

function painted({ paint }: Output, line: string): string {
  const text = printable(line)
  if (line.startsWith('+')) return paint('green', text)
  return line.startsWith('-') ? paint('red', text) : text
}
