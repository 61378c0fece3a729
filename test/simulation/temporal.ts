/** What the workflows import as `@temporalio/workflow`: the real workflow code runs on it. */
import { ActivityFailure, CancelledFailure, ChildWorkflowFailure } from '@temporalio/common'
import { execute } from './temporal-activity.ts'
import {
  begin,
  ContinueAsNew,
  cancelled,
  conditions,
  deliver,
  here,
  newScope,
  server,
  type Workflow,
  within,
} from './temporal-server.ts'

export { CancelledFailure, ContinueAsNew }

export class CancellationScope {
  readonly scope = newScope(here().scope, true)
  static current(): { consideredCancelled: boolean } {
    return { consideredCancelled: cancelled(here().scope) }
  }
  get consideredCancelled(): boolean {
    return cancelled(this.scope)
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
