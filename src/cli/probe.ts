/** What one location answers, step by step: for `doctor`. Writes only where it's told to. */
import { randomUUID } from 'node:crypto'
import type { Connector, WriteOptions } from '../../connectors/connector.ts'
import { openConnector } from '../../connectors/index.ts'
import type { LocationOptions, LocationType } from '../../connectors/options.ts'
import { resolveReferences } from '../config/index.ts'
import { StoreError, UserError } from '../errors.ts'
import { MIB } from '../limits.ts'
import type { Entry, Token } from '../model.ts'
import { probePrefix } from '../sync/filter.ts'

/** `not protected`: the store takes a write that it should refuse, so another's may be lost. `not
 *  kept`: its bucket keeps no versions, though the dataset wants its history there. */
export type CheckState = 'ok' | 'failed' | 'not protected' | 'not kept' | 'not tried'

export interface Check {
  /** A location, `temporal`, `catalog`, … */
  subject: string
  check: string
  state: CheckState
  detail: string
  /** What to do about it. */
  next?: string
}

type Say = (check: string, state: CheckState, detail?: string, next?: string) => void

/** S3's smallest part, so that a probe of two parts is one everywhere. */
const partBytes = 5 * MIB
/** A store that says nothing for so long (ms) counts as not answering. */
const answerMs = 20_000

export interface ProbeSettings {
  /** Write temporary keys below `.tidemark-probe/`, and remove them. */
  probe: boolean
  /** Say whether it keeps versions by itself. */
  versions?: boolean
  signal: AbortSignal
}

export async function probeLocation(
  name: string,
  options: LocationOptions,
  settings: ProbeSettings,
): Promise<Check[]> {
  const checks: Check[] = []
  const say: Say = (check, state, detail = '', next) =>
    checks.push({ subject: name, check, state, detail, ...(next !== undefined && { next }) })
  let connector: Connector | null = null
  try {
    const resolved = await resolveReferences(options)
    connector = await openConnector(name, resolved, { concurrency: 4, partBytes })
    const reached = await probeReads(connector, options.type, settings, say)
    sayTraits(connector, say)
    if (settings.versions && !connector.versions)
      say('versions', 'not kept', `it has none: ${falls}`)
    if (settings.probe && reached) await probeWrites(connector, options.type, settings, say)
  } catch (error) {
    if (settings.signal.aborted) throw error
    sayFailure('open', error, options.type, say)
  } finally {
    await connector?.close()
  }
  return checks
}

/** Whether the location was reached at all. */
async function probeReads(
  connector: Connector,
  type: LocationType,
  { probe, versions, signal }: ProbeSettings,
  say: Say,
): Promise<boolean> {
  const identified = await tried('connect', type, signal, say, (signal) =>
    connector.identity({ create: false, signal }),
  )
  if (!identified.ok) return false
  const listed = await tried('list', type, signal, say, async (signal) => {
    for await (const page of connector.list({ from: null, to: null }, undefined, { signal })) {
      const entry = page.entries.find(({ size }) => size > 0) ?? page.entries[0]
      if (entry) return entry
    }
    return null
  })
  const entry = listed.value
  // What is written now tells more than what may be older than the bucket's versioning.
  const told = versions && connector.versions && !probe
  if (!entry) {
    if (listed.ok) say('read', 'not tried', 'it is empty')
    if (listed.ok && told) say('versions', 'not tried', 'it is empty')
    return true
  }
  await tried('read', type, signal, say, async (signal) => {
    const range = entry.size > 0 ? { start: 0, end: 1 } : undefined
    try {
      const { body } = await connector.read(entry.key, entry.token, range, { signal })
      for await (const _chunk of body);
    } catch (error) {
      // Someone changed it since it was listed: nothing is wrong with our permissions.
      if (!isCode(error, 'changed-meanwhile', 'not-found')) throw error
    }
  })
  if (told) await probeVersions(connector, entry, { type, signal, say })
  return true
}

const falls = 'what is replaced goes to the vault, unless another replica keeps it'

