/**
 * Signed heads: the end of each chain, signed with a key that isn't in the catalog, and written
 * where nobody overwrites it. What was signed can't be cut off or written anew without being found.
 */

import { type KeyObject, sign, verify } from 'node:crypto'
import type { Connector } from '../../connectors/connector.ts'
import { wholeBody } from '../../connectors/digests.ts'
import { StoreError } from '../errors.ts'
import type { Key } from '../model.ts'

export interface Head {
  dataset: string
  seq: number
  /** The row's own time, ms since the epoch. */
  at: number
  /** The row's digest: it stands for all rows up to it. */
  digest: string
  signedAt: number
  /** user@host */
  by: string
}

export interface SignedHead extends Head {
  /** Ed25519, base64, over `headText`. */
  signature: string
}

/** All heads of all datasets lie below it. */
export const headsFolder = 'tidemark-audit/'
/** A head is a few hundred bytes: what is longer isn't one. */
const headBytesMax = 16_384

/** What is signed: this JSON's UTF-8 bytes. */
export function headText({ dataset, seq, at, digest, signedAt, by }: Head): string {
  return JSON.stringify(['tidemark audit head 1', dataset, seq, at, digest, signedAt, by])
}

export function signHead(head: Head, privateKey: KeyObject): SignedHead {
  const signature = sign(null, Buffer.from(headText(head)), privateKey).toString('base64')
  return { ...head, signature }
}

/** Whether it is such a head, of this dataset, and signed with the key's other half. */
export function isSigned(value: unknown, dataset: string, key: KeyObject): value is SignedHead {
  if (typeof value !== 'object' || value === null) return false
  const head = value as Partial<SignedHead>
  const numbers = [head.seq, head.at, head.signedAt].every(Number.isSafeInteger)
  const texts = [head.digest, head.by, head.signature].every((one) => typeof one === 'string')
  if (!numbers || !texts || head.dataset !== dataset) return false
  const signature = Buffer.from(head.signature as string, 'base64')
  return verify(null, Buffer.from(headText(head as Head)), key, signature)
}

/** `prefix` ends with a slash, or is empty. Padded, so that a listing has them in order. */
export function headKey(prefix: string, dataset: string, seq: number): Key {
  return `${prefix}${headsFolder}${dataset}/${String(seq).padStart(15, '0')}.json`
}

/** Create-only: false where there is something under its key already. */
export async function writeHead(
  connector: Connector,
  prefix: string,
  head: SignedHead,
  signal: AbortSignal,
): Promise<boolean> {
  const body = Buffer.from(`${JSON.stringify(head, null, 2)}\n`)
  try {
    await connector.write(headKey(prefix, head.dataset, head.seq), body, null, {
      size: body.length,
      metadata: {},
      digests: {},
      beforeCommit: async () => undefined,
      signal,
    })
    return true
  } catch (error) {
    if (!(error instanceof StoreError && error.code === 'changed-meanwhile')) throw error
    return false
  }
}

/** Each head that lies there, in order; `head` null: what is under that key is none. */
export async function* readHeads(
  connector: Connector,
  prefix: string,
  dataset: string,
  publicKey: KeyObject,
  signal: AbortSignal,
): AsyncGenerator<{ key: Key; head: SignedHead | null }> {
  const folder = `${prefix}${headsFolder}${dataset}/`
  // `0` is what follows the slash.
  const range = { from: folder, to: `${folder.slice(0, -1)}0` }
  for await (const { entries } of connector.list(range, undefined, { signal })) {
    for (const { key } of entries) {
      const head = await readHead(connector, key, dataset, publicKey, signal)
      const own = head && headKey(prefix, dataset, head.seq) === key
      yield { key, head: own ? head : null }
    }
  }
}

/** null: it is gone, or none that was signed with this key. */
export async function readHead(
  connector: Connector,
  key: Key,
  dataset: string,
  publicKey: KeyObject,
  signal: AbortSignal,
): Promise<SignedHead | null> {
  const entry = await connector.stat(key, { signal })
  if (entry === null || entry.size > headBytesMax) return null
  const { body } = await connector.read(key, entry.token, undefined, { signal })
  const text = (await wholeBody(body)).toString('utf8')
  try {
    const value: unknown = JSON.parse(text)
    return isSigned(value, dataset, publicKey) ? value : null
  } catch (error) {
    if (error instanceof SyntaxError) return null
    throw error
  }
}
