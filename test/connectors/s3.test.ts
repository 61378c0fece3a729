/** What is S3's own: who we are, where a bucket is, what its headers carry. */
import { execFile } from 'node:child_process'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setImmediate } from 'node:timers/promises'
import { promisify } from 'node:util'
import { afterEach, beforeEach, describe, expect, inject, it, onTestFinished, vi } from 'vitest'
import { create } from '../../connectors/s3.ts'
import { resolveTarget } from '../../connectors/s3-target.ts'
import {
  calling,
  entryAt,
  failsWith,
  keysOf,
  noise,
  put,
  readAll,
  suiteContext,
  text,
} from '../conformance/world.ts'
import { found, scripted } from './s3-scripted.ts'
import { makeBucket, type S3Options, s3Client, s3Context, s3Options, s3World } from './s3-world.ts'
import { type Recorded, scriptedServer } from './scripted-server.ts'

async function folder(): Promise<string> {
  const path = await mkdtemp(join(tmpdir(), 'tidemark-aws-'))
  onTestFinished(() => rm(path, { recursive: true, force: true }))
  return path
}

/** No credentials but those that a test gives: this machine may have some. */
beforeEach(async () => {
  for (const name of Object.keys(process.env)) {
    if (name.startsWith('AWS_')) vi.stubEnv(name, undefined)
  }
  vi.stubEnv('HOME', await folder())
  vi.stubEnv('AWS_EC2_METADATA_DISABLED', 'true')
})
afterEach(() => {
  vi.unstubAllEnvs()
})

function withoutKeys(options: S3Options): S3Options {
  const { 'access-key-id': _, 'secret-access-key': __, ...rest } = options
  return rest
}

async function bucketWithout(): Promise<S3Options> {
  const client = s3Client()
  onTestFinished(() => client.destroy())
  return withoutKeys(s3Options({ bucket: await makeBucket(client) }))
}

async function opened(options: S3Options) {
  const connector = await create(options, s3Context)
  onTestFinished(() => connector.close())
  return connector
}

function keyIdIn(request: Recorded | undefined): string | undefined {
  return request?.headers.authorization?.match(/Credential=([^/]+)/)?.[1]
}

describe('credentials without keys in the config', () => {
  it('come from a profile', async () => {
    const { accessKeyId, secretAccessKey, region } = inject('servers').s3
    const path = await folder()
    const keys = `aws_access_key_id=${accessKeyId}\naws_secret_access_key=${secretAccessKey}\n`
    await writeFile(join(path, 'credentials'), `[team]\n${keys}`)
    await writeFile(join(path, 'config'), `[profile team]\nregion=${region}\n`)
    vi.stubEnv('AWS_SHARED_CREDENTIALS_FILE', join(path, 'credentials'))
    vi.stubEnv('AWS_CONFIG_FILE', join(path, 'config'))
    const connector = await opened({ ...(await bucketWithout()), profile: 'team' })
    await put(connector, 'a', text('1'))
    expect(await keysOf(connector)).toEqual(['a'])
  })

  it('come from the environment', async () => {
    vi.stubEnv('AWS_ACCESS_KEY_ID', inject('servers').s3.accessKeyId)
    vi.stubEnv('AWS_SECRET_ACCESS_KEY', inject('servers').s3.secretAccessKey)
    const connector = await opened(await bucketWithout())
    expect(await keysOf(connector)).toEqual([])
  })

  it('come from the instance’s role, and are asked for again before they expire', async () => {
    let given = 0
    const metadata = await scriptedServer(({ method, path, headers }) => {
      if (method === 'PUT' && path === '/latest/api/token') return { body: 'session' }
      if (headers['x-aws-ec2-metadata-token'] !== 'session') return { status: 401 }
      if (path.endsWith('/security-credentials/')) return { body: 'the-role' }
      const minutes = given === 0 ? 4 : 60
      const Expiration = new Date(Date.now() + minutes * 60_000).toISOString()
      const keys = { AccessKeyId: `key-${++given}`, SecretAccessKey: 's', Token: `token-${given}` }
      return { body: { Code: 'Success', Type: 'AWS-HMAC', Expiration, ...keys } }
    })
    vi.stubEnv('AWS_EC2_METADATA_DISABLED', undefined)
    vi.stubEnv('AWS_EC2_METADATA_SERVICE_ENDPOINT', metadata.endpoint)
    const store = await scriptedServer(() => found())
    const connector = await opened({
      ...{ type: 's3', bucket: 'b', prefix: '', region: 'x', endpoint: store.endpoint },
    })
    await connector.stat('a', calling())
    expect(keyIdIn(store.requests[0])).toBe('key-1')
    expect(store.requests[0]?.headers['x-amz-security-token']).toBe('token-1')

    vi.useFakeTimers({ now: Date.now() + 5 * 60_000, toFake: ['Date'] })
    onTestFinished(() => void vi.useRealTimers())
    await Promise.all([connector.stat('a', calling()), connector.stat('b', calling())])
    expect(store.requests.slice(1).map(keyIdIn)).toEqual(['key-2', 'key-2'])
    expect(given).toBe(2)
  })

  it('that are nowhere are unauthenticated, at each call and not before', async () => {
    const connector = await opened(await bucketWithout())
    await failsWith('unauthenticated', keysOf(connector))
    await failsWith('unauthenticated', connector.stat('a', calling()))
  })
})

