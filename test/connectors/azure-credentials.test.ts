/** Whose word Azure gets: a key's, a signature's, or the machine's. */
import { ContainerSASPermissions } from '@azure/storage-blob'
import { afterEach, describe, expect, it, vi } from 'vitest'
import { StoreError } from '../../src/errors.ts'
import {
  calling,
  errorOf,
  expectContent,
  failsWith,
  keysOf,
  put,
  text,
} from '../conformance/world.ts'
import { azurite, bytes, connectorAt, type Given, page, scripted } from './azure-world.ts'
import { type Answer, scriptedServer } from './scripted-server.ts'

describe('credentials', () => {
  afterEach(() => {
    vi.unstubAllEnvs()
  })

  it('may be an account with its key, or a shared access signature', async () => {
    const { at, server, container, connector } = await azurite()
    await put(connector, 'k', text('1'))
    const { endpoint, account } = server
    const byKey = await at({ account, 'account-key': server.accountKey, endpoint })
    expect(await keysOf(byKey)).toEqual(['k'])
    const signed = new URL(
      await container.generateSasUrl({
        permissions: ContainerSASPermissions.parse('rl'),
        expiresOn: new Date(Date.now() + 3_600_000),
      }),
    ).search
    for (const sas of [signed, signed.slice(1)]) {
      const reader = await at({ account, 'sas-token': sas, endpoint })
      expect(await keysOf(reader)).toEqual(['k'])
      await expectContent(reader, 'k', text('1'))
      await failsWith('denied', put(reader, 'l', bytes))
    }
    const connection = `BlobEndpoint=${endpoint};SharedAccessSignature=${signed.slice(1)}`
    expect(await keysOf(await at({ 'connection-string': connection }))).toEqual(['k'])
  })

  it('do not stand in a location’s identity', async () => {
    const { at, server, name } = await azurite()
    const byKey = await at({ 'connection-string': server.connectionString })
    const identity = await byKey.identity({ ...calling(), create: false })
    expect(identity).toBe(`azure:${server.endpoint}/${name}/some where/`)
  })

  /** A managed identity, as App Service and Container Apps give it. */
  async function onAzure(answer: () => Answer) {
    const machine = await scriptedServer(answer)
    for (const name of Object.keys(process.env)) {
      if (name.startsWith('AZURE_')) vi.stubEnv(name, undefined)
    }
    vi.stubEnv('AZURE_TOKEN_CREDENTIALS', 'ManagedIdentityCredential')
    vi.stubEnv('IDENTITY_ENDPOINT', `${machine.endpoint}/token`)
    vi.stubEnv('IDENTITY_HEADER', 'secret')
    return machine
  }

  it('by default are those of the machine: none asks nothing, one is kept', async () => {
    const expires = Math.floor(Date.now() / 1000) + 3_600
    const grant = {
      access_token: 'from-machine',
      expires_on: String(expires),
      token_type: 'Bearer',
    }
    let answer: Answer = { status: 400, body: { error: 'invalid_request' } }
    // One machine and one test for both: the library keeps its address for the whole process.
    const machine = await onAzure(() => answer)
    const { connector, requests } = await scripted(() => ({ body: page('') }), { account: 'me' })
    await failsWith('unauthenticated', connector.stat('k', calling()))
    expect(requests).toEqual([])
    answer = { body: grant }
    machine.requests.length = 0
    await Promise.all([keysOf(connector), keysOf(connector)])
    await keysOf(connector)
    const proofs = requests.map(({ headers }) => headers.authorization)
    expect(proofs).toEqual(Array(3).fill('Bearer from-machine'))
    expect(machine.requests.length).toBe(1)
    expect(machine.requests[0]?.query.resource).toBe('https://storage.azure.com')
  })

  it('a token never goes in the clear, and no credentials at all are refused', async () => {
    const bad: Given[] = [
      { account: 'me', endpoint: 'http://store.example' },
      {},
      { 'connection-string': 'nonsense' },
    ]
    for (const given of bad) {
      const error = await errorOf(connectorAt(given))
      expect(error).toBeInstanceOf(StoreError)
      expect((error as StoreError).code).toBe('unsupported')
    }
  })
})
