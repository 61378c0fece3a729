/** A conflict's verdict, with whatever deciding it takes: contents are read, a module is asked. */
import { setImmediate } from 'node:timers/promises'
import { decidingBytesMax } from '../src/limits.ts'
import type { Conflict, StrategyRule } from '../src/model.ts'
import { customInput } from '../src/sync/strategies/custom.ts'
import type { Merged } from '../src/sync/strategies/merge-task.ts'
import type {
  Answer,
  Known,
  MergingStrategy,
  Need,
  Verdict,
} from '../src/sync/strategies/verdict.ts'
import { type ByteBudget, createByteBudget } from './byte-budget.ts'
import { contentsSize, loadContents } from './contents.ts'
import { askModule } from './custom.ts'
import { mergeInThread } from './merge.ts'
import type { Deps, RunContext } from './run-context.ts'

/** What a content takes, in times its size: here, and where it is handed over. What a merge takes
 *  beside that is bounded by its thread. */
const timesSize = 2

/** What deciding may take of a worker. */
export interface Deciding {
  memory: ByteBudget
  /** Small contents are merged on the event loop, which takes up to half a second: one in a turn of
   *  it, so that heartbeats go out between them. */
  turns: ByteBudget
}

export function createDeciding(): Deciding {
  return { memory: createByteBudget(decidingBytesMax), turns: createByteBudget(1) }
}

export interface Judged {
  rule: StrategyRule | null
  verdict: Exclude<Verdict, Need>
}

export type Judge = (known: Known) => { rule: StrategyRule | null; verdict: Verdict }

/**
 * Asks `judge`, gives it what it needs, and asks again; then hands the verdict to `use`. The memory
 * that the contents take is held until that has ended. Throws a `StoreError` where a content can't
 * be read now.
 */
export async function judged<T>(
  deps: Deps & { deciding: Deciding },
  context: RunContext,
  conflict: Conflict,
  { judge, now, signal }: { judge: Judge; now: number; signal: AbortSignal },
  use: (judged: Judged) => Promise<T>,
): Promise<T> {
  const { memory, turns } = deps.deciding
  const answers = new Map<string, Answer>()
  const merges = new Map<MergingStrategy, Merged>()
  let contents: Known['contents'] = null
  let release = () => {}
  try {
    for (;;) {
      const { rule, verdict } = await inTurn(
        turns,
        judge,
        { now, contents, answers, merges },
        signal,
      )
      if (verdict.kind !== 'needs') return await use({ rule, verdict })
      if (verdict.what === 'contents') {
        contents = null
        release()
        release = await memory.take(timesSize * contentsSize(conflict, verdict.bytesMax), signal)
        contents = await loadContents(deps, context, conflict, verdict.bytesMax, signal)
      } else if (verdict.what === 'merge') {
        merges.set(verdict.strategy, await mergeInThread(verdict.task, signal, deps.mergeLimits))
      } else {
        if (contents === null) throw new Error('a module is asked without contents')
        const input = customInput(verdict.conflict, contents)
        answers.set(verdict.strategy.module, await askModule(verdict.strategy, input, signal))
      }
    }
  } finally {
    release()
  }
}

async function inTurn(
  turns: ByteBudget,
  judge: Judge,
  known: Known,
  signal: AbortSignal,
): Promise<ReturnType<Judge>> {
  if (known.contents === null) return judge(known)
  const release = await turns.take(1, signal)
  try {
    await setImmediate()
    return judge(known)
  } finally {
    release()
  }
}
