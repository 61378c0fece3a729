/** Concurrency inside an activity: so many at a time, and so many bytes in memory. */

/** Runs `work` for each item, `limit` at a time. The first failure stops the rest and is thrown
 *  when those under way have ended: nothing goes on unseen. */
export async function eachLimited<T>(
  items: Iterable<T>,
  limit: number,
  work: (item: T) => Promise<void>,
): Promise<void> {
  const iterator = items[Symbol.iterator]()
  const failures: unknown[] = []
  async function lane(): Promise<void> {
    while (failures.length === 0) {
      const next = iterator.next()
      if (next.done) return
      try {
        await work(next.value)
      } catch (error) {
        failures.push(error)
      }
    }
  }
  await Promise.all(Array.from({ length: limit }, lane))
  if (failures.length > 0) throw failures[0]
}

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
