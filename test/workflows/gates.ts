/** Calls of a memory store that wait until a test lets them go on. */
import { type FaultCall, memoryStore } from '../../connectors/memory-store.ts'

export interface Gate {
  /** Resolves when somebody waits at it. */
  reached: Promise<void>
  open(): void
}

const gates: Gate[] = []

/** Of a test that failed: its worker couldn't end. */
export function openGates(): void {
  for (const gate of gates.splice(0)) gate.open()
}

/** Holds the calls that match, from now until it is opened. */
export function gateAt(store: string, matches: (call: FaultCall) => boolean): Gate {
  const reached = Promise.withResolvers<void>()
  const opened = Promise.withResolvers<void>()
  memoryStore(store).faults.push(async (call) => {
    if (!matches(call)) return
    reached.resolve()
    await opened.promise
  })
  const gate = { reached: reached.promise, open: opened.resolve }
  gates.push(gate)
  return gate
}

export const writing =
  (key: string) =>
  ({ when, operation, key: at }: FaultCall): boolean =>
    when === 'before' && operation === 'write' && at === key
