/** The steps that touch the world, as Temporal calls them: each is an attempt of the engine's. */
import { Context } from '@temporalio/activity'
import type { Catalog, RunState } from '../src/catalog/catalog.ts'
import { bufferedBytesMax } from '../src/limits.ts'
import type { RunNumber } from '../src/model.ts'
import type { SyncInput } from '../workflows/messages.ts'
import { type ApplyResult, applyLane, type Lane } from './apply.ts'
import { asAttempt, asFailure } from './attempt.ts'
import { createByteBudget } from './byte-budget.ts'
import { type Weighed, weighRunDeletes } from './deletes.ts'
import { finishRun, type HowEnded } from './finish.ts'
import { type Prepared, prepareRun } from './prepare.ts'
import { resolveConflicts } from './resolve.ts'
import type { Deps } from './run-context.ts'
import { type ScanResult, scanPage } from './scan.ts'
import { skipRun } from './skip.ts'
import { createDeciding } from './verdict.ts'

export type { Deps } from './run-context.ts'
export type { ScanResult } from './scan.ts'

export type Activities = ReturnType<typeof createActivities>

export function createActivities(deps: Deps) {
  const { catalog } = deps
  const budget = createByteBudget(bufferedBytesMax)
  const shared = { ...deps, budget, deciding: createDeciding() }
  return {
    /** The run's record, its replicas looked at, its ranges cut. */
    async prepare(input: SyncInput): Promise<Prepared> {
      const { workflowExecution } = Context.current().info
      if (!workflowExecution) throw new Error('prepare is called by a workflow alone')
      return await plainly((signal) => prepareRun(deps, input, workflowExecution, signal))
    },

    /** One page of a range: its items are in the catalog when it returns. */
    async scan({ run, range }: { run: RunNumber; range: number }): Promise<ScanResult> {
      return await asAttempt(catalog, run, `scan/${range}`, (attempt) =>
        scanPage(deps, run, range, attempt),
      )
    },

    /** The page's conflicts, decided or opened. */
    async resolve({ run, range }: { run: RunNumber; range: number }): Promise<void> {
      await asAttempt(catalog, run, `resolve/${range}`, (attempt) =>
        resolveConflicts(shared, run, range, attempt),
      )
    },

    /** A lane's items, until none is left; each outcome committed as soon as it is known. */
    async apply({ run, lane }: { run: RunNumber; lane: Lane }): Promise<ApplyResult> {
      return await asAttempt(catalog, run, lane, (attempt) => applyLane(shared, run, lane, attempt))
    },

    /** Whether the run's deletes may go on: all, some or none of them. */
    async weighDeletes(input: { run: RunNumber; rangesFailed: number }): Promise<Weighed> {
      const { run, rangesFailed } = input
      return await asAttempt(catalog, run, 'weigh', (attempt) =>
        weighRunDeletes(deps, run, rangesFailed, attempt),
      )
    },

    /** `run` null: prepare didn't get to say it; then that of this execution, where there is one.
     * */
    async finish(input: { run: RunNumber | null; how: HowEnded; rangesFailed: number }) {
      const { how, rangesFailed } = input
      return await plainly(async (signal): Promise<Finished> => {
        const run = input.run ?? (await runOf(catalog, Context.current().info.workflowExecution))
        if (run === null) return { run, state: how === 'cancelled' ? 'cancelled' : 'failed' }
        return { run, ...(await finishRun(deps, { run, how, rangesFailed }, signal)) }
      })
    },

    /** A scheduled run that found another one under way. */
    async recordSkip(input: { dataset: string; configDigest: string }): Promise<void> {
      await plainly(() => skipRun(deps, input))
    },
  }
}

interface Finished {
  run: RunNumber | null
  state: RunState
}

async function runOf(
  catalog: Catalog,
  execution: { workflowId: string; runId: string } | undefined,
): Promise<RunNumber | null> {
  const recent = await catalog.listRuns({ limit: 100 })
  return recent.find(({ temporalRunId }) => temporalRunId === execution?.runId)?.run ?? null
}

/** Short steps of the catalog: a heartbeat at the start, failures as codes. */
async function plainly<T>(work: (signal: AbortSignal) => Promise<T>): Promise<T> {
  const context = Context.current()
  const beat = setInterval(() => context.heartbeat(), 1_000)
  try {
    context.heartbeat()
    return await work(context.cancellationSignal)
  } catch (error) {
    throw asFailure(error, context.cancellationSignal)
  } finally {
    clearInterval(beat)
  }
}
