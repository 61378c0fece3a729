/**
 * What the workflows import as `@temporalio/workflow`: the real workflow code runs on it. Workflows
 * survive everything, as on Temporal; their activities run on workers, which don't. Here is what
 * Temporal may do to an activity: repeat it, also beside an attempt that goes on; not hear that it
 * ended; cancel it; lose its worker.
 */
import { AsyncLocalStorage } from 'node:async_hooks'
import { Context, asyncLocalStorage as inActivity } from '@temporalio/activity'
import {
  ActivityFailure,
  ApplicationFailure,
  CancelledFailure,
  ChildWorkflowFailure,
  TimeoutFailure,
} from '@temporalio/common'
import { type Machine, type Owner, owners } from './machine.ts'

// ── the server ──────────────────────────────────────────────────────────────────────────────────

export interface Worker extends Owner {
  activities: Record<string, (input: never) => Promise<unknown>>
}

/** What happens to one attempt of an activity. */
export type Mishap =
  /** Its heartbeats don't arrive: after the time-out it is begun again, and it goes on beside. */
  | 'zombie'
  /** It ends, and nobody hears of it. */
  | 'lost-completion'

export interface Server {
  machine: Machine
  /** One that is alive; the same call may give another each time. */
  worker(): Worker
  /** Asked as an attempt begins. */
  mishap(activity: string, attempt: number): Mishap | null
  /** Events after which a workflow is told to continue as new. */
  historyMax: number
  /** An error that no code stands for. */
  unexpected(error: unknown): void
}

interface Execution {
  workflowId: string
  runId: string
  events: number
  scope: Scope
  parent: Execution | null
  children: Set<Execution>
  handlers: Map<string, (input: unknown) => unknown>
  /** Before their handler is there. */
  early: { name: string; input: unknown }[]
  result: Promise<unknown>
}

const heartbeatMs = 6_000
const beatMs = 1_000

let server: Server
let open = new Map<string, Execution>()
let conditions = new Set<{ met(): boolean; go(): void }>()
let executions = 0

export function serve(next: Server): void {
  server = next
  open = new Map()
  conditions = new Set()
  executions = 0
  server.machine.watch(() => {
    let moved = false
    for (const one of conditions) {
      if (!one.met()) continue
      conditions.delete(one)
      one.go()
      moved = true
    }
    return moved
  })
}

type Workflow = (input: never) => Promise<unknown>

/** Throws where one of that id is open. */
export function start(workflow: Workflow, workflowId: string, input: unknown): Started {
  if (open.has(workflowId)) throw new Error(`${workflowId} is open already`)
  const execution = begin(workflow, workflowId, input, null)
  return {
    result: execution.result,
    signal: (name, given) => void deliver(workflowId, name, given),
    cancel: () => execution.scope.cancel(),
  }
}

export interface Started {
  result: Promise<unknown>
  signal(name: string, input?: unknown): void
  cancel(): void
}

export const isOpen = (workflowId: string): boolean => open.has(workflowId)

function begin(
  workflow: Workflow,
  workflowId: string,
  input: unknown,
  parent: Execution | null,
): Execution {
  const execution: Execution = {
    workflowId,
    runId: `execution-${++executions}`,
    events: 0,
    scope: newScope(null, true),
    parent,
    children: new Set(),
    handlers: new Map(),
    early: [],
    result: Promise.resolve(),
  }
  open.set(workflowId, execution)
  parent?.children.add(execution)
  execution.result = live(workflow, execution, input).finally(() => {
    open.delete(workflowId)
    parent?.children.delete(execution)
    // As the parent's close policy says.
    for (const child of execution.children) child.scope.cancel()
  })
  execution.result.catch(() => undefined)
  return execution
}

async function live(workflow: Workflow, execution: Execution, input: unknown): Promise<unknown> {
  for (let given = input; ; ) {
    try {
      await server.machine.point(`workflow ${execution.workflowId}`, 5)
      return await within.run({ execution, scope: execution.scope }, () => workflow(given as never))
    } catch (error) {
      if (!(error instanceof ContinueAsNew)) throw error
      server.machine.trace(`${execution.workflowId} continues as new`)
      given = error.input
      execution.runId = `execution-${++executions}`
      execution.events = 0
      execution.handlers.clear()
    }
  }
}

async function deliver(workflowId: string, name: string, input: unknown): Promise<void> {
  await server.machine.point(`signal ${name} ${workflowId}`, 5)
  const target = open.get(workflowId)
  if (!target) throw ApplicationFailure.nonRetryable(`no workflow ${workflowId}`)
  target.events += 3
  const handler = target.handlers.get(name)
  if (handler) within.run({ execution: target, scope: target.scope }, () => handler(input))
  else target.early.push({ name, input })
}

// ── activities ──────────────────────────────────────────────────────────────────────────────────

