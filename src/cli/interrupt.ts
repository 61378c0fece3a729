/** Ctrl-C: the first asks the command to stop cleanly, the second stops at once. */
import { EXIT } from '../errors.ts'

export interface Interrupt {
  signal: AbortSignal
}

/** One Ctrl-C reaches us from the terminal, from npx and from the Node that handed over: what comes
 *  within this long (ms) of the first is the same. */
const sameMs = 300

export function listenForInterrupt(): Interrupt {
  const controller = new AbortController()
  let first = 0
  const stop = (name: NodeJS.Signals) => {
    if (!controller.signal.aborted) {
      first = performance.now()
      if (process.stderr.isTTY) process.stderr.write('\nstopping; Ctrl-C again stops at once\n')
      controller.abort(new Error(`interrupted by ${name}`))
    } else if (performance.now() - first > sameMs) {
      process.exit(EXIT.interrupted)
    }
  }
  for (const name of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(name, stop)
  return { signal: controller.signal }
}
