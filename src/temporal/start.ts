/** How a run is started: its workflow's id is the lock of the dataset, or of what was asked for. */
import type { SyncInput } from '../../workflows/messages.ts'
import { searchAttributes } from '../../workflows/messages.ts'
import type { Config } from '../config/index.ts'

export function startOptions(config: Config, input: SyncInput) {
  return {
    workflowId: workflowIdFor(input),
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

/** A sync of selected keys runs beside the dataset's: each row's rev decides. What is planned
 *  first, and applied as a whole, holds the dataset as every plan does. */
export function workflowIdFor({ dataset, mode, request }: SyncInput): string {
  const beside = mode === 'sync' && request !== undefined
  return beside ? `keys/${dataset}/${request}` : workflowIdOf(dataset)
}

export function workflowIdOf(dataset: string): string {
  return `sync/${dataset}`
}
