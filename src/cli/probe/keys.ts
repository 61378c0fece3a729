/** Keys of a probe's own: written, and taken away when it ends, however it ends. */
import { MIB } from '../../limits.ts'
import type { Entry, Key, Metadata, Token } from '../../model.ts'
import { answerMs, isCode, type Probing } from './check.ts'

/** A probe under keys that begin so; each is told of before it is written. */
export interface Writing extends Probing {
  under: Key
  used(name: string): Key
}

export async function write(
  { connector }: Probing,
  key: Key,
  expect: Token | null,
  content: { size: number; fill: number; signal: AbortSignal; metadata?: Metadata },
): Promise<Entry> {
  const { size, fill, signal, metadata = {} } = content
  const options = { size, metadata, digests: {}, signal, beforeCommit: async () => {} }
  return connector.write(key, pieces(size, fill), expect, options)
}

export async function* pieces(size: number, fill: number): AsyncGenerator<Uint8Array> {
  for (let sent = 0; sent < size; sent += MIB) {
    yield new Uint8Array(Math.min(MIB, size - sent)).fill(fill)
  }
}

/** Not under the caller's signal: an interrupted probe takes its keys away, too. */
export async function removeLeft({ connector, say }: Probing, key: Key): Promise<void> {
  const options = { signal: AbortSignal.timeout(answerMs), beforeCommit: async () => {} }
  try {
    const left = await connector.stat(key, options)
    if (left) await connector.remove(key, left.token, options)
  } catch (error) {
    if (isCode(error, 'not-found')) return
    const words = error instanceof Error ? error.message : String(error)
    say('clean up', 'failed', `${key} is left behind: ${words}`, 'Remove it by hand.')
  }
}
