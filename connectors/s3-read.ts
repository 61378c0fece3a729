/** GetObject, pinned: what it opens is the state that the token names, and it ends whole or fails.
 * */
import { KIB } from '../src/limits.ts'
import type { Entry, Token } from '../src/model.ts'
import type { HttpReply } from './s3-http.ts'
import { networkFailure } from './s3-lean.ts'
import type { AskedOf, Place, Store } from './s3-store.ts'

/** Up to this, a read takes the whole body at once and frees its connection, bytes. */
export const readAheadBytes = 256 * KIB

/** Another place's object where `elsewhere` is given; throws `changed-meanwhile`, `not-found`. */
export async function openObject(
  store: Store,
  asked: AskedOf,
  token: Token,
  range?: { start: number; end: number },
  elsewhere?: Place,
): Promise<{ entry: Entry; reply: HttpReply }> {
  const headers = {
    'if-match': `"${token.id}"`,
    'x-amz-checksum-mode': 'ENABLED',
    // A range without bytes can't be asked for: the first one is, and not given.
    ...(range && { range: `bytes=${range.start}-${Math.max(range.start, range.end - 1)}` }),
  }
  const request = { ...asked, method: 'GET' as const, object: store.object(asked.key), headers }
  const reply = await store.client.open({ ...request, ...elsewhere }, readAheadBytes)
  try {
    if (!elsewhere) store.etags.heed(reply.headers)
    const entry = store.entry(asked, reply.headers)
    if (entry.token.id !== token.id) {
      throw store.fail(asked, 'changed-meanwhile', 'the key holds another state')
    }
    if (range && reply.status !== 206) {
      throw store.fail(asked, 'unsupported', 'the store gives no ranges of bytes')
    }
    return { entry, reply }
  } catch (error) {
    reply.leave()
    throw error
  }
}

/** The body of so many bytes, or an error where it is cut short. */
export async function* bodyOf(
  store: Store,
  asked: AskedOf,
  reply: HttpReply,
  bytes: number,
): AsyncGenerator<Uint8Array, void> {
  let left = bytes
  try {
    for await (const chunk of reply.body) {
      yield chunk.length > left ? chunk.subarray(0, left) : chunk
      asked.signal.throwIfAborted()
      left -= Math.min(left, chunk.length)
    }
  } catch (error) {
    throw networkFailure(store.location, asked, error)
  }
  if (left > 0) throw store.fail(asked, 'unavailable', `the body ended ${left} bytes early`)
}
