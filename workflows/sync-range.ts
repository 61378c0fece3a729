/** A range of keys: scan a page ‖ apply the page before, until its end. */
import {
  CancellationScope,
  continueAsNew,
  getExternalWorkflowHandle,
  setHandler,
  workflowInfo,
} from '@temporalio/workflow'
import type { ScanResult } from '../activities/index.ts'
import { activitiesOn } from './activity-options.ts'
import { isHistoryFull } from './history.ts'
import { pause, type RangeInput, type RangeResult, rangeCut, resume } from './messages.ts'
import { createPausable } from './pausable.ts'

export async function syncRange(input: RangeInput): Promise<RangeResult> {
  const { run, range, mode, queue } = input
  const { scan, resolve, apply } = activitiesOn(queue)
  const pausable = createPausable(input.paused ?? false)
  setHandler(pause, () => pausable.set(true))
  setHandler(resume, () => pausable.set(false))
  let page = input.page ?? null
  let ended = input.scanned ?? page?.ended ?? false
  let found = input.found ?? (page !== null && hasFound(page))
  do {
    page = await scanBesideApply(page)
    if (page !== null && isHistoryFull()) {
      await settlePage(page)
      const { page: _, ...same } = input
      await continueAsNew<typeof syncRange>({
        ...same,
        scanned: ended,
        found,
        paused: pausable.paused(),
      })
    }
  } while (page !== null)
  return { found }

  /** The next page, while the one before is applied; null: there is none. */
  async function scanBesideApply(before: ScanResult | null): Promise<ScanResult | null> {
    const [next] = await Promise.all([ended ? null : scanPage(), settlePage(before)])
    if (next) ended = next.ended
    return next
  }

  async function scanPage(): Promise<ScanResult> {
    const next = await pausable.run(() => scan({ run, range }))
    found ||= hasFound(next)
    // At once: the rest starts beside what is being applied here, however long that takes.
    if (next.cut !== null) await tellRun(next.cut)
    return next
  }

  async function settlePage(done: ScanResult | null): Promise<void> {
    if (done?.conflicts) await pausable.run(() => resolve({ run, range }))
    if ((done?.items || done?.conflicts) && mode !== 'plan') {
      await pausable.run(() => apply({ run, lane: `range/${range}` }))
    }
  }
}

export function hasFound({ items, conflicts, deferred }: ScanResult): boolean {
  return items || conflicts || deferred
}

/** The rest of a range that was cut is a new one: the run starts it while this one goes on. */
async function tellRun(range: number): Promise<void> {
  const parent = workflowInfo().parent
  if (!parent) return
  await CancellationScope.nonCancellable(() =>
    getExternalWorkflowHandle(parent.workflowId).signal(rangeCut, { range }),
  )
}