describe('where a bucket is', () => {
  const aws = { type: 's3', bucket: 'acme', prefix: '', region: 'eu-west-1' } as const

  it.each([
    [aws, 'https://acme.s3.eu-west-1.amazonaws.com', ''],
    [{ ...aws, bucket: 'a.b' }, 'https://s3.eu-west-1.amazonaws.com', '/a.b'],
    [{ ...aws, 'path-style': true }, 'https://s3.eu-west-1.amazonaws.com', '/acme'],
    [{ ...aws, region: 'cn-north-1' }, 'https://acme.s3.cn-north-1.amazonaws.com.cn', ''],
    [{ ...aws, endpoint: 'http://127.0.0.1:9/base' }, 'http://127.0.0.1:9', '/base/acme'],
    [{ ...aws, endpoint: 'http://h:9', 'path-style': false }, 'http://acme.h:9', ''],
  ])('%j is at %s%s', async (options, origin, path) => {
    const target = await resolveTarget(options)
    expect(target).toMatchObject({ origin, path })
    const sibling = target.addressOf('other')
    expect(`${sibling.origin}${sibling.path}`).toBe(
      `${origin}${path}`.replace(/acme|a\.b/, 'other'),
    )
  })

  it.each([
    ['https://acc.r2.cloudflarestorage.com', 'r2', 'auto'],
    ['https://s3.eu-central-003.backblazeb2.com', 'b2', 'eu-central-003'],
    ['https://s3.eu-west-2.wasabisys.com', 'wasabi', 'eu-west-2'],
    ['https://s3.eu-west-1.amazonaws.com', 'aws', 'eu-west-1'],
    ['https://play.min.io', 'minio', 'us-east-1'],
    ['http://127.0.0.1:7070', 'other', 'us-east-1'],
  ])('%s is %s, in %s', async (endpoint, provider, region) => {
    const keys = { 'access-key-id': 'a', 'secret-access-key': 'b' }
    const options: S3Options = { type: 's3', bucket: 'acme', prefix: '', endpoint, ...keys }
    expect(await resolveTarget(options)).toMatchObject({ provider, region })
  })

  it('may be told by the environment, as to every AWS tool', async () => {
    vi.stubEnv('AWS_ENDPOINT_URL_S3', 'https://minio.example.net')
    const target = await resolveTarget({ ...aws, 'path-style': true })
    expect(target).toMatchObject({ origin: 'https://minio.example.net', path: '/acme' })
    expect(target.place).toBe('https://minio.example.net')
  })

  it('without a region is refused before anything is asked', async () => {
    const { region: _, ...nowhere } = aws
    await failsWith('unsupported', create(nowhere, suiteContext('s3')))
  })

  it('may not be a directory bucket: those list without order', async () => {
    const bucket = 'acme--use1-az4--x-s3'
    await failsWith('unsupported', create({ ...aws, bucket }, suiteContext('s3')))
  })

  it('needs no SDK where keys and endpoint are given', async () => {
    const script = `
      import { createRequire } from 'node:module'
      import { create } from './connectors/s3.ts'
      const options = { type: 's3', bucket: 'b', prefix: '', endpoint: 'http://127.0.0.1:9',
        'access-key-id': 'a', 'secret-access-key': 'b' }
      await create(options, { name: 's3', concurrency: 1, partBytes: 1 })
      const loaded = Object.keys(createRequire(import.meta.url).cache)
      console.log(loaded.filter((file) => file.includes('@aws-sdk')).length)`
    const args = ['--input-type=module', '-e', script]
    const { stdout } = await promisify(execFile)(process.execPath, args)
    expect(stdout.trim()).toBe('0')
  })
})

