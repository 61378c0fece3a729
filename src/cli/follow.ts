/** Starts a run and follows it to its end: live progress, Ctrl-C, what became of it. */
import { TerminatedFailure, WorkflowExecutionAlreadyStartedError } from '@temporalio/common'
import type { SyncInput, SyncResult } from '../../workflows/messages.ts'
import type { RunMode, RunRecord } from '../catalog/catalog.ts'
import { EXIT, UserError } from '../errors.ts'
import { isConnectionLost } from '../temporal/connection.ts'
import { hostId, hostTaskQueue } from '../temporal/host.ts'
import { checkRoom } from '../temporal/room.ts'
import { startOptions, workflowIdFor } from '../temporal/start.ts'
import { awaitCatalog } from './catalog-patience.ts'
import type { CommandContext } from './command.ts'
import { openRunOf } from './open-run.ts'
import { showProgress } from './progress.ts'
import { HandOver } from './relay.ts'
import { type ServedSession, ServerGone } from './serve.ts'
import { noteWithoutWorkers } from './without-workers.ts'

export interface RunRequest {
  dataset: string
  mode: RunMode
  base?: number
  /** What a person asked for, by its number in the catalog: the run looks at its keys alone. */
  request?: number
}

const pollMs = 200
/** A run that is cancelled ends within a few seconds (ms); one without a worker doesn't. */
const cancelPatienceMs = 30_000
const beginPatienceMs = 3_000

/**
 * Gives the run's record when it has ended. Where another run of the dataset is under way, a sync
 * joins a sync of the same config; anything else waits for it first. Ctrl-C cancels the run, but
 * for one that another command began on a server that isn't ours: that one goes on.
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
    by: context.by,
    queue: queueOf(context, session, request.dataset),
    ...(request.request === undefined ? {} : { request: request.request }),
  }
  for (;;) {
    context.signal.throwIfAborted()
    const started = await connected(context, session, () => startOrFind(session, input))
    if (started === null) continue
    const { own } = session
    try {
      const { record, waited } = await untilEnded(context, session, input, started)
      if (!waited) return record
    } catch (error) {
      // Brought up here, the server may have ended it as another version's: it is planned again.
      const superseded = !own && session.own && isTerminated(error)
      if (!superseded) throw error
    }
  }
}

/** Folders are this host's; everything else is any worker's. */
function queueOf(context: CommandContext, { config }: ServedSession, name: string): string {
  const dataset = config.datasets.find((one) => one.name === name)
  const replicas = dataset ? [dataset.source, ...dataset.destinations] : []
  const folders = replicas.some((replica) => config.locations[replica]?.type === 'file')
  return folders ? hostTaskQueue(hostId(context.state)) : config.temporal['task-queue']
}

interface Started {
  runId: string
  /** It was under way before. */
  found: boolean
}

/** null: the run that was under way has ended since. */
async function startOrFind(session: ServedSession, input: SyncInput): Promise<Started | null> {
  const { client } = session.temporal
  try {
    const handle = await client.workflow.start('syncDataset', startOptions(session.config, input))
    return { found: false, runId: handle.firstExecutionRunId }
  } catch (error) {
    if (!(error instanceof WorkflowExecutionAlreadyStartedError)) throw error
    const open = await openRunOf(session.temporal, input.dataset, workflowIdFor(input))
    return open && { found: true, runId: open.runId }
  }
}

/** What a call of Temporal gives, looked for again where the server went away meanwhile. */
async function connected<T>(
  context: CommandContext,
  session: ServedSession,
  call: () => Promise<T>,
): Promise<T> {
  for (;;) {
    const watch = session.watch()
    const calling = call()
    // Where the server is gone it is left to fail by itself.
    calling.catch(() => undefined)
    try {
      return await Promise.race([calling, watch.gone])
    } catch (error) {
      const lost = error instanceof ServerGone || isConnectionLost(error)
      if (!lost || context.signal.aborted) throw error
      context.output.note('Temporal does not answer any more; looking for it')
      await session.reconnect()
    } finally {
      watch.stop()
    }
  }
}

