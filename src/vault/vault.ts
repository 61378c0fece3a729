/**
 * Content that no replica will hold any more, by its digest, on any connector: written once, before
 * the write that takes the content away (I2). The catalog is its index.
 *
 * Who puts says so in the catalog first, then writes; who collects claims in the catalog first,
 * then removes (`collect.ts`). Each object lies under a key that was never used before and never
 * will be again: so a put that finds its content claimed writes it anew, elsewhere, and whatever a
 * collection removes late, or twice, is what nobody relies on. What is killed in between leaves a
 * row without an object, which the next put writes; or an object without a row, which is collected.
 */
import type { Connector, CopySource, ReadResult } from '../../connectors/connector.ts'
import { digestProblem, digestsByReading, digestsOf } from '../../connectors/digests.ts'
import type { VaultIndex, VaultObject } from '../catalog/catalog.ts'
import { StoreError } from '../errors.ts'
import type { Content, Digests, Key, Source, Token } from '../model.ts'
import { contentNames } from '../sync/content.ts'
import { compressed } from './form.ts'
import { bytesOf, checked, corrupt, isWhole, keyOf, newObject, opened } from './objects.ts'
import { together } from './together.ts'

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
  /** `not-found` where the vault doesn't have it. The body ends with `corrupt` instead of its end
   *  where it isn't the content. */
  get(content: Content, signal: AbortSignal): Promise<ReadResult>
  /** Where it lies as it is, for a store that copies it by itself; null: not there, or not so. */
  copySource(content: Content, signal: AbortSignal): Promise<CopySource | null>
  /** Whether it is there; then it stays for an hour at least, whatever is collected meanwhile. */
  has(content: Content, signal: AbortSignal): Promise<boolean>
}

/** What the vault stands on. `clock`: ms since the epoch. */
export interface VaultParts {
  store: Connector
  catalog: VaultIndex
  clock(): number
}

/** `vault`: the location's identity. `prefix`: what this catalog's objects begin with. */
export interface VaultRoot {
  vault: string
  prefix: Key
}

export async function rootOfVault(
  { store, catalog }: VaultParts,
  signal: AbortSignal,
): Promise<VaultRoot> {
  const vault = await store.identity({ signal, create: true })
  return { vault, prefix: `${await catalog.catalogId()}/` }
}

/** Content that is to be written: from a replica, or from memory. */
type Given = { source: VaultSource } | { bytes: Uint8Array }