describe('identity and domain', () => {
  it('name place, bucket and prefix, and tell no secret', async () => {
    const { connector, endpoint } = await scripted(() => ({
      body: '<ListBucketResult><IsTruncated>false</IsTruncated></ListBucketResult>',
    }))
    const identity = await connector.identity({ ...calling(), create: true })
    expect(identity).toBe(`s3:${endpoint}/b/p/`)
    expect(connector.traits).toMatchObject({ copyDomain: `s3:${endpoint}:id`, copyRoot: '/b/p/' })
  })
})

describe('metadata', () => {
  it('outside of ASCII comes back as it was', async () => {
    const world = await s3World()
    onTestFinished(() => world.close())
    const user = {
      greek: 'αβγ \u{1f600}',
      spaces: ' around  and  inside ',
      word: '=?UTF-8?B?b2g=?=',
      plain: 'a, b; c="d"',
      empty: '',
    }
    const size = (s3Context.partBytes ?? 0) + 1
    for (const bytes of [text('1'), noise(size, 'parts')]) {
      const key = `of ${bytes.length}`
      const { metadata } = await put(world.connector, key, bytes, null, { metadata: { user } })
      expect(metadata).toEqual({ user })
      expect((await entryAt(world.connector, key)).metadata).toEqual({ user })
    }
  })

  it('that others wrote as quoted words is read', async () => {
    const words = '=?utf-8?Q?caf=C3=A9_au?= =?UTF-8?B?IGxhaXQ=?='
    const { connector } = await scripted(() => found({ 'x-amz-meta-drink': words }))
    expect((await entryAt(connector, 'a')).metadata).toEqual({ user: { drink: 'café au lait' } })
  })

  it('that says nothing, or how an SDK sent the bytes, is none', async () => {
    const headers = { 'content-type': 'binary/octet-stream', 'content-encoding': 'aws-chunked' }
    const { connector } = await scripted(() => found(headers))
    expect((await entryAt(connector, 'a')).metadata).toEqual({})
    const both = await scripted(() => found({ 'content-encoding': 'aws-chunked,gzip' }))
    expect((await entryAt(both.connector, 'a')).metadata).toEqual({ contentEncoding: 'gzip' })
  })

  it.each([
    { contentDisposition: 'attachment; filename="é.csv"' },
    { contentType: 'text/plain\r\nx-amz-acl: public-read' },
    { user: { 'not a name': 'x' } },
    { user: { ключ: 'x' } },
  ])('%j is refused, and nothing is sent', async (metadata) => {
    const { connector, requests } = await scripted(() => found())
    await failsWith('cannot-hold', put(connector, 'a', text('1'), null, { metadata }))
    expect(requests).toEqual([])
  })
})

describe('connections', () => {
  it('are kept over heads and refusals', async () => {
    const { connector, requests } = await scripted(({ path }) =>
      path.endsWith('/gone') ? { status: 412 } : found(),
    )
    for (let i = 0; i < 3; i++) {
      await connector.stat('a', calling())
      await failsWith('changed-meanwhile', readAll(connector, 'gone', { id: 'x' }))
    }
    expect(requests.map(({ headers }) => headers.connection)).not.toContain('close')
  })

  it('closed by the store between two requests: a read is sent again, a write is not', async () => {
    const served = new Map<unknown, number>()
    const store = createServer((request, response) => {
      const before = served.get(request.socket) ?? 0
      served.set(request.socket, before + 1)
      if (before > 0) request.socket.destroy()
      else response.writeHead(200, found({ 'content-length': '1' }).headers).end('x')
    })
    await new Promise<void>((resolve) => store.listen(0, '127.0.0.1', resolve))
    onTestFinished(() => void store.close())
    const endpoint = `http://127.0.0.1:${(store.address() as AddressInfo).port}`
    const connector = await opened(s3Options({ endpoint }))
    // undici takes a connection for free only a turn after its reply.
    const stat = () => connector.stat('a', calling()).then(() => setImmediate())
    await stat()
    await stat()
    expect([...served.values()]).toEqual([2, 1])
    await failsWith('unavailable', put(connector, 'a', text('1')))
    expect([...served.values()]).toEqual([2, 2])
  })
})
