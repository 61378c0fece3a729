/** The end of a run: what became of it, in one word and in counts. */
import type { RunCounts, RunRecord, RunState } from '../src/catalog/catalog.ts'
import type { RunNumber } from '../src/model.ts'
import type { Deps } from './run-context.ts'

export type HowEnded = 'ended' | 'refused' | 'cancelled' | 'failed'

export async function finishRun(
  deps: Deps,
  { run, how, rangesFailed }: { run: RunNumber; how: HowEnded; rangesFailed: number },
): Promise<{ state: RunState }> {
  const { catalog } = deps
  const record = await catalog.getRun(run)
  if (record === null) throw new Error(`there is no run ${run}`)
  const lost = (await catalog.runReplicas(run)).filter(({ state }) => state === 'unknown')
  const open = await catalog.countOpenConflicts(record.dataset)
  const items = await catalog.countItems(run)
  const counts: RunCounts = { ...record.counts, conflicts: open }
  // Cancelled or failed in the middle: what wasn't done is planned again by the next run.
  const state = stateOf(record, how, {
    partial: rangesFailed > 0 || lost.length > 0 || isPartial(counts),
    waiting: (items.held ?? 0) > 0,
    open: open > 0,
  })
  const problem = record.problem ?? problemOf(how, rangesFailed)
  await catalog.updateRun(run, { state, endedAt: deps.clock(), counts, problem })
  if (record.base !== null && how === 'ended') {
    await catalog.updateRun(record.base, { state: 'applied' })
  }
  return { state }
}

function isPartial({ failed, stale, cancelled }: RunCounts): boolean {
  return failed + stale + cancelled > 0
}

/** The first that applies, in the order of the exit codes. */
function stateOf(
  { mode, problem }: RunRecord,
  how: HowEnded,
  is: { partial: boolean; waiting: boolean; open: boolean },
): RunState {
  if (how === 'cancelled') return 'cancelled'
  if (how === 'failed' || how === 'refused') return 'failed'
  if (mode === 'plan') return 'planned'
  if (is.waiting || problem?.code === 'deletes-held') return 'held'
  if (is.partial) return 'partial'
  return is.open ? 'conflicts' : 'complete'
}

function problemOf(how: HowEnded, rangesFailed: number): RunRecord['problem'] {
  if (how === 'failed') {
    const next = "See the run in Temporal's UI, and the worker's log."
    return { code: 'run-failed', message: 'An activity failed in a way that is not known.', next }
  }
  if (rangesFailed === 0) return null
  const next = "See the run in Temporal's UI; the next run scans them again."
  return { code: 'ranges-failed', message: `${rangesFailed} ranges failed.`, next }
}
