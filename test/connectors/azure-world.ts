/** Azure for tests: a container on Azurite, or a server that says what it is told to. */
import { randomUUID } from 'node:crypto'
import { channel } from 'node:diagnostics_channel'
import { BlobServiceClient } from '@azure/storage-blob'
import { inject, onTestFinished } from 'vitest'
import { create } from '../../connectors/azure-blob.ts'
import type { Connector } from '../../connectors/connector.ts'
import { digestsOf } from '../../connectors/digests.ts'
import type { OptionsOf } from '../../connectors/options.ts'
import { freePort } from '../../src/temporal/ports.ts'
import { suiteContext, type World } from '../conformance/suite.ts'
import { calling, text } from '../conformance/world.ts'
import type { AzureServer } from '../servers.ts'
import {
  type Answer,
  type Recorded,
  type ScriptedServer,
  scriptedServer,
} from './scripted-server.ts'

export function azureOptions(
  container: string,
  given: Partial<OptionsOf<'azure-blob'>> = {},
): OptionsOf<'azure-blob'> {
  return { type: 'azure-blob', container, prefix: '', hierarchical: false, ...given }
}

/** A container of its own, with the SDK as the one who acts behind our back. */
export async function azureWorld(server: AzureServer): Promise<World> {
  const { connectionString } = server
  const service = BlobServiceClient.fromConnectionString(connectionString)
  const name = `tidemark-${randomUUID()}`
  const container = service.getContainerClient(name)
  await container.create()
  const prefix = 'some where/'
  const at = (options: Partial<OptionsOf<'azure-blob'>>) => {
    const credential = { 'connection-string': connectionString }
    return create(azureOptions(name, { prefix, ...credential, ...options }), suiteContext('azure'))
  }
  const connector = await at({})
  const other = await at({ prefix: 'else where/' })
  const elsewhere = async () =>
    connectionString.replace(server.endpoint, `http://127.0.0.1:${await freePort()}/x`)
  const counted = countBlocks(name)
  return {
    connector,
    other,
    async putForeign(key, bytes, { user, ...system } = {}) {
      await container.getBlockBlobClient(prefix + key).upload(Buffer.from(bytes), bytes.length, {
        blobHTTPHeaders: Object.fromEntries(
          Object.entries(system).map(([field, value]) => [blobHeader(field), value]),
        ),
        // As Azure's own tools have to name it.
        metadata: Object.fromEntries(
          Object.entries(user ?? {}).map(([field, value]) => [
            field.replaceAll('-', '_x002d_'),
            value,
          ]),
        ),
      })
    },
    async removeForeign(key) {
      await container.getBlobClient(prefix + key).delete()
    },
    wrongCredentials: () =>
      at({
        'connection-string': connectionString.replace(
          server.accountKey,
          Buffer.from('another key').toString('base64'),
        ),
      }),
    missingRoot: () => at({ container: `${name}-missing` }),
    unreachable: async () => at({ 'connection-string': await elsewhere() }),
    partsSent: () => counted.sent,
    async close() {
      counted.stop()
      await Promise.all([connector.close(), other.close()])
      await container.delete()
    },
  }
}

function blobHeader(field: string): string {
  return `blob${field[0]?.toUpperCase()}${field.slice(1)}`
}

/** Requests that stage a block in this container, as undici sends them. */
function countBlocks(container: string) {
  const created = channel('undici:request:create')
  const counted = { sent: 0, stop: () => created.unsubscribe(look) }
  function look(message: unknown) {
    const { request } = message as { request: { path: string } }
    if (request.path.includes(`/${container}/`) && request.path.includes('comp=block&')) {
      counted.sent++
    }
  }
  created.subscribe(look)
  return counted
}

export const key = Buffer.from('a key').toString('base64')
export const bytes = text('content')
export const md5 = Buffer.from(digestsOf(bytes).md5 ?? '', 'hex').toString('base64')
export const token = { id: '0x1' }

export type Given = Partial<OptionsOf<'azure-blob'>>

export async function connectorAt(given: Given): Promise<Connector> {
  const connector = await create(
    azureOptions('cont', { prefix: 'p/', ...given }),
    suiteContext('azure'),
  )
  onTestFinished(() => connector.close())
  return connector
}

export async function scripted(
  answer: (request: Recorded) => Answer | Promise<Answer>,
  given: Given = { account: 'me', 'account-key': key },
): Promise<ScriptedServer & { connector: Connector }> {
  const server = await scriptedServer(answer)
  return { ...server, connector: await connectorAt({ endpoint: server.endpoint, ...given }) }
}

/** A fresh container on Azurite. */
export async function azurite() {
  const server = inject('servers').azure
  const world = await azureWorld(server)
  onTestFinished(() => world.close())
  const identity = await world.connector.identity({ ...calling(), create: false })
  const name = identity.slice(`azure:${server.endpoint}/`.length).split('/')[0] ?? ''
  const service = BlobServiceClient.fromConnectionString(server.connectionString)
  const at = async (given: Given) => {
    const options = azureOptions(name, { prefix: 'some where/', ...given })
    const connector = await create(options, suiteContext('azure'))
    onTestFinished(() => connector.close())
    return connector
  }
  return { ...world, server, name, at, container: service.getContainerClient(name) }
}

export function refusal(status: number, code: string): Answer {
  const body = `<?xml version="1.0"?><Error><Code>${code}</Code><Message>no</Message></Error>`
  return { status, headers: { 'x-ms-error-code': code }, body }
}

export function page(inner: string, next = '<NextMarker />') {
  const results = `<Blobs>${inner}</Blobs>${next}`
  return `<?xml version="1.0"?><EnumerationResults>${results}</EnumerationResults>`
}
