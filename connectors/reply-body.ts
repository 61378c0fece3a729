/** The bytes of a reply as they pass: counted, hashed, and never short without saying so. */
import type { StoreCode, StoreError } from '../src/errors.ts'
import type { Digester } from './digests.ts'

interface Asked {
  operation: string
  key?: string
  signal: AbortSignal
}

/** What a store's API calls what went wrong. */
interface Words {
  failure(code: StoreCode, message: string, request: Asked): StoreError
  broken(error: unknown, request: Asked): StoreError
}

/** Throws `unavailable` where other than `wanted` bytes come. */
export async function* passing(
  api: Words,
  request: Asked,
  body: AsyncIterable<Uint8Array> & { destroy(): unknown },
  wanted: number,
  digester: Digester,
): AsyncGenerator<Uint8Array, void> {
  let got = 0
  try {
    for await (const chunk of body) {
      request.signal.throwIfAborted()
      got += chunk.length
      digester.update(chunk)
      yield chunk
    }
  } catch (error) {
    throw api.broken(error, request)
  } finally {
    body.destroy()
  }
  if (got === wanted) return
  throw api.failure('unavailable', `${got} bytes came instead of ${wanted}`, request)
}
