/** The end of a run: what became of it, in one word and in counts; and what it leaves is cleared.
 * */
import type { Catalog, ItemState, RunCounts, RunRecord, RunState } from '../src/catalog/catalog.ts'
import { itemsKeptMs, listPageKeys } from '../src/limits.ts'
import type { Outcome, RunNumber } from '../src/model.ts'
import type { Deps } from './run-context.ts'
import { dropUploads } from './uploads.ts'

export type HowEnded = 'ended' | 'refused' | 'cancelled' | 'failed'

export async function finishRun(
  deps: Deps,
  { run, how, rangesFailed }: { run: RunNumber; how: HowEnded; rangesFailed: number },
  signal: AbortSignal,
): Promise<{ state: RunState }> {
  const { catalog } = deps
  const record = await catalog.getRun(run)
  if (record === null) throw new Error(`there is no run ${run}`)
  const lost = (await catalog.runReplicas(run)).filter(({ state }) => state === 'unknown')
  const items = await catalog.countItems(run)
  // A run of selected keys answers for these alone.
  const asked = record.request !== null
  const open = asked ? (items.open ?? 0) : await catalog.countOpenConflicts(record.dataset)
  const trouble = how === 'ended' && record.mode !== 'plan' ? await troubleOf(catalog, run) : {}
  const counts: RunCounts = { ...record.counts, ...trouble, conflicts: open }
  // Cancelled or failed in the middle: what wasn't done is planned again by the next run.
  const state = stateOf(record, how, {
    partial: rangesFailed + lost.length + counts.failed + counts.stale + counts.cancelled > 0,
    waiting: (items.held ?? 0) > 0,
    open: open > 0,
  })
  const problem = record.problem ?? problemOf(how, rangesFailed)
  await catalog.updateRun(run, { state, endedAt: deps.clock(), counts, problem })
  if (record.base !== null && how === 'ended') {
    await catalog.updateRun(record.base, { state: 'applied', cause: run })
  }
  // A plan touches no store; and a run that was refused needn't know its replicas.
  if (record.mode !== 'plan' && how !== 'refused') await dropUploads(deps, run, state, signal)
  await catalog.pruneItems(deps.clock() - itemsKeptMs)
  return { state }
}

/** What went wrong, by the items as they are: counts are added beside them as they go, so a worker
 *  that is killed in between loses some, or adds them again. */
async function troubleOf(
  catalog: Catalog,
  run: RunNumber,
): Promise<Pick<RunCounts, 'failed' | 'stale' | 'skipped'>> {
  const counts = { failed: 0, stale: 0, skipped: 0 }
  for (let after = -1; ; ) {
    const page = await catalog.readItems({ run, states: troubled, after, limit: listPageKeys })
    for (const { state, outcomes } of page) {
      const kinds = Object.values(outcomes).map(({ kind }) => kind)
      const times = (kind: Outcome['kind']) => kinds.filter((one) => one === kind).length
      counts.failed += times('failed')
      counts.skipped += times('skipped')
      // One whose row was changed by somebody else ended before any of its actions did.
      counts.stale += Math.max(times('changed-meanwhile'), state === 'stale' ? 1 : 0)
    }
    if (page.length < listPageKeys) return counts
    after = page[page.length - 1]?.seq ?? after
  }
}

/** All ends but `done`, whose items bear no other outcome. */
const troubled: ItemState[] = ['failed', 'stale', 'skipped', 'held', 'cancelled', 'open']

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
