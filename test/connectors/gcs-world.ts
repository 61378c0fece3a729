/** A bucket of its own on fake-gcs-server, with the SDK as the one who acts behind our back. */
import { randomUUID } from 'node:crypto'
import { Storage } from '@google-cloud/storage'
import { create } from '../../connectors/gcs.ts'
import type { OptionsOf } from '../../connectors/options.ts'
import { freePort } from '../../src/temporal/ports.ts'
import { suiteContext, type World } from '../conformance/suite.ts'

export function gcsOptions(
  endpoint: string,
  bucket: string,
  given: Partial<OptionsOf<'gcs'>> = {},
): OptionsOf<'gcs'> {
  return { type: 'gcs', bucket, prefix: '', endpoint, anonymous: true, ...given }
}

export async function gcsWorld(endpoint: string): Promise<World> {
  const storage = new Storage({
    apiEndpoint: endpoint,
    projectId: 'tidemark',
    useAuthWithCustomEndpoint: false,
  })
  const name = `tidemark-${randomUUID()}`
  const bucket = storage.bucket(name)
  await bucket.create()
  const prefix = 'some where/'
  const at = (options: Partial<OptionsOf<'gcs'>>) =>
    create(gcsOptions(endpoint, name, { prefix, ...options }), suiteContext('gcs'))
  const connector = await at({})
  const other = await at({ prefix: 'else where/' })
  return {
    connector,
    other,
    async putForeign(key, bytes, metadata = {}) {
      const { user, ...system } = metadata
      await bucket.file(prefix + key).save(Buffer.from(bytes), {
        resumable: false,
        metadata: { ...system, ...(user && { metadata: user }) },
      })
    },
    async removeForeign(key) {
      await bucket.file(prefix + key).delete()
    },
    missingRoot: () => at({ bucket: `${name}-missing` }),
    unreachable: async () => at({ endpoint: `http://127.0.0.1:${await freePort()}` }),
    async close() {
      await Promise.all([connector.close(), other.close()])
    },
  }
}
