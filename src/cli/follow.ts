/** Starts a run and follows it to its end: live progress, Ctrl-C, what became of it. */
import { WorkflowExecutionAlreadyStartedError } from '@temporalio/common'
import type { SyncInput, SyncResult } from '../../workflows/messages.ts'
import type { RunMode, RunRecord } from '../catalog/catalog.ts'
import { UserError } from '../errors.ts'
import { hostId } from '../temporal/host.ts'
import { startOptions } from '../temporal/start.ts'
import type { CommandContext } from './command.ts'
import { showProgress } from './progress.ts'
import type { ServedSession } from './session.ts'

export interface RunRequest {
  dataset: string
  mode: RunMode
  base?: number
}

const pollMs = 200

/**
 * Gives the run's record when it has ended. Where another run of the dataset is under way, a sync
 * joins a sync of the same config; anything else waits for it first.
 */
export async function followRun(
  context: CommandContext,
  session: ServedSession,
  request: RunRequest,
): Promise<RunRecord> {
  const input: SyncInput = {
    dataset: request.dataset,
    mode: request.mode,
    trigger: 'manual',
    configDigest: session.config.digest,
    base: request.base ?? null,
    queue: queueOf(context, session, request.dataset),
  }
  for (;;) {
    const handle = await startOrJoin(session, input)
    const record = await untilEnded(context, session, request.dataset, handle)
    const same = record.configDigest === input.configDigest && record.mode === input.mode
    const joined = same && record.mode === 'sync'
    if (!handle.joined || joined || context.signal.aborted) return record
  }
}

/** Folders are this host's; everything else is any worker's. */
function queueOf(context: CommandContext, { config }: ServedSession, name: string): string {
  const dataset = config.datasets.find((one) => one.name === name)
  const replicas = dataset ? [dataset.source, ...dataset.destinations] : []
  const folders = replicas.some((replica) => config.locations[replica]?.type === 'file')
  return folders ? `host/${hostId(context.state)}` : config.temporal['task-queue']
}

interface Followed {
  joined: boolean
  runId: string
  result(): Promise<SyncResult>
  cancel(): Promise<unknown>
}

async function startOrJoin(session: ServedSession, input: SyncInput): Promise<Followed> {
  const { client } = session.temporal
  const options = startOptions(session.config, input)
  try {
    const handle = await client.workflow.start('syncDataset', options)
    const runId = handle.firstExecutionRunId
    return { joined: false, runId, result: () => handle.result(), cancel: () => handle.cancel() }
  } catch (error) {
    if (!(error instanceof WorkflowExecutionAlreadyStartedError)) throw error
    const handle = client.workflow.getHandle(options.workflowId)
    const { raw } = await handle.describe()
    const first = raw.workflowExecutionInfo?.firstRunId
    const runId = first || raw.workflowExecutionInfo?.execution?.runId || ''
    const result = () => handle.result() as Promise<SyncResult>
    return { joined: true, runId, result, cancel: () => handle.cancel() }
  }
}

async function untilEnded(
  context: CommandContext,
  session: ServedSession,
  dataset: string,
  followed: Followed,
): Promise<RunRecord> {
  const progress = showProgress(context, session, dataset)
  let ended = false
  const onAbort = () => void followed.cancel()
  context.signal.addEventListener('abort', onAbort, { once: true })
  if (context.signal.aborted) onAbort()
  try {
    const outcome = followed.result().finally(() => {
      ended = true
    })
    // Looked at below; here it must not count as unhandled while progress is shown.
    outcome.catch(() => undefined)
    while (!ended) {
      const record = await recordOf(session, dataset, followed.runId)
      if (record) await progress.show(record)
      await Promise.race([outcome.catch(() => undefined), pause(pollMs)])
    }
    const { run } = await outcome
    return (await session.catalog.getRun(run)) as RunRecord
  } catch (error) {
    const record = await recordOf(session, dataset, followed.runId)
    if (record && record.state !== 'running') return record
    if (context.signal.aborted && record) return record
    throw new UserError('run-failed', `the run of ${dataset} failed: ${(error as Error).message}`, {
      where: session.server ? `${session.server.ui}` : `sync/${dataset}`,
      next: "See the run in Temporal's UI; then start it again: what was done isn't done twice.",
      exit: 1,
      cause: error,
    })
  } finally {
    context.signal.removeEventListener('abort', onAbort)
    progress.end()
  }
}

async function recordOf(
  { catalog }: ServedSession,
  dataset: string,
  runId: string,
): Promise<RunRecord | null> {
  const recent = await catalog.listRuns({ dataset, limit: 5 })
  return recent.find(({ temporalRunId }) => temporalRunId === runId) ?? null
}

function pause(ms: number): Promise<void> {
  return new Promise((wake) => setTimeout(wake, ms))
}
