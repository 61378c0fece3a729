/** What a Schedule starts: the dataset's sync, or a recorded skip where one is under way. */
import { WorkflowExecutionAlreadyStartedError } from '@temporalio/common'
import { executeChild, ParentClosePolicy } from '@temporalio/workflow'
import { activitiesOn } from './activity-options.ts'
import { type SyncInput, type SyncResult, searchAttributes } from './messages.ts'
import { syncDataset } from './sync-dataset.ts'

/** null: skipped. The dataset's workflow id is the lock, for scheduled and manual runs alike. */
export async function scheduledSync(input: SyncInput): Promise<SyncResult | null> {
  try {
    return await executeChild(syncDataset, {
      workflowId: `sync/${input.dataset}`,
      args: [input],
      // Ending the Schedule's workflow must not end a sync in the middle.
      parentClosePolicy: ParentClosePolicy.ABANDON,
      typedSearchAttributes: [
        { key: searchAttributes.dataset, value: input.dataset },
        { key: searchAttributes.mode, value: input.mode },
        { key: searchAttributes.trigger, value: input.trigger },
        { key: searchAttributes.state, value: 'running' },
      ],
    })
  } catch (error) {
    if (!(error instanceof WorkflowExecutionAlreadyStartedError)) throw error
    await activitiesOn(input.queue).recordSkip({
      dataset: input.dataset,
      configDigest: input.configDigest,
    })
    return null
  }
}
