/** A versioned bucket: https://docs.aws.amazon.com/AmazonS3/latest/userguide/versioning-workflows.html */
import { StoreError } from '../src/errors.ts'
import type { Versions } from './connector.ts'
import { one } from './s3-metadata.ts'
import { bodyOf, readAheadBytes } from './s3-read.ts'
import type { AskedOf, Store } from './s3-store.ts'

export function versionsIn(store: Store): Versions {
  let readable: boolean | undefined

  /** Reading a version takes a permission of its own, s3:GetObjectVersion: without it nothing that
   *  the bucket keeps could be had back. Asked once. */
  async function mayRead(asked: AskedOf, version: string): Promise<boolean> {
    if (readable !== undefined) return readable
    try {
      readable = (await store.head(asked, version)) !== null
    } catch (error) {
      if (!(error instanceof StoreError) || error.code !== 'denied') throw error
      readable = false
    }
    return readable
  }

  return {
    // One reply tells both the ETag and the version that has it.
    async keep(key, token, { signal }) {
      const asked = { operation: 'keep', key, signal }
      const headers = await store.head(asked)
      if (headers === null) throw store.fail(asked, 'not-found', 'the key is gone')
      if (store.entry(asked, headers).token.id !== token.id) {
        throw store.fail(asked, 'changed-meanwhile', 'the key holds another state')
      }
      const version = one(headers['x-amz-version-id'])
      // `null` is what was written while the bucket kept no versions. Where it keeps none now, the
      // next write takes its place; any other version stays, also when versioning is suspended.
      if (version === undefined || version === 'null') return null
      return (await mayRead(asked, version)) ? version : null
    },

    async stat(key, version, { signal }) {
      const asked = { operation: 'stat', key, signal }
      const headers = await store.head(asked, version)
      return headers && store.entry(asked, headers)
    },

    async read(key, version, { signal }) {
      const asked = { operation: 'read', key, signal }
      const query = { versionId: version }
      const request = { ...asked, method: 'GET' as const, object: store.object(key), query }
      const reply = await store.client.open(request, readAheadBytes)
      try {
        const entry = store.entry(asked, reply.headers)
        if (one(reply.headers['x-amz-version-id']) !== version) {
          throw store.fail(asked, 'unsupported', 'the store gave another version')
        }
        return { entry, body: bodyOf(store, asked, reply, entry.size) }
      } catch (error) {
        reply.leave()
        throw error
      }
    },
  }
}
