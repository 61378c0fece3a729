/** Real stores as locations, each with the vendor's own means: a foreign hand, and a judge. */
import { randomUUID } from 'node:crypto'
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import {
  CreateBucketCommand,
  DeleteBucketCommand,
  DeleteObjectCommand,
  GetObjectCommand,
  ListMultipartUploadsCommand,
  ListObjectsV2Command,
  PutObjectCommand,
  S3Client,
} from '@aws-sdk/client-s3'
import { BlobServiceClient } from '@azure/storage-blob'
import { Storage } from '@google-cloud/storage'
import { inject } from 'vitest'
import { memoryStore } from '../../connectors/memory-store.ts'
import type { LocationOptions } from '../../connectors/options.ts'
import type { AzureServer, GcsServer, S3Server } from '../servers.ts'

export interface Seen {
  bytes: Buffer
  contentType?: string | undefined
  cacheControl?: string | undefined
  /** Names as Tidemark gives them. */
  user: Record<string, string>
}

export interface Place {
  kind: 'memory' | 'file' | 's3' | 'gcs' | 'azure'
  options: LocationOptions
  put(
    key: string,
    bytes: Uint8Array | string,
    metadata?: Partial<Omit<Seen, 'bytes'>>,
  ): Promise<void>
  remove(key: string): Promise<void>
  keys(): Promise<string[]>
  get(key: string): Promise<Seen>
  /** Bucket, container or folder itself is gone afterwards. */
  vanish(): Promise<void>
  /** Keys of multipart uploads under way, where the store tells. */
  uploads(): Promise<string[]>
  close(): Promise<void>
}

const prefix = 'in here/'

/** Everything that the place holds: text of what is short, the size and a digest of the rest. */
export async function contentOf(place: Place): Promise<Record<string, string>> {
  const content: Record<string, string> = {}
  for (const key of (await place.keys()).sort()) {
    const { bytes } = await place.get(key)
    content[key] = bytes.length <= 200 ? bytes.toString() : `${bytes.length} ${digestOf(bytes)}`
  }
  return content
}

function digestOf(bytes: Buffer): string {
  let sum = 0
  for (let i = 0; i < bytes.length; i++) sum = (Math.imul(sum, 31) + (bytes[i] as number)) | 0
  return sum.toString(16)
}

export const makers = {
  memory: async () => memoryPlace(),
  file: async () => filePlace(),
  s3: () => s3Place(inject('servers').s3),
  gcs: () => gcsPlace(inject('servers').gcs),
  azure: () => azurePlace(inject('servers').azure),
}

export function memoryPlace(name: string = randomUUID()): Place {
  const store = memoryStore(name)
  return {
    kind: 'memory',
    options: { type: 'memory', store: name, prefix },
    async put(key, bytes, metadata = {}) {
      store.put(prefix + key, Buffer.from(bytes), metadata as never)
    },
    remove: async (key) => store.remove(prefix + key),
    keys: async () => store.names().map((one) => one.slice(prefix.length)),
    async get(key) {
      const { bytes, metadata } = present(store.get(prefix + key), key)
      return { bytes, user: {}, ...metadata }
    },
    async vanish() {
      store.missing = true
    },
    uploads: async () => [...store.uploads.keys()],
    close: async () => {},
  }
}

export function filePlace(path = mkdtempSync(join(tmpdir(), 'tidemark-place-'))): Place {
  const clear = async () => rmSync(path, { recursive: true, force: true })
  return {
    kind: 'file',
    options: { type: 'file', path },
    async put(key, bytes) {
      mkdirSync(dirname(join(path, key)), { recursive: true })
      writeFileSync(join(path, key), bytes)
    },
    remove: async (key) => rmSync(join(path, key)),
    async keys() {
      return readdirSync(path, { recursive: true, withFileTypes: true })
        .filter((one) => one.isFile())
        .map((one) => join(one.parentPath, one.name).slice(path.length + 1))
        .filter((key) => !key.startsWith('.tidemark/'))
    },
    get: async (key) => ({ bytes: readFileSync(join(path, key)), user: {} }),
    vanish: clear,
    uploads: async () => readdirSync(join(path, '.tidemark', 'tmp')),
    close: clear,
  }
}

