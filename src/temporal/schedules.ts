/** Temporal's Schedules as the config wants them: created, updated, deleted. */
import { type Client, ScheduleNotFoundError, ScheduleOverlapPolicy } from '@temporalio/client'
import type { SyncInput } from '../../workflows/messages.ts'
import type { Config, DatasetConfig } from '../config/index.ts'
import { hostId, hostTaskQueue } from './host.ts'

const prefix = 'tidemark/'
/** A server that was down starts what it missed within this long, once (default: a year). */
const catchupWindow = 10 * 60 * 1000

/** Gives a line for each Schedule: what there is now. Only our own ids are touched. */
export async function syncSchedules(
  client: Client,
  config: Config,
  stateDir: string,
): Promise<string[]> {
  const wanted = new Map(
    config.datasets
      .filter(({ mode, enabled, schedule }) => mode === 'scheduled' && enabled && schedule !== null)
      .map((dataset) => [`${prefix}${dataset.name}`, dataset]),
  )
  for await (const { scheduleId } of client.schedule.list()) {
    if (!scheduleId.startsWith(prefix) || wanted.has(scheduleId)) continue
    await client.schedule.getHandle(scheduleId).delete()
  }
  const lines: string[] = []
  for (const [id, dataset] of wanted) {
    await putSchedule(client, id, optionsOf(id, dataset, config, stateDir))
    lines.push(`Schedule  ${dataset.name}: ${dataset.schedule} UTC`)
  }
  return lines
}

/** `describe` never gives the cron text back, so it is written each time, and kept in the memo. */
async function putSchedule(
  client: Client,
  id: string,
  options: ReturnType<typeof optionsOf>,
): Promise<void> {
  const handle = client.schedule.getHandle(id)
  try {
    const { spec, action, policies } = options
    await handle.update((now) => ({ ...now, spec, action, policies }))
  } catch (error) {
    if (!(error instanceof ScheduleNotFoundError)) throw error
    await client.schedule.create(options)
  }
}

function optionsOf(id: string, dataset: DatasetConfig, config: Config, stateDir: string) {
  const replicas = [dataset.source, ...dataset.destinations]
  const folders = replicas.some((name) => config.locations[name]?.type === 'file')
  const taskQueue = config.temporal['task-queue']
  const input: SyncInput = {
    dataset: dataset.name,
    mode: 'sync',
    trigger: 'schedule',
    configDigest: config.digest,
    base: null,
    queue: folders ? hostTaskQueue(hostId(stateDir)) : taskQueue,
  }
  return {
    scheduleId: id,
    spec: { cronExpressions: [dataset.schedule as string] },
    action: {
      type: 'startWorkflow' as const,
      workflowType: 'scheduledSync',
      workflowId: `scheduled/${dataset.name}`,
      taskQueue,
      args: [input],
    },
    policies: { overlap: ScheduleOverlapPolicy.SKIP, catchupWindow },
    memo: { cron: dataset.schedule },
  }
}