async function probeVersions(
  connector: Connector,
  { key, token }: Entry,
  { type, signal, say }: { type: LocationType; signal: AbortSignal; say: Say },
): Promise<void> {
  const silent = () => {}
  const kept = await tried('versions', type, signal, silent, (signal) =>
    connector.versions ? connector.versions.keep(key, token, { signal }) : Promise.resolve(null),
  )
  const moved = isCode(kept.error, 'changed-meanwhile', 'not-found')
  if (moved) say('versions', 'not tried', `${key} changed meanwhile`)
  else if (!kept.ok) sayFailure('versions', kept.error, type, say)
  else if (kept.value) say('versions', 'ok', 'kept by the bucket')
  else {
    const next =
      'Turn on the bucket’s versioning, and let Tidemark read versions (S3: s3:GetObjectVersion; ' +
      'GCS: storage.buckets.get). What was written before has none; --probe writes anew.'
    say('versions', 'not kept', `${key} has none that can be read: ${falls}`, next)
  }
}

function sayTraits({ traits }: Connector, say: Say): void {
  const lost = 'another’s write in the same instant may be lost'
  if (!traits.conditionalCreate) say('create', 'not protected', lost)
  if (!traits.conditionalOverwrite) say('overwrite', 'not protected', lost)
  if (!traits.conditionalDelete) say('delete', 'not protected', lost)
}

async function probeWrites(
  connector: Connector,
  type: LocationType,
  { versions = false, signal }: ProbeSettings,
  say: Say,
): Promise<void> {
  const key = `${probePrefix}${randomUUID()}`
  try {
    const how = { type, versions, signal, say }
    await probeKey(connector, key, { small: true, ...how })
    await probeKey(connector, `${key}-parts`, { small: false, ...how })
  } finally {
    for (const left of [key, `${key}-parts`]) {
      // Not under the caller's signal: an interrupted probe takes its keys away, too.
      const options = { signal: AbortSignal.timeout(answerMs), beforeCommit: async () => {} }
      await removeLeft(connector, left, options, say)
    }
  }
}

async function probeKey(
  connector: Connector,
  key: string,
  how: { small: boolean; type: LocationType; versions: boolean; signal: AbortSignal; say: Say },
): Promise<void> {
  const { small, type, versions, signal, say } = how
  const kind = small ? '' : ', in parts'
  const put = (expect: Token | null, fill: number) =>
    tried(
      `write${kind}`,
      type,
      signal,
      () => {},
      (signal) => write(connector, key, expect, { size: small ? 16 : partBytes + 1, fill, signal }),
    )
  const first = await put(null, 1)
  if (!first.value) return sayFailure(`create${kind}`, first.error, type, say)
  say(`write${kind}`, 'ok')
  sayRefused(`create${kind}`, await put(null, 2), type, say)
  // Whatever the state is by now, one write under its own token makes the first token an old one.
  const now = await connector.stat(key, { signal })
  const second = await put(now?.token ?? null, 3)
  if (!second.value) return sayFailure(`overwrite${kind}`, second.error, type, say)
  if (small && versions && connector.versions) await probeVersions(connector, second.value, how)
  sayRefused(`overwrite${kind}`, await put(first.value.token, 4), type, say)
  if (!small) return
  const stale = await tried(
    'delete',
    type,
    signal,
    () => {},
    (signal) =>
      connector.remove(key, (first.value as Entry).token, { signal, beforeCommit: async () => {} }),
  )
  // A token that the store took for the write above would be no old one.
  sayRefused('delete', stale, type, say)
}

function sayRefused(check: string, attempt: Attempt<unknown>, type: LocationType, say: Say): void {
  if (attempt.ok) {
    say(check, 'not protected', 'the store ignores the condition: another’s write may be lost')
  } else if (isCode(attempt.error, 'changed-meanwhile', 'not-found')) say(check, 'ok', 'protected')
  else sayFailure(check, attempt.error, type, say)
}

async function write(
  connector: Connector,
  key: string,
  expect: Token | null,
  { size, fill, signal }: { size: number; fill: number; signal: AbortSignal },
): Promise<Entry> {
  const options: WriteOptions = {
    size,
    metadata: {},
    digests: {},
    signal,
    beforeCommit: async () => {},
  }
  return connector.write(key, inParts(size, fill), expect, options)
}