export async function s3Place(server: S3Server): Promise<Place> {
  const { endpoint, region, accessKeyId, secretAccessKey } = server
  const credentials = { accessKeyId, secretAccessKey }
  const client = new S3Client({ endpoint, region, credentials, forcePathStyle: true })
  const Bucket = `t-${randomUUID()}`
  await client.send(new CreateBucketCommand({ Bucket }))
  const object = (key: string) => ({ Bucket, Key: prefix + key })
  async function keys(): Promise<string[]> {
    const found: string[] = []
    for (let token: string | undefined; ; ) {
      const page = await client.send(new ListObjectsV2Command({ Bucket, ContinuationToken: token }))
      for (const { Key = '' } of page.Contents ?? []) found.push(Key.slice(prefix.length))
      token = page.NextContinuationToken
      if (token === undefined) return found
    }
  }
  const remove = async (key: string) => {
    await client.send(new DeleteObjectCommand(object(key)))
  }
  return {
    kind: 's3',
    options: {
      ...{ type: 's3', bucket: Bucket, prefix, endpoint, region, 'path-style': true },
      ...{ 'access-key-id': accessKeyId, 'secret-access-key': secretAccessKey },
    },
    async put(key, bytes, { contentType, cacheControl, user } = {}) {
      const headers = { ContentType: contentType, CacheControl: cacheControl, Metadata: user }
      const Body = Buffer.from(bytes)
      await client.send(new PutObjectCommand({ ...object(key), ...headers, Body }))
    },
    remove,
    keys,
    async get(key) {
      const got = await client.send(new GetObjectCommand(object(key)))
      const { ContentType: contentType, CacheControl: cacheControl, Metadata: user = {} } = got
      const bytes = Buffer.from((await got.Body?.transformToByteArray()) ?? [])
      return { bytes, contentType, cacheControl, user }
    },
    async vanish() {
      for (const key of await keys()) await remove(key)
      await client.send(new DeleteBucketCommand({ Bucket }))
    },
    async uploads() {
      const list = await client.send(new ListMultipartUploadsCommand({ Bucket }))
      return (list.Uploads ?? []).map(({ Key = '' }) => Key.slice(prefix.length))
    },
    close: async () => client.destroy(),
  }
}

export async function gcsPlace({ endpoint, projectId }: GcsServer): Promise<Place> {
  const options = { apiEndpoint: endpoint, projectId, useAuthWithCustomEndpoint: false }
  const bucket = new Storage(options).bucket(`t-${randomUUID()}`)
  await bucket.create()
  const at = (key: string) => bucket.file(prefix + key)
  async function keys(): Promise<string[]> {
    const [files] = await bucket.getFiles()
    return files.map(({ name }) => name.slice(prefix.length))
  }
  return {
    kind: 'gcs',
    options: { type: 'gcs', bucket: bucket.name, prefix, endpoint, anonymous: true },
    async put(key, bytes, { user, ...system } = {}) {
      const metadata = { ...system, ...(user && { metadata: user }) }
      await at(key).save(Buffer.from(bytes), { resumable: false, metadata: metadata as never })
    },
    async remove(key) {
      await at(key).delete()
    },
    keys,
    async get(key) {
      const [bytes] = await at(key).download({ decompress: false })
      const [{ contentType, cacheControl, metadata = {} }] = await at(key).getMetadata()
      return { bytes, contentType, cacheControl, user: metadata as Seen['user'] }
    },
    async vanish() {
      for (const key of await keys()) await at(key).delete()
      await bucket.delete()
    },
    uploads: async () => [],
    close: async () => {},
  }
}

export async function azurePlace({ connectionString }: AzureServer): Promise<Place> {
  const service = BlobServiceClient.fromConnectionString(connectionString)
  const container = service.getContainerClient(`t-${randomUUID()}`)
  await container.create()
  const at = (key: string) => container.getBlockBlobClient(prefix + key)
  return {
    kind: 'azure',
    options: {
      ...{ type: 'azure-blob', container: container.containerName, prefix, hierarchical: false },
      'connection-string': connectionString,
    },
    async put(key, bytes, { contentType, cacheControl, user = {} } = {}) {
      await at(key).uploadData(Buffer.from(bytes), {
        blobHTTPHeaders: {
          ...(contentType && { blobContentType: contentType }),
          ...(cacheControl && { blobCacheControl: cacheControl }),
        },
        metadata: renamed(user, '-', '_x002d_'),
      })
    },
    async remove(key) {
      await at(key).delete()
    },
    async keys() {
      const found: string[] = []
      for await (const { name } of container.listBlobsFlat()) found.push(name.slice(prefix.length))
      return found
    },
    async get(key) {
      const bytes = await at(key).downloadToBuffer()
      const { contentType, cacheControl, metadata = {} } = await at(key).getProperties()
      return { bytes, contentType, cacheControl, user: renamed(metadata, '_x002d_', '-') }
    },
    async vanish() {
      await container.delete()
    },
    uploads: async () => [],
    close: async () => {},
  }
}

/** Azure's names can't have a hyphen; its own tools spell it so. */
function renamed(user: Seen['user'], from: string, to: string): Seen['user'] {
  return Object.fromEntries(
    Object.entries(user).map(([name, value]) => [name.replaceAll(from, to), value]),
  )
}

function present<T>(value: T | undefined, key: string): T {
  if (value === undefined) throw new Error(`${key} is not there`)
  return value
}
