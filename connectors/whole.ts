/** Small bodies, which are written by one request. */
import type { Body } from './connector.ts'

/** A body whole in memory; where it is longer than `size`, only so much of it that this shows: an
 *  endless one must be noticed. */
export async function gather(body: Body, size: number): Promise<Uint8Array> {
  if (body instanceof Uint8Array) return body
  const chunks: Uint8Array[] = []
  let got = 0
  for await (const chunk of body) {
    chunks.push(chunk)
    got += chunk.length
    if (got > size) break
  }
  return Buffer.concat(chunks)
}
