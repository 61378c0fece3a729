/**
 * What every connector gets and none knows of: the check of its listings' order, a limit on its
 * calls, a limit on its bandwidth, and a report of each call. `connectors/index.ts` stacks them.
 */
import { type StoreCode, StoreError } from '../src/errors.ts'
import type { Key, KeyRange } from '../src/model.ts'
import { compareKeys, inRange } from '../src/sync/keys.ts'
import type { Body, CallOptions, Connector, Page, ReadResult, Versions } from './connector.ts'

/** One call as it ended; of a listing, each page is one; a read ends with its body. */
export interface CallReport {
  location: string
  operation: 'identity' | 'list' | 'stat' | 'read' | 'write' | 'remove' | 'copyWithin' | 'keep'
  /** `error`: what isn't a StoreError: a fence that threw, a bug. */
  code: 'ok' | StoreCode | 'error'
  milliseconds: number
  /** Content that passed, up to the error. */
  bytes: number
}

export type OnCall = (report: CallReport) => void

// ── order (I9) ──────────────────────────────────────────────────────────────────────────────────

/** A listing that goes back, repeats, leaves its range or stops without saying so is `corrupt`:
 *  what it didn't show would otherwise be taken for deleted. */
export function checked(connector: Connector): Connector {
  return { ...connector, list: (...given) => inOrder(connector, ...given) }
}

async function* inOrder(
  connector: Connector,
  range: KeyRange,
  resume: string | undefined,
  options: CallOptions,
): AsyncGenerator<Page, void> {
  const fail = (message: string, key?: Key): never => {
    const details = { location: connector.name, operation: 'list' }
    throw new StoreError('corrupt', message, key === undefined ? details : { ...details, key })
  }
  let last: Key | undefined
  /** The last that the pages before had, with what they skipped. */
  let passed: Key | undefined
  let ended = false
  for await (const page of connector.list(range, resume, options)) {
    if (ended) fail('the listing went on behind its last page')
    for (const { key } of page.entries) {
      if (last !== undefined && compareKeys(last, key) >= 0) {
        fail(`the listing is out of order: ${key} came behind ${last}`, key)
      }
      if (!inRange(key, range)) fail('the listing left its range', key)
      last = key
    }
    const shown = new Set(page.skipped.length > 0 ? page.entries.map(({ key }) => key) : [])
    for (const { key } of page.skipped) {
      if (shown.has(key)) fail('the listing has it twice', key)
      shown.add(key)
    }
    const first = least(page)
    if (passed !== undefined && first !== undefined && compareKeys(passed, first) >= 0) {
      fail(`the listing is out of order: ${first} came behind ${passed}`, first)
    }
    for (const { key } of [...page.skipped, ...page.entries.slice(-1)]) {
      if (passed === undefined || compareKeys(passed, key) < 0) passed = key
    }
    ended = page.resume === undefined
    yield page
  }
  if (!ended) fail('the listing stopped before its last page')
}

function least({ entries, skipped }: Page): Key | undefined {
  let found = entries[0]?.key
  for (const { key } of skipped) {
    if (found === undefined || compareKeys(key, found) < 0) found = key
  }
  return found
}

// ── concurrency ─────────────────────────────────────────────────────────────────────────────────

/**
 * At most `calls` calls at a time; more wait. Listings are left out, and so is a read's body once
 * it is open: a copy inside one store reads while it writes, and would wait for itself.
 */
export function limited(connector: Connector, calls: number): Connector {
  const gate = gateOf(calls, connector.name)
  const { copyWithin, abortUpload, versions } = connector
  const wrapped: Connector = {
    ...connector,
    identity: (options) => gate(options, () => connector.identity(options)),
    stat: (key, options) => gate(options, () => connector.stat(key, options)),
    read: (key, token, range, options) =>
      gate(options, () => connector.read(key, token, range, options)),
    write: (key, body, expect, options) =>
      gate(options, () => connector.write(key, body, expect, options)),
    remove: (key, expect, options) => gate(options, () => connector.remove(key, expect, options)),
  }
  if (copyWithin) {
    wrapped.copyWithin = (key, source, expect, options) =>
      gate(options, () => copyWithin(key, source, expect, options))
  }
  if (abortUpload) {
    wrapped.abortUpload = (key, state, options) =>
      gate(options, () => abortUpload(key, state, options))
  }
  return versions ? { ...wrapped, versions: limitedVersions(versions, gate) } : wrapped
}

