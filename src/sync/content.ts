/** When tokens, contents, metadata are the same. Nothing is guessed: unknown is an answer. */
import { tokenAtToleranceMs } from '../limits.ts'
import type { Content, DigestAlgorithm, Digests, Metadata, Token } from '../model.ts'

/** Strongest first: the first that both sides have decides. */
export const ALGORITHMS: readonly DigestAlgorithm[] = ['sha256', 'md5', 'crc32c']

/**
 * Whether an entry is untouched since `held`. Two `at` may differ a little: S3 tells LastModified
 * by the second, and a PUT's reply has only its Date. An unsettled token never proves anything.
 */
export function sameToken(held: Token | null, seen: Token | null): boolean {
  if (held === null || seen === null) return held === seen
  return sameId(held, seen) && sameAt(held, seen) && held.unsettled === undefined
}

/** The same id is the same bytes, whatever `at` says: only metadata can differ. */
export function sameId(held: Token | null, seen: Token | null): boolean {
  return held !== null && seen !== null && held.id === seen.id && held.unsettled === undefined
}

/** Counters and times share the field: a GCS metageneration counts from 1, and each step counts. */
const firstTime = Date.UTC(1980, 0)

function sameAt(a: Token, b: Token): boolean {
  if (a.at === undefined || b.at === undefined || a.at === b.at) return true
  return Math.min(a.at, b.at) >= firstTime && Math.abs(a.at - b.at) <= tokenAtToleranceMs
}

/** Bytes alone, by size and the strongest digest that both can show. */
export function compareBytes(a: Content, b: Content): 'same' | 'different' | 'unknown' {
  if (a.size !== b.size) return 'different'
  // Two empty contents need no digest: stores that keep none hold many of them.
  if (a.size === 0) return 'same'
  for (const algorithm of ALGORITHMS) {
    const x = a.digests[algorithm]
    const y = b.digests[algorithm]
    if (x !== undefined && y !== undefined) return x === y ? 'same' : 'different'
  }
  return 'unknown'
}

/** Bytes and metadata. Metadata that one side doesn't know, or can't carry, never differs. */
export function compareContent(a: Content, b: Content): 'same' | 'different' | 'unknown' {
  const bytes = compareBytes(a, b)
  if (bytes !== 'same') return bytes
  return sameMetadata(a.metadata, b.metadata) ? 'same' : 'different'
}

export function sameMetadata(a: Metadata | undefined, b: Metadata | undefined): boolean {
  return a === undefined || b === undefined || metadataText(a) === metadataText(b)
}

/** Canonical text: equal for equal metadata. Empty values say nothing and are left out. */
export function metadataText(metadata: Metadata): string {
  const { user, ...system } = metadata
  const fields = Object.entries(system).filter(([, value]) => value !== undefined && value !== '')
  const users = Object.entries(user ?? {}).map(([name, value]) => [`x-${name}`, value])
  return JSON.stringify([...fields, ...users].sort(([a = ''], [b = '']) => (a < b ? -1 : 1)))
}

/** What both know together of one and the same content. `a` wins where both say something. */
export function mergeContent(a: Content, b: Content): Content {
  const metadata = a.metadata ?? b.metadata
  return {
    size: a.size,
    digests: { ...b.digests, ...a.digests },
    ...(metadata === undefined ? {} : { metadata }),
  }
}

/** The same, but for metadata: that stays what `a` says of it. */
export function mergeDigests(a: Content, b: Content): Content {
  return { ...a, digests: { ...b.digests, ...a.digests } }
}

/** Whether anything is known of the bytes that could tell them from others of the same size. */
export function hasDigest(digests: Digests): boolean {
  return ALGORITHMS.some((algorithm) => digests[algorithm] !== undefined)
}

/** The content's name: for conflict identities, ties, renames. null: nothing is known yet. */
export function contentKey(content: Content | null): string | null {
  if (content === null) return 'deleted'
  for (const algorithm of ALGORITHMS) {
    const hex = content.digests[algorithm]
    if (hex !== undefined) return `${algorithm}:${hex}:${content.size}`
  }
  return content.size === 0 ? 'empty' : null
}

/**
 * The content's names in the vault, the strongest first. Two levels, so that a folder of a file
 * system stays small. None by crc32c, which says nothing between two keys.
 */
export function contentNames({ sha256, md5 }: Digests): string[] {
  return [
    ...(sha256 ? [`sha256/${sha256.slice(0, 2)}/${sha256}`] : []),
    ...(md5 ? [`md5/${md5.slice(0, 2)}/${md5}`] : []),
  ]
}

/**
 * By which a delete and a create are known for a rename (I3): md5 before sha256, because stores and
 * listings show it where bytes never passed through us, and both sides must choose the same one.
 * crc32c says nothing about two keys.
 */
export function renameKey(content: Content | null): string | null {
  if (content === null) return null
  if (content.size === 0) return 'empty'
  const { md5, sha256 } = content.digests
  if (md5 !== undefined) return `md5:${md5}:${content.size}`
  return sha256 === undefined ? null : `sha256:${sha256}:${content.size}`
}
