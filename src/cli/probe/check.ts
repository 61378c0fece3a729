/** What `doctor` says of a location, and how a step of it is tried. */
import type { Connector } from '../../../connectors/connector.ts'
import type { LocationType } from '../../../connectors/options.ts'
import { StoreError, UserError } from '../../errors.ts'

/** `not protected`: the store takes a write that it should refuse, so another's may be lost. `not
 *  kept`: what the store should keep for us (versions, unfinished uploads), it doesn't. */
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

export type Say = (check: string, state: CheckState, detail?: string, next?: string) => void

/** A location that is being looked at. */
export interface Probing {
  connector: Connector
  type: LocationType
  signal: AbortSignal
  say: Say
}

/** A store that says nothing for so long (ms) counts as not answering. */
export const answerMs = 20_000

export interface Attempt<T> {
  ok: boolean
  value?: T
  error?: unknown
}

/** Errors that aren't a store's go on. */
export async function attempt<T>(
  { signal }: Probing,
  call: (signal: AbortSignal) => Promise<T>,
): Promise<Attempt<T>> {
  const timeout = AbortSignal.timeout(answerMs)
  try {
    return { ok: true, value: await call(AbortSignal.any([signal, timeout])) }
  } catch (error) {
    if (signal.aborted || !(error instanceof StoreError)) throw error
    if (!timeout.aborted) return { ok: false, error }
    const { location, operation } = error
    const details = { location, operation, cause: error }
    const words = `no answer within ${answerMs / 1000} s`
    return { ok: false, error: new StoreError('unavailable', words, details) }
  }
}

/** Says 'ok', or what went wrong. */
export async function tried<T>(
  probing: Probing,
  check: string,
  call: (signal: AbortSignal) => Promise<T>,
): Promise<Attempt<T>> {
  const made = await attempt(probing, call)
  if (made.ok) probing.say(check, 'ok')
  else sayFailure(probing, check, made.error)
  return made
}

/** Of a call that the store should have refused. */
export function sayRefused(probing: Probing, check: string, made: Attempt<unknown>): void {
  const { say } = probing
  const ignored = 'the store ignores the condition: another’s write may be lost'
  if (made.ok) say(check, 'not protected', ignored)
  else if (isCode(made.error, 'changed-meanwhile', 'not-found')) say(check, 'ok', 'protected')
  else sayFailure(probing, check, made.error)
}

export function sayFailure(
  { type, say }: Pick<Probing, 'type' | 'say'>,
  check: string,
  error: unknown,
): void {
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

export function isCode(error: unknown, ...codes: StoreError['code'][]): boolean {
  return error instanceof StoreError && codes.includes(error.code)
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
  order: 'list',
  metadata: 'write',
  copy: 'write',
  resume: 'write',
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
