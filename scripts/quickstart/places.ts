/** The four replicas as anybody else sees them: through the file system and the stores' own APIs.
 * */
import { createHash } from 'node:crypto'
import { createReadStream } from 'node:fs'
import { mkdir, readdir, readFile, rename, rm, writeFile } from 'node:fs/promises'
import { dirname, join, relative, sep } from 'node:path'
import { Readable } from 'node:stream'
import { zstdDecompressSync } from 'node:zlib'
import {
  CreateBucketCommand,
  DeleteObjectCommand,
  GetObjectCommand,
  ListObjectsV2Command,
  PutObjectCommand,
  S3Client,
} from '@aws-sdk/client-s3'
import { BlobServiceClient } from '@azure/storage-blob'
import { Storage } from '@google-cloud/storage'
import type { AzureServer, GcsServer, S3Server } from '../servers.ts'
import type { Contents } from './source.ts'

export interface Place {
  /** Its location in the config. */
  name: string
  /** For people: `S3`. */
  title: string
  /** Makes the bucket, container or folder. */
  make(): Promise<void>
  put(key: string, bytes: Buffer): Promise<void>
  remove(key: string): Promise<void>
  keys(): Promise<string[]>
  read(key: string): Promise<AsyncIterable<Uint8Array>>
  close(): void
}

/** Of the bucket and the container, and where in them the dataset lies. */
export const bucket = 'acme'
export const prefix = 'config/'

export interface FolderPlace extends Place {
  rename(from: string, to: string): Promise<void>
}

export function folderPlace(root: string): FolderPlace {
  const at = (key: string) => join(root, key)
  return {
    name: 'core',
    title: 'the folder',
    async make() {
      await mkdir(root, { recursive: true })
    },
    async put(key, bytes) {
      await mkdir(dirname(at(key)), { recursive: true })
      await writeFile(at(key), bytes)
    },
    async rename(from, to) {
      await rename(at(from), at(to))
    },
    async remove(key) {
      await rm(at(key))
    },
    async keys() {
      const entries = await readdir(root, { recursive: true, withFileTypes: true })
      return entries
        .filter((entry) => !entry.isDirectory())
        .map((entry) => relative(root, join(entry.parentPath, entry.name)).split(sep).join('/'))
        .filter((key) => !key.startsWith('.tidemark/'))
    },
    read: async (key) => createReadStream(at(key)),
    close() {},
  }
}

const zstdMagic = Buffer.from([0x28, 0xb5, 0x2f, 0xfd])

/** What the vault has, as content: some of it is compressed. */
export function vaultPlace(root: string): Place {
  const folder = folderPlace(root)
  return {
    ...folder,
    async read(key) {
      const stored = await readFile(join(root, key))
      return Readable.from([stored.indexOf(zstdMagic) === 0 ? zstdDecompressSync(stored) : stored])
    },
  }
}

export function s3Place({ endpoint, region, accessKeyId, secretAccessKey }: S3Server): Place {
  const credentials = { accessKeyId, secretAccessKey }
  const client = new S3Client({ endpoint, region, credentials, forcePathStyle: true })
  const object = (key: string) => ({ Bucket: bucket, Key: prefix + key })
  return {
    name: 'aws',
    title: 'S3',
    async make() {
      await client.send(new CreateBucketCommand({ Bucket: bucket }))
    },
    async put(key, bytes) {
      await client.send(new PutObjectCommand({ ...object(key), Body: bytes }))
    },
    async remove(key) {
      await client.send(new DeleteObjectCommand(object(key)))
    },
    async keys() {
      const keys: string[] = []
      for (let token: string | undefined; ; ) {
        const page = await client.send(
          new ListObjectsV2Command({ Bucket: bucket, Prefix: prefix, ContinuationToken: token }),
        )
        for (const { Key = '' } of page.Contents ?? []) keys.push(Key.slice(prefix.length))
        token = page.NextContinuationToken
        if (token === undefined) return keys
      }
    },
    async read(key) {
      const { Body } = await client.send(new GetObjectCommand(object(key)))
      return Body as Readable
    },
    close: () => client.destroy(),
  }
}

export function gcsPlace({ endpoint, projectId }: GcsServer): Place {
  const storage = new Storage({
    apiEndpoint: endpoint,
    projectId,
    useAuthWithCustomEndpoint: false,
  })
  const store = storage.bucket(bucket)
  return {
    name: 'gcp',
    title: 'GCS',
    async make() {
      await store.create()
    },
    async put(key, bytes) {
      await store.file(prefix + key).save(bytes, { resumable: false })
    },
    async remove(key) {
      await store.file(prefix + key).delete()
    },
    async keys() {
      const [files] = await store.getFiles({ prefix })
      return files.map(({ name }) => name.slice(prefix.length))
    },
    // By the API itself: the SDK's stream costs several times as much, and warns of itself.
    async read(key) {
      const object = `${endpoint}/storage/v1/b/${bucket}/o/${encodeURIComponent(prefix + key)}`
      const reply = await fetch(`${object}?alt=media`)
      if (!reply.ok || !reply.body) throw new Error(`GCS answered ${reply.status} for ${key}`)
      return reply.body
    },
    close() {},
  }
}

export function azurePlace({ connectionString }: AzureServer): Place {
  const service = BlobServiceClient.fromConnectionString(connectionString)
  const container = service.getContainerClient(bucket)
  const blob = (key: string) => container.getBlockBlobClient(prefix + key)
  return {
    name: 'azure',
    title: 'Azure',
    async make() {
      await container.create()
    },
    async put(key, bytes) {
      await blob(key).uploadData(bytes)
    },
    async remove(key) {
      await blob(key).delete()
    },
    async keys() {
      const keys: string[] = []
      for await (const { name } of container.listBlobsFlat({ prefix })) {
        keys.push(name.slice(prefix.length))
      }
      return keys
    },
    async read(key) {
      const { readableStreamBody } = await blob(key).download()
      return readableStreamBody as Readable
    },
    close() {},
  }
}

/** Everything that is there, read to its end. `onRead` is told of each object. */
export async function contentsOf(place: Place, onRead = () => {}): Promise<Contents> {
  const contents: Contents = new Map()
  await inParallel(await place.keys(), async (key) => {
    const hash = createHash('sha256')
    for await (const chunk of await place.read(key)) hash.update(chunk)
    contents.set(key, hash.digest('hex'))
    onRead()
  })
  return contents
}

/** A few at a time. The first failure ends it. */
export async function inParallel<T>(
  items: readonly T[],
  work: (item: T) => Promise<void>,
): Promise<void> {
  let next = 0
  const lane = async () => {
    while (next < items.length) await work(items[next++] as T)
  }
  const lanes = Array.from({ length: 16 }, async () => {
    try {
      await lane()
    } catch (error) {
      next = items.length
      throw error
    }
  })
  await Promise.all(lanes)
}
