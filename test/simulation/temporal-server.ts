/**
 * A Temporal server as small as can be: executions, their scopes and signals. Workflows survive
 * everything, as on Temporal; their activities run on workers, which don't (temporal-activity.ts).
 */
import { AsyncLocalStorage } from 'node:async_hooks'
import { ApplicationFailure } from '@temporalio/common'
import type { Machine, Owner } from './machine.ts'

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
  /** An attempt that began at this step ended otherwise than well, or nobody knows how. */
  failed(since: number): void
  /** Events after which a workflow is told to continue as new. */
  historyMax: number
  /** An error that no code stands for. */
  unexpected(error: unknown): void
}

export interface Execution {
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

export let server: Server
let open = new Map<string, Execution>()
/** What workflows, and the server itself, wait for. */
export let conditions = new Set<{ met(): boolean; go(): void }>()
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

export type Workflow = (input: never) => Promise<unknown>

/** Throws where one of that id is open. */
export function start(workflow: Workflow, workflowId: string, input: unknown): Started {
  if (open.has(workflowId)) throw new Error(`${workflowId} is open already`)
  const execution = begin(workflow, workflowId, input, null)
  let said = Promise.resolve()
  return {
    result: execution.result,
    // One after the other, as a command waits for its answer. Who signals what has ended meanwhile
    // is told so, and needs to do nothing.
    signal(name, given) {
      said = said.then(() => deliver(workflowId, name, given)).catch(() => undefined)
    },
    cancel: () => execution.scope.cancel(),
  }
}

export interface Started {
  result: Promise<unknown>
  signal(name: string, input?: unknown): void
  cancel(): void
}

export const isOpen = (workflowId: string): boolean => open.has(workflowId)

export function begin(
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

export async function deliver(workflowId: string, name: string, input: unknown): Promise<void> {
  await server.machine.point(`signal ${name} ${workflowId}`, 5)
  server.machine.trace(`signal ${name} to ${workflowId}`)
  const target = open.get(workflowId)
  if (!target) throw ApplicationFailure.nonRetryable(`no workflow ${workflowId}`)
  target.events += 3
  const handler = target.handlers.get(name)
  if (handler) within.run({ execution: target, scope: target.scope }, () => handler(input))
  else target.early.push({ name, input })
}

// ── where a workflow is ─────────────────────────────────────────────────────────────────────────

interface Here {
  execution: Execution
  scope: Scope
}

export const within = new AsyncLocalStorage<Here>()

export function here(): Here {
  const found = within.getStore()
  if (!found) throw new Error('not in a workflow')
  return found
}

export interface Scope {
  parent: Scope | null
  cancellable: boolean
  asked: boolean
  onCancel: Set<() => void>
  cancel(): void
}

export function newScope(parent: Scope | null, cancellable: boolean): Scope {
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

export const cancelled = ({ asked, cancellable }: Scope) => asked && cancellable

export class ContinueAsNew extends Error {
  override name = 'ContinueAsNew'
  readonly input: unknown
  constructor(input: unknown) {
    super('continue as new')
    this.input = JSON.parse(JSON.stringify(input))
  }
}