function limitedVersions(versions: Versions, gate: ReturnType<typeof gateOf>): Versions {
  return {
    keep: (key, token, options) => gate(options, () => versions.keep(key, token, options)),
    stat: (key, version, options) => gate(options, () => versions.stat(key, version, options)),
    read: (key, version, options) => gate(options, () => versions.read(key, version, options)),
  }
}

function gateOf(calls: number, location: string) {
  let free = calls
  const waiting: (() => void)[] = []
  return async <T>({ signal }: CallOptions, run: () => Promise<T>): Promise<T> => {
    if (free > 0) free--
    else await turn(waiting, signal, location)
    try {
      return await run()
    } finally {
      const next = waiting.shift()
      if (next) next()
      else free++
    }
  }
}

function turn(waiting: (() => void)[], signal: AbortSignal, location: string): Promise<void> {
  return new Promise((resolve, reject) => {
    const go = () => {
      signal.removeEventListener('abort', stop)
      resolve()
    }
    const stop = () => {
      const at = waiting.indexOf(go)
      if (at >= 0) waiting.splice(at, 1)
      reject(cancelled(location, 'wait'))
    }
    if (signal.aborted) return stop()
    signal.addEventListener('abort', stop, { once: true })
    waiting.push(go)
  })
}

function cancelled(location: string, operation: string): StoreError {
  return new StoreError('cancelled', 'cancelled', { location, operation })
}

// ── bandwidth ───────────────────────────────────────────────────────────────────────────────────

/** Content in and out together at `bytesPerSecond`, on average over a second. */
export function throttled(connector: Connector, bytesPerSecond: number): Connector {
  const take = bucketOf(bytesPerSecond, connector.name)
  const { versions } = connector
  return {
    ...connector,
    ...(versions && {
      versions: {
        ...versions,
        async read(key, version, options) {
          const { entry, body } = await versions.read(key, version, options)
          return { entry, body: paced(body, take, options) }
        },
      },
    }),
    async read(key, token, range, options) {
      const { entry, body } = await connector.read(key, token, range, options)
      return { entry, body: paced(body, take, options) }
    },
    async write(key, body, expect, options) {
      if (!(body instanceof Uint8Array)) {
        return connector.write(key, paced(body, take, options), expect, options)
      }
      await take(body.length, options)
      return connector.write(key, body, expect, options)
    },
  }
}

type Take = (bytes: number, options: CallOptions) => Promise<void>

/** A token bucket that goes into debt: a chunk larger than a second's worth passes, and those
 *  behind it wait for longer. */
function bucketOf(bytesPerSecond: number, location: string): Take {
  let tokens = bytesPerSecond
  let at = performance.now()
  return async (bytes, { signal }) => {
    const now = performance.now()
    tokens = Math.min(bytesPerSecond, tokens + ((now - at) / 1000) * bytesPerSecond) - bytes
    at = now
    if (tokens >= 0) return
    await pause((-tokens / bytesPerSecond) * 1000, signal, location)
  }
}

function pause(milliseconds: number, signal: AbortSignal, location: string): Promise<void> {
  return new Promise((resolve, reject) => {
    if (signal.aborted) return reject(cancelled(location, 'wait'))
    const stop = () => {
      clearTimeout(timer)
      reject(cancelled(location, 'wait'))
    }
    const timer = setTimeout(() => {
      signal.removeEventListener('abort', stop)
      resolve()
    }, milliseconds)
    signal.addEventListener('abort', stop, { once: true })
  })
}

