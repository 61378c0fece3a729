/** An upload that breaks off, and is gone on with. */
import type { WriteOptions } from '../../../connectors/connector.ts'
import { digestsOf } from '../../../connectors/digests.ts'
import type { Key } from '../../model.ts'
import { compareBytes } from '../../sync/content.ts'
import { answerMs, attempt, type Probing, sayFailure } from './check.ts'
import { pieces, type Writing } from './keys.ts'

/** A write of parts, under what an earlier attempt saved, if any. */
interface Upload {
  key: Key
  size: number
  state?: string
  body: AsyncIterable<Uint8Array>
  saved: (string | null)[]
}

export async function probeResume(writing: Writing): Promise<void> {
  const { connector, say } = writing
  const { partBytes } = connector.traits
  const upload = { key: writing.used('-resume'), size: 3 * partBytes + 1 }
  const broken: Upload = { ...upload, body: breaking(upload.size, 2.5 * partBytes), saved: [] }
  await attempt(writing, (signal) => send(writing, broken, signal)).catch((error: unknown) => {
    if (causeOf(error) !== brokenOff) throw error
  })
  const state = broken.saved.at(-1)
  if (typeof state !== 'string') {
    say('resume', 'not kept', 'an upload that breaks off is begun anew')
    return
  }
  const again: Upload = { ...upload, body: pieces(upload.size, 1), saved: [], state }
  const sent = await attempt(writing, (signal) => send(writing, again, signal))
  const found = await attempt(writing, (signal) => connector.stat(upload.key, { signal }))
  const whole = { size: upload.size, digests: digestsOf(Buffer.alloc(upload.size, 1)) }
  if (found.value && compareBytes(found.value, whole) === 'different') {
    const words = 'an upload that broke off was taken for a whole object'
    say('resume', 'failed', `${words}: ${found.value.size} of ${upload.size} bytes`, emulated)
  } else if (!sent.ok || !found.ok) {
    sayFailure(writing, 'resume', sent.error ?? found.error)
    const options = { signal: AbortSignal.timeout(answerMs) }
    await connector.abortUpload?.(upload.key, again.saved.at(-1) ?? state, options)
  } else if (again.saved.every((one) => one === null || one === state)) {
    say('resume', 'ok', 'an upload that breaks off is gone on with')
  } else say('resume', 'not kept', 'the store forgot an upload that broke off: it was begun anew')
}

const emulated = 'The emulator fake-gcs-server does so. Report it of any other store.'
const brokenOff = new Error('the probe breaks off')

/** A connector may say in its own words what its body threw. */
function causeOf(error: unknown): unknown {
  return error instanceof Error && error.cause ? error.cause : error
}

async function* breaking(size: number, at: number): AsyncGenerator<Uint8Array> {
  let sent = 0
  for await (const piece of pieces(size, 1)) {
    if (sent > at) throw brokenOff
    yield piece
    sent += piece.length
  }
}

async function send({ connector }: Probing, upload: Upload, signal: AbortSignal): Promise<void> {
  const { key, size, state, body, saved } = upload
  const save = async (next: string | null) => void saved.push(next)
  const options: WriteOptions = {
    ...{ size, metadata: {}, digests: {}, signal, beforeCommit: async () => {} },
    session: { state, save },
  }
  await connector.write(key, body, null, options)
}
