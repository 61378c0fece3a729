/**
 * A conflict into a verdict by a strategy and what it falls back on. Pure and total: whatever the
 * sides and the base are, it ends in a winner, in content that was made of them, or in staying
 * open; the table of all of it is in docs/conflicts.md. A new strategy is a row in `STRATEGIES`.
 */
import type { Conflict, Strategy, Undecided } from '../../model.ts'
import {
  deleteWins,
  firstWriteWins,
  keepBoth,
  largest,
  lastWriteWins,
  preferred,
  smallest,
  updateWins,
} from './choose.ts'
import { askModule } from './custom.ts'
import { byCrdt, byMerging } from './merging.ts'
import type { Known, Verdict, Word } from './verdict.ts'

type Ask<S extends Strategy> = (conflict: Conflict, strategy: S, known: Known) => Word

const STRATEGIES: { [N in Strategy['name']]: Ask<Extract<Strategy, { name: N }>> } = {
  'last-write-wins': lastWriteWins,
  'first-write-wins': firstWriteWins,
  largest,
  smallest,
  prefer: preferred,
  'update-wins': updateWins,
  'delete-wins': deleteWins,
  'keep-both': ({ contenders }, { as }) => keepBoth(contenders, as),
  merge: byMerging,
  crdt: byCrdt,
  custom: askModule,
  manual: () => ({ kind: 'passes', code: 'manual', message: 'it waits for a person' }),
}

/** Drift is decided by the policy `drift`, or by a person: never by a strategy. */
export function decide(conflict: Conflict, strategy: Strategy, known: Known): Verdict {
  const tried: Undecided[] = []
  if (conflict.kind === 'drift') {
    const message = 'the destination of a one-way dataset is not decided by a strategy'
    return { kind: 'open', tried: [{ strategy: strategy.name, code: 'drift', message }] }
  }
  let contenders = conflict.contenders
  for (let next: Strategy | undefined = strategy; next; ) {
    const { name } = next
    const ask = STRATEGIES[name] as Ask<Strategy>
    const word = ask({ ...conflict, contenders }, next, known)
    if (word.kind === 'needs') return word
    if (word.kind !== 'passes') return { ...word, by: name, tried }
    const { code, message, at, left } = word
    tried.push({ strategy: name, code, message, ...(at === undefined ? {} : { at }) })
    contenders = left ?? contenders
    next = 'otherwise' in next ? next.otherwise : undefined
  }
  return { kind: 'open', tried }
}
