/** The bytes of a reply as they pass: counted, hashed, and never short without saying so. */
import { isUtf8 } from 'node:buffer'
import type { StoreCode, StoreError } from '../src/errors.ts'
import { answerBytesMax } from '../src/limits.ts'
import type { Digester } from './digests.ts'

/** An answer as text. Throws a plain Error where it is too long, or not UTF-8: what was replaced in
 *  it would be another name. */
export async function wholeText(body: AsyncIterable<Uint8Array>): Promise<string> {
  const chunks: Uint8Array[] = []
  let bytes = 0
  // Leaving the loop closes the connection.
  for await (const chunk of body) {
    bytes += chunk.length
    if (bytes > answerBytesMax) throw tooLong()
    chunks.push(chunk)
  }
  return textOf(Buffer.concat(chunks))
}

export function textOf(bytes: Uint8Array): string {
  if (!isUtf8(bytes)) throw new Error('the answer is not text in UTF-8')
  return new TextDecoder().decode(bytes)
}

export function tooLong(): Error {
  return new Error(`the answer is longer than ${answerBytesMax} bytes`)
}

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
