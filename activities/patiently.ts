/** One key's question to a store, asked again where that may help. */
import { setTimeout as sleep } from 'node:timers/promises'
import { RETRIED, StoreError } from '../src/errors.ts'
import { actionTriesMax } from '../src/limits.ts'

const pauseMs = 250

/** Throws what the last try did; an abort is thrown at once. */
export async function patiently<T>(signal: AbortSignal, ask: () => Promise<T>): Promise<T> {
  for (let tries = 1; ; tries++) {
    try {
      return await ask()
    } catch (error) {
      if (signal.aborted || !(error instanceof StoreError)) throw error
      // What isn't what its store says stays so: once more tells it from a slip on the way.
      const triesMax = error.code === 'corrupt' ? 2 : actionTriesMax
      if (!RETRIED[error.code] || tries >= triesMax) throw error
      await sleep(pauseMs * tries, undefined, { signal })
    }
  }
}
