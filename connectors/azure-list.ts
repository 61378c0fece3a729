/**
 * Azure's listings, scanned by hand and brought into the order of UTF-8 bytes.
 * https://learn.microsoft.com/rest/api/storageservices/list-blobs
 */
import type { Digests, Entry, Key, KeyRange, Metadata } from '../src/model.ts'
import { compareKeys, inRange } from '../src/sync/keys.ts'
import { isFolder, md5Digest, metadataOf } from './azure-metadata.ts'
import type { Page } from './connector.ts'
import { textOf } from './s3-xml.ts'

export interface ListedBlob {
  name: string
  etag: string
  size: number
  modifiedAt: number
  digests: Digests
  metadata: Metadata
}

export interface ListedPage {
  blobs: ListedBlob[]
  /** With a delimiter: names below which there is more, ending with it. */
  folders: string[]
  /** Where the next page starts; undefined on the last. */
  marker: string | undefined
}

/** One page of blobs whose names start with `prefix`. */
export type FetchPage = (given: {
  prefix: string
  marker: string | undefined
  delimiter?: string
}) => Promise<ListedPage>

export interface Listing {
  prefix: string
  range: KeyRange
  resume: string | undefined
  pageKeys: number
  fetch: FetchPage
  /** A listing that can't be brought into order. */
  fail(code: 'unsupported' | 'corrupt', message: string): Error
}

/** Entries held back until their place in the order is known: 500 bytes each. */
const heldMax = 100_000

// ── flat: Azure orders by UTF-16 units ──────────────────────────────────────────────────────────

/**
 * By UTF-16 units what starts with a surrogate (an emoji) comes before U+E000..U+FFFF (full-width
 * forms), by bytes behind. So a key is held back from its first surrogate on, until the listing
 * leaves what stands before it, its stem: all that could still come before it starts with that.
 * Groups nest, the innermost is on top, and what is on top comes first.
 */
interface Held {
  stem: string
  /** Of the page where it began: from there a listing resumes. */
  marker: string | undefined
  entries: Entry[]
}

/** Where to go on: from `marker`, with what is behind `after`. */
interface Resume {
  marker?: string | undefined
  after?: Key | undefined
}

export async function* listFlat(listing: Listing): AsyncGenerator<Page, void> {
  const { prefix, range } = listing
  const from = parseResume(listing)
  const held: Held[] = []
  let { marker, after } = from
  let last: string | undefined
  for (;;) {
    const page = await listing.fetch({ prefix, marker })
    const found: Page = { entries: [], skipped: [] }
    let ended = page.marker === undefined
    for (const blob of page.blobs) {
      if (last !== undefined && blob.name <= last) {
        throw listing.fail('corrupt', `the listing is out of order: ${blob.name} behind ${last}`)
      }
      last = blob.name
      const key = blob.name.slice(prefix.length)
      while (held.length > 0 && !key.startsWith(held.at(-1)?.stem ?? '')) flush(held, found)
      ended ||= isBehind(key, range.to)
      if (ended && isBehind(key, range.to)) break
      const isWanted = inRange(key, range) && (after === undefined || compareKeys(key, after) > 0)
      if (isWanted) place(listing, held, found, blob, marker)
    }
    while (ended && held.length > 0) flush(held, found)
    after = found.entries.at(-1)?.key ?? after
    if (ended) {
      yield found
      return
    }
    const resume: Resume = { marker: held[0] ? held[0].marker : page.marker, after }
    if (found.entries.length > 0) yield { ...found, resume: JSON.stringify(resume) }
    marker = page.marker
  }
}

function place(
  listing: Listing,
  held: Held[],
  found: Page,
  blob: ListedBlob,
  marker: string | undefined,
): void {
  const entry = entryOf(listing.prefix, blob)
  if (isMarker(entry)) {
    found.skipped.push({ key: entry.key, reason: 'a marker for a folder', marker: true })
    return
  }
  const stem = stemOf(entry.key)
  if (stem === null) {
    found.entries.push(entry)
    return
  }
  const top = held.at(-1)
  if (top?.stem === stem) top.entries.push(entry)
  else held.push({ stem, marker, entries: [entry] })
  const count = held.reduce((sum, group) => sum + group.entries.length, 0)
  if (count > heldMax) {
    const words = `more than ${heldMax} names begin with "${stem}" and an emoji or the like`
    throw listing.fail('unsupported', `${words}: Azure lists them in another order`)
  }
}

