/**
 * Content that a bucket keeps by its own versions (`history: native`): nothing is copied, the
 * catalog notes under which key and version it lies. In the vault's index each such place is a
 * vault of its own, `native:` and the location's identity; there a content has one place, the
 * latest that was noted, for a bucket's rules remove old versions first. We never remove any.
 */
import type { Connector, ReadResult, Versions } from '../../connectors/connector.ts'
import type { Catalog, VaultIndex, VaultObject } from '../catalog/catalog.ts'
import { StoreError } from '../errors.ts'
import type { Content, Entry } from '../model.ts'
import { contentNames } from '../sync/content.ts'
import { checked } from './objects.ts'
import { together } from './together.ts'
import type { Vault, VaultSource } from './vault.ts'

/** A vault that finds what buckets keep, too: whoever asks, whatever the dataset's own setting. */
export interface NativeVault extends Vault {
  /** Notes that the entry's own store keeps it; writes nothing. false: it doesn't, so the content
   *  is to be put. Throws as `put` does. */
  pin(source: VaultSource, signal: AbortSignal): Promise<boolean>
}

export interface NativeParts {
  catalog: VaultIndex & Pick<Catalog, 'getLocation'>
  /** The config's locations. */
  names: string[]
  open(name: string): Promise<Connector>
  /** ms since the epoch. */
  clock(): number
}

const mark = 'native:'
const vaultAt = (identity: string) => `${mark}${identity}`

export function isNative(vault: string): boolean {
  return vault.startsWith(mark)
}

/** The locations' names by their vaults, as far as the catalog ever saw them. */
export async function nativeVaults({ catalog, names }: NativeParts): Promise<Map<string, string>> {
  const vaults = new Map<string, string>()
  for (const name of names) {
    const known = await catalog.getLocation(name)
    if (known) vaults.set(vaultAt(known.identity), name)
  }
  return vaults
}

/** A version, where it is said to be. */
interface Noted {
  location: string
  object: VaultObject
}

interface Kept extends Noted {
  entry: Entry
  versions: Versions
}

export function withNative(vault: Vault, parts: NativeParts): NativeVault {
  const { catalog, clock } = parts

  const find = together(async (contents: Content[]) => {
    const found = contents.map((): Noted[] => [])
    for (const [at, location] of await nativeVaults(parts)) {
      const rows = await catalog.findInVault(at, contents, clock())
      for (const [i, objects] of rows.entries()) {
        found[i]?.push(...objects.map((object) => ({ location, object })))
      }
    }
    return found
  })
  const note = together(async (asked: Noted[]) => {
    const known = new Set<string>()
    for (const [location, here] of Map.groupBy(asked, (one) => one.location)) {
      const identity = (await catalog.getLocation(location))?.identity
      if (identity === undefined) continue
      const objects = here.map(({ object }) => object)
      await catalog.placeInVault(vaultAt(identity), objects, clock())
      known.add(location)
    }
    return asked.map(({ location }) => known.has(location))
  })

  /** The first place that has it still; null: none. Throws where one that may have it gave no
   *  answer. */
  async function look(content: Content, signal: AbortSignal): Promise<Kept | null> {
    let failure: StoreError | null = null
    for (const noted of unambiguous(content, await find(content))) {
      try {
        const { versions } = await parts.open(noted.location)
        const entry = versions && (await entryOf(versions, noted.object, signal))
        if (entry?.size === content.size) return { ...noted, entry, versions: versions as Versions }
      } catch (error) {
        failure = unlessCancelled(error)
      }
    }
    if (failure) throw failure
    return null
  }

  return {
    ...vault,

    async pin({ connector, key, token, content }, signal) {
      const [name] = contentNames(content.digests)
      if (content.size === 0) return true
      if (name === undefined || !connector.versions) return false
      const version = await connector.versions.keep(key, token, { signal })
      if (version === null) return false
      const { size, digests } = content
      // It takes up nothing of ours.
      const object = { name, content: { size, digests }, stored: 0, place: { key, version } }
      return await note({ location: connector.name, object })
    },

    async get(content, signal) {
      const own = await orFailure(vault.get(content, signal))
      if (!(own instanceof StoreError)) return own
      const kept = await look(content, signal)
      if (kept === null) throw own
      return await opened(kept, content, signal)
    },

    async has(content, signal) {
      const own = await orFailure(vault.has(content, signal))
      if (own === true || (await look(content, signal))) return true
      if (own instanceof StoreError) throw own
      return false
    },

    /** A vault that gives no answer has no say in what the content is read from. */
    async copySource(content, signal) {
      const own = await orFailure(vault.copySource(content, signal))
      return own instanceof StoreError ? null : own
    },
  }
}

/** The version that was noted; null: it isn't there any more. */
export async function entryOf(
  versions: Versions,
  { place: { key, version } }: VaultObject,
  signal: AbortSignal,
): Promise<Entry | null> {
  return await versions.stat(key, version as string, { signal })
}

async function opened(
  { versions, object, entry, location }: Kept,
  content: Content,
  signal: AbortSignal,
): Promise<ReadResult> {
  const { key, version } = object.place
  const { body } = await versions.read(key, version as string, { signal })
  const digests = { ...content.digests, ...object.content.digests }
  return { entry: { ...entry, ...content, digests }, body: checked(body, digests, location, key) }
}

/** Of different contents that a crc32c alone could mean, none is given. */
function unambiguous({ digests }: Content, found: Noted[]): Noted[] {
  const names = new Set(found.map(({ object }) => object.name))
  return contentNames(digests).length > 0 || names.size < 2 ? found : []
}

async function orFailure<T>(asked: Promise<T>): Promise<T | StoreError> {
  try {
    return await asked
  } catch (error) {
    return unlessCancelled(error)
  }
}

function unlessCancelled(error: unknown): StoreError {
  if (!(error instanceof StoreError) || error.code === 'cancelled') throw error
  return error
}
