/** Ctrl-C: the first asks the command to stop cleanly, the second stops at once. */
import { EXIT } from '../errors.ts'

export interface Interrupt {
  signal: AbortSignal
  /** What the first Ctrl-C does; afterwards nothing. */
  stop(): void
}

/** One Ctrl-C reaches us from the terminal, from npx and from the Node that handed over: what comes
 *  within this long (ms) of the first is the same. */
const sameMs = 300

/** `tell`: says that it stops. */
export function listenForInterrupt(tell: () => void = tellStopping): Interrupt {
  const controller = new AbortController()
  let first = 0
  const stop = () => {
    if (controller.signal.aborted) return
    first = performance.now()
    tell()
    controller.abort(new Error('interrupted'))
  }
  const onSignal = () => {
    const again = controller.signal.aborted && performance.now() - first > sameMs
    if (again) process.exit(EXIT.interrupted)
    stop()
  }
  for (const name of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(name, onSignal)
  return { signal: controller.signal, stop }
}

export function tellStopping(): void {
  if (process.stderr.isTTY) process.stderr.write('\nstopping; Ctrl-C again stops at once\n')
}
