/** A merge that is too large for the thread whose heartbeats tell Temporal that we live. */
import { extname } from 'node:path'
import { fileURLToPath } from 'node:url'
import { mergeHeapMiB, mergeMs, mergesInFlight } from '../src/limits.ts'
import type { Merged, MergeTask } from '../src/sync/strategies/merge-task.ts'
import { createByteBudget } from './byte-budget.ts'
import { inThread, type ThreadLimits } from './thread.ts'

const threads = createByteBudget(mergesInFlight)

/** Beside this file, as source or as it is built. */
const mergeThread = new URL(
  `./merge-thread${extname(fileURLToPath(import.meta.url))}`,
  import.meta.url,
)

/** As `runMerge`. What takes too long or too much, and what throws, is undecided: throws only where
 *  `signal` aborts. */
export async function mergeInThread(
  task: MergeTask,
  signal: AbortSignal,
  limits: ThreadLimits = { ms: mergeMs, heapMiB: mergeHeapMiB },
): Promise<Merged> {
  const release = await threads.take(1, signal)
  try {
    const answer = await inThread<Merged>(mergeThread, task, limits, signal)
    if ('said' in answer) return answer.said
    const { code: why, message } = answer.failed
    return { kind: 'undecided', code: why, message: `merging it failed: ${message}` }
  } finally {
    release()
  }
}
