/**
 * Content that no replica will hold any more, by its digest, on any connector. Written once, before
 * the write that takes the content away (I2). Minimal: put and get.
 */

import type { Connector, ReadResult } from '../../connectors/connector.ts'
import {
  createDigester,
  digestProblem,
  digestsByReading,
  digestsOf,
} from '../../connectors/digests.ts'
import { StoreError } from '../errors.ts'
import type { Content, Digests, Key, Source } from '../model.ts'
import { ALGORITHMS } from '../sync/content.ts'

/** An entry of a replica that is to be kept. */
export interface VaultSource {
  connector: Connector
  key: Key
  token: Source['token']
  content: Content
}

export interface Vault {
  /** Keeps the content, unless it is there. Gives all digests that are known of it afterwards.
   *  Throws what reading or writing threw; the content is in the vault only when it returns. */
  put(source: VaultSource, signal: AbortSignal): Promise<Content>
  /** Keeps what is in memory: merged, or given by a person. The content with all its digests. */
  putBytes(bytes: Uint8Array, signal: AbortSignal): Promise<Content>
  /** `not-found` where the vault doesn't have it. */
  get(content: Content, signal: AbortSignal): Promise<ReadResult>
  has(content: Content, signal: AbortSignal): Promise<boolean>
}

/** `sha256/ab/abcd…`: two levels, so that a folder of a file system stays small. */
function nameOf(digests: Digests, size: number): Key | null {
  for (const algorithm of ALGORITHMS) {
    const hex = digests[algorithm]
    if (hex === undefined) continue
    // crc32c names content only together with its size, and even then weakly.
    return algorithm === 'crc32c'
      ? `crc32c/${hex.slice(0, 2)}/${hex}-${size}`
      : `${algorithm}/${hex.slice(0, 2)}/${hex}`
  }
  return null
}

/** Under any of its digests: what was adopted with an md5 alone may have got a sha256 since. */
function namesOf({ digests, size }: Content): Key[] {
  return ALGORITHMS.flatMap((algorithm) => {
    const hex = digests[algorithm]
    const name = hex === undefined ? null : nameOf({ [algorithm]: hex }, size)
    return name === null ? [] : [name]
  })
}

export function createVault(store: Connector): Vault {
  async function find(content: Content, signal: AbortSignal) {
    for (const name of namesOf(content)) {
      const entry = await store.stat(name, { signal })
      if (entry !== null && entry.size === content.size) return entry
    }
    return null
  }

  async function write(
    name: Key,
    body: Uint8Array | AsyncIterable<Uint8Array>,
    content: Content,
    signal: AbortSignal,
  ): Promise<void> {
    try {
      await store.write(name, body, null, {
        size: content.size,
        metadata: {},
        digests: content.digests,
        beforeCommit: async () => undefined,
        signal,
      })
    } catch (error) {
      // Somebody kept the same content at the same time: its name is its digest.
      if (!(error instanceof StoreError && error.code === 'changed-meanwhile')) throw error
    }
  }

  async function keepSmall(source: VaultSource, signal: AbortSignal): Promise<Content> {
    const bytes = await readWhole(source, signal)
    const digests = digestsOf(bytes)
    const problem = digestProblem(source.content.digests, digests)
    if (problem) throw corrupt(source, problem)
    const content = { ...source.content, digests }
    await write(nameOf(digests, content.size) as Key, bytes, content, signal)
    return content
  }

  /** Too large for memory: under the digest that is known, or read twice where none is. */
  async function keepLarge(source: VaultSource, signal: AbortSignal): Promise<Content> {
    const known = nameOf(source.content.digests, source.content.size)
    const digests = known
      ? source.content.digests
      : await digestsByReading(source.connector, source.key, source.token, signal)
    const content = { ...source.content, digests }
    const digester = createDigester()
    const { body } = await source.connector.read(source.key, source.token, undefined, { signal })
    await write(
      known ?? (nameOf(digests, content.size) as Key),
      checked(body, digester, () => {
        const problem = digestProblem(digests, digester.digest())
        if (problem) throw corrupt(source, problem)
      }),
      content,
      signal,
    )
    return content
  }

  return {
    async put(source, signal) {
      if (await find(source.content, signal)) return source.content
      return source.content.size <= store.traits.partBytes
        ? await keepSmall(source, signal)
        : await keepLarge(source, signal)
    },
    async putBytes(bytes, signal) {
      const content = { size: bytes.length, digests: digestsOf(bytes) }
      if (!(await find(content, signal))) {
        await write(nameOf(content.digests, content.size) as Key, bytes, content, signal)
      }
      return content
    },
    async get(content, signal) {
      const entry = await find(content, signal)
      if (entry === null) {
        const name = namesOf(content)[0] ?? 'content without a digest'
        throw new StoreError('not-found', `The vault does not have ${name}.`, {
          location: store.name,
          operation: 'vault get',
          key: name,
        })
      }
      return await store.read(entry.key, entry.token, undefined, { signal })
    },
    async has(content, signal) {
      return (await find(content, signal)) !== null
    },
  }
}

async function readWhole(source: VaultSource, signal: AbortSignal): Promise<Buffer> {
  const { body } = await source.connector.read(source.key, source.token, undefined, { signal })
  const chunks: Uint8Array[] = []
  for await (const chunk of body) chunks.push(chunk)
  return Buffer.concat(chunks)
}

/** The stream, with a check at its end: what throws there is never committed by the store. */
async function* checked(
  body: AsyncIterable<Uint8Array>,
  digester: { update(chunk: Uint8Array): void },
  atEnd: () => void,
): AsyncGenerator<Uint8Array> {
  for await (const chunk of body) {
    digester.update(chunk)
    yield chunk
  }
  atEnd()
}

function corrupt(source: VaultSource, problem: string): StoreError {
  return new StoreError('corrupt', problem, {
    location: source.connector.name,
    operation: 'vault put',
    key: source.key,
  })
}