export function createVault(parts: VaultParts): Vault {
  const { store, catalog, clock } = parts
  let known: Promise<VaultRoot> | null = null

  /** Asked once; what failed is asked again. */
  async function root(signal: AbortSignal): Promise<VaultRoot> {
    known ??= rootOfVault(parts, signal)
    try {
      return await known
    } catch (error) {
      known = null
      throw error
    }
  }

  const keep = together(async (asked: { vault: string; object: VaultObject }[]) => {
    const objects = asked.map(({ object }) => object)
    return await catalog.keepInVault(asked[0]?.vault ?? '', objects, clock())
  })
  const find = together(async (asked: { vault: string; content: Content }[]) => {
    const contents = asked.map(({ content }) => content)
    return await catalog.findInVault(asked[0]?.vault ?? '', contents, clock())
  })

  // ── putting ───────────────────────────────────────────────────────────────────────────────────

  /** Said in the catalog, then written. `body` null: the store copies it by itself, or it is too
   *  large for memory. */
  async function keepAs(
    { vault, prefix }: VaultRoot,
    content: Content,
    given: Given,
    packed: Buffer | null,
    signal: AbortSignal,
  ): Promise<void> {
    const form = packed ? 'zstd' : 'raw'
    const object = newObject(prefix, content, form, packed?.length ?? content.size)
    const kept = await keep({ vault, object })
    if (keyOf(kept) === keyOf(object)) return await write(kept, given, null, signal)
    await confirm(kept, given, signal)
  }

  /** What a killed put, or somebody with a key to the bucket, left missing is written anew. */
  async function confirm(kept: VaultObject, given: Given, signal: AbortSignal): Promise<void> {
    const entry = await store.stat(keyOf(kept), { signal })
    if (entry !== null && isWhole(entry, kept)) return
    await write(kept, given, entry?.token ?? null, signal)
  }

  async function write(
    object: VaultObject,
    given: Given,
    expect: Token | null,
    signal: AbortSignal,
  ): Promise<void> {
    const key = keyOf(object)
    const options = { digests: {}, metadata: {}, beforeCommit: async () => undefined, signal }
    try {
      if ('source' in given && object.form === 'raw' && copies(given.source.connector, store)) {
        const { connector, key: from, token, content } = given.source
        const source = { connector, key: from, token, size: content.size }
        const copy = store.copyWithin as NonNullable<Connector['copyWithin']>
        await copy(key, source, expect, { ...options, digests: content.digests })
        return
      }
      const body = await bodyOf(object, given, signal)
      const size = body instanceof Uint8Array ? body.length : object.content.size
      const digests = object.form === 'raw' ? object.content.digests : {}
      await store.write(key, body, expect, { ...options, digests, size })
    } catch (error) {
      if (!(error instanceof StoreError) || error.code !== 'changed-meanwhile') throw error
      // Either the source moved, or somebody kept the same content at the same time.
      const entry = await store.stat(key, { signal })
      if (entry === null || !isWhole(entry, object)) throw error
    }
  }

  /** What is to be sent; checked before, or by the stream at its end. */
  async function bodyOf(object: VaultObject, given: Given, signal: AbortSignal) {
    const { content, form } = object
    if ('source' in given && form === 'raw' && content.size > store.traits.partBytes) {
      return await checkedStream(given.source, content.digests, signal)
    }
    const bytes = 'bytes' in given ? given.bytes : await readWhole(given.source, signal)
    return form === 'zstd' ? ((await compressed(bytes)) ?? bytes) : bytes
  }

  async function putSmall(
    at: VaultRoot,
    source: VaultSource,
    signal: AbortSignal,
  ): Promise<Content> {
    const bytes = await readWhole(source, signal)
    const content = { ...source.content, digests: digestsOf(bytes) }
    await keepAs(at, content, { bytes }, await compressed(bytes), signal)
    return content
  }

  // ── getting ───────────────────────────────────────────────────────────────────────────────────

  async function locate(content: Content, signal: AbortSignal): Promise<VaultObject | null> {
    const { vault } = await root(signal)
    const [object, another] = await find({ vault, content })
    if (another === undefined) return object ?? null
    throw new StoreError('corrupt', 'Several contents have this crc32c and size.', {
      location: store.name,
      operation: 'vault get',
      key: keyOf(another),
    })
  }

  /** With the state of its object; null where one of them isn't there. */
  async function look(content: Content, signal: AbortSignal) {
    const object = await locate(content, signal)
    const entry = object && (await store.stat(keyOf(object), { signal }))
    return object && entry ? { object, entry } : null
  }

  return {
    async put(source, signal) {
      const { content, connector, key, token } = source
      if (content.size === 0) return { ...content, digests: digestsOf(new Uint8Array()) }
      const at = await root(signal)
      const named = contentNames(content.digests).length > 0
      if (named && copies(connector, store)) {
        await keepAs(at, content, { source }, null, signal)
        return content
      }
      const [there] = named ? await find({ vault: at.vault, content }) : []
      if (there) {
        await confirm(there, { source }, signal)
        return content
      }
      if (content.size <= store.traits.partBytes) return await putSmall(at, source, signal)
      const digests = named
        ? content.digests
        : await digestsByReading(connector, key, token, signal)
      await keepAs(at, { ...content, digests }, { source }, null, signal)
      return { ...content, digests }
    },

    async putBytes(bytes, signal) {
      const content = { size: bytes.length, digests: digestsOf(bytes) }
      if (bytes.length === 0) return content
      await keepAs(await root(signal), content, { bytes }, await compressed(bytes), signal)
      return content
    },

    async get(content, signal) {
      if (content.size === 0) return nothing(content)
      const found = await look(content, signal)
      if (found) return await opened(store, found.object, found.entry, content, signal)
      const [name = 'content without a digest'] = contentNames(content.digests)
      throw new StoreError('not-found', `The vault does not have ${name}.`, {
        location: store.name,
        operation: 'vault get',
        key: name,
      })
    },

    async copySource(content, signal) {
      if (store.traits.copyDomain === null || content.size === 0) return null
      const found = await look(content, signal)
      if (found === null || found.object.form !== 'raw') return null
      const { key, token, size } = found.entry
      return { connector: store, key, token, size }
    },

    async has(content, signal) {
      if (content.size === 0) return true
      const found = await look(content, signal)
      return found !== null && isWhole(found.entry, found.object)
    },
  }
}

function copies(from: Connector, to: Connector): boolean {
  const { copyDomain } = to.traits
  return copyDomain !== null && copyDomain === from.traits.copyDomain && to.copyWithin !== undefined
}

// ── bytes ───────────────────────────────────────────────────────────────────────────────────────

async function readWhole(source: VaultSource, signal: AbortSignal): Promise<Buffer> {
  const { body } = await source.connector.read(source.key, source.token, undefined, { signal })
  const bytes = await bytesOf(body)
  const problem = digestProblem(source.content.digests, digestsOf(bytes))
  if (problem) throw corrupt(source.connector.name, source.key, problem)
  return bytes
}

async function checkedStream(source: VaultSource, digests: Digests, signal: AbortSignal) {
  const { body } = await source.connector.read(source.key, source.token, undefined, { signal })
  return checked(body, digests, source.connector.name, source.key)
}

async function* none(): AsyncGenerator<Uint8Array> {}

function nothing(content: Content): ReadResult {
  const entry = { key: 'empty', token: { id: 'empty' }, modifiedAt: 0, ...content }
  return { entry, body: none() }
}
