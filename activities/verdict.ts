/** A conflict's verdict, with whatever deciding it takes: contents are read, a module is asked. */
import type { Conflict, StrategyRule } from '../src/model.ts'
import { customInput } from '../src/sync/strategies/custom.ts'
import type { Answer, Known, Need, Verdict } from '../src/sync/strategies/verdict.ts'
import { contentsSize, loadContents } from './contents.ts'
import { askModule } from './custom.ts'
import type { ByteBudget } from './lanes.ts'
import type { Deps, RunContext } from './run-context.ts'

/** What merging a content takes, in times its size: as bytes, as text, and as its parts. */
const timesSize = 4

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
  deps: Deps & { budget: ByteBudget },
  context: RunContext,
  conflict: Conflict,
  { judge, now, signal }: { judge: Judge; now: number; signal: AbortSignal },
  use: (judged: Judged) => Promise<T>,
): Promise<T> {
  const answers = new Map<string, Answer>()
  let contents: Known['contents'] = null
  let release = () => {}
  try {
    for (;;) {
      const { rule, verdict } = judge({ now, contents, answers })
      if (verdict.kind !== 'needs') return await use({ rule, verdict })
      if (verdict.what === 'contents') {
        contents = null
        release()
        release = await deps.budget.take(timesSize * contentsSize(conflict, verdict.bytesMax))
        contents = await loadContents(deps, context, conflict, verdict.bytesMax, signal)
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
