/** S3's headers as our nouns, and back. */
import type { Digests, Metadata } from '../src/model.ts'
import { hexOf } from './digests.ts'

/** A reply's, names in lower case. */
export type Headers = Record<string, string | string[] | undefined>

const SYSTEM = {
  contentType: 'content-type',
  contentEncoding: 'content-encoding',
  contentLanguage: 'content-language',
  contentDisposition: 'content-disposition',
  cacheControl: 'cache-control',
} as const
/** What stores put where nothing was said. */
const SAYS_NOTHING = ['application/octet-stream', 'binary/octet-stream']
const USER = 'x-amz-meta-'

/** The headers that set this metadata, or why S3 can't carry it, for people. */
export function metadataHeaders(metadata: Metadata): Record<string, string> | string {
  const headers: Record<string, string> = {}
  for (const [field, name] of Object.entries(SYSTEM)) {
    const value = metadata[field as keyof typeof SYSTEM]
    if (!value) continue
    if (!/^[\x20-\x7e]+$/.test(value)) return `S3 can't carry the characters of its ${name}`
    headers[name] = value
  }
  for (const [name, value] of Object.entries(metadata.user ?? {})) {
    if (!/^[\w!#$%&'*+.^`|~-]+$/.test(name)) return `S3 can't carry the metadata name "${name}"`
    headers[USER + name.toLowerCase()] = encodeWord(value)
  }
  return headers
}

export function metadataOf(headers: Headers): Metadata {
  const metadata: Metadata = {}
  for (const [field, name] of Object.entries(SYSTEM)) {
    const value = one(headers[name])
    if (value) metadata[field as keyof typeof SYSTEM] = value
  }
  if (metadata.contentType && SAYS_NOTHING.includes(metadata.contentType)) {
    delete metadata.contentType
  }
  if (metadata.contentEncoding) {
    // How an SDK once sent the bytes, not how they are: some stores keep it all the same.
    const left = metadata.contentEncoding.split(',').filter((s) => s.trim() !== 'aws-chunked')
    if (left.length > 0) metadata.contentEncoding = left.join(',').trim()
    else delete metadata.contentEncoding
  }
  const user = Object.entries(headers).flatMap(([name, value]) =>
    name.startsWith(USER) ? [[name.slice(USER.length), decodeWords(one(value) ?? '')]] : [],
  )
  // Not by assignment: a name may be `__proto__`.
  if (user.length > 0) metadata.user = Object.fromEntries(user)
  return metadata
}

/** What a stat will show of this metadata after it was written. */
export function asStored(metadata: Metadata): Metadata {
  const headers = metadataHeaders(metadata)
  return typeof headers === 'string' ? metadata : metadataOf(headers)
}

/** Digests of the whole object, where the store keeps some: not those composed of parts' digests.
 * */
export function checksumsOf(headers: Headers): Digests {
  if (one(headers['x-amz-checksum-type']) === 'COMPOSITE') return {}
  const digests: Digests = {}
  for (const algorithm of ['sha256', 'crc32c'] as const) {
    const value = one(headers[`x-amz-checksum-${algorithm}`])
    // Composed ones end in the number of parts: `…==-3`.
    const hex = value && !value.includes('-') && hexOf(value, algorithm)
    if (hex) digests[algorithm] = hex
  }
  return digests
}

export function hexToBase64(hex: string): string {
  return Buffer.from(hex, 'hex').toString('base64')
}

export function one(value: string | string[] | undefined): string | undefined {
  return Array.isArray(value) ? value[0] : value
}

// S3 gives user metadata outside ASCII back as RFC 2047 words, so that is how it's sent:
// https://docs.aws.amazon.com/AmazonS3/latest/userguide/UsingMetadata.html. Outer spaces would be
// lost in HTTP, and a text that looks like such a word would come back as another.
function encodeWord(value: string): string {
  const plain = /^[\x20-\x7e]*$/.test(value) && value.trim() === value && !value.includes('=?')
  return plain ? value : `=?UTF-8?B?${Buffer.from(value).toString('base64')}?=`
}

function decodeWords(value: string): string {
  if (!value.includes('=?')) return value
  const joined = value.replace(/(=\?utf-8\?[bq]\?[^?]*\?=)\s+(?==\?utf-8\?)/gi, '$1')
  return joined.replace(/=\?utf-8\?([bq])\?([^?]*)\?=/gi, (_, kind: string, text: string) =>
    kind.toLowerCase() === 'b' ? Buffer.from(text, 'base64').toString() : decodeQ(text),
  )
}

function decodeQ(text: string): string {
  const bytes = text
    .replaceAll('_', ' ')
    .replace(/=([0-9a-f]{2})/gi, (_, hex: string) => String.fromCharCode(Number.parseInt(hex, 16)))
  return Buffer.from(bytes, 'latin1').toString()
}
