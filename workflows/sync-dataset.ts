/** A run: prepare → ranges in a sliding window → deferred deletes → finish. */
import {
  CancellationScope,
  CancelledFailure,
  ContinueAsNew,
  condition,
  continueAsNew,
  getExternalWorkflowHandle,
  isCancellation,
  ParentClosePolicy,
  setCurrentDetails,
  setHandler,
  startChild,
  upsertSearchAttributes,
  workflowInfo,
} from '@temporalio/workflow'
import type { HowEnded } from '../activities/finish.ts'
import type { ScanResult } from '../activities/index.ts'
import { rangesInFlight } from '../src/limits.ts'
import { activitiesOn } from './activity-options.ts'
import { isHistoryFull } from './history.ts'
import {
  type Progress,
  pause,
  progress,
  rangeCut,
  resume,
  type SyncInput,
  type SyncResult,
  searchAttributes,
} from './messages.ts'
import { createPausable } from './pausable.ts'
import { hasFound, syncRange } from './sync-range.ts'

export async function syncDataset(input: SyncInput): Promise<SyncResult> {
  const { prepare, scan, resolve, weighDeletes, apply, finish } = activitiesOn(input.queue)
  const seen: Progress = {
    run: input.resumed?.run ?? null,
    phase: 'preparing',
    paused: input.resumed?.paused ?? false,
    rangesDone: input.resumed?.next ?? 0,
    rangesKnown: input.resumed?.known ?? 0,
  }
  let failed = input.resumed?.failed ?? 0
  let found = input.resumed?.found ?? false
  const inFlight = new Map<number, Promise<void>>()
  const pausable = createPausable(seen.paused)
  let told = Promise.resolve()
  setHandler(progress, () => seen)
  setHandler(pause, () => pauseRun(true))
  setHandler(resume, () => pauseRun(false))
  setHandler(rangeCut, ({ range }) => {
    seen.rangesKnown = Math.max(seen.rangesKnown, range + 1)
    show(seen.phase)
  })
  show('preparing')
  try {
    if (!input.resumed) {
      const prepared = await prepare(input)
      seen.run = prepared.run
      seen.rangesKnown = prepared.ranges
      if (prepared.refused) return (await end('refused')) as SyncResult
    }
    const run = seen.run as number
    show('ranges')
    if (input.base === null) await syncRanges(run)
    else await carryOutStored(run)
    if (input.mode !== 'plan' && (found || failed > 0)) await carryOutDeletes(run)
    await pausable.resumed()
    return (await end('ended')) as SyncResult
  } catch (error) {
    // How it goes on is thrown, too.
    if (error instanceof ContinueAsNew) throw error
    // However it shows: a lost worker's activity ends as a time-out, and isn't begun again.
    const cancelled = isCancellation(error) || CancellationScope.current().consideredCancelled
    return await CancellationScope.nonCancellable(async () => {
      await Promise.allSettled(inFlight.values())
      const prepared = seen.run !== null
      const result = await end(cancelled ? 'cancelled' : 'failed')
      // Who waits for the result is told why it didn't begin.
      if (result !== null && (prepared || cancelled)) return result
      // The time-out of a lost worker is no failure of what was cancelled before it began.
      if (cancelled && !isCancellation(error))
        throw new CancelledFailure('cancelled', [], error as Error)
      throw error
    })
  }

  /** Ranges start as they are cut: at most so many at a time, each a child of its own. */
  async function syncRanges(run: number): Promise<void> {
    let next = seen.rangesDone
    if (seen.rangesKnown === 1 && next === 0) await startLoneRange(run, next++)
    while (next < seen.rangesKnown || inFlight.size > 0) {
      if (seen.paused) {
        // The last range may end meanwhile: then there is nothing more to wait for.
        await pausable.resumed()
        continue
      }
      const full = isHistoryFull()
      if (next < seen.rangesKnown && inFlight.size < rangesInFlight && !full) {
        await startRange(run, next++)
        continue
      }
      // The window is drained first: children would be cancelled with the old execution.
      if (full && inFlight.size === 0) return await goOn(run, next)
      await Promise.race([
        ...inFlight.values(),
        condition(() => next < seen.rangesKnown && inFlight.size < rangesInFlight && !full),
      ])
    }
  }

  /** Mostly nothing has changed, and its first page is all there is: that needs no child. */
  async function startLoneRange(run: number, range: number): Promise<void> {
    const page = await pausable
      .run(() => scan({ run, range }))
      .catch((error) => {
        if (isCancellation(error)) throw error
        failed++
      })
    if (page?.cut) seen.rangesKnown = page.cut + 1
    if (page && (hasFound(page) || !page.ended)) await startRange(run, range, page)
    else leave(range)
  }

  async function startRange(run: number, range: number, page?: ScanResult): Promise<void> {
    const child = await startChild(syncRange, {
      workflowId: `${workflowInfo().workflowId}/${run}/r${range}`,
      args: [{ run, range, mode: input.mode, queue: input.queue, ...(page && { page }) }],
      parentClosePolicy: ParentClosePolicy.REQUEST_CANCEL,
    })
    const done = child.result().then(
      (result) => {
        found ||= result.found
        leave(range)
      },
      (error) => {
        leave(range)
        if (isCancellation(error)) throw error
        failed++
      },
    )
    // Whoever waits sees it; nobody waiting must not fail the workflow task.
    done.catch(() => undefined)
    inFlight.set(range, done)
    // It was paused while the child was being started, which nobody told it.
    if (seen.paused) tell(range)
  }

  function leave(range: number): void {
    inFlight.delete(range)
    seen.rangesDone++
    show('ranges')
  }

  /** A stored plan, or what was held: its items are range 0, and nothing is scanned. */
  async function carryOutStored(run: number): Promise<void> {
    found = true
    await pausable.run(() => resolve({ run, range: 0 }))
    await pausable.run(() => apply({ run, lane: 'range/0' }))
  }

  /** Deletes come last, when every range has ended; then the puts that they had blocked. */
  async function carryOutDeletes(run: number): Promise<void> {
    await pausable.resumed()
    show('deletes')
    const { deferred, blocked } = await weighDeletes({ run, rangesFailed: failed })
    if (deferred) await pausable.run(() => apply({ run, lane: 'deletes' }))
    if (blocked) await pausable.run(() => apply({ run, lane: 'blocked' }))
  }

  async function goOn(run: number, next: number): Promise<never> {
    const resumed = { run, next, known: seen.rangesKnown, failed, found, paused: seen.paused }
    return await continueAsNew<typeof syncDataset>({ ...input, resumed })
  }

  /** null: it ended before it had a number. */
  async function end(how: HowEnded): Promise<SyncResult | null> {
    show('finishing')
    const { run, state } = await finish({ run: seen.run, how, rangesFailed: failed })
    upsertSearchAttributes([{ key: searchAttributes.state, value: state }])
    seen.run = run
    seen.phase = 'ended'
    setCurrentDetails(`Run ${run ?? '…'} of ${input.dataset}: ${state}`)
    return run === null ? null : { run, state }
  }

  function pauseRun(paused: boolean): void {
    seen.paused = paused
    pausable.set(paused)
    show(seen.phase)
    for (const range of inFlight.keys()) tell(range)
  }

  /** One after the other, what is so then: a pause that overtook its resume would hold the range
   *  for ever. */
  function tell(range: number): void {
    const id = `${workflowInfo().workflowId}/${seen.run}/r${range}`
    told = told
      .then(() => getExternalWorkflowHandle(id).signal(seen.paused ? pause : resume))
      // A range that ended meanwhile needs no telling.
      .catch(() => undefined)
  }

  function show(phase: Progress['phase']): void {
    seen.phase = phase
    const ranges = `${seen.rangesDone} of ${seen.rangesKnown} ranges`
    const how = seen.paused ? 'paused' : phase
    setCurrentDetails(`Run ${seen.run ?? '…'} of ${input.dataset}: ${how}, ${ranges}`)
  }
}
