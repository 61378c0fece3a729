/**
 * Blob versioning: https://learn.microsoft.com/azure/storage/blobs/versioning-overview
 * A version stays when its blob is written or deleted, also when versioning is turned off later. A
 * blob that wasn't written since it was turned on has none.
 */
import { type AzureApi, type AzureHeaders, type AzureRequest, isCode, one } from './azure-api.ts'
import { entryIn, isFolder } from './azure-metadata.ts'
import type { CallOptions, Versions } from './connector.ts'
import { createDigester } from './digests.ts'
import { passing } from './reply-body.ts'

export function versionsIn(api: AzureApi, prefix: string): Versions {
  function asking(operation: string, key: string, { signal }: CallOptions) {
    return { operation, key, signal, blob: prefix + key }
  }

  /** A service that doesn't know versions would give what is there now. */
  function entryOf(request: Omit<AzureRequest, 'method'>, headers: AzureHeaders, version: string) {
    const entry = entryIn(request.key ?? '', headers)
    if (!entry) throw api.failure('unavailable', 'the reply is not of a blob', request)
    if (one(headers['x-ms-version-id']) === version) return entry
    throw api.failure('unsupported', 'the service gave another version', request)
  }

  return {
    // One reply tells both the ETag and the version that has it.
    async keep(key, token, options) {
      const request = asking('keep', key, options)
      if (!key.isWellFormed()) throw api.failure('not-found', 'no blob has this name', request)
      const { headers } = await api.call({ ...request, method: 'HEAD' })
      const entry = entryIn(key, headers)
      if (!entry) throw api.failure('unavailable', 'the reply is not of a blob', request)
      if (entry.token.id !== token.id || isFolder(entry.metadata ?? {})) {
        throw api.failure('changed-meanwhile', `the blob is at ${entry.token.id}`, request)
      }
      return one(headers['x-ms-version-id']) ?? null
    },

    async stat(key, version, options) {
      const request = { ...asking('stat', key, options), query: { versionid: version } }
      try {
        const { headers } = await api.call({ ...request, method: 'HEAD' })
        return entryOf(request, headers, version)
      } catch (error) {
        if (isCode(error, 'not-found', 'stat')) return null
        throw error
      }
    },

    async read(key, version, options) {
      const request = { ...asking('read', key, options), query: { versionid: version } }
      const { headers, body } = await api.open({ ...request, method: 'GET' })
      try {
        const entry = entryOf(request, headers, version)
        // Whoever asked for it has digests to hold it against.
        const digester = createDigester({ sha256: false, md5: false, crc32c: false })
        return { entry, body: passing(api, request, body, entry.size, digester) }
      } catch (error) {
        body.on('error', () => {}).destroy()
        throw error
      }
    },
  }
}
