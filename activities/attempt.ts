/**
 * One attempt of an activity: its heartbeat, its cancellation, its fence. Apart from this file and
 * index.ts the engine doesn't know Temporal, so tests drive it without.
 */
import { ApplicationFailure, CancelledFailure, Context } from '@temporalio/activity'
import type { Catalog, Holder } from '../src/catalog/catalog.ts'
import { EXIT, StoreError, UserError } from '../src/errors.ts'
import { fenceCacheMs } from '../src/limits.ts'
import type { RunNumber } from '../src/model.ts'

/** What the engine needs of the attempt that runs it. */
export interface Attempt {
  /** Aborts when the run is cancelled or the worker shuts down; goes into every read and write. */
  signal: AbortSignal
  /** Its number in its lane: the fence. */
  holder: Holder
  /** An earlier attempt of the same work may have written what it couldn't commit. */
  again: boolean
  /** Throws `Superseded` where a later attempt has taken the lane, as far as was known up to
   *  `fenceCacheMs` ago: nothing more may be written. Commits ask in their own transaction. */
  fence(): Promise<void>
  /** Counts for Temporal's UI. */
  tell(counts: Record<string, number>): void
}

/** A zombie: another attempt does this work now. */
export class Superseded extends Error {
  override name = 'Superseded'
  constructor({ run, lane }: Holder) {
    super(`another attempt has taken ${lane} of run ${run}`)
  }
}

const heartbeatMs = 1_000

/** Runs `work` as an attempt of `lane` in the run. Failures cross as codes, never as keys (I10). */
export async function asAttempt<T>(
  catalog: Catalog,
  run: RunNumber,
  lane: string,
  work: (attempt: Attempt) => Promise<T>,
): Promise<T> {
  const context = Context.current()
  let counts: Record<string, number> = {}
  context.heartbeat(counts)
  const beat = setInterval(() => context.heartbeat(counts), heartbeatMs)
  try {
    const holder = { run, lane, attempt: await catalog.claim(run, lane) }
    const attempt: Attempt = {
      signal: context.cancellationSignal,
      holder,
      again: context.info.attempt > 1,
      fence: fenceOf(catalog, holder),
      tell: (more) => {
        counts = { ...counts, ...more }
      },
    }
    return await work(attempt)
  } catch (error) {
    throw asFailure(error, context.cancellationSignal)
  } finally {
    clearInterval(beat)
  }
}

/** Read from the catalog at most every `fenceCacheMs`: that long a zombie may go on unseen. */
function fenceOf(catalog: Catalog, holder: Holder) {
  let checkedAt = 0
  return async (): Promise<void> => {
    const now = performance.now()
    if (now - checkedAt < fenceCacheMs) return
    const { run, lane, attempt } = holder
    if (!(await catalog.holds(run, lane, attempt))) throw new Superseded(holder)
    checkedAt = now
  }
}

export function asFailure(error: unknown, signal: AbortSignal): unknown {
  if (signal.aborted) return new CancelledFailure('cancelled')
  // A zombie's word isn't heard; but one that woke up late may have claimed the lane behind the
  // attempt that Temporal waits for: that one is begun again.
  if (error instanceof Superseded) return ApplicationFailure.retryable(error.message, 'superseded')
  if (error instanceof UserError) {
    const { message, code: type, exit } = error
    // A catalog that is away may be back: the run waits for it.
    return ApplicationFailure.create({ message, type, nonRetryable: exit !== EXIT.unreachable })
  }
  if (error instanceof StoreError) {
    const words = `${error.operation} at ${error.location}: ${error.code}`
    return ApplicationFailure.retryable(words, error.code)
  }
  // Its words may name a key or a path: they are for the worker's log alone (I10).
  Context.current().log.error('an unexpected error', { error })
  const name = error instanceof Error ? error.name : typeof error
  return ApplicationFailure.retryable(`unexpected ${name}: see the worker's log`, 'unexpected')
}
