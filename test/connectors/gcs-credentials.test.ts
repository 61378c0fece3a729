/** Whose word GCS gets: a key file's, the machine's, or none. */
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, describe, expect, it, onTestFinished, vi } from 'vitest'
import { calling, failsWith, keysOf } from '../conformance/world.ts'
import { connectorAt, emptyList, scripted } from './gcs-world.ts'
import { type Answer, scriptedServer } from './scripted-server.ts'

describe('credentials', () => {
  afterEach(() => {
    vi.unstubAllEnvs()
  })

  async function folder() {
    const dir = await mkdtemp(join(tmpdir(), 'tidemark-gcs-'))
    onTestFinished(() => rm(dir, { recursive: true }))
    return dir
  }

  /** No credentials but those of the metadata server: no gcloud config, no file. */
  async function onGoogleCloud(answer: () => Answer) {
    const metadata = await scriptedServer(() => ({
      headers: { 'metadata-flavor': 'Google' },
      ...answer(),
    }))
    vi.stubEnv('GCE_METADATA_HOST', metadata.endpoint.replace('http://', ''))
    vi.stubEnv('METADATA_SERVER_DETECTION', 'assume-present')
    vi.stubEnv('GOOGLE_APPLICATION_CREDENTIALS', undefined)
    vi.stubEnv('CLOUDSDK_CONFIG', await folder())
    vi.stubEnv('HOME', await folder())
    return metadata
  }

  const grant = { body: { access_token: 'from-metadata', expires_in: 3600, token_type: 'Bearer' } }

  it('by default are those of the machine, asked for once', async () => {
    const metadata = await onGoogleCloud(() => grant)
    const { connector, requests } = await scripted(() => emptyList, { anonymous: false })
    expect(await keysOf(connector)).toEqual([])
    expect(await keysOf(connector)).toEqual([])
    expect(requests.map(({ headers }) => headers.authorization)).toEqual([
      'Bearer from-metadata',
      'Bearer from-metadata',
    ])
    expect(metadata.requests.filter(({ path: asked }) => asked.endsWith('/token')).length).toBe(1)
  })

  it('that a machine does not give are unauthenticated, and the store is not asked', async () => {
    await onGoogleCloud(() => ({ status: 404, body: 'no service account' }))
    const { connector, requests } = await scripted(() => emptyList, { anonymous: false })
    await failsWith('unauthenticated', connector.stat('k', calling()))
    expect(requests).toEqual([])
  })

  it('that cannot be had just now are worth another try', async () => {
    await onGoogleCloud(() => ({ status: 503, body: 'later' }))
    const { connector, requests } = await scripted(() => emptyList, { anonymous: false })
    await failsWith('unavailable', connector.stat('k', calling()))
    expect(requests).toEqual([])
  })

  it('come from the key file that is named', async () => {
    const exchange = await scriptedServer(() => ({
      body: { access_token: 'from-file', expires_in: 3600, token_type: 'Bearer' },
    }))
    const dir = await folder()
    await writeFile(join(dir, 'subject'), 'who I am')
    const file = join(dir, 'key.json')
    const key = {
      type: 'external_account',
      audience:
        '//iam.googleapis.com/projects/1/locations/global/workloadIdentityPools/p/providers/q',
      subject_token_type: 'urn:ietf:params:oauth:token-type:jwt',
      token_url: `${exchange.endpoint}/v1/token`,
      credential_source: { file: join(dir, 'subject') },
    }
    await writeFile(file, JSON.stringify(key))
    const options = { anonymous: false, 'key-file': file }
    const { connector, requests } = await scripted(() => emptyList, options)
    await connector.identity({ ...calling(), create: false })
    expect(requests[0]?.headers.authorization).toBe('Bearer from-file')
    const gone = await connectorAt('http://127.0.0.1:1', { ...options, 'key-file': `${file}.no` })
    await failsWith('unauthenticated', gone.stat('k', calling()))
  })

  it('are not looked for where the location is anonymous', async () => {
    const metadata = await onGoogleCloud(() => grant)
    const { connector, requests } = await scripted(() => emptyList)
    await connector.identity({ ...calling(), create: false })
    expect(requests[0]?.headers).not.toHaveProperty('authorization')
    expect(metadata.requests).toEqual([])
  })
})