async function* inParts(size: number, fill: number): AsyncGenerator<Uint8Array> {
  for (let sent = 0; sent < size; sent += MIB) {
    yield new Uint8Array(Math.min(MIB, size - sent)).fill(fill)
  }
}

async function removeLeft(
  connector: Connector,
  key: string,
  options: { signal: AbortSignal; beforeCommit: () => Promise<void> },
  say: Say,
): Promise<void> {
  try {
    const left = await connector.stat(key, options)
    if (left) await connector.remove(key, left.token, options)
  } catch (error) {
    if (isCode(error, 'not-found')) return
    const words = error instanceof Error ? error.message : String(error)
    say('clean up', 'failed', `${key} is left behind: ${words}`, 'Remove it by hand.')
  }
}

interface Attempt<T> {
  ok: boolean
  value?: T
  error?: unknown
}

/** Says 'ok', or what went wrong; errors that aren't a store's go on. */
async function tried<T>(
  check: string,
  type: LocationType,
  signal: AbortSignal,
  say: Say,
  call: (signal: AbortSignal) => Promise<T>,
): Promise<Attempt<T>> {
  const timeout = AbortSignal.timeout(answerMs)
  try {
    const value = await call(AbortSignal.any([signal, timeout]))
    say(check, 'ok')
    return { ok: true, value }
  } catch (error) {
    if (signal.aborted || !(error instanceof StoreError)) throw error
    const shown = timeout.aborted
      ? new StoreError('unavailable', `no answer within ${answerMs / 1000} s`, {
          location: error.location,
          operation: error.operation,
          cause: error,
        })
      : error
    sayFailure(check, shown, type, say)
    return { ok: false, error: shown }
  }
}

function sayFailure(check: string, error: unknown, type: LocationType, say: Say): void {
  if (error instanceof UserError) {
    say(check, 'failed', error.message, error.next)
    return
  }
  if (!(error instanceof StoreError)) throw error
  const action = actions[check.replace(/,.*/, '')]
  const permission = action && permissions[type]?.[action]
  const next = error.code === 'denied' && permission ? `Grant ${permission}.` : steps[error.code]
  say(check, 'failed', `${error.code}: ${error.message}`, next)
}

const steps: Record<string, string> = {
  'root-missing': 'Make it, or mend its name: Tidemark never makes a bucket or a root folder.',
  unauthenticated: 'Mend the credentials, or give some.',
  unavailable: 'See that it is up and can be reached from here.',
  denied: 'Grant what is missing.',
}

type Permission = 'list' | 'read' | 'write' | 'remove'

const actions: Record<string, Permission> = {
  connect: 'list',
  list: 'list',
  read: 'read',
  write: 'write',
  create: 'write',
  overwrite: 'write',
  delete: 'remove',
}

/** The stores' own names of what each step needs. */
const permissions: Partial<Record<LocationType, Record<Permission, string>>> = {
  file: {
    list: 'read and search (r-x) on the folder',
    read: 'read (r--) on the file',
    write: 'write and search (-wx) on the folder',
    remove: 'write and search (-wx) on the folder',
  },
  s3: {
    list: 's3:ListBucket on the bucket',
    read: 's3:GetObject on its objects',
    write: 's3:PutObject and s3:AbortMultipartUpload on its objects',
    remove: 's3:DeleteObject on its objects',
  },
  gcs: {
    list: 'storage.objects.list',
    read: 'storage.objects.get',
    write: 'storage.objects.create (and storage.objects.delete, to overwrite)',
    remove: 'storage.objects.delete',
  },
  'azure-blob': {
    list: 'Storage Blob Data Reader, or l in the SAS',
    read: 'Storage Blob Data Reader, or r in the SAS',
    write: 'Storage Blob Data Contributor, or c and w in the SAS',
    remove: 'Storage Blob Data Contributor, or d in the SAS',
  },
}

function isCode(error: unknown, ...codes: StoreError['code'][]): boolean {
  return error instanceof StoreError && codes.includes(error.code)
}
