/** ListObjectsV2, in order and to its very end, or an error. */
import type { StoreError } from '../src/errors.ts'
import type { Entry, Key, KeyRange } from '../src/model.ts'
import { compareKeys } from '../src/sync/keys.ts'
import type { Page } from './connector.ts'
import { createProgress } from './progress.ts'
import { networkFailure } from './s3-lean.ts'
import type { Store } from './s3-store.ts'
import { type ListedObject, type ListedPage, parseListing } from './s3-xml.ts'

/** Where a listing begins: behind a name, or where the store's own token says. */
type Start = { after: string } | { token: string } | { first: true }
type Next = Exclude<Start, { first: true }>

/**
 * The next page is asked for while the consumer works on this one. A resume token is `k` and the
 * last key, good for ever, or `t` and the store's token where a page has no key to name.
 */
export async function* listPages(
  store: Store,
  range: KeyRange,
  resume: string | undefined,
  signal: AbortSignal,
): AsyncGenerator<Page, void> {
  const left = new AbortController()
  const either = AbortSignal.any([signal, left.signal])
  const ask = (start: Start, more: Record<string, string> = {}) =>
    askPage(store, start, more, either)
  try {
    const first = ask(startOf(store, range, resume))
    // A listing starts behind a name: what is exactly at `from` is asked for beside it.
    const exact = resume === undefined && range.from !== null ? store.object(range.from) : null
    const [answer, at] = await Promise.all([
      first,
      exact === null ? null : ask({ first: true }, { prefix: exact, 'max-keys': '1' }),
    ])
    let page: ListedPage = answer
    const [found] = at?.objects ?? []
    if (found && found.key === exact) page = { ...page, objects: [found, ...page.objects] }
    let last: string | undefined = resume?.startsWith('k')
      ? store.object(resume.slice(1))
      : undefined
    const goOn = createProgress((words) => store.fail({ operation: 'list' }, 'corrupt', words))
    for (;;) {
      checkOrder(store, page.objects, last)
      last = page.objects.at(-1)?.key ?? last
      const isPast = range.to !== null && last !== undefined && !below(store, last, range.to)
      const next = page.truncated && !isPast ? await nextStart(store, page, signal) : null
      if (next && 'token' in next) goOn(next.token, page.objects.length)
      const coming = next && ask(next)
      // Its failure is told when it is awaited, not while the consumer has this page.
      coming?.catch(() => {})
      if (!store.etags.known()) await learnEtags(store, page.objects, signal)
      yield { ...pageOf(store, page, range), ...(next && { resume: resumeOf(store, next) }) }
      if (!coming) return
      if (signal.aborted)
        throw networkFailure(store.location, { operation: 'list', signal }, signal.reason)
      page = await coming
    }
  } finally {
    left.abort()
  }
}

function startOf(store: Store, range: KeyRange, resume: string | undefined): Start {
  if (resume?.startsWith('k')) return { after: store.object(resume.slice(1)) }
  if (resume !== undefined) return { token: resume.slice(1) }
  return range.from === null ? { first: true } : { after: store.object(range.from) }
}

function resumeOf(store: Store, start: Next): string {
  return 'after' in start ? `k${start.after.slice(store.prefix.length)}` : `t${start.token}`
}

async function askPage(
  store: Store,
  start: Start,
  more: Record<string, string>,
  signal: AbortSignal,
): Promise<ListedPage> {
  const asked = { operation: 'list', signal }
  const query = {
    'list-type': '2',
    'encoding-type': 'url',
    'max-keys': String(store.pageKeys),
    ...(store.prefix && { prefix: store.prefix }),
    ...('after' in start && { 'start-after': start.after }),
    ...('token' in start && { 'continuation-token': start.token }),
    ...more,
  }
  const { text } = await store.client.call({ ...asked, method: 'GET', query })
  try {
    return parseListing(text)
  } catch (error) {
    throw networkFailure(store.location, asked, error)
  }
}

/** Where the page after this one starts. */
async function nextStart(store: Store, page: ListedPage, signal: AbortSignal): Promise<Next> {
  const { key, unreadable } = page.objects.at(-1) ?? {}
  // Where names aren't encoded, one that XML can't carry comes with U+FFFD in it, and going on
  // behind that would leave out all keys between the two. A key that is really so named exists.
  if (key?.includes('\ufffd') && !page.encoded) {
    const asked = { operation: 'list', key: key.slice(store.prefix.length), signal }
    if ((await store.head(asked)) === null) {
      throw store.fail(asked, 'corrupt', 'the store garbles a name where the listing must go on')
    }
  }
  if (key !== undefined && !unreadable) return { after: key }
  if (page.continuation !== undefined) return { token: page.continuation }
  throw store.fail({ operation: 'list' }, 'corrupt', 'the listing has more, and does not say where')
}

function checkOrder(store: Store, objects: ListedObject[], before: string | undefined): void {
  let last = before
  for (const object of objects) {
    // It stands before the name, and maybe before the one before, too.
    if (object.unreadable && last !== undefined && compareKeys(object.key, last) <= 0) {
      object.key = `${last}\\x…`
    }
    const { key } = object
    const problem = !key.startsWith(store.prefix)
      ? `a name outside of the prefix: ${key}`
      : last !== undefined && compareKeys(key, last) <= 0
        ? `a name that is not behind the one before: ${key} behind ${last}`
        : null
    if (problem) throw store.fail({ operation: 'list' }, 'corrupt', `the listing has ${problem}`)
    last = key
  }
}

function below(store: Store, name: string, to: Key): boolean {
  return compareKeys(name, store.object(to)) < 0
}

function pageOf(store: Store, page: ListedPage, { from, to }: KeyRange): Omit<Page, 'resume'> {
  const entries: Entry[] = []
  const skipped: Page['skipped'] = []
  for (const object of page.objects) {
    const key = object.key.slice(store.prefix.length)
    if (from !== null && compareKeys(key, from) < 0) continue
    if (to !== null && compareKeys(key, to) >= 0) continue
    const { etag, size, modifiedAt, problem } = object
    if (problem !== undefined) {
      skipped.push({ key, reason: problem, alone: true })
      continue
    }
    const isMarker = size === 0 && (key === '' || key.endsWith('/'))
    if (isMarker || key === '') {
      const reason = isMarker ? 'a folder marker' : 'its whole name is the prefix'
      // The prefix's own marker is no news to anybody.
      const alone = isMarker ? { alone: true as const } : {}
      if (key !== '' || !isMarker) skipped.push({ key, reason, ...alone })
      continue
    }
    const token = { id: etag, at: modifiedAt }
    entries.push({ key, token, size, modifiedAt, digests: store.etags.digests(etag) })
  }
  return { entries, skipped }
}

/** Once a connector: whether ETags that look like md5 are md5 can be seen from one object's head.
 * */
async function learnEtags(
  store: Store,
  objects: ListedObject[],
  signal: AbortSignal,
): Promise<void> {
  const object = objects.find(
    ({ size, etag, problem }) => size > 0 && !etag.includes('-') && problem === undefined,
  )
  if (!object) return
  const asked = { operation: 'list', key: object.key.slice(store.prefix.length), signal }
  try {
    await store.head(asked)
  } catch (error) {
    // Who may list and not look can't know what the ETags are: then they are no digests.
    const { code } = error as StoreError
    if (code !== 'denied' && code !== 'unsupported') throw error
    store.etags.heed({ 'x-amz-server-side-encryption': 'unknown' })
  }
}
