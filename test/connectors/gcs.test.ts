/** What is GCS's own: what fake-gcs-server gets wrong, failures on demand, credentials, names. */
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, describe, expect, inject, it, onTestFinished, vi } from 'vitest'
import type { Connector } from '../../connectors/connector.ts'
import { digestsOf } from '../../connectors/digests.ts'
import { create } from '../../connectors/gcs.ts'
import { toBase64 } from '../../connectors/gcs-object.ts'
import type { OptionsOf } from '../../connectors/options.ts'
import { keyProblem } from '../../src/sync/keys.ts'
import {
  calling,
  failsWith,
  keysOf,
  noise,
  put,
  readAll,
  removing,
  suiteContext,
  text,
} from '../conformance/world.ts'
import { gcsOptions, gcsWorld } from './gcs-world.ts'
import {
  type Answer,
  type Recorded,
  type ScriptedServer,
  scriptedServer,
} from './scripted-server.ts'

const bytes = text('content')
const token = { id: '7.2' }

function object(key: string, given: object = {}) {
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

function refusal(status: number, reason = ''): Answer {
  return { status, body: { error: { code: status, message: 'no', errors: [{ reason }] } } }
}

const emptyList: Answer = { body: { kind: 'storage#objects' } }
const isList = ({ path }: Recorded) => path === '/storage/v1/b/b/o'

async function scripted(
  answer: (request: Recorded) => Answer | Promise<Answer>,
  given: Partial<OptionsOf<'gcs'>> = {},
): Promise<ScriptedServer & { connector: Connector }> {
  const server = await scriptedServer(answer)
  const connector = await connectorAt(server.endpoint, given)
  return { ...server, connector }
}

async function connectorAt(endpoint: string, given: Partial<OptionsOf<'gcs'>> = {}) {
  const options = gcsOptions(endpoint, 'b', { prefix: 'p/', ...given })
  const connector = await create(options, suiteContext('gcs'))
  onTestFinished(() => connector.close())
  return connector
}

describe('conditions that fake-gcs-server does not heed', () => {
  it('a remove names generation and metageneration, and no version to delete for good', async () => {
    const { connector, requests } = await scripted(() => ({ status: 204 }))
    await connector.remove('k', token, removing())
    expect(requests).toMatchObject([{ method: 'DELETE', path: '/storage/v1/b/b/o/p%2Fk' }])
    expect(requests[0]?.query).toEqual({ ifGenerationMatch: '7', ifMetagenerationMatch: '2' })
  })

  it('a refused remove is changed-meanwhile where the object is, not-found where not', async () => {
    let there = true
    const { connector } = await scripted((request) => {
      if (request.method === 'DELETE') return refusal(412, 'conditionNotMet')
      if (isList(request)) return emptyList
      return there ? { body: object('k', { generation: '8' }) } : refusal(404, 'notFound')
    })
    await failsWith('changed-meanwhile', connector.remove('k', token, removing()))
    there = false
    await failsWith('not-found', connector.remove('k', token, removing()))
  })

  it('every write names what it expects, also of metadata', async () => {
    const { connector, requests } = await scripted(() => ({ body: object('k') }))
    await put(connector, 'k', bytes)
    await put(connector, 'k', bytes, token)
    expect(requests.map(({ query }) => query)).toMatchObject([
      { ifGenerationMatch: '0' },
      { ifGenerationMatch: '7', ifMetagenerationMatch: '2' },
    ])
    expect(requests[0]?.query).not.toHaveProperty('ifMetagenerationMatch')
  })

  it('a copy names source and target, and goes on until it is done', async () => {
    let calls = 0
    const { connector, requests } = await scripted(() =>
      ++calls < 3
        ? { body: { done: false, rewriteToken: `t${calls}` } }
        : { body: { done: true, resource: object('k') } },
    )
    const source = { connector, key: 's', token: { id: '5.1' }, size: 7 }
    const metadata = { contentType: 'text/csv' }
    const options = { ...calling(), metadata, digests: {}, beforeCommit: async () => {} }
    const entry = await connector.copyWithin?.('k', source, token, options)
    expect(entry?.token).toEqual(token)
    expect(requests.map(({ query }) => query.rewriteToken)).toEqual([undefined, 't1', 't2'])
    for (const { path, query, body } of requests) {
      expect(path).toBe('/storage/v1/b/b/o/p%2Fs/rewriteTo/b/b/o/p%2Fk')
      expect(query).toMatchObject({
        sourceGeneration: '5',
        ifSourceGenerationMatch: '5',
        ifSourceMetagenerationMatch: '1',
        ifGenerationMatch: '7',
        ifMetagenerationMatch: '2',
      })
      expect(JSON.parse(String(body))).toMatchObject(metadata)
    }
  })

  it('a refused copy is changed-meanwhile', async () => {
    const { connector } = await scripted(() => refusal(412, 'conditionNotMet'))
    const source = { connector, key: 's', token: { id: '5.1' }, size: 7 }
    const options = { ...calling(), metadata: {}, digests: {}, beforeCommit: async () => {} }
    const copy = connector.copyWithin?.('k', source, null, options) ?? Promise.resolve()
    await failsWith('changed-meanwhile', copy)
  })

  it('other metadata on the same bytes is another state', async () => {
    const { connector } = await scripted(({ query }) =>
      query.alt === 'media' ? { body: bytes } : { body: object('k', { metageneration: '3' }) },
    )
    await failsWith('changed-meanwhile', readAll(connector, 'k', token))
  })
})

describe('listings', () => {
  const page = (keys: string[], nextPageToken?: string) => ({
    kind: 'storage#objects',
    items: keys.map((key) => object(key)),
    ...(nextPageToken && { nextPageToken }),
  })

  it('a page that is cut short, or is no listing, fails and never ends the listing', async () => {
    const whole = JSON.stringify(page(['a', 'b']))
    const bad: Answer[] = [
      { body: whole.slice(0, -10) },
      { body: whole, cutAt: 40 },
      { body: '<html>sign in</html>' },
      { body: '' },
      { body: {} },
      { body: 'null' },
      { body: { kind: 'storage#objects', items: {} } },
      { body: { kind: 'storage#objects', items: [{ name: 'p/a' }] } },
      { body: { kind: 'storage#objects', items: [object('a', { name: 'elsewhere/a' })] } },
    ]
    for (const answer of bad) {
      const { connector } = await scripted(({ query }) =>
        query.pageToken ? answer : { body: page(['0'], 'next') },
      )
      await failsWith('unavailable', keysOf(connector))
    }
  })

  it('an empty page in the middle is passed over', async () => {
    const pages = [page(['a'], '1'), page([], '2'), page(['b'])]
    const { connector } = await scripted(({ query }) => ({
      body: pages[Number(query.pageToken ?? 0)] ?? {},
    }))
    expect(await keysOf(connector)).toEqual(['a', 'b'])
  })

  it('an object composed of others has only its crc32c', async () => {
    const item = object('a', { md5Hash: undefined, componentCount: 2 })
    const { connector } = await scripted(() => ({
      body: { kind: 'storage#objects', items: [item] },
    }))
    for await (const { entries } of connector.list(
      { from: null, to: null },
      undefined,
      calling(),
    )) {
      expect(entries.map((entry) => Object.keys(entry.digests))).toEqual([['crc32c']])
    }
  })

  it('markers for folders are reported and are no keys', async () => {
    const world = await gcsWorld(inject('servers').gcs.endpoint)
    onTestFinished(() => world.close())
    for (const key of ['', 'd/', 'd/x'])
      await world.putForeign(key, text(key.length > 2 ? '1' : ''))
    const pages = []
    for await (const one of world.connector.list({ from: null, to: null }, undefined, calling())) {
      pages.push(one)
    }
    expect(pages.flatMap(({ skipped }) => skipped.map(({ key }) => key))).toEqual(['', 'd/'])
    expect(pages.flatMap(({ entries }) => entries.map(({ key }) => key))).toEqual(['d/x'])
  })
})

describe('answers', () => {
  it.each([
    [401, '', 'unauthenticated'],
    [403, 'forbidden', 'denied'],
    [403, 'rateLimitExceeded', 'throttled'],
    [429, 'rateLimitExceeded', 'throttled'],
    [408, '', 'unavailable'],
    [500, 'backendError', 'unavailable'],
    [503, 'backendError', 'unavailable'],
    [507, '', 'no-space'],
    [400, 'invalid', 'unsupported'],
    [413, 'uploadTooLarge', 'cannot-hold'],
  ] as const)('%i %s is %s', async (status, reason, code) => {
    const { connector } = await scripted(() => refusal(status, reason))
    await failsWith(code, connector.identity({ ...calling(), create: false }))
    await failsWith(code, connector.stat('k', calling()))
    await failsWith(code, readAll(connector, 'k', token))
    await failsWith(code, put(connector, 'k', bytes))
    await failsWith(code, connector.remove('k', token, removing()))
    await failsWith(code, keysOf(connector))
  })

  it('a 404 that a proxy may have said is no absence', async () => {
    const { connector } = await scripted(() => ({ status: 404, body: '<html>not here</html>' }))
    await failsWith('unavailable', connector.stat('k', calling()))
    await failsWith('unavailable', connector.remove('k', token, removing()))
    await failsWith('unavailable', keysOf(connector))
  })

  it('a 404 for the key where the bucket cannot be listed is no absence', async () => {
    const { connector } = await scripted((request) =>
      isList(request) ? refusal(403, 'forbidden') : refusal(404, 'notFound'),
    )
    await failsWith('denied', connector.stat('k', calling()))
  })

  it('bytes that are cut, too few or not the object’s own are an error', async () => {
    const answers = [
      [{ body: bytes, cutAt: 3 }, 'unavailable'],
      [{ body: 'short' }, 'unavailable'],
      [{ body: 'CONTENT' }, 'corrupt'],
    ] as const
    for (const [answer, code] of answers) {
      const { connector } = await scripted(({ query }) =>
        query.alt === 'media' ? answer : { body: object('k') },
      )
      await failsWith(code, readAll(connector, 'k', token))
    }
  })

  it('an identity names endpoint, bucket and prefix', async () => {
    const { connector, endpoint } = await scripted(() => emptyList)
    const identity = await connector.identity({ ...calling(), create: false })
    expect(identity).toBe(`gcs:${endpoint}/b/p/`)
    expect(connector.traits).toMatchObject({ copyDomain: `gcs:${endpoint}`, copyRoot: 'b/p/' })
  })
})

// ── resumable uploads, against a store that keeps the real protocol ─────────────────────────────

const quantum = 256 * 1024
const path = '/upload/storage/v1/b/b/o'

/** GCS's own side of a resumable upload. `keeps`: bytes that it takes of each chunk at most. */
function uploadStore(given: { keeps?: number } = {}) {
  const sessions = new Map<string, Buffer>()
  const sent: string[] = []
  function chunk(id: string, { headers, body }: Recorded): Answer {
    const got = sessions.get(id)
    if (!got) return refusal(410)
    const range = String(headers['content-range'])
    const [, from, size] = /^bytes (?:(\d+)-\d+|\*)\/(\d+)$/.exec(range) ?? []
    if (body.length > 0) sent.push(range)
    const skip = from === undefined ? 0 : got.length - Number(from)
    const now = Buffer.concat([got, body.subarray(skip, skip + (given.keeps ?? body.length))])
    sessions.set(id, now)
    if (now.length < Number(size)) {
      return { status: 308, headers: now.length > 0 ? { range: `bytes=0-${now.length - 1}` } : {} }
    }
    sessions.delete(id)
    const { crc32c = '' } = digestsOf(now)
    if (headers['x-goog-hash'] !== `crc32c=${toBase64(crc32c)}`) return refusal(400, 'invalid')
    return { body: object('k', { size, md5Hash: undefined, crc32c: toBase64(crc32c) }) }
  }
  return {
    sessions,
    sent,
    answer(request: Recorded): Answer {
      const id = request.query.upload_id
      if (request.method === 'POST') {
        const location = `http://elsewhere.example${path}?upload_id=${sessions.size + 1}`
        sessions.set(String(sessions.size + 1), Buffer.alloc(0))
        return { headers: { location } }
      }
      if (request.method !== 'DELETE') return chunk(String(id), request)
      return { status: sessions.delete(String(id)) ? 499 : 410 }
    },
  }
}

function sessionWith(state?: string) {
  const saved: (string | null)[] = []
  const save = async (next: string | null) => void saved.push(next)
  return { session: { state, save }, saved }
}

/** A source that breaks after so many bytes. */
async function* breaking(content: Buffer, after: number) {
  for (let at = 0; at < after; at += quantum / 4) yield content.subarray(at, at + quantum / 4)
  throw new Error('the source broke')
}

async function interrupted(connector: Connector, content: Buffer): Promise<string> {
  const { session, saved } = sessionWith()
  const body = breaking(content, quantum * 3.5)
  const options = { ...removing(), size: content.length, metadata: {}, digests: {}, session }
  await expect(connector.write('k', body, null, options)).rejects.toThrow('the source broke')
  return String(saved.at(-1))
}

describe('a resumable upload', () => {
  const content = noise(quantum * 5, 'content')

  it('goes on where it stopped, on the endpoint of the config', async () => {
    const store = uploadStore()
    const { connector, requests } = await scripted(store.answer)
    const state = await interrupted(connector, content)
    store.sent.length = 0
    const { session, saved } = sessionWith(state)
    const entry = await put(connector, 'k', content, null, { session })
    expect(entry.size).toBe(content.length)
    expect(store.sent).toEqual([
      `bytes ${quantum * 3}-${quantum * 4 - 1}/${content.length}`,
      `bytes ${quantum * 4}-${content.length - 1}/${content.length}`,
    ])
    expect(saved).toEqual([null])
    expect(requests.find(({ method }) => method === 'POST')?.query.ifGenerationMatch).toBe('0')
  })

  it('sends again what the store did not keep of a chunk', async () => {
    const store = uploadStore({ keeps: quantum / 2 })
    const { connector } = await scripted(store.answer)
    await put(connector, 'k', content)
    expect(store.sent.length).toBe(10)
    expect(store.sent[1]).toBe(`bytes ${quantum / 2}-${quantum - 1}/${content.length}`)
  })

  it('begins anew where the store forgot the session, or has other content in it', async () => {
    const store = uploadStore()
    const { connector } = await scripted(store.answer)
    const state = await interrupted(connector, content)
    const other = noise(content.length, 'other')
    await put(connector, 'k', other, null, { session: sessionWith(state).session })
    expect([...store.sessions]).toEqual([])
    await put(connector, 'k', content, null, { session: sessionWith(state).session })
  })

  it('is refused at its end where the content differs later, and the retry begins anew', async () => {
    const store = uploadStore()
    const { connector } = await scripted(store.answer)
    const state = await interrupted(connector, content)
    const other = Buffer.concat([content.subarray(0, quantum), noise(quantum * 4, 'other')])
    const { session, saved } = sessionWith(state)
    await failsWith('corrupt', put(connector, 'k', other, null, { session }))
    expect(saved).toEqual([null])
    await put(connector, 'k', other)
  })

  it('whose session goes in mid-way is to be tried again from the start', async () => {
    const store = uploadStore()
    const { connector } = await scripted((request) => {
      if (store.sent.length === 2) store.sessions.clear()
      return store.answer(request)
    })
    const { session, saved } = sessionWith()
    await failsWith('unavailable', put(connector, 'k', content, null, { session }))
    expect(saved.at(-1)).toBeNull()
  })

  it('without a place to keep its session drops it when it fails', async () => {
    const store = uploadStore()
    const { connector } = await scripted(store.answer)
    const options = { ...removing(), size: content.length, metadata: {}, digests: {} }
    const write = connector.write('k', breaking(content, quantum * 2.5), null, options)
    await expect(write).rejects.toThrow('the source broke')
    expect(store.sessions.size).toBe(0)
  })
})

// ── credentials ─────────────────────────────────────────────────────────────────────────────────

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

describe('names', () => {
  it('that only a whole name forbids are held below a prefix', async () => {
    const below = await connectorAt('http://127.0.0.1:1')
    const top = await connectorAt('http://127.0.0.1:1', { prefix: '' })
    for (const key of ['.', '..', '.well-known/acme-challenge/x']) {
      expect(keyProblem(key, below.traits.keys)).toBeNull()
      await failsWith('cannot-hold', put(top, key, bytes))
    }
    for (const key of ['a\nb', 'a\rb']) await failsWith('cannot-hold', put(below, key, bytes))
  })
})
