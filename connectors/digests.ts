/** Digests while bytes pass by, and bodies cut into whole parts: what all connectors share. */
import { createHash, hash } from 'node:crypto'
import { crc32c } from '@node-rs/crc32'
import { StoreError } from '../src/errors.ts'
import type { DigestAlgorithm, Digests, Entry, Key } from '../src/model.ts'
import type { Body, Connector } from './connector.ts'

export type DigestChoice = Record<DigestAlgorithm, boolean>

export const ALL_DIGESTS: DigestChoice = { sha256: true, md5: true, crc32c: true }

export interface Digester {
  update(chunk: Uint8Array): void
  /** Lowercase hex of everything so far; ends the digester. */
  digest(): Digests
}

export function createDigester(choice: DigestChoice = ALL_DIGESTS): Digester {
  const sha256 = choice.sha256 ? createHash('sha256') : undefined
  const md5 = choice.md5 ? createHash('md5') : undefined
  let crc = 0
  return {
    update(chunk) {
      sha256?.update(chunk)
      md5?.update(chunk)
      if (choice.crc32c) crc = crc32c(chunk, crc)
    },
    digest() {
      return {
        ...(sha256 && { sha256: sha256.digest('hex') }),
        ...(md5 && { md5: md5.digest('hex') }),
        ...(choice.crc32c && { crc32c: crcHex(crc) }),
      }
    },
  }
}

/** Of content that is whole in memory: one-shot hashes spare the small object its hash objects. */
export function digestsOf(bytes: Uint8Array, choice: DigestChoice = ALL_DIGESTS): Digests {
  return {
    ...(choice.sha256 && { sha256: hash('sha256', bytes, 'hex') }),
    ...(choice.md5 && { md5: hash('md5', bytes, 'hex') }),
    ...(choice.crc32c && { crc32c: crcHex(crc32c(bytes)) }),
  }
}

/** A body as one buffer; a view of its chunk where it came in one. */
export async function wholeBody(body: AsyncIterable<Uint8Array>): Promise<Buffer> {
  const chunks: Uint8Array[] = []
  for await (const chunk of body) chunks.push(chunk)
  const [first] = chunks
  return chunks.length === 1 && first ? asBuffer(first) : Buffer.concat(chunks)
}

/** A digest that a store gives in base64; undefined where it isn't one of that length: unknown. */
export function hexOf(base64: string, algorithm: DigestAlgorithm): string | undefined {
  const hex = Buffer.from(base64, 'base64').toString('hex')
  return hex.length === hexLengths[algorithm] ? hex : undefined
}

const hexLengths: Record<DigestAlgorithm, number> = { sha256: 64, md5: 32, crc32c: 8 }

/** All digests of an entry, by reading it whole, pinned to its token. Throws what `read` throws,
 *  and `corrupt` where the bytes aren't those whose digests are known of it. */
export async function digestsByReading(
  connector: Connector,
  key: Key,
  { token, digests: known }: Pick<Entry, 'token' | 'digests'>,
  signal: AbortSignal,
): Promise<Digests> {
  const digester = createDigester()
  const { body } = await connector.read(key, token, undefined, { signal })
  for await (const chunk of body) digester.update(chunk)
  const digests = digester.digest()
  const problem = digestProblem(known, digests)
  if (problem === null) return digests
  throw new StoreError('corrupt', problem, { location: connector.name, operation: 'read', key })
}

/** Which given digest the content doesn't have, for people; null where all that are given hold.
 *  `actual` must have been computed for at least the algorithms of `given` to say anything. */
export function digestProblem(given: Digests, actual: Digests): string | null {
  for (const algorithm of ['sha256', 'md5', 'crc32c'] as const) {
    const [wanted, got] = [given[algorithm], actual[algorithm]]
    if (wanted !== undefined && got !== undefined && wanted !== got) {
      return `the content's ${algorithm} is ${got}, not ${wanted}`
    }
  }
  return null
}

/**
 * The body in buffers of exactly `partBytes`, the last one shorter; an empty body has none. Bytes
 * are copied at most once: whole parts inside one chunk are views of it, so chunks must not be
 * written again by whoever gave them. `size`, where it is known, spares a small stream the memory
 * of a whole part; a body that is longer than it said is cut otherwise, but never lost.
 */
export async function* partsOf(
  body: Body,
  partBytes: number,
  size = Number.POSITIVE_INFINITY,
): AsyncGenerator<Buffer, void> {
  let part: Buffer | undefined
  let filled = 0
  let given = 0
  for await (const chunk of body instanceof Uint8Array ? [body] : body) {
    const bytes = asBuffer(chunk)
    let at = 0
    while (at < bytes.length) {
      const left = bytes.length - at
      if (part === undefined && left >= partBytes) {
        yield bytes.subarray(at, at + partBytes)
        at += partBytes
        given += partBytes
        continue
      }
      if (part === undefined && body instanceof Uint8Array) {
        yield bytes.subarray(at)
        return
      }
      part ??= Buffer.allocUnsafeSlow(size > given ? Math.min(partBytes, size - given) : partBytes)
      const taken = Math.min(left, part.length - filled)
      part.set(bytes.subarray(at, at + taken), filled)
      at += taken
      filled += taken
      if (filled === part.length) {
        yield part
        part = undefined
        given += filled
        filled = 0
      }
    }
  }
  if (part !== undefined) yield part.subarray(0, filled)
}

/** The same memory as a Buffer. */
export function asBuffer(bytes: Uint8Array): Buffer {
  return Buffer.isBuffer(bytes)
    ? bytes
    : Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength)
}

function crcHex(crc: number): string {
  return (crc >>> 0).toString(16).padStart(8, '0')
}
