/** A page of GCS's listing: https://cloud.google.com/storage/docs/json_api/v1/objects/list */
import type { Key } from '../src/model.ts'
import type { Page } from './connector.ts'
import { entryOf, isNamed, isObject, objectFields, problemOf } from './gcs-object.ts'

export interface ListedPage {
  items: { name: string }[]
  /** Undefined on the last page. */
  next: string | undefined
}

export const pageFields = `kind,nextPageToken,items(${objectFields})`

/** What an answer may have: a field of another name may be one of these, garbled, and without its
 *  token the page would be taken for the last. */
const known = ['kind', 'nextPageToken', 'items', 'prefixes']

/** Throws a plain Error saying what is wrong with the answer. */
export function readPage(reply: Record<string, unknown>): ListedPage {
  const { kind, items = [], nextPageToken: next, prefixes } = reply
  // `kind` was asked for: without it this isn't a listing, and its emptiness says nothing.
  if (kind !== 'storage#objects' || !Array.isArray(items)) {
    throw new Error('the reply is not a listing')
  }
  const odd = Object.keys(reply).find((name) => !known.includes(name))
  if (odd !== undefined) throw new Error(`the listing has a field that is none of its: ${odd}`)
  if (Array.isArray(prefixes) && prefixes.length > 0) {
    throw new Error('the listing has prefixes, which were not asked for')
  }
  if (next !== undefined && (typeof next !== 'string' || next === '')) {
    throw new Error('the listing does not say where it goes on')
  }
  for (const [at, item] of items.entries()) {
    if (isNamed(item)) continue
    const before = at > 0 ? `, behind ${(items[at - 1] as { name: string }).name}` : ''
    throw new Error(`the listing has an item that is no object${before}`)
  }
  return { items, next }
}

/** The page behind `after`, and the last key that it has. Throws as `readPage`. */
export function pageOf({ items }: ListedPage, prefix: string, after: Key | undefined) {
  const page: Page = { entries: [], skipped: [] }
  let last: Key | undefined
  for (const item of items) {
    if (!item.name.startsWith(prefix)) {
      throw new Error(`the listing has a name outside of the prefix: ${item.name}`)
    }
    const key = item.name.slice(prefix.length)
    if (key === after) continue
    last = key
    const reason = reasonOf(key, item)
    // The prefix's own marker is no news to anybody.
    const isNews = key !== '' || reason !== marker
    if (reason !== null && isNews) page.skipped.push({ key, reason, alone: true })
    if (reason === null && isObject(item)) page.entries.push(entryOf(key, item))
  }
  return { page, last }
}

const marker = 'a marker for a folder'

function reasonOf(key: Key, item: { name: string }): string | null {
  const problem = problemOf(item)
  if (problem !== null || !isObject(item)) return problem
  if (item.size === '0' && (key === '' || key.endsWith('/'))) return marker
  return key === '' ? 'its whole name is the prefix' : null
}
