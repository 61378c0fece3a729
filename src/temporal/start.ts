/** How a dataset's run is started: its workflow's id is the lock of the dataset. */
import type { SyncInput } from '../../workflows/messages.ts'
import { searchAttributes } from '../../workflows/messages.ts'
import type { Config } from '../config/index.ts'

export function startOptions(config: Config, input: SyncInput) {
  return {
    workflowId: workflowIdOf(input.dataset),
    taskQueue: config.temporal['task-queue'],
    args: [input] as [SyncInput],
    typedSearchAttributes: [
      { key: searchAttributes.dataset, value: input.dataset },
      { key: searchAttributes.mode, value: input.mode },
      { key: searchAttributes.trigger, value: input.trigger },
      { key: searchAttributes.state, value: 'running' },
    ],
    workflowIdConflictPolicy: 'FAIL' as const,
    workflowIdReusePolicy: 'ALLOW_DUPLICATE' as const,
  }
}

export function workflowIdOf(dataset: string): string {
  return `sync/${dataset}`
}
