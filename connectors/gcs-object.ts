/** GCS's JSON object resource as an entry, and back. */
import type { Digests, Entry, Key, Metadata, Token } from '../src/model.ts'

/** https://cloud.google.com/storage/docs/json_api/v1/objects#resource, what we ask for of it. */
export interface GcsObject {
  name: string
  generation: string
  metageneration: string
  size: string
  updated: string
  md5Hash?: string
  crc32c?: string
  contentType?: string
  contentEncoding?: string
  contentLanguage?: string
  contentDisposition?: string
  cacheControl?: string
  metadata?: Record<string, string>
}

export const objectFields =
  'name,generation,metageneration,size,updated,md5Hash,crc32c,contentType,contentEncoding,' +
  'contentLanguage,contentDisposition,cacheControl,metadata'

const SYSTEM = [
  'contentType',
  'contentEncoding',
  'contentLanguage',
  'contentDisposition',
  'cacheControl',
] as const
/** What GCS, or those who wrote there, put where nothing is known. */
const SAYS_NOTHING = ['application/octet-stream', 'binary/octet-stream']

/** Whether what came is an object: a page that lacks a field must not become an entry. */
export function isObject(value: unknown): value is GcsObject {
  const { name, generation, metageneration, size, updated } = (value ?? {}) as Partial<GcsObject>
  return (
    [name, generation, metageneration, size, updated].every((text) => typeof text === 'string') &&
    /^\d+$/.test(`${generation}${metageneration}${size}`) &&
    !Number.isNaN(Date.parse(updated ?? ''))
  )
}

export function entryOf(key: Key, object: GcsObject): Entry {
  return {
    key,
    token: { id: `${object.generation}.${object.metageneration}` },
    size: Number(object.size),
    modifiedAt: Date.parse(object.updated),
    digests: digestsIn(object),
    metadata: metadataIn(object),
  }
}

/** null: not a token of ours. The metageneration is part of the id: the same bytes under other
 *  metadata are another state, and every write names both. */
export function generationsOf(token: Token): { generation: string; metageneration: string } | null {
  const [, generation, metageneration] = /^(\d+)\.(\d+)$/.exec(token.id) ?? []
  return generation && metageneration ? { generation, metageneration } : null
}

/** A composite object has only a crc32c. */
function digestsIn({ md5Hash, crc32c }: GcsObject): Digests {
  return {
    ...(md5Hash && { md5: toHex(md5Hash) }),
    ...(crc32c && { crc32c: toHex(crc32c) }),
  }
}

function metadataIn(object: GcsObject): Metadata {
  const metadata: Metadata = {}
  for (const field of SYSTEM) {
    const value = object[field]
    if (value) metadata[field] = value
  }
  if (SAYS_NOTHING.includes(metadata.contentType ?? '')) delete metadata.contentType
  const user = Object.entries(object.metadata ?? {})
  if (user.length > 0) {
    metadata.user = Object.fromEntries(user.map(([name, value]) => [name.toLowerCase(), value]))
  }
  return metadata
}

/** The resource to send. The content type is always named: GCS would else keep or guess one. */
export function resourceOf(name: string, metadata: Metadata, digests: Digests): Partial<GcsObject> {
  const { user, ...system } = metadata
  return {
    name,
    ...system,
    contentType: metadata.contentType || 'application/octet-stream',
    ...(user && Object.keys(user).length > 0 && { metadata: user }),
    ...(digests.md5 && { md5Hash: toBase64(digests.md5) }),
    ...(digests.crc32c && { crc32c: toBase64(digests.crc32c) }),
  }
}

export function toBase64(hex: string): string {
  return Buffer.from(hex, 'hex').toString('base64')
}

function toHex(base64: string): string {
  return Buffer.from(base64, 'base64').toString('hex')
}
