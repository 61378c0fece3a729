/** `conflicts undo`: a key goes back to what was agreed before its conflict was resolved. */
import type { ConflictRecord } from '../../catalog/catalog.ts'
import { EXIT, UserError } from '../../errors.ts'
import type { Version } from '../../model.ts'
import type { CommandContext } from '../command.ts'
import { bytes, printable } from '../output.ts'
import { serve } from '../serve.ts'
import { openSession, type Session } from '../session.ts'
import { conflictNumbered } from './filter.ts'
import { carryOut } from './resolve.ts'
import { type Decided, sinceThen } from './take.ts'

/** What lost and what won stay in history: either can be taken later. */
export async function undoConflicts(context: CommandContext, ids: string[]): Promise<number> {
  const session = await openSession(context)
  let close = session.close
  try {
    const decided: Decided[] = []
    for (const id of ids) decided.push(await undoOf(session, await conflictNumbered(session, id)))
    const served = await serve(context, session, { start: true })
    close = served.close
    return await carryOut(context, served, decided)
  } finally {
    await close()
  }
}

async function undoOf({ catalog }: Session, record: ConflictRecord): Promise<Decided> {
  const { dataset, key, state, endedRun } = record
  if (state !== 'resolved') throw refusal(record, `is ${state}, not resolved`)
  const newest = await catalog.linesOfKey(dataset, key, { limit: 2 })
  const [now, before] = newest.map(({ version }) => version)
  if (now === undefined || now.run < (endedRun ?? 0)) {
    throw refusal(record, 'was resolved for what was agreed already')
  }
  const { head, later } = await sinceThen(catalog, record)
  if (later) throw refusal(record, 'was resolved, and the key has changed since')
  // Undone, a conflict over a new key would leave nothing of it anywhere.
  if (!before) throw refusal(record, 'is about a key of which nothing was agreed before')
  return {
    record,
    directive: { do: 'restore', content: before.content, from: before.run, head },
    words: `back to what run ${before.run} agreed on (${sizeWords(before)})`,
  }
}

function sizeWords({ content }: Version): string {
  return content === null ? 'deleted' : bytes(content.size)
}

function refusal({ id, dataset, key }: ConflictRecord, why: string): UserError {
  return new UserError('conflict-not-undoable', `conflict ${id} ${why}`, {
    where: `${dataset}: ${printable(key)}`,
    next: `Take a side: tidemark conflicts resolve ${id} --take REPLICA --overwrite-later`,
    exit: EXIT.unreachable,
  })
}
