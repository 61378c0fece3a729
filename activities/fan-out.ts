/** One stream to several readers: each gets every chunk, and the slowest sets the pace. */

export interface Branch extends AsyncIterable<Uint8Array> {
  /** Resolves when it is read for the first time, or was left. */
  begun: Promise<void>
  /** What it was given so far. */
  bytes(): number
  /** It reads no more, and holds up nobody; safe to call at any time, and twice. */
  leave(): void
}

interface Reader {
  begun: PromiseWithResolvers<void>
  /** It waits for the next chunk. */
  waiting: PromiseWithResolvers<IteratorResult<Uint8Array>> | null
  left: boolean
  bytes: number
}

/**
 * A chunk is pulled when all that haven't left wait for one: memory holds one. It is shared, so
 * nobody may write into it. What the stream throws, all of them throw. When all have left, the
 * stream is ended. `onChunk`: bytes, once for each branch that they go to.
 */
export function fanOut(
  stream: AsyncIterable<Uint8Array>,
  branches: number,
  onChunk: (bytes: number) => void = () => {},
): Branch[] {
  const source = stream[Symbol.asyncIterator]()
  const readers = Array.from({ length: branches }, newReader)
  let pulling = false
  let pulled = false
  let failure: { error: unknown } | null = null

  /** Never rejects. */
  async function pull(): Promise<void> {
    const present = readers.filter(({ left }) => !left)
    if (pulling || present.some(({ waiting }) => waiting === null)) return
    pulling = true
    pulled ||= present.length > 0
    try {
      if (present.length > 0) deliver(await source.next())
    } catch (error) {
      failure = { error }
      for (const waiting of taken()) waiting.reject(error)
    }
    pulling = false
    if (readers.every(({ left }) => left)) await end()
  }

  async function end(): Promise<void> {
    try {
      // A generator closes what it holds only when it was begun.
      if (!pulled) await source.next()
      await source.return?.()
    } catch {
      // What the end of a stream throws that nobody reads any more concerns nobody.
    }
  }

  function deliver(next: IteratorResult<Uint8Array>): void {
    for (const reader of readers) {
      if (reader.waiting === null || next.done) continue
      reader.bytes += next.value.length
      onChunk(next.value.length)
    }
    for (const waiting of taken()) waiting.resolve(next)
  }

  function taken() {
    return readers.flatMap((reader) => {
      const { waiting } = reader
      reader.waiting = null
      return waiting ?? []
    })
  }

  return readers.map((reader) => branchOf(reader, pull, () => failure))
}

function branchOf(
  reader: Reader,
  pull: () => Promise<void>,
  failed: () => { error: unknown } | null,
): Branch {
  const leave = () => {
    if (reader.left) return
    reader.left = true
    reader.begun.resolve()
    reader.waiting?.resolve(ended)
    reader.waiting = null
    void pull()
  }
  const iterator: AsyncIterator<Uint8Array> = {
    async next() {
      reader.begun.resolve()
      const failure = failed()
      if (failure) throw failure.error
      if (reader.left) return ended
      reader.waiting = Promise.withResolvers()
      const { promise } = reader.waiting
      void pull()
      return await promise
    },
    async return() {
      leave()
      return ended
    },
  }
  return {
    begun: reader.begun.promise,
    bytes: () => reader.bytes,
    leave,
    [Symbol.asyncIterator]: () => iterator,
  }
}

const ended: IteratorResult<Uint8Array> = { done: true, value: undefined }

function newReader(): Reader {
  return { begun: Promise.withResolvers<void>(), waiting: null, left: false, bytes: 0 }
}
