/** How activities are called: one place for their time-outs and retries. */
import { ActivityCancellationType, proxyActivities } from '@temporalio/workflow'
import type { Activities } from '../activities/index.ts'

/**
 * Tries aren't counted here: a killed worker costs a try too. What fails for good throws as not
 * retryable; each key and each replica counts its own tries in the catalog.
 */
const retry = {
  initialInterval: '500ms',
  backoffCoefficient: 2,
  maximumInterval: '10s',
} as const

export function activitiesOn(taskQueue: string): Activities {
  return proxyActivities<Activities>({
    taskQueue,
    startToCloseTimeout: '6h',
    // A killed worker is noticed after this long; heartbeats go out every second.
    heartbeatTimeout: '6s',
    cancellationType: ActivityCancellationType.WAIT_CANCELLATION_COMPLETED,
    retry,
  })
}
