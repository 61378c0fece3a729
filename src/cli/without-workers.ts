/** A run that nobody takes up is told of, instead of being waited for in silence. */
import type { SyncInput } from '../../workflows/messages.ts'
import { isConnectionLost } from '../temporal/connection.ts'
import type { CommandContext } from './command.ts'
import type { ServedSession } from './serve.ts'

/** A worker that is starting takes a run up within this long (ms). */
const patienceMs = 3_000

/** temporal.api.enums.v1.TaskQueueType */
const queueTypes = { workflow: 1, activity: 2 } as const

/** `look` is called while the run hasn't begun. */
export function noteWithoutWorkers(
  { output }: CommandContext,
  session: ServedSession,
  input: SyncInput,
): { look(): Promise<void> } {
  const begun = performance.now()
  let looked = false

  async function isServed(queue: string, type: keyof typeof queueTypes): Promise<boolean> {
    const { connection } = session.temporal
    const { pollers } = await connection.workflowService.describeTaskQueue({
      namespace: session.config.temporal.namespace,
      taskQueue: { name: queue },
      taskQueueType: queueTypes[type],
    })
    return (pollers ?? []).length > 0
  }

  return {
    async look() {
      // Ours are just starting.
      if (session.own || looked || performance.now() - begun < patienceMs) return
      looked = true
      try {
        await tell()
      } catch (error) {
        // Whoever waits for the run finds Temporal again.
        if (!isConnectionLost(error)) throw error
      }
    },
  }

  async function tell(): Promise<void> {
    const queue = session.config.temporal['task-queue']
    if (!(await isServed(queue, 'workflow'))) {
      output.note(`no worker serves the task queue ${queue} yet; start one: tidemark worker`)
    } else if (!(await isServed(input.queue, 'activity'))) {
      output.note(
        `no worker serves ${input.queue}, the folders of this state folder, yet; start one` +
          ' with this --state: tidemark worker',
      )
    }
  }
}
