/** GCS for tests: a bucket on fake-gcs-server, or a server that says what it is told to. */
import { randomUUID } from 'node:crypto'
import { Storage } from '@google-cloud/storage'
import { onTestFinished } from 'vitest'
import type { Connector } from '../../connectors/connector.ts'
import { digestsOf } from '../../connectors/digests.ts'
import { create } from '../../connectors/gcs.ts'
import { toBase64 } from '../../connectors/gcs-object.ts'
import type { OptionsOf } from '../../connectors/options.ts'
import { freePort } from '../../src/temporal/ports.ts'
import { suiteContext, type World } from '../conformance/suite.ts'
import { text } from '../conformance/world.ts'
import {
  type Answer,
  type Recorded,
  type ScriptedServer,
  scriptedServer,
} from './scripted-server.ts'

export function gcsOptions(
  endpoint: string,
  bucket: string,
  given: Partial<OptionsOf<'gcs'>> = {},
): OptionsOf<'gcs'> {
  return { type: 'gcs', bucket, prefix: '', endpoint, anonymous: true, ...given }
}

/** A bucket of its own, with the SDK as the one who acts behind our back. */
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
  const more: Connector[] = []
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
    async keepingVersions() {
      await bucket.setMetadata({ versioning: { enabled: true } })
      // What is open may know the setting that was.
      const keeping = await at({})
      more.push(keeping)
      return {
        connector: keeping,
        async removeVersion(key, generation) {
          await bucket.file(prefix + key, { generation }).delete()
        },
      }
    },
    unreachable: async () => at({ endpoint: `http://127.0.0.1:${await freePort()}` }),
    async close() {
      await Promise.all([connector, other, ...more].map((one) => one.close()))
    },
  }
}

// ── a scripted server: bucket b, prefix p/ ───────────────────────────────────────────────────────

export const bytes = text('content')
export const token = { id: '7.2' }

export function object(key: string, given: object = {}) {
  const { md5 = '', crc32c = '' } = digestsOf(bytes)
  return {
    name: `p/${key}`,
    generation: '7',
    metageneration: '2',
    size: String(bytes.length),
    updated: '2024-05-06T07:08:09.123Z',
    md5Hash: toBase64(md5),
    crc32c: toBase64(crc32c),
    ...given,
  }
}

export function refusal(status: number, reason = ''): Answer {
  return { status, body: { error: { code: status, message: 'no', errors: [{ reason }] } } }
}

export const emptyList: Answer = { body: { kind: 'storage#objects' } }
export const isList = ({ path }: Recorded) => path === '/storage/v1/b/b/o'

export async function scripted(
  answer: (request: Recorded) => Answer | Promise<Answer>,
  given: Partial<OptionsOf<'gcs'>> = {},
): Promise<ScriptedServer & { connector: Connector }> {
  const server = await scriptedServer(answer)
  const connector = await connectorAt(server.endpoint, given)
  return { ...server, connector }
}

export async function connectorAt(endpoint: string, given: Partial<OptionsOf<'gcs'>> = {}) {
  const options = gcsOptions(endpoint, 'b', { prefix: 'p/', ...given })
  const connector = await create(options, suiteContext('gcs'))
  onTestFinished(() => connector.close())
  return connector
}
