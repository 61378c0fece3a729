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
import {
  type Connector,
  type CopySource,
  canCopyWithin,
  type ReadResult,
} from '../../connectors/connector.ts'
import { digestProblem, digestsByReading, digestsOf, wholeBody } from '../../connectors/digests.ts'
import type { Catalog, VaultIndex, VaultObject } from '../catalog/catalog.ts'
import { StoreError } from '../errors.ts'
import type { Content, Digests, Key, Source, Token } from '../model.ts'
import { contentNames } from '../sync/content.ts'
import { compressed } from './form.ts'
import { checked, corrupt, type Found, keyOf, lookAt, newObject, opened } from './objects.ts'
import { together } from './together.ts'

/** An entry of a replica that is to be kept. */
export interface VaultSource {
  connector: Connector
  key: Key
  token: Source['token']
  content: Content
}

export interface Vault {
  /** Says in the catalog, all at once, what is about to be put: each put then asks it for nothing.
   *  Whoever expects flushes, when the puts are done. */
  expect(contents: Content[], signal: AbortSignal): Promise<void>
  /** Notes what was written since: so that what is lost can be told from what was never written. */
  flush(signal: AbortSignal): Promise<void>
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

/** What the vault stands on. */
export interface VaultParts {
  store: Connector
  catalog: VaultIndex & Pick<Catalog, 'getLocation' | 'setLocation'>
  /** A folder's name in the catalog, so that the empty one below a mount that is gone isn't taken
   *  for it (I12); null: the location's address alone says which it is. */
  place: string | null
  /** ms since the epoch. */
  clock(): number
}

/** `vault`: the location's identity. `prefix`: what this catalog's objects begin with. */
export interface VaultRoot {
  vault: string
  prefix: Key
}

/** `rebind`: it may be another folder than it was. */
export async function rootOfVault(
  { store, catalog, place }: VaultParts,
  signal: AbortSignal,
  rebind = false,
): Promise<VaultRoot> {
  const was = place === null ? null : await catalog.getLocation(place)
  const vault = await store.identity({ signal, create: was === null || rebind })
  if (was && was.identity !== vault && !rebind) {
    const words =
      'The folder is not the one that it was: its mount may be gone. Bring it back; or, if it is ' +
      'meant to be another one from now on: tidemark vault rebind'
    throw new StoreError('root-missing', words, { location: store.name, operation: 'vault' })
  }
  if (place !== null && was?.identity !== vault) {
    // All datasets', and so in no dataset's audit.
    await catalog.setLocation(place, vault, null, { datasets: [], run: null, by: 'vault' })
  }
  return { vault, prefix: `${await catalog.catalogId()}/` }
}

/** Content that is to be written: from a replica, or from memory. */
type Given = { source: VaultSource } | { bytes: Uint8Array }

/** A row that stands for content that is about to be put. */
interface Reserved {
  object: VaultObject
  /** It was made for this put: nothing lies there. */
  fresh: boolean
  /** Together with others: what is written is noted together, too. */
  together: boolean
  at: number
}

/** What was expected so long ago (ms) is asked for anew: far less than `vaultGraceMs`. */
const expectedMsMax = 10 * 60 * 1000
/** So many contents are expected at a time, at most. */
const expectedMax = 20_000

export function createVault(parts: VaultParts): Vault {
  const { store, catalog, clock } = parts
  const expected = new Map<string, Reserved>()
  let written: VaultObject[] = []
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

  const keep = together(async (asked: { at: VaultRoot; content: Content }[]) => {
    const objects = asked.map(({ at, content }) => newObject(at.prefix, content))
    const at = clock()
    const kept = await catalog.keepInVault(asked[0]?.at.vault as string, objects, at)
    return kept.map((object, i): Reserved => {
      const fresh = keyOf(object) === keyOf(objects[i] as VaultObject)
      return { object, fresh, together: false, at }
    })
  })
  const find = together(async (asked: { vault: string; content: Content }[]) => {
    const contents = asked.map(({ content }) => content)
    return await catalog.findInVault(asked[0]?.vault as string, contents, clock())
  })
  const note = together(async (asked: { vault: string; object: VaultObject }[]) => {
    const objects = asked.map(({ object }) => object)
    await catalog.wroteToVault(asked[0]?.vault as string, objects)
    return objects
  })

  // ── putting ───────────────────────────────────────────────────────────────────────────────────

  async function reserve(at: VaultRoot, content: Content): Promise<Reserved> {
    const name = contentNames(content.digests)[0] as string
    const reserved = expected.get(name)
    expected.delete(name)
    if (reserved && clock() - reserved.at < expectedMsMax) return reserved
    return await keep({ at, content })
  }

  /** Said in the catalog, then written. Gives all digests that are known afterwards. */
  async function putNamed(
    at: VaultRoot,
    content: Content,
    given: Given,
    signal: AbortSignal,
  ): Promise<Digests> {
    const { object, fresh, together: later } = await reserve(at, content)
    const there = fresh ? null : await lookAt(store, object, signal)
    if (there?.form) return content.digests
    // What a killed put, or somebody with a key to the bucket, left missing is written anew.
    const { stored, digests } = await write(object, given, there?.entry.token ?? null, signal)
    if (later) written.push({ ...object, stored })
    else await note({ vault: at.vault, object: { ...object, stored } })
    return { ...content.digests, ...digests }
  }

  async function write(
    object: VaultObject,
    given: Given,
    expect: Token | null,
    signal: AbortSignal,
  ): Promise<{ stored: number; digests: Digests }> {
    const key = keyOf(object)
    const options = { digests: {}, metadata: {}, beforeCommit: async () => undefined, signal }
    const { size, digests } = object.content
    try {
      if ('source' in given && canCopyWithin(given.source.connector, store)) {
        const { connector, key: from, token } = given.source
        const copy = store.copyWithin as NonNullable<Connector['copyWithin']>
        const source = { connector, key: from, token, size }
        await copy(key, source, expect, { ...options, digests, ownKey: true })
        return { stored: size, digests: {} }
      }
      if ('source' in given && size > store.traits.partBytes) {
        const body = await checkedStream(given.source, digests, signal)
        await store.write(key, body, expect, { ...options, digests, size })
        return { stored: size, digests: {} }
      }
      const bytes = 'bytes' in given ? given.bytes : await readWhole(given.source, signal)
      const body = (await compressed(bytes)) ?? bytes
      await store.write(key, body, expect, { ...options, size: body.length })
      return { stored: body.length, digests: digestsOf(bytes) }
    } catch (error) {
      if (!(error instanceof StoreError) || error.code !== 'changed-meanwhile') throw error
      // Either the source moved, or somebody kept the same content at the same time.
      const there = await lookAt(store, object, signal)
      if (!there?.form) throw error
      return { stored: there.entry.size, digests: {} }
    }
  }

  /** Content of which nothing is known that could name it. */
  async function putUnnamed(
    at: VaultRoot,
    source: VaultSource,
    signal: AbortSignal,
  ): Promise<Digests> {
    const { connector, key, token, content } = source
    if (content.size > store.traits.partBytes) {
      const digests = await digestsByReading(connector, key, { ...content, token }, signal)
      return await putNamed(at, { ...content, digests }, { source }, signal)
    }
    const bytes = await readWhole(source, signal)
    const digests = digestsOf(bytes)
    return await putNamed(at, { ...content, digests }, { bytes }, signal)
  }

  // ── getting ───────────────────────────────────────────────────────────────────────────────────

  /** The object and what lies there; null where one of them is missing. A content may lie there
   *  twice: put as its md5 and as its sha256, before anybody knew both. */
  async function look(content: Content, signal: AbortSignal) {
    const { vault } = await root(signal)
    const objects = await find({ vault, content })
    const [, another] = objects
    if (another && contentNames(content.digests).length === 0) {
      const words = 'Several contents have this crc32c and size.'
      throw corrupt(store.name, keyOf(another), words)
    }
    let found: (Found & { object: VaultObject }) | null = null
    for (const object of objects) {
      const there = await lookAt(store, object, signal)
      if (there) found = { object, ...there }
      if (there?.form) break
    }
    return found
  }

  return {
    async expect(contents, signal) {
      const at = await root(signal)
      const named = contents.filter(({ size, digests }) => size > 0 && contentNames(digests)[0])
      const objects = named.map((content) => newObject(at.prefix, content))
      const now = clock()
      const kept = await catalog.keepInVault(at.vault, objects, now)
      for (const [i, object] of kept.entries()) {
        const wanted = objects[i] as VaultObject
        const fresh = keyOf(object) === keyOf(wanted)
        // Of equal contents the first stands for all.
        if (!expected.get(wanted.name)?.fresh) {
          expected.set(wanted.name, { object, fresh, together: true, at: now })
        }
      }
      for (const name of expected.keys()) {
        if (expected.size <= expectedMax) break
        expected.delete(name)
      }
    },

    async flush(signal) {
      const objects = written
      written = []
      if (objects.length > 0) await catalog.wroteToVault((await root(signal)).vault, objects)
    },

    async put(source, signal) {
      const { content } = source
      if (content.size === 0) return { ...content, digests: digestsOf(new Uint8Array()) }
      const at = await root(signal)
      const digests =
        contentNames(content.digests).length > 0
          ? await putNamed(at, content, { source }, signal)
          : await putUnnamed(at, source, signal)
      return { ...content, digests }
    },

    async putBytes(bytes, signal) {
      const content = { size: bytes.length, digests: digestsOf(bytes) }
      if (bytes.length > 0) await putNamed(await root(signal), content, { bytes }, signal)
      return content
    },

    async get(content, signal) {
      if (content.size === 0) return nothing(content)
      const found = await look(content, signal)
      if (found) {
        const digests = { ...content.digests, ...found.object.content.digests }
        return await opened(store, found, { ...content, digests }, signal)
      }
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
      if (found?.form !== 'raw') return null
      const { key, token, size } = found.entry
      return { connector: store, key, token, size }
    },

    async has(content, signal) {
      if (content.size === 0) return true
      const found = await look(content, signal)
      return (found?.form ?? null) !== null
    },
  }
}

// ── bytes ───────────────────────────────────────────────────────────────────────────────────────

async function readWhole(source: VaultSource, signal: AbortSignal): Promise<Buffer> {
  const { body } = await source.connector.read(source.key, source.token, undefined, { signal })
  const bytes = await wholeBody(body)
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