async function execute(name: string, input: unknown): Promise<unknown> {
  const { execution, scope } = here()
  if (cancelled(scope)) throw new CancelledFailure('cancelled before it began')
  execution.events += 6
  const { machine } = server
  let waitMs = 500
  let failure: Error = new TimeoutFailure('heartbeat', undefined, 'HEARTBEAT')
  for (let attempt = 1; ; attempt++) {
    await machine.point(`begin ${name}`, 5)
    const ended = await tryOnce(name, input, attempt, execution, scope)
    if ('value' in ended) return ended.value
    if (ended.error instanceof CancelledFailure && cancelled(scope)) throw ended.error
    failure = ended.error
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
  const mark = `${name} ${JSON.stringify(input)} attempt ${attempt} on ${worker.name}`
  machine.trace(`begin ${mark}${mishap ? ` (${mishap})` : ''}`)
  const cancelling = new AbortController()
  let heard = machine.now()
  let ended: Ended | null = null
  const { workflowId, runId } = execution
  const working = owners.run(worker, () =>
    perform(worker, name, input, { attempt, workflowId, runId, signal: cancelling.signal }),
  )
  working.then((end) => {
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

// ── what workflows import ───────────────────────────────────────────────────────────────────────

interface Here {
  execution: Execution
  scope: Scope
}

const within = new AsyncLocalStorage<Here>()

function here(): Here {
  const found = within.getStore()
  if (!found) throw new Error('not in a workflow')
  return found
}

interface Scope {
  parent: Scope | null
  cancellable: boolean
  asked: boolean
  onCancel: Set<() => void>
  cancel(): void
}

function newScope(parent: Scope | null, cancellable: boolean): Scope {
  const scope: Scope = {
    parent,
    cancellable,
    asked: false,
    onCancel: new Set(),
    cancel() {
      if (scope.asked) return
      scope.asked = true
      for (const tell of [...scope.onCancel]) tell()
    },
  }
  parent?.onCancel.add(() => cancellable && scope.cancel())
  if (cancellable && parent && cancelled(parent)) scope.asked = true
  return scope
}

const cancelled = ({ asked, cancellable }: Scope) => asked && cancellable

export class CancellationScope {
  readonly scope = newScope(here().scope, true)
  static current(): { consideredCancelled: boolean } {
    return { consideredCancelled: cancelled(here().scope) }
  }
  static nonCancellable<T>(work: () => Promise<T>): Promise<T> {
    const { execution, scope } = here()
    return within.run({ execution, scope: newScope(scope, false) }, work)
  }
  run<T>(work: () => Promise<T>): Promise<T> {
    return within.run({ execution: here().execution, scope: this.scope }, work)
  }
  cancel(): void {
    this.scope.cancel()
  }
}

export class ContinueAsNew extends Error {
  override name = 'ContinueAsNew'
  readonly input: unknown
  constructor(input: unknown) {
    super('continue as new')
    this.input = JSON.parse(JSON.stringify(input))
  }
}

export async function continueAsNew(input: unknown): Promise<never> {
  throw new ContinueAsNew(input)
}

export async function condition(met: () => boolean): Promise<void> {
  const { scope } = here()
  if (cancelled(scope)) throw new CancelledFailure('cancelled')
  if (met()) return
  await new Promise<void>((go, fail) => {
    const waiting = { met, go }
    conditions.add(waiting)
    scope.onCancel.add(() => {
      if (conditions.delete(waiting)) fail(new CancelledFailure('cancelled'))
    })
  })
}

export function proxyActivities(): Record<string, (input: unknown) => Promise<unknown>> {
  return new Proxy({}, { get: (_, name) => (input: unknown) => execute(String(name), input) })
}

export async function startChild(
  workflow: Workflow,
  options: { workflowId: string; args: unknown[] },
): Promise<{ result(): Promise<unknown> }> {
  const { execution, scope } = here()
  if (cancelled(scope)) throw new CancelledFailure('cancelled')
  execution.events += 6
  await server.machine.point(`start ${options.workflowId}`, 5)
  const child = begin(workflow, options.workflowId, options.args[0], execution)
  if (cancelled(scope)) child.scope.cancel()
  scope.onCancel.add(() => child.scope.cancel())
  return {
    result: () =>
      child.result.catch((error) => {
        const { workflowId } = options
        const of = [undefined, { workflowId, runId: child.runId }, 'child', 'UNSPECIFIED', error]
        throw new ChildWorkflowFailure(
          ...(of as unknown as ConstructorParameters<typeof ChildWorkflowFailure>),
        )
      }),
  }
}

export function getExternalWorkflowHandle(workflowId: string) {
  return {
    async signal(definition: { name: string }, ...[input]: unknown[]): Promise<void> {
      here().execution.events += 3
      await deliver(workflowId, definition.name, input)
    },
  }
}

export function setHandler({ name }: { name: string }, handler: (input: unknown) => unknown): void {
  const { execution } = here()
  execution.handlers.set(name, handler)
  const early = execution.early.filter((one) => one.name === name)
  execution.early = execution.early.filter((one) => one.name !== name)
  for (const { input } of early) handler(input)
}

export function isCancellation(error: unknown): boolean {
  if (error instanceof CancelledFailure) return true
  const wrapped = error instanceof ActivityFailure || error instanceof ChildWorkflowFailure
  return wrapped && isCancellation(error.cause)
}

export function workflowInfo() {
  const { workflowId, runId, events, parent } = here().execution
  return {
    workflowId,
    runId,
    historyLength: events,
    continueAsNewSuggested: events > server.historyMax,
    parent: parent && { workflowId: parent.workflowId, runId: parent.runId },
  }
}

export const setCurrentDetails = (): void => undefined
export const upsertSearchAttributes = (): void => undefined
export const defineSignal = (name: string) => ({ type: 'signal', name })
export const defineQuery = (name: string) => ({ type: 'query', name })
export const ParentClosePolicy = { REQUEST_CANCEL: 'REQUEST_CANCEL' } as const
export const ActivityCancellationType = {
  WAIT_CANCELLATION_COMPLETED: 'WAIT_CANCELLATION_COMPLETED',
} as const
