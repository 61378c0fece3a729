/**
 * What Temporal may do to an activity: repeat it, also beside an attempt that goes on; not hear
 * that it ended; cancel it; lose its worker.
 */
import { Context, asyncLocalStorage as inActivity } from '@temporalio/activity'
import {
  ActivityFailure,
  ApplicationFailure,
  CancelledFailure,
  TimeoutFailure,
} from '@temporalio/common'
import { owners } from './machine.ts'
import {
  cancelled,
  conditions,
  type Execution,
  here,
  type Scope,
  server,
  type Worker,
} from './temporal-server.ts'

const heartbeatMs = 6_000
const beatMs = 1_000

export async function execute(name: string, input: unknown): Promise<unknown> {
  const { execution, scope } = here()
  if (cancelled(scope)) throw new CancelledFailure('cancelled before it began')
  execution.events += 6
  const { machine } = server
  let waitMs = 500
  for (let attempt = 1; ; attempt++) {
    await machine.point(`begin ${name}`, 5)
    const since = machine.steps
    const ended = await tryOnce(name, input, attempt, execution, scope)
    if ('value' in ended) return ended.value
    server.failed(since)
    if (ended.error instanceof CancelledFailure && cancelled(scope)) throw ended.error
    const failure = ended.error
    const lasting = failure instanceof ApplicationFailure && failure.nonRetryable
    // A server tries nothing again that is to be cancelled.
    if (lasting || cancelled(scope)) {
      throw new ActivityFailure(
        name,
        name,
        `${attempt}`,
        'RETRY_POLICY_NOT_SET',
        undefined,
        failure,
      )
    }
    if (attempt > 40) throw new Error(`${name} failed ${attempt} times: ${failure.message}`)
    await waited(waitMs)
    waitMs = Math.min(waitMs * 2, 10_000)
  }
}

const waited = (ms: number) => new Promise((wake) => setTimeout(wake, ms))

type Ended = { value: unknown } | { error: Error }

/** One attempt as the server sees it: its end, or that nothing is heard of it any more. */
async function tryOnce(
  name: string,
  input: unknown,
  attempt: number,
  execution: Execution,
  scope: Scope,
): Promise<Ended> {
  const { machine } = server
  const worker = server.worker()
  const mishap = server.mishap(name, attempt)
  const { run, range, lane, how } = input as Record<string, unknown>
  const of = [run, range, lane, how].filter((one) => one !== undefined).join(' ')
  const mark = `${name} ${of} (attempt ${attempt}, ${worker.name})`
  machine.trace(`begin ${mark}${mishap ? ` (${mishap})` : ''}`)
  const cancelling = new AbortController()
  let heard = machine.now()
  let ended: Ended | null = null
  const { workflowId, runId } = execution
  const working = owners.run(worker, () =>
    perform(worker, name, input, { attempt, workflowId, runId, signal: cancelling.signal }),
  )
  void working.then((end) => {
    machine.trace(`end ${mark}: ${'value' in end ? JSON.stringify(end.value) : end.error.message}`)
    if (mishap === null) ended = end
  })
  // The server's own watch: it isn't the worker's, and goes on where that is killed.
  return await new Promise<Ended>((tell) => {
    const beat = setInterval(() => {
      if (mishap !== null || !worker.alive) {
        // Told with a heartbeat, some time later, that it isn't wanted any more; or never.
        if (machine.now() - heard < heartbeatMs) return
        clearInterval(beat)
        waiting.delete(look)
        tell({ error: new TimeoutFailure('heartbeat', undefined, 'HEARTBEAT') })
      } else {
        heard = machine.now()
        if (cancelled(scope) && !cancelling.signal.aborted)
          cancelling.abort(new CancelledFailure('cancelled'))
      }
    }, beatMs)
    const look = {
      met: () => ended !== null && worker.alive,
      go() {
        clearInterval(beat)
        tell(ended as Ended)
      },
    }
    const waiting = conditions
    waiting.add(look)
  })
}

interface AttemptInfo {
  attempt: number
  workflowId: string
  runId: string
  signal: AbortSignal
}

async function perform(
  worker: Worker,
  name: string,
  input: unknown,
  { attempt, workflowId, runId, signal }: AttemptInfo,
): Promise<Ended> {
  const log = {
    error: (_words: string, { error }: { error: unknown }) => server.unexpected(error),
  }
  const info = { attempt, workflowExecution: { workflowId, runId } }
  const given = [info, never, signal, () => undefined, undefined, log, {}, {}]
  const context = new Context(...(given as unknown as ConstructorParameters<typeof Context>))
  const work = worker.activities[name] as (input: never) => Promise<unknown>
  try {
    // As it crosses the wire.
    const value = await inActivity.run(context, () => work(input as never))
    return { value: value === undefined ? undefined : JSON.parse(JSON.stringify(value)) }
  } catch (error) {
    return { error: error as Error }
  }
}

const never = new Promise<never>(() => undefined)
