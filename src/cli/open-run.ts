/** The run of a dataset that Temporal has open now, and what may be said to it. */
import { WorkflowFailedError, WorkflowNotFoundError } from '@temporalio/client'
import {
  type Progress,
  pause,
  progress as progressQuery,
  resume,
} from '../../workflows/messages.ts'
import { EXIT, UserError } from '../errors.ts'
import type { TemporalClient } from '../temporal/connection.ts'
import { workflowIdOf } from '../temporal/start.ts'

export interface OpenRun {
  /** Temporal's id of its first execution, under which the catalog has it. */
  runId: string
  /** null: it said nothing in time, as where no worker serves it. */
  progress(): Promise<Progress | null>
  pause(): Promise<void>
  resume(): Promise<void>
  cancel(): Promise<void>
  /** Resolves when it has ended, however it did. */
  ended(): Promise<void>
}

const answerMs = 5_000

/** null: none is open. Where no workflow is named, the one that holds the dataset. */
export async function openRunOf(
  { client, connection }: TemporalClient,
  dataset: string,
  workflowId = workflowIdOf(dataset),
): Promise<OpenRun | null> {
  const latest = client.workflow.getHandle(workflowId)
  try {
    const { status, raw } = await latest.describe()
    if (status.name !== 'RUNNING') return null
    const info = raw.workflowExecutionInfo
    const runId = info?.firstRunId || info?.execution?.runId || ''
    // The run that was found and those it continues as; never a later run of the dataset.
    const handle = client.workflow.getHandle(workflowId, undefined, { firstExecutionRunId: runId })
    return {
      runId,
      async progress() {
        try {
          const deadline = Date.now() + answerMs
          return await connection.withDeadline(deadline, () => handle.query(progressQuery))
        } catch {
          // Told as not known: a run without a worker answers nothing, and is open all the same.
          return null
        }
      },
      pause: () => orNothing(dataset, handle.signal(pause)),
      resume: () => orNothing(dataset, handle.signal(resume)),
      cancel: () => orNothing(dataset, handle.cancel()),
      async ended() {
        try {
          await handle.result()
        } catch (error) {
          // How a run ended is in the catalog.
          if (!(error instanceof WorkflowFailedError)) throw error
        }
      },
    }
  } catch (error) {
    if (error instanceof WorkflowNotFoundError) return null
    throw error
  }
}

/** Where it ended while it was being told. */
async function orNothing(dataset: string, told: Promise<unknown>): Promise<void> {
  try {
    await told
  } catch (error) {
    throw error instanceof WorkflowNotFoundError ? nothingRuns(dataset) : error
  }
}

export function nothingRuns(dataset: string): UserError {
  return new UserError('nothing-runs', `no run of ${dataset} is under way`, {
    where: workflowIdOf(dataset),
    next: `Start one: tidemark sync ${dataset}`,
    exit: EXIT.unreachable,
  })
}
