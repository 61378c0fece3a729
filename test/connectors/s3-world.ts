/** A bucket of its own on the run's versitygw; what others do there is done by the vendor's SDK. */
import { randomUUID } from 'node:crypto'
import { subscribe, unsubscribe } from 'node:diagnostics_channel'
import {
  CreateBucketCommand,
  DeleteObjectCommand,
  ListMultipartUploadsCommand,
  PutBucketVersioningCommand,
  PutObjectCommand,
  S3Client,
} from '@aws-sdk/client-s3'
import { inject } from 'vitest'
import type { ConnectorContext } from '../../connectors/connector.ts'
import type { OptionsOf } from '../../connectors/options.ts'
import { create } from '../../connectors/s3.ts'
import { freePort } from '../../src/temporal/ports.ts'
import { suiteContext, type World } from '../conformance/suite.ts'
import type { S3Server } from '../servers.ts'

export type S3Options = OptionsOf<'s3'>

export function s3Options(
  given: Partial<S3Options> = {},
  server: S3Server = inject('servers').s3,
): S3Options {
  const { endpoint, region, accessKeyId, secretAccessKey } = server
  return {
    ...{ type: 's3', bucket: 'none-such', prefix: 'in/here/', endpoint, region },
    ...{ 'access-key-id': accessKeyId, 'secret-access-key': secretAccessKey },
    ...given,
  }
}

export function s3Client(server: S3Server = inject('servers').s3): S3Client {
  const { endpoint, region, accessKeyId, secretAccessKey } = server
  const credentials = { accessKeyId, secretAccessKey }
  return new S3Client({ endpoint, region, credentials, forcePathStyle: true })
}

export async function makeBucket(client: S3Client): Promise<string> {
  const bucket = `t-${randomUUID()}`
  await client.send(new CreateBucketCommand({ Bucket: bucket }))
  return bucket
}

/** A bucket that keeps versions, at a server that can. */
export async function versionedS3(server: S3Server) {
  const client = s3Client(server)
  const Bucket = await makeBucket(client)
  const VersioningConfiguration = { Status: 'Enabled' } as const
  await client.send(new PutBucketVersioningCommand({ Bucket, VersioningConfiguration }))
  const options = s3Options({ bucket: Bucket }, server)
  const connector = await create(options, s3Context)
  return {
    options,
    connector,
    async removeVersion(key: string, VersionId: string) {
      await client.send(new DeleteObjectCommand({ Bucket, Key: options.prefix + key, VersionId }))
    },
    async close() {
      await connector.close()
      client.destroy()
    },
  }
}

/** S3 takes no smaller parts than 5 MiB, but for the last one. */
export const s3Context: ConnectorContext = suiteContext('s3', 5 * 1024 * 1024)

export async function s3World(given: Partial<S3Options> = {}): Promise<World> {
  const client = s3Client()
  const bucket = await makeBucket(client)
  const options = s3Options({ bucket, ...given })
  const connector = await create(options, s3Context)
  const other = await create({ ...options, prefix: 'other/' }, s3Context)
  const object = (key: string) => ({ Bucket: bucket, Key: options.prefix + key })
  let parts = 0
  const count = (message: unknown) => {
    const { path } = (message as { request: { path: string } }).request
    if (path.includes('partNumber=')) parts++
  }
  subscribe('undici:request:create', count)
  return {
    connector,
    other,
    async putForeign(key, bytes, metadata = {}) {
      await client.send(
        new PutObjectCommand({
          ...object(key),
          Body: bytes,
          ContentType: metadata.contentType,
          ContentEncoding: metadata.contentEncoding,
          ContentLanguage: metadata.contentLanguage,
          ContentDisposition: metadata.contentDisposition,
          CacheControl: metadata.cacheControl,
          Metadata: metadata.user,
        }),
      )
    },
    async removeForeign(key) {
      await client.send(new DeleteObjectCommand(object(key)))
    },
    wrongCredentials: () => create({ ...options, 'secret-access-key': 'wrong' }, s3Context),
    missingRoot: () => create({ ...options, bucket: 'none-such' }, s3Context),
    unreachable: async () => {
      const endpoint = `http://127.0.0.1:${await freePort()}`
      return create({ ...options, endpoint }, s3Context)
    },
    async leftovers() {
      const list = await client.send(new ListMultipartUploadsCommand({ Bucket: bucket }))
      return (list.Uploads ?? []).map((upload) => upload.Key ?? '')
    },
    partsSent: () => parts,
    async close() {
      unsubscribe('undici:request:create', count)
      await Promise.all([connector.close(), other.close()])
      client.destroy()
    },
  }
}
