/**
 * Azure's listings, brought into the order of UTF-8 bytes.
 * https://learn.microsoft.com/rest/api/storageservices/list-blobs
 */
import type { Entry, Key, KeyRange } from '../src/model.ts'
import { compareKeys, inRange } from '../src/sync/keys.ts'
import { isFolder } from './azure-metadata.ts'
import type { ListedBlob, ListedPage } from './azure-xml.ts'
import type { Page } from './connector.ts'
import { createProgress } from './progress.ts'

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
  items: Item[]
}

/** What a name is found to be: an entry, or what is skipped. */
type Item = Entry | Page['skipped'][number]

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
  const goOn = createProgress((words) => listing.fail('corrupt', words))
  for (;;) {
    const page = await listing.fetch({ prefix, marker })
    if (page.marker !== undefined) goOn(page.marker, page.blobs.length)
    const found: Page = { entries: [], skipped: [] }
    let ended = page.marker === undefined
    for (const blob of page.blobs) {
      if (last !== undefined && blob.name <= last) {
        throw listing.fail('corrupt', `the listing is out of order: ${blob.name} behind ${last}`)
      }
      if (!blob.name.startsWith(prefix)) throw outside(listing, blob.name)
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
    // What was only skipped is unknown; not shown, it would be absent.
    const isEmpty = found.entries.length + found.skipped.length === 0
    if (!isEmpty) yield { ...found, resume: JSON.stringify(resume) }
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
  const item = itemOf(listing.prefix, blob)
  const stem = stemOf(item.key)
  if (stem === null) {
    add(found, item)
    return
  }
  const top = held.at(-1)
  if (top?.stem === stem) top.items.push(item)
  else held.push({ stem, marker, items: [item] })
  const count = held.reduce((sum, group) => sum + group.items.length, 0)
  if (count > heldMax) {
    const words = `more than ${heldMax} names begin with "${stem}" and an emoji or the like`
    throw listing.fail('unsupported', `${words}: Azure lists them in another order`)
  }
}

function flush(held: Held[], found: Page): void {
  const items = held.pop()?.items ?? []
  for (const item of items.sort((a, b) => compareKeys(a.key, b.key))) add(found, item)
}

function add(found: Page, item: Item): void {
  if ('token' in item) found.entries.push(item)
  // The prefix's own marker is no news to anybody.
  else if (item.key !== '' || item.reason !== marker) found.skipped.push(item)
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
  for await (const item of walk(listing, listing.prefix)) {
    if (found.entries.length === listing.pageKeys && 'token' in item) {
      const resume: Resume = { after: found.entries.at(-1)?.key }
      yield { ...found, resume: JSON.stringify(resume) }
      found = { entries: [], skipped: [] }
    }
    add(found, item)
  }
  yield found
}

async function* walk(listing: Listing, folder: string): AsyncGenerator<Item, void> {
  const { prefix, range } = listing
  const { after } = parseResume(listing)
  const children = await childrenOf(listing, folder)
  for (const child of children) {
    const isPast = (bound: Key | null | undefined) =>
      bound != null && compareKeys(child.key, bound) < 0 && !bound.startsWith(child.key)
    if ('folder' in child) {
      const isBeyond = range.to !== null && compareKeys(child.key, range.to) >= 0
      if (!isBeyond && !isPast(range.from) && !isPast(after)) {
        yield* walk(listing, prefix + child.key)
      }
    } else if (inRange(child.key, range)) {
      if (after === undefined || compareKeys(child.key, after) > 0) yield child
    }
  }
}

/** Sorted. A folder that is its own child would be walked for ever. */
async function childrenOf(listing: Listing, folder: string) {
  const { prefix } = listing
  const children: (Item | { key: Key; folder: true })[] = []
  const goOn = createProgress((words) => listing.fail('corrupt', words))
  const expectBelow = (name: string, inner: string) => {
    if (!name.startsWith(folder) || inner.includes('/')) throw outside(listing, name)
  }
  let marker: string | undefined
  do {
    const page = await listing.fetch({ prefix: folder, marker, delimiter: '/' })
    for (const name of page.folders) {
      expectBelow(name, name.slice(folder.length, -1))
      if (!name.endsWith('/') || name.length === folder.length) throw outside(listing, name)
      children.push({ key: name.slice(prefix.length), folder: true })
    }
    for (const blob of page.blobs) {
      if (isFolder(blob.metadata)) continue
      expectBelow(blob.name, blob.name.slice(folder.length))
      children.push(itemOf(prefix, blob))
    }
    marker = page.marker
    if (marker !== undefined) goOn(marker, page.blobs.length + page.folders.length)
  } while (marker !== undefined)
  return children.sort((a, b) => compareKeys(a.key, b.key))
}

// ── entries ─────────────────────────────────────────────────────────────────────────────────────

const marker = 'a marker for a folder'

function itemOf(prefix: string, { name, etag, problem, ...blob }: ListedBlob): Item {
  const key = name.slice(prefix.length)
  const isMarker = blob.size === 0 && (key === '' || key.endsWith('/'))
  const whole = key === '' ? 'its whole name is the prefix' : undefined
  const reason = problem ?? (isMarker ? marker : whole)
  return reason === undefined ? { key, token: { id: etag }, ...blob } : { key, reason, alone: true }
}

function outside(listing: Listing, name: string): Error {
  return listing.fail('corrupt', `the listing has a name where it does not belong: ${name}`)
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
