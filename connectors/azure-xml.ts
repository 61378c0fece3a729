/** Azure's XML, scanned by hand. What it doesn't understand is an error, never an early end. */
import type { Digests, Metadata } from '../src/model.ts'
import { md5Digest, metadataOf } from './azure-metadata.ts'
import { fieldsOf, insideRoot, isNumber, problemOf, unescapeXml } from './s3-xml.ts'

export interface ListedBlob {
  name: string
  etag: string
  size: number
  modifiedAt: number
  digests: Digests
  metadata: Metadata
  /** Why it can't be an entry: then only its name means anything. */
  problem?: string
}

export interface ListedPage {
  blobs: ListedBlob[]
  /** With a delimiter: names below which there is more, ending with it. */
  folders: string[]
  /** Where the next page starts; undefined on the last. */
  marker: string | undefined
}

/** Throws a plain Error saying what is wrong: what is cut short must never look like an end. */
export function parseListing(xml: string): ListedPage {
  const root = insideRoot(xml, 'EnumerationResults')
  if (root === null) throw new Error('the answer is not a listing')
  const stop = xml.lastIndexOf('</EnumerationResults>')
  if (stop < 0 || xml.slice(stop).trimEnd() !== '</EnumerationResults>') {
    throw new Error('the listing is cut short')
  }
  const blobs = /<Blobs(?:\s*\/)?>/.exec(xml)
  const start = (blobs?.index ?? 0) + (blobs?.[0].length ?? 0)
  const isEmpty = blobs?.[0].endsWith('/>')
  const end = isEmpty ? start : xml.lastIndexOf('</Blobs>')
  if (!blobs || end < start) throw new Error('the listing has no Blobs')
  const behind = isEmpty ? start : end + '</Blobs>'.length
  const about = fieldsOf(xml.slice(root, blobs.index) + xml.slice(behind, stop))
  // An empty element is the end; none at all is no listing.
  const marker = about.get('NextMarker')
  if (marker === undefined) throw new Error('the listing does not say whether it has ended')
  const page: ListedPage = { blobs: [], folders: [], marker: unescapeXml(marker) || undefined }
  for (let at = start; at < end; ) {
    if (xml.startsWith('<Blob>', at)) at = readBlob(xml, at, page)
    else if (xml.startsWith('<BlobPrefix>', at)) at = readFolder(xml, at, page)
    else if (xml.charCodeAt(at) <= 0x20) at++
    else throw new Error(`the listing has something that is no blob${behindOf(page)}`)
  }
  return page
}

/** Where in the page something is wrong, for people. */
function behindOf({ blobs }: ListedPage): string {
  const before = blobs.at(-1)
  return before ? `, behind ${before.name}` : ''
}

function readFolder(xml: string, start: number, page: ListedPage): number {
  const end = endOf(xml, '</BlobPrefix>', start)
  const inner = xml.slice(start + '<BlobPrefix>'.length, end - '</BlobPrefix>'.length)
  // A hierarchical account describes its folders.
  page.folders.push(nameIn(inner.replace(/<Properties>.*<\/Properties>/s, '')))
  return end
}

/** Gives where it ends. Names of metadata are the user's, and may be those of any element: so its
 *  place is found by what stands before it. */
function readBlob(xml: string, start: number, page: ListedPage): number {
  const stop = endOf(xml, '</Properties>', start)
  const inner = xml.slice(start + '<Blob>'.length, stop - '</Properties>'.length)
  const split = inner.indexOf('<Properties>')
  if (split < 0) throw new Error(`the listing has a blob without properties${behindOf(page)}`)
  const name = nameIn(inner.slice(0, split))
  const fields = fieldsOf(inner.slice(split + '<Properties>'.length))
  const field = (tag: string) => unescapeXml(fields.get(tag) ?? '')
  const { user, end } = readMetadata(xml, stop, name)
  const size = field('Content-Length')
  const time = field('Last-Modified')
  const blob: ListedBlob = {
    name,
    etag: field('Etag').replaceAll('"', ''),
    size: isNumber(size) ? Number(size) : Number.NaN,
    modifiedAt: httpDate.test(time) ? Date.parse(time) : Number.NaN,
    digests: md5Digest(field('Content-MD5')),
    metadata: metadataOf(
      {
        contentType: field('Content-Type'),
        contentEncoding: field('Content-Encoding'),
        contentLanguage: field('Content-Language'),
        contentDisposition: field('Content-Disposition'),
        cacheControl: field('Cache-Control'),
      },
      user,
    ),
  }
  const problem = problemOf(blob)
  // A folder of a hierarchical namespace may come without its metadata.
  if (field('ResourceType') !== 'directory') {
    page.blobs.push(problem === null ? blob : { ...blob, problem })
  }
  const close = endOf(xml, '</Blob>', end)
  // Tags, and rules of replication: what is beside them may be the next blob.
  const rest = xml.slice(end, close - '</Blob>'.length)
  if (rest !== '') fieldsOf(rest.replace(/<(Tags|OrMetadata)>(?:(?!<Blob>).)*<\/\1>/gs, ''))
  return close
}

/** Alone, `Date.parse` takes almost anything that has a number in it. */
const httpDate = /^[A-Z][a-z]{2}, \d\d [A-Z][a-z]{2} \d{4} \d\d:\d\d:\d\d GMT$/

function readMetadata(xml: string, start: number, name: string) {
  const user: [string, string][] = []
  const open = sticky(/\s*<Metadata(?:\s[^<>]*)?>/y, xml, start)
  if (!open || open[0].endsWith('/>')) return { user, end: start + (open?.[0].length ?? 0) }
  let at = start + open[0].length
  while (!xml.startsWith('</Metadata>', at)) {
    const pair = sticky(/\s*<([^\s<>/]+)(?:\s*\/>|>([^<]*)<\/\1>\s*)/y, xml, at)
    if (!pair) throw new Error(`the listing has metadata that makes no sense: that of ${name}`)
    user.push([pair[1] ?? '', unescapeXml(pair[2] ?? '')])
    at += pair[0].length
  }
  return { user, end: at + '</Metadata>'.length }
}

function sticky(pattern: RegExp, text: string, at: number): RegExpExecArray | null {
  pattern.lastIndex = at
  return pattern.exec(text)
}

/** Names that XML can't hold come percent-encoded, and say so. */
function nameIn(inner: string): string {
  const text = fieldsOf(inner).get('Name')
  if (!text) throw new Error('the listing has a blob without a name')
  const name = unescapeXml(text)
  if (inner.includes('<Name>')) return name
  try {
    if (inner.includes('<Name Encoded="true">')) return decodeURIComponent(name)
  } catch (error) {
    if (!(error instanceof URIError)) throw error
  }
  throw new Error(`the listing has a name that makes no sense: ${text}`)
}

function endOf(xml: string, tag: string, from: number): number {
  const at = xml.indexOf(tag, from)
  if (at < 0) throw new Error(`the listing lacks ${tag}`)
  return at + tag.length
}
