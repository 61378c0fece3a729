/** Which conflicts are meant: by numbers, or by what is known of them. */
import type { ConflictFilter, ConflictRecord } from '../../catalog/catalog.ts'
import { UserError } from '../../errors.ts'
import { sideOf } from '../../sync/strategies/choose.ts'
import type { CommandOptions } from '../command.ts'
import type { Session } from '../session.ts'

export interface Wanted extends Omit<ConflictFilter, 'limit' | 'before'> {
  /** A side has it. The catalog doesn't search for that. */
  replica?: string
}

const kinds = ['update/update', 'create/create', 'update/delete', 'drift'] as const
const states = ['open', 'resolved', 'closed'] as const
const pageConflicts = 500

/** `ids`: as they were typed. Nothing given means all that are open. */
export function wantedOf(ids: string[], options: CommandOptions): Wanted {
  const text = (name: string) => {
    const value = options[name]
    return typeof value === 'string' ? value : undefined
  }
  const [dataset, key, prefix] = [text('dataset'), text('key'), text('prefix')]
  const [kind, state, replica] = [text('kind'), text('only'), text('replica')]
  const numbers = ids.map(numberOf)
  return {
    ...(numbers.length > 0 && { ids: numbers }),
    ...(dataset !== undefined && { dataset }),
    ...(key !== undefined && { key }),
    ...(prefix !== undefined && { prefix }),
    ...(kind !== undefined && { kind: oneOf(kinds, kind, 'kind of conflict') }),
    ...(replica !== undefined && { replica }),
    ...statesOf(state, numbers.length > 0),
  }
}

/** By number, whatever became of it; else the open ones unless it's said. */
function statesOf(state: string | undefined, numbered: boolean): Pick<Wanted, 'states'> {
  if (state === 'all' || (state === undefined && numbered)) return {}
  return { states: [state === undefined ? 'open' : oneOf(states, state, 'state, but for all')] }
}

function oneOf<T extends string>(known: readonly T[], text: string, what: string): T {
  const found = known.find((one) => one === text)
  if (found) return found
  throw new UserError('usage-invalid', `there is no ${what} "${text}"`, {
    next: `They are: ${known.join(', ')}`,
  })
}

function numberOf(text: string): number {
  if (/^\d{1,15}$/.test(text)) return Number(text)
  throw new UserError('conflict-unknown', `"${text}" is no conflict's number`, {
    next: 'See: tidemark conflicts',
  })
}

/** Newest first, page by page, however many there are. */
export async function* conflictsOf(
  { catalog }: Session,
  { replica, ...filter }: Wanted,
): AsyncGenerator<ConflictRecord> {
  for (let before: number | undefined; ; ) {
    const page = await catalog.findConflicts({
      ...filter,
      ...(before === undefined ? {} : { before }),
      limit: pageConflicts,
    })
    for (const one of page) {
      const sides = one.conflict.contenders.flatMap(sideOf)
      if (replica === undefined || sides.includes(replica)) yield one
    }
    if (page.length < pageConflicts) return
    before = page[page.length - 1]?.id
  }
}

/** The one that bears this number. */
export async function conflictNumbered(session: Session, text: string): Promise<ConflictRecord> {
  const id = numberOf(text)
  const [record] = await session.catalog.findConflicts({ ids: [id], limit: 1 })
  if (record) return record
  throw new UserError('conflict-unknown', `there is no conflict ${id}`, {
    next: 'See: tidemark conflicts',
  })
}