async function untilEnded(
  context: CommandContext,
  session: ServedSession,
  input: SyncInput,
  { runId, found }: Started,
): Promise<{ record: RunRecord; waited: boolean }> {
  const { dataset } = input
  const { signal } = context
  const progress = showProgress(context, session, dataset)
  const workers = noteWithoutWorkers(context, session, input)
  // Whoever takes up a run that nobody follows any more takes it over; else it's someone else's.
  const cancels = !found || session.own
  let waited = false
  let ended = false
  let abortedAt: number | null = null
  const outcome = outcomeOf(context, session, workflowIdFor(input), runId, cancels).finally(() => {
    ended = true
  })
  // Looked at below; here it must not count as unhandled while progress is shown.
  outcome.catch(() => undefined)
  try {
    while (!ended) {
      // Temporal tries again for ever, and says nothing.
      if (session.server !== null) await checkRoom(context.state)
      const record = await awaitCatalog(signal, () => recordOf(session, dataset, runId))
      if (record && found && !waited && !joins(record, input)) {
        waited = true
        context.output.note(`waiting for run ${record.run} of ${dataset} (${record.mode}) to end`)
      }
      if (record) await progress.show(record)
      else await workers.look()
      if (signal.aborted) {
        abortedAt ??= performance.now()
        const ours = cancels && !(signal.reason instanceof HandOver)
        const patience = !ours ? 0 : record ? cancelPatienceMs : beginPatienceMs
        if (performance.now() - abortedAt >= patience) throw notWaited(context, dataset, ours)
      }
      // Its failure is thrown by the `await` behind the loop.
      await Promise.race([outcome.catch(() => undefined), pause(pollMs)])
    }
    const { run } = await outcome
    const record = await awaitCatalog(signal, () => session.catalog.getRun(run))
    return { record: record as RunRecord, waited }
  } catch (error) {
    const record = await recordOf(session, dataset, runId)
    if (record && record.state !== 'running') return { record, waited }
    throw signal.aborted || error instanceof UserError ? error : runFailed(session, input, error)
  } finally {
    progress.end()
  }
}

function notWaited(context: CommandContext, dataset: string, cancels: boolean): unknown {
  context.output.note(
    cancels
      ? `the run of ${dataset} ends as soon as a worker answers`
      : `the run of ${dataset} goes on; end it: tidemark cancel ${dataset}`,
  )
  return context.signal.reason
}

/** A sync joins a sync of the same config: it is the run that was asked for. */
function joins(record: RunRecord, input: SyncInput): boolean {
  if (input.mode !== 'sync' || record.mode !== 'sync') return false
  if (record.request !== (input.request ?? null)) return false
  return record.configDigest === input.configDigest
}

/** `cancels`: Ctrl-C cancels it; then this waits until it has stopped in order. */
async function outcomeOf(
  context: CommandContext,
  session: ServedSession,
  workflowId: string,
  runId: string,
  cancels: boolean,
): Promise<SyncResult> {
  return await connected(context, session, async () => {
    const { workflow } = session.temporal.client
    const handle = workflow.getHandle(workflowId, undefined, { firstExecutionRunId: runId })
    const cancelling = Promise.withResolvers<never>()
    const cancel = () => {
      if (!(context.signal.reason instanceof HandOver)) handle.cancel().catch(cancelling.reject)
    }
    if (cancels && context.signal.aborted) cancel()
    if (cancels) context.signal.addEventListener('abort', cancel, { once: true })
    try {
      return await Promise.race([handle.result() as Promise<SyncResult>, cancelling.promise])
    } finally {
      context.signal.removeEventListener('abort', cancel)
    }
  })
}

function runFailed(session: ServedSession, input: SyncInput, cause: unknown): UserError {
  const words = rootOf(cause).message
  return new UserError('run-failed', `the run of ${input.dataset} failed: ${words}`, {
    where: session.server?.ui ?? workflowIdFor(input),
    next: "See the run in Temporal's UI; then start it again: what was done isn't done twice.",
    exit: EXIT.failed,
    cause,
  })
}

function isTerminated(error: unknown): boolean {
  return error instanceof UserError && rootOf(error) instanceof TerminatedFailure
}

/** Temporal wraps what an activity threw: a workflow's failure in an activity's. */
function rootOf(error: unknown): Error {
  if (!(error instanceof Error)) return new Error(String(error))
  return error.cause instanceof Error ? rootOf(error.cause) : error
}

async function recordOf(
  { catalog }: ServedSession,
  dataset: string,
  runId: string,
): Promise<RunRecord | null> {
  const recent = await catalog.listRuns({ dataset, limit: 20 })
  return recent.find(({ temporalRunId }) => temporalRunId === runId) ?? null
}

function pause(ms: number): Promise<void> {
  return new Promise((wake) => setTimeout(wake, ms))
}