function flush(held: Held[], found: Page): void {
  const entries = held.pop()?.entries ?? []
  found.entries.push(...entries.sort((a, b) => compareKeys(a.key, b.key)))
}

/** What stands before the first surrogate; null where there is none. */
function stemOf(key: Key): string | null {
  const at = key.search(/[\ud800-\udfff]/)
  return at < 0 ? null : key.slice(0, at)
}

/** Whether this key and all that Azure lists behind it are behind the range. */
function isBehind(key: Key, to: Key | null): boolean {
  if (to === null || key < to) return false
  const stem = stemOf(to)
  return stem === null || !key.startsWith(stem)
}

// ── a hierarchical namespace: Azure walks its folders ───────────────────────────────────────────

/** There `a/b` comes before `a-b`, and what order a folder has is nowhere written: each is read
 *  whole and sorted, so that memory grows with the largest folder. */
export async function* listFolders(listing: Listing): AsyncGenerator<Page, void> {
  let found: Page = { entries: [], skipped: [] }
  for await (const entry of walk(listing, listing.prefix)) {
    if (found.entries.length === listing.pageKeys) {
      const resume: Resume = { after: found.entries.at(-1)?.key }
      yield { ...found, resume: JSON.stringify(resume) }
      found = { entries: [], skipped: [] }
    }
    found.entries.push(entry)
  }
  yield found
}

async function* walk(listing: Listing, folder: string): AsyncGenerator<Entry, void> {
  const { prefix, range } = listing
  const { after } = parseResume(listing)
  const children: (Entry | { key: Key })[] = []
  let marker: string | undefined
  do {
    const page = await listing.fetch({ prefix: folder, marker, delimiter: '/' })
    for (const name of page.folders) children.push({ key: name.slice(prefix.length) })
    for (const blob of page.blobs) {
      if (!isFolder(blob.metadata)) children.push(entryOf(prefix, blob))
    }
    marker = page.marker
  } while (marker !== undefined)
  children.sort((a, b) => compareKeys(a.key, b.key))
  for (const child of children) {
    const isPast = (bound: Key | null | undefined) =>
      bound != null && compareKeys(child.key, bound) < 0 && !bound.startsWith(child.key)
    if (!('token' in child)) {
      const isBeyond = range.to !== null && compareKeys(child.key, range.to) >= 0
      if (!isBeyond && !isPast(range.from) && !isPast(after)) {
        yield* walk(listing, prefix + child.key)
      }
    } else if (inRange(child.key, range)) {
      if (after === undefined || compareKeys(child.key, after) > 0) yield child
    }
  }
}

// ── entries ─────────────────────────────────────────────────────────────────────────────────────

function entryOf(prefix: string, { name, etag, ...blob }: ListedBlob): Entry {
  return { key: name.slice(prefix.length), token: { id: etag }, ...blob }
}

function isMarker({ key, size }: Entry): boolean {
  return size === 0 && (key === '' || key.endsWith('/'))
}

function parseResume({ resume, fail }: Listing): Resume {
  if (resume === undefined) return {}
  try {
    return JSON.parse(resume) as Resume
  } catch (error) {
    if (error instanceof SyntaxError) throw fail('unsupported', 'the resume token is not ours')
    throw error
  }
}

// ── XML ─────────────────────────────────────────────────────────────────────────────────────────

