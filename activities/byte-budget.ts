/** Memory inside an activity: so many bytes at a time. */

export interface ByteBudget {
  total: number
  /** Resolves when `bytes` are free (or nothing else is held); gives what frees them again. Throws
   *  the reason of `signal` where that is aborted meanwhile. */
  take(bytes: number, signal?: AbortSignal): Promise<() => void>
}

/** First come, first served, so that a large object isn't passed by small ones for ever. */
export function createByteBudget(total: number): ByteBudget {
  let held = 0
  const waiting: { bytes: number; start: () => void }[] = []
  function startNext(): void {
    for (let next = waiting[0]; next; next = waiting[0]) {
      if (held > 0 && held + next.bytes > total) return
      waiting.shift()
      held += next.bytes
      next.start()
    }
  }
  return {
    total,
    async take(bytes, signal) {
      signal?.throwIfAborted()
      await new Promise<void>((begin, fail) => {
        const leave = () => {
          waiting.splice(waiting.indexOf(one), 1)
          // It may have been all that the next ones waited for.
          startNext()
          fail(signal?.reason)
        }
        const start = () => {
          signal?.removeEventListener('abort', leave)
          begin()
        }
        const one = { bytes, start }
        signal?.addEventListener('abort', leave)
        waiting.push(one)
        startNext()
      })
      let released = false
      return () => {
        if (released) return
        released = true
        held -= bytes
        startNext()
      }
    },
  }
}
