/**
 * This process as a simulated one: no time, no chance of its own; the workflows' imports lead to
 * the simulated Temporal. To be imported before anything of the engine.
 */
import { registerHooks } from 'node:module'
import { createMachine, install } from './machine.ts'
import type { Played } from './play.ts'
import type { Scenario } from './scenario.ts'

registerHooks({
  resolve(specifier, context, next) {
    if (specifier !== '@temporalio/workflow') return next(specifier, context)
    return { url: new URL('./temporal.ts', import.meta.url).href, shortCircuit: true }
  },
})
install()

export interface Simulated {
  /** `tell`: gets a line of all that happens. `digest`: of the catalog, too. */
  play(scenario: Scenario, options?: { tell?: string[]; digest?: boolean }): Promise<Played>
  close(): Promise<void>
}

export async function createSimulation(): Promise<Simulated> {
  // For what is opened before the first story begins.
  const machine = createMachine(0, { stray: 0 })
  const { openShared } = await import('./catalog.ts')
  const { playScenario } = await import('./play.ts')
  const { syncDataset } = await import('../../workflows/sync-dataset.ts')
  // Loaded when they are first asked for: then it would be the first story alone that waits.
  await import('../../connectors/memory.ts')
  const shared = await machine.drive(openShared(() => Date.now()))
  return {
    play: (scenario, options) => playScenario(scenario, shared, syncDataset, options),
    close: () => shared.close(),
  }
}