/** Throws a plain Error saying what is wrong: what is cut short must never look like an end. */
export function parseListing(xml: string): ListedPage {
  if (!xml.includes('<EnumerationResults')) throw new Error('the answer is not a listing')
  if (!xml.trimEnd().endsWith('</EnumerationResults>')) throw new Error('the listing is cut short')
  const close = xml.lastIndexOf('</Blobs>')
  const empty = xml.lastIndexOf('<Blobs')
  const page: ListedPage = { blobs: [], folders: [], marker: markerIn(xml, Math.max(close, empty)) }
  if (close < 0) {
    if (!/<Blobs\s*\/>/.test(xml)) throw new Error('the listing has no Blobs')
    return page
  }
  let at = xml.indexOf('<Blobs>')
  if (at < 0) throw new Error('the listing has no Blobs')
  at += '<Blobs>'.length
  while (at < close) {
    if (xml.startsWith('<Blob>', at)) at = readBlob(xml, at, page)
    else if (xml.startsWith('<BlobPrefix>', at)) {
      const end = endOf(xml, '</BlobPrefix>', at)
      page.folders.push(nameIn(xml.slice(at, end)))
      at = end
    } else if (/\s/.test(xml[at] ?? '')) at++
    else throw new Error('the listing has something that is no blob')
  }
  return page
}

/** An empty element is the end; none at all is no listing. */
function markerIn(xml: string, behind: number): string | undefined {
  const rest = xml.slice(behind)
  const marker = textOf(rest, 'NextMarker')
  if (marker === undefined && !/<NextMarker\s*\/>/.test(rest)) {
    throw new Error('the listing does not say whether it has ended')
  }
  return marker || undefined
}

/** Gives where it ends. Names of metadata are the user's, and may be those of any element: so its
 *  place is found by what stands before it. */
function readBlob(xml: string, start: number, page: ListedPage): number {
  const stop = endOf(xml, '</Properties>', start)
  // Cut out first: what isn't there must not be looked for through the whole page.
  const inner = xml.slice(start, stop)
  const name = nameIn(inner)
  const field = (tag: string) => {
    const at = inner.indexOf(`<${tag}>`)
    return at < 0 ? '' : inner.slice(at + tag.length + 2, inner.indexOf('<', at + 1))
  }
  const text = (tag: string) => textOf(inner, tag) ?? ''
  const { user, end } = readMetadata(xml, stop)
  const blob: ListedBlob = {
    name,
    etag: text('Etag').replaceAll('"', ''),
    size: field('Content-Length') === '' ? Number.NaN : Number(field('Content-Length')),
    modifiedAt: Date.parse(field('Last-Modified')),
    digests: md5Digest(field('Content-MD5')),
    metadata: metadataOf(
      {
        contentType: text('Content-Type'),
        contentEncoding: text('Content-Encoding'),
        contentLanguage: text('Content-Language'),
        contentDisposition: text('Content-Disposition'),
        cacheControl: text('Cache-Control'),
      },
      user,
    ),
  }
  if (!blob.etag || !Number.isSafeInteger(blob.size) || Number.isNaN(blob.modifiedAt)) {
    throw new Error(`the listing lacks size, time or ETag of ${name}`)
  }
  // A folder of a hierarchical namespace may come without its metadata.
  if (field('ResourceType') !== 'directory') page.blobs.push(blob)
  return endOf(xml, '</Blob>', end)
}

function readMetadata(xml: string, start: number): { user: [string, string][]; end: number } {
  const user: [string, string][] = []
  const open = sticky(/\s*<Metadata(?:\s[^>]*)?>/y, xml, start)
  if (!open || open[0].endsWith('/>')) return { user, end: start + (open?.[0].length ?? 0) }
  let at = start + open[0].length
  while (!xml.startsWith('</Metadata>', at)) {
    const pair = sticky(/\s*<([^\s>/]+)(?:\s*\/>|>([^<]*)<\/\1>\s*)/y, xml, at)
    if (!pair) throw new Error('the listing has metadata that makes no sense')
    user.push([pair[1] ?? '', textOf(`<t>${pair[2] ?? ''}</t>`, 't') ?? ''])
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
  const plain = textOf(inner, 'Name')
  if (plain !== undefined) return plain
  const encoded = /<Name Encoded="true">([^<]*)<\/Name>/.exec(inner)?.[1]
  if (encoded === undefined) throw new Error('the listing has a blob without a name')
  return decodeURIComponent(encoded)
}

function endOf(xml: string, tag: string, from: number): number {
  const at = xml.indexOf(tag, from)
  if (at < 0) throw new Error(`the listing lacks ${tag}`)
  return at + tag.length
}
