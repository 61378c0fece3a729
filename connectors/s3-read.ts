/** GetObject, pinned: what it opens is the state that the token names, and it ends whole or fails. */
import { KIB } from '../src/limits.ts'
import type { Entry, Token } from '../src/model.ts'
import { type LeanReply, networkFailure } from './s3-lean.ts'
import type { AskedOf, Place, Store } from './s3-store.ts'

/** Up to this, a read takes the whole body at once and frees its connection, bytes. */
const readAheadBytes = 256 * KIB

/** Another place's object where `elsewhere` is given; throws `changed-meanwhile`, `not-found`. */
export async function openObject(
  store: Store,
  asked: AskedOf,
  token: Token,
  range?: { start: number; end: number },
  elsewhere?: Place,
): Promise<{ entry: Entry; reply: LeanReply }> {
  const reply = await store.client.open({
    ...asked,
    method: 'GET',
    object: store.object(asked.key),
    ...elsewhere,
    headers: {
      'if-match': `"${token.id}"`,
      'x-amz-checksum-mode': 'ENABLED',
      // A range without bytes can't be asked for: the first one is, and not given.
      ...(range && { range: `bytes=${range.start}-${Math.max(range.start, range.end - 1)}` }),
    },
  })
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
    reply.body.on('error', () => {}).destroy()
    throw error
  }
}

/** The body, or an error where it is cut short. A small one is taken at once. */
export async function bodyOf(
  store: Store,
  asked: AskedOf,
  reply: LeanReply,
  bytes: number,
): Promise<AsyncIterable<Uint8Array>> {
  if (bytes > readAheadBytes) return checkedBody(store, asked, reply.body, bytes)
  try {
    const whole = Buffer.from(await reply.body.arrayBuffer())
    return checkedBody(store, asked, whole.length > 0 ? [whole] : [], bytes)
  } catch (error) {
    throw networkFailure(store.location, asked, error)
  }
}

async function* checkedBody(
  store: Store,
  asked: AskedOf,
  chunks: Iterable<Buffer> | AsyncIterable<Buffer>,
  bytes: number,
): AsyncGenerator<Uint8Array, void> {
  let left = bytes
  try {
    for await (const chunk of chunks) {
      yield chunk.length > left ? chunk.subarray(0, left) : chunk
      asked.signal.throwIfAborted()
      left -= Math.min(left, chunk.length)
    }
  } catch (error) {
    throw networkFailure(store.location, asked, error)
  }
  if (left > 0) throw store.fail(asked, 'unavailable', `the body ended ${left} bytes early`)
}
