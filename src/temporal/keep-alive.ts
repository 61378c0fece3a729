/** Keeps a program running: started again where it dies, until it dies too often. */
import { setTimeout as sleep } from 'node:timers/promises'
import type { Exit, Program } from './program.ts'

/** So many deaths one after the other, each soon after its start, and it's given up: the next start
 *  would die as well. One that was up for a while was killed, or met something rare. */
const deathsMax = 5
const soonMs = 3_000
const backoffMs = { first: 100, most: 5_000 } as const

export interface Kept {
  /** It isn't started again from now on. Ending the program itself is the caller's. */
  halt(): void
  /** Resolves when the program has ended after `halt`; rejects with `gaveUp`'s error. */
  ended: Promise<void>
}

export interface KeepAliveOptions {
  /** Resolves when the program is ready. */
  start: () => Promise<Program>
  /** It died; it's started again in `againInMs`. */
  onDeath: (what: Exit, againInMs: number) => void
  /** It is ready again. */
  onRestart: () => void
  gaveUp: (last: unknown) => Error
}

export function keepAlive(first: Program, options: KeepAliveOptions): Kept {
  const halting = new AbortController()
  let deaths = 0
  let readyAt = performance.now()

  async function watch(): Promise<void> {
    let program: Program | null = first
    let exit: Exit = { code: null, signal: null }
    let last: unknown
    while (!halting.signal.aborted) {
      if (program) {
        exit = await program.exited
        last = new Error(`it ended by ${exit.signal ?? `exit ${exit.code}`}`)
        if (halting.signal.aborted) return
      }
      await pauseAfterDeath(exit, last)
      if (halting.signal.aborted) return
      try {
        program = await options.start()
        readyAt = performance.now()
        options.onRestart()
      } catch (error) {
        // A start that fails is one more death.
        readyAt = performance.now()
        program = null
        last = error
      }
    }
  }

  async function pauseAfterDeath(exit: Exit, last: unknown): Promise<void> {
    deaths = performance.now() - readyAt < soonMs ? deaths + 1 : 1
    if (deaths >= deathsMax) throw options.gaveUp(last)
    const pauseMs = Math.min(backoffMs.first * 3 ** (deaths - 1), backoffMs.most)
    options.onDeath(exit, pauseMs)
    // A halt ends it early, and the caller looks whether it came.
    await sleep(pauseMs, undefined, { signal: halting.signal }).catch(() => {})
  }

  return { halt: () => halting.abort(), ended: watch() }
}
