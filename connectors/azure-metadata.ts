/** Metadata in Azure's headers, and back. */
import type { Digests, Entry, Key, Metadata } from '../src/model.ts'
import { type AzureHeaders, one } from './azure-api.ts'
import { hexOf } from './digests.ts'
import { isNumber } from './s3-xml.ts'

const SYSTEM = {
  contentType: 'content-type',
  contentEncoding: 'content-encoding',
  contentLanguage: 'content-language',
  contentDisposition: 'content-disposition',
  cacheControl: 'cache-control',
} as const
/** What Azure, or those who wrote there, put where nothing is known. */
const SAYS_NOTHING = ['application/octet-stream', 'binary/octet-stream']
const USER = 'x-ms-meta-'

type System = { -readonly [field in keyof typeof SYSTEM]?: string | undefined }

/** The headers that set it; a string says why Azure can't hold it. */
export function metadataHeaders({
  user = {},
  ...system
}: Metadata): Record<string, string> | string {
  const headers: Record<string, string> = {}
  for (const [field, name] of Object.entries(SYSTEM)) {
    const value = system[field as keyof typeof SYSTEM]
    if (value) headers[`x-ms-blob-${name}`] = value
  }
  for (const [name, value] of Object.entries(user)) headers[USER + encodeName(name)] = value
  for (const [name, value] of Object.entries(headers)) {
    if (!/^[\x20-\x7e]*$/.test(value) || value.trim() !== value) {
      return `Azure keeps ${name} in a header, in which not every text can stand: ${value}`
    }
  }
  return headers
}

/** From the headers of a blob. */
export function metadataIn(headers: AzureHeaders): Metadata {
  const system: System = {}
  for (const [field, name] of Object.entries(SYSTEM)) {
    system[field as keyof typeof SYSTEM] = one(headers[name])
  }
  const user = Object.entries(headers).flatMap(([name, value]) =>
    name.startsWith(USER) ? [[name.slice(USER.length), one(value) ?? ''] as const] : [],
  )
  return metadataOf(system, user)
}

/** As the model wants it: nothing empty, user names decoded. */
export function metadataOf(system: System, user: (readonly [string, string])[]): Metadata {
  const metadata: Metadata = {}
  for (const field of Object.keys(SYSTEM) as (keyof typeof SYSTEM)[]) {
    const value = system[field]
    if (value) metadata[field] = value
  }
  if (SAYS_NOTHING.includes(metadata.contentType ?? '')) delete metadata.contentType
  if (user.length > 0) {
    metadata.user = Object.fromEntries(user.map(([name, value]) => [decodeName(name), value]))
  }
  return metadata
}

/** ADLS Gen2 shows a folder as an empty blob that says so. */
export function isFolder(metadata: Metadata): boolean {
  return metadata.user?.hdi_isfolder === 'true'
}

/** `size` where content-length is that of a range. null: no blob's headers. */
export function entryIn(key: Key, headers: AzureHeaders): Entry | null {
  const range = /\/(\d+)$/.exec(one(headers['content-range']) ?? '')
  const length = (range ? range[1] : one(headers['content-length'])) ?? ''
  const size = isNumber(length) ? Number(length) : Number.NaN
  const modifiedAt = Date.parse(one(headers['last-modified']) ?? '')
  const etag = bareEtag(one(headers.etag) ?? '')
  if (!etag || !Number.isSafeInteger(size) || Number.isNaN(modifiedAt)) return null
  // Beside a range, content-md5 would be the range's.
  const md5 = one(headers[range ? 'x-ms-blob-content-md5' : 'content-md5'])
  return {
    key,
    token: { id: etag },
    size,
    modifiedAt,
    digests: md5Digest(md5),
    metadata: metadataIn(headers),
  }
}

/** What others staged and committed may have none, or one that nobody checked. */
export function md5Digest(base64: string | undefined): Digests {
  const md5 = base64 && hexOf(base64, 'md5')
  return md5 ? { md5 } : {}
}

export function bareEtag(etag: string): string {
  return etag.startsWith('"') && etag.endsWith('"') ? etag.slice(1, -1) : etag
}

// ── names ───────────────────────────────────────────────────────────────────────────────────────

// Azure takes C# identifiers alone, where S3 and GCS take hyphens and dots: every other character
// goes as `_xHHHH_`, the way .NET's XmlConvert.EncodeLocalName writes what XML can't hold.

function encodeName(name: string): string {
  const safe = name.replace(/_(?=x[0-9a-f]{4}_)|[^a-z0-9_]/g, escapeUnit)
  return safe.replace(/^[0-9]/, escapeUnit)
}

function escapeUnit(unit: string): string {
  const codes = [...Array(unit.length).keys()].map((i) => unit.charCodeAt(i))
  return codes.map((code) => `_x${code.toString(16).padStart(4, '0')}_`).join('')
}

/** Names are the same in any case to Azure. */
function decodeName(name: string): string {
  return name
    .toLowerCase()
    .replace(/_x([0-9a-f]{4})_/g, (_, hex: string) => String.fromCharCode(Number.parseInt(hex, 16)))
}
