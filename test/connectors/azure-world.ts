/** A container of its own on Azurite, with the SDK as the one who acts behind our back. */
import { randomUUID } from 'node:crypto'
import { channel } from 'node:diagnostics_channel'
import { BlobServiceClient } from '@azure/storage-blob'
import { create } from '../../connectors/azure-blob.ts'
import type { OptionsOf } from '../../connectors/options.ts'
import { freePort } from '../../src/temporal/ports.ts'
import { suiteContext, type World } from '../conformance/suite.ts'
import type { AzureServer } from '../servers.ts'

export function azureOptions(
  container: string,
  given: Partial<OptionsOf<'azure-blob'>> = {},
): OptionsOf<'azure-blob'> {
  return { type: 'azure-blob', container, prefix: '', hierarchical: false, ...given }
}

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
