/** Object versioning: https://cloud.google.com/storage/docs/object-versioning */
import { StoreError } from '../src/errors.ts'
import type { Entry, Key } from '../src/model.ts'
import type { Versions } from './connector.ts'
import type { GcsApi, GcsRequest } from './gcs-api.ts'
import { bytesOf } from './gcs-media.ts'
import { generationsOf } from './gcs-object.ts'

/** The bucket's setting holds for this long, ms: as long as Google takes to put a change of it into
 *  effect. By it alone is it known that a generation stays when its key is overwritten. */
const settingMs = 30_000

/** `stat`: of what is there now, or of a generation. */
export function versionsIn(
  api: GcsApi,
  bucket: string,
  pathOf: (key: Key) => string,
  stat: (
    key: Key,
    operation: string,
    signal: AbortSignal,
    generation?: string,
  ) => Promise<Entry | null>,
): Versions {
  let setting: { at: number; enabled: boolean } | undefined

  async function keepsVersions(signal: AbortSignal): Promise<boolean> {
    if (setting && performance.now() - setting.at < settingMs) return setting.enabled
    const at = performance.now()
    setting = { at, enabled: await askBucket(signal) }
    return setting.enabled
  }

  /** Who may not ask (storage.buckets.get) can't rely on it. */
  async function askBucket(signal: AbortSignal): Promise<boolean> {
    const path = `/storage/v1/b/${encodeURIComponent(bucket)}`
    const query = { fields: 'versioning' }
    try {
      const reply = await api.json({ operation: 'keep', method: 'GET', path, query, signal })
      return (reply.versioning as { enabled?: unknown } | undefined)?.enabled === true
    } catch (error) {
      if (error instanceof StoreError && error.code === 'denied') return false
      throw error
    }
  }

  return {
    async keep(key, token, { signal }) {
      const asked = { operation: 'keep', key }
      const entry = await stat(key, 'keep', signal)
      if (entry === null) throw api.failure('not-found', 'there is no such object', asked)
      if (entry.token.id !== token.id) {
        throw api.failure('changed-meanwhile', `the object is at ${entry.token.id}`, asked)
      }
      if (!(await keepsVersions(signal))) return null
      return generationsOf(token)?.generation ?? null
    },

    stat: (key, version, { signal }) => stat(key, 'stat', signal, version),

    async read(key, version, { signal }) {
      const request: GcsRequest = {
        ...{ operation: 'read', key, method: 'GET', path: pathOf(key), signal },
        query: { alt: 'media', generation: version },
        // Without it, GCS unpacks what has contentEncoding gzip.
        headers: { 'accept-encoding': 'gzip' },
      }
      const entry = await stat(key, 'read', signal, version)
      if (entry === null) throw api.failure('not-found', 'there is no such generation', request)
      return { entry, body: bytesOf(api, entry, undefined, await api.open(request), request) }
    },
  }
}
