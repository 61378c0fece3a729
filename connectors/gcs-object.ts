/** GCS's JSON object resource as an entry, and back. */
import type { Digests, Entry, Key, Metadata, Token } from '../src/model.ts'
import { hexOf } from './digests.ts'

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

/** Whether what came is an object: what lacks a field must not become an entry. */
export function isObject(value: unknown): value is GcsObject {
  return isNamed(value) && problemOf(value) === null
}

/** At least it says which object it is. */
export function isNamed(value: unknown): value is Pick<GcsObject, 'name'> {
  return typeof value === 'object' && value !== null && 'name' in value && isText(value.name)
}

/** Why it can't be an entry, for people; null: it can. */
export function problemOf(value: Pick<GcsObject, 'name'>): string | null {
  const { generation, metageneration, size, updated, metadata = {} } = value as Partial<GcsObject>
  const isMap = typeof metadata === 'object' && metadata !== null && !Array.isArray(metadata)
  const lacks = [
    ...(isCount(generation) && isCount(metageneration) ? [] : ['generation']),
    ...(isCount(size) && Number.isSafeInteger(Number(size)) ? [] : ['size']),
    ...(isText(updated) && /^\d{4}-/.test(updated) && Date.parse(updated) >= 0 ? [] : ['time']),
    ...(isMap && Object.values(metadata).every(isText) ? [] : ['metadata']),
    ...SYSTEM.filter((field) => !isText((value as Partial<GcsObject>)[field] ?? '')),
    ...(['md5Hash', 'crc32c'] as const).filter((field) => {
      return !isText((value as Partial<GcsObject>)[field] ?? '')
    }),
  ]
  return lacks.length === 0 ? null : `the store gives it no ${lacks.join(', no ')} that makes sense`
}

const isText = (value: unknown): value is string => typeof value === 'string'
const isCount = (value: unknown) => isText(value) && /^\d{1,20}$/.test(value)

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
  const md5 = md5Hash && hexOf(md5Hash, 'md5')
  const sum = crc32c && hexOf(crc32c, 'crc32c')
  return { ...(md5 && { md5 }), ...(sum && { crc32c: sum }) }
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
