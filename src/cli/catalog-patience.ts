/** A catalog that is away for a moment, as while it is started again: the run waits, so do we. */
import { setTimeout as sleep } from 'node:timers/promises'
import { UserError } from '../errors.ts'

/** As long as Temporal may be away (serve.ts), ms. */
const patienceMs = 60_000

/** Asks again while the catalog doesn't answer; a read, or what may be done twice. */
export async function awaitCatalog<T>(signal: AbortSignal, ask: () => Promise<T>): Promise<T> {
  const deadline = performance.now() + patienceMs
  for (;;) {
    try {
      return await ask()
    } catch (error) {
      const away = error instanceof UserError && error.code === 'catalog-unreachable'
      if (!away || signal.aborted || performance.now() > deadline) throw error
      await sleep(500)
    }
  }
}
