/** Calls that come while one is under way go together in the next one: one transaction of many. */
export function together<T, R>(work: (items: T[]) => Promise<R[]>): (item: T) => Promise<R> {
  let waiting: { item: T; done(result: R): void; fail(error: unknown): void }[] = []
  let busy = false

  async function run(): Promise<void> {
    if (busy) return
    busy = true
    // What is asked for in this turn comes along.
    await new Promise((turn) => setImmediate(turn))
    while (waiting.length > 0) {
      const batch = waiting
      waiting = []
      try {
        const results = await work(batch.map(({ item }) => item))
        for (const [i, one] of batch.entries()) one.done(results[i] as R)
      } catch (error) {
        for (const one of batch) one.fail(error)
      }
    }
    busy = false
  }

  return (item) =>
    new Promise((done, fail) => {
      waiting.push({ item, done, fail })
      void run()
    })
}
