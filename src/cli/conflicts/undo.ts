/** `conflicts undo`: how it was resolved is taken back; it is open again, to be decided anew. */
import type { ConflictRecord } from '../../catalog/catalog.ts'
import { EXIT, UserError } from '../../errors.ts'
import type { CommandContext } from '../command.ts'
import { type Contents, openContents } from '../contents.ts'
import { printable } from '../output.ts'
import { openSession, type Session } from '../session.ts'
import { conflictNumbered } from './filter.ts'
import { shownConflict } from './words.ts'

/** Nothing moves by that: what the replicas have now is one of its sides. */
export async function undoConflicts(context: CommandContext, ids: string[]): Promise<number> {
  const { output, by } = context
  const session = await openSession(context)
  try {
    const records: ConflictRecord[] = []
    for (const id of ids) records.push(await conflictNumbered(session, id))
    const contents = await openContents(context, session)
    try {
      for (const record of records) await refuseWhatCannot(session, contents, record)
    } finally {
      await contents.close()
    }
    for (const record of records) await reopen(session, record, by)
    const now = await session.catalog.findConflicts({
      ids: records.map(({ id }) => id),
      limit: records.length,
    })
    output.result(now.map(shownConflict))
    for (const { id, key } of now) {
      output.line(
        `${id}  ${printable(key)}  open again; the replicas keep what they have until then`,
      )
      output.line(`  decide it anew: tidemark conflicts resolve ${id} --take REPLICA`)
    }
    return EXIT.ok
  } finally {
    await session.close()
  }
}

/** Throws before anything is done; `reopen` says the same again, in the transaction. */
async function refuseWhatCannot(
  session: Session,
  contents: Contents,
  record: ConflictRecord,
): Promise<void> {
  const { state, kind, conflict, resolution } = record
  if (state !== 'resolved') throw refusal(record, `is ${state}, not resolved`)
  if (kind === 'drift') throw refusal(record, 'is a destination’s own change: the source decides')
  const [other] = await session.catalog.findConflicts({
    ...{ dataset: record.dataset, key: record.key, states: ['open'], limit: 1 },
  })
  if (other) throw inAnother(record, other.id)
  const losers = resolution?.losers ?? conflict.contenders
  for (const { content } of losers) if (content === null || (await contents.has(content))) return
  throw refusal(record, 'has no other side any more: nobody has their contents, nor has the vault')
}

/** Also as a step of deciding it anew at once. */
export async function reopen(
  { catalog }: Session,
  record: ConflictRecord,
  by: string,
): Promise<void> {
  const answer = await catalog.reopenConflict(record.id, by)
  if (answer === 'not-resolved') throw refusal(record, 'is not resolved any more')
  if (answer === 'another-open') throw inAnother(record)
}

export function inAnother(record: ConflictRecord, other?: number): UserError {
  const which = other === undefined ? 'another conflict' : `conflict ${other}`
  const { id, dataset, key } = record
  return new UserError('conflict-overtaken', `the key of conflict ${id} is in ${which} now`, {
    where: `${dataset}: ${printable(key)}`,
    next: `Decide that one: tidemark conflicts resolve ${other ?? 'ID'} --take REPLICA`,
    exit: EXIT.unreachable,
  })
}

function refusal({ id, dataset, key, state }: ConflictRecord, why: string): UserError {
  const next =
    state === 'open'
      ? `Decide it: tidemark conflicts resolve ${id} --take REPLICA`
      : `See: tidemark conflicts show ${id}; older versions: tidemark log ${dataset}`
  return new UserError('conflict-not-undoable', `conflict ${id} ${why}`, {
    where: `${dataset}: ${printable(key)}`,
    next,
    exit: EXIT.unreachable,
  })
}
