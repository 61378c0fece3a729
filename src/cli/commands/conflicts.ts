import { UserError } from '../../errors.ts'
import type { CommandContext, CommandOptions } from '../command.ts'
import { catSide } from '../conflicts/cat.ts'
import { tellConflicts } from '../conflicts/history.ts'
import { listConflicts } from '../conflicts/list.ts'
import { resolveConflicts } from '../conflicts/resolve.ts'
import { showConflict } from '../conflicts/show.ts'
import { undoConflicts } from '../conflicts/undo.ts'

/** The inbox: `conflicts`, `conflicts show | cat | resolve | undo ID`, and `conflicts history`. */
export async function run(
  context: CommandContext,
  [action = 'list', ...rest]: string[],
  options: CommandOptions,
): Promise<number> {
  switch (action) {
    case 'list':
      return await listConflicts(context, rest, options)
    case 'show':
      return await showConflict(context, needed(rest, 'show')[0] as string)
    case 'cat':
      return await catSide(context, rest)
    case 'resolve':
      return await resolveConflicts(context, rest, options)
    case 'history':
      return await tellConflicts(context, rest, options)
    case 'undo':
      return await undoConflicts(context, needed(rest, 'undo'))
    default:
      throw new UserError('usage-invalid', `conflicts has no "${action}"`, {
        next:
          'It has: list [DATASET], show ID, cat ID REPLICA, resolve [ID...], undo ID..., ' +
          'history [DATASET]',
      })
  }
}

function needed(ids: string[], action: string): string[] {
  if (ids.length > 0) return ids
  throw new UserError('usage-missing-argument', `conflicts ${action} wants a conflict's number`, {
    next: 'See: tidemark conflicts',
  })
}
