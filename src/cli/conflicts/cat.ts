/** A side's bytes on standard output, as they are: also of a side that lost. */
import { EXIT, UserError } from '../../errors.ts'
import type { CommandContext } from '../command.ts'
import { openContents } from '../contents.ts'
import { contentBytes, writeBytes } from '../history/version-bytes.ts'
import { openSession } from '../session.ts'
import { conflictNumbered } from './filter.ts'
import { sideAt } from './take.ts'

export async function catSide(context: CommandContext, [id, replica]: string[]): Promise<number> {
  if (id === undefined || replica === undefined) {
    throw new UserError('usage-missing-argument', 'which side of which conflict?', {
      next: 'tidemark conflicts cat ID REPLICA',
    })
  }
  const session = await openSession(context)
  try {
    const record = await conflictNumbered(session, id)
    const { dataset, key } = record
    const { content, replicas: sources } = sideAt(record, replica)
    const name = `${replica}'s side of conflict ${id}`
    if (content === null) {
      throw new UserError('version-deleted', `${name} is a delete: it has no content`, {
        exit: EXIT.failed,
      })
    }
    const contents = await openContents(context, session)
    try {
      const wanted = { name, dataset, key, content, sources }
      await writeBytes(context, contentBytes(contents, wanted))
      return EXIT.ok
    } finally {
      await contents.close()
    }
  } finally {
    await session.close()
  }
}