async function* paced(
  body: AsyncIterable<Uint8Array>,
  take: Take,
  options: CallOptions,
): AsyncGenerator<Uint8Array, void> {
  for await (const chunk of body) {
    await take(chunk.length, options)
    yield chunk
  }
}

// ── metrics ─────────────────────────────────────────────────────────────────────────────────────

export function reported(connector: Connector, onCall: OnCall): Connector {
  const timed = timerOf(connector.name, onCall)
  const { copyWithin, versions } = connector
  const opened = async (open: () => Promise<ReadResult>): Promise<ReadResult> => {
    const end = startOf(connector.name, 'read', onCall)
    try {
      const { entry, body } = await open()
      return { entry, body: reportedBody(body, end) }
    } catch (error) {
      end(0, error)
      throw error
    }
  }
  const wrapped: Connector = {
    ...connector,
    identity: (options) => timed('identity', () => connector.identity(options)),
    stat: (key, options) => timed('stat', () => connector.stat(key, options)),
    remove: (key, expect, options) => timed('remove', () => connector.remove(key, expect, options)),
    list: (...given) => reportedPages(connector.list(...given), connector.name, onCall),
    write: (key, body, expect, options) =>
      timed('write', (passed) => connector.write(key, counted(body, passed), expect, options)),
    read: (...given) => opened(() => connector.read(...given)),
  }
  if (copyWithin) {
    wrapped.copyWithin = (key, source, expect, options) =>
      timed('copyWithin', () => copyWithin(key, source, expect, options))
  }
  if (!versions) return wrapped
  return {
    ...wrapped,
    versions: {
      keep: (...given) => timed('keep', () => versions.keep(...given)),
      stat: (...given) => timed('stat', () => versions.stat(...given)),
      read: (...given) => opened(() => versions.read(...given)),
    },
  }
}

type End = (bytes: number, error?: unknown) => void

function startOf(location: string, operation: CallReport['operation'], onCall: OnCall): End {
  const began = performance.now()
  return (bytes, error) => {
    const code = error === undefined ? 'ok' : error instanceof StoreError ? error.code : 'error'
    onCall({ location, operation, code, bytes, milliseconds: performance.now() - began })
  }
}

function timerOf(location: string, onCall: OnCall) {
  return async <T>(
    operation: CallReport['operation'],
    run: (passed: (bytes: number) => void) => Promise<T>,
  ): Promise<T> => {
    const end = startOf(location, operation, onCall)
    let bytes = 0
    const passed = (more: number) => {
      bytes += more
    }
    try {
      const answer = await run(passed)
      end(bytes)
      return answer
    } catch (error) {
      end(bytes, error)
      throw error
    }
  }
}

function counted(body: Body, passed: (bytes: number) => void): Body {
  if (!(body instanceof Uint8Array)) return countedStream(body, passed)
  passed(body.length)
  return body
}

async function* countedStream(
  body: AsyncIterable<Uint8Array>,
  passed: (bytes: number) => void,
): AsyncGenerator<Uint8Array, void> {
  for await (const chunk of body) {
    passed(chunk.length)
    yield chunk
  }
}

async function* reportedBody(
  body: AsyncIterable<Uint8Array>,
  end: End,
): AsyncGenerator<Uint8Array, void> {
  let bytes = 0
  let failed: unknown
  try {
    for await (const chunk of body) {
      bytes += chunk.length
      yield chunk
    }
  } catch (error) {
    failed = error
    throw error
  } finally {
    end(bytes, failed)
  }
}

async function* reportedPages(
  pages: AsyncIterable<Page>,
  location: string,
  onCall: OnCall,
): AsyncGenerator<Page, void> {
  let end = startOf(location, 'list', onCall)
  try {
    for await (const page of pages) {
      end(0)
      yield page
      end = startOf(location, 'list', onCall)
    }
  } catch (error) {
    end(0, error)
    throw error
  }
}
