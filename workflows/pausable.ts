/** Pausing: activities that are under way are cut off, and begin again where they were (I6). */
import { CancellationScope, condition } from '@temporalio/workflow'

export interface Pausable {
  paused(): boolean
  set(paused: boolean): void
  /** Until nothing is paused: a run stays open, also where nothing was left to be cut off. */
  resumed(): Promise<void>
  /** Runs it when nothing is paused, and again where a pause cut it off. */
  run<T>(work: () => Promise<T>): Promise<T>
}

export function createPausable(pausedNow: boolean): Pausable {
  let paused = pausedNow
  const running = new Set<CancellationScope>()

  async function resumed(): Promise<void> {
    await condition(() => !paused)
  }

  async function run<T>(work: () => Promise<T>): Promise<T> {
    for (;;) {
      await resumed()
      const scope = new CancellationScope()
      running.add(scope)
      try {
        return await scope.run(work)
      } catch (error) {
        // Cut off by a pause, not by the run's own cancel. It may show as a time-out: where its
        // worker is lost, the server tries nothing again that is to be cut off.
        const again = scope.consideredCancelled && !CancellationScope.current().consideredCancelled
        if (!again) throw error
      } finally {
        running.delete(scope)
      }
    }
  }

  return {
    paused: () => paused,
    set(next) {
      paused = next
      if (next) for (const scope of running) scope.cancel()
    },
    resumed,
    run,
  }
}
