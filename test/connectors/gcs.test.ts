/** What is GCS's own: what fake-gcs-server gets wrong, failures on demand, credentials, names. */
import { describe, expect, inject, it, onTestFinished } from 'vitest'
import { keyProblem } from '../../src/sync/keys.ts'
import {
  calling,
  failsWith,
  keysOf,
  pagesOf,
  put,
  readAll,
  removing,
  text,
} from '../conformance/world.ts'
import {
  bytes,
  connectorAt,
  emptyList,
  gcsWorld,
  isList,
  object,
  refusal,
  scripted,
  token,
} from './gcs-world.ts'
import type { Answer } from './scripted-server.ts'

describe('conditions that fake-gcs-server does not heed', () => {
  it('a remove names both generations, and no version to delete for good', async () => {
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
      { body: { kind: 'storage#objects', items: [{ size: '1' }] } },
      { body: { ...page(['a'], 'x'), nextPageToken: 7 } },
      { body: { ...page(['a'], 'x'), nextPageToken: '' } },
      { body: { kind: 'storage#objects', items: [], nextPageTokem: 'x' } },
      { body: '{"kind":"storage#objects","items":[],"items":[]}' },
      { body: { kind: 'storage#objects', items: [object('a', { name: 'elsewhere/a' })] } },
    ]
    for (const answer of bad) {
      const { connector } = await scripted(({ query }) =>
        query.pageToken ? answer : { body: page(['0'], 'next') },
      )
      await failsWith('unavailable', keysOf(connector))
    }
  })

  it('an object without a size, time or generation that makes sense is skipped by name, alone', async () => {
    const items = [
      object('a', { size: '' }),
      object('b', { size: '99999999999999999999' }),
      object('c', { size: -1 }),
      object('d', { generation: '' }),
      object('e', { updated: '1' }),
      object('f', { metadata: { a: 1 } }),
      object('g'),
    ]
    const { connector } = await scripted(() => ({ body: { kind: 'storage#objects', items } }))
    const [found] = await pagesOf(connector)
    expect(found?.entries.map(({ key }) => key)).toEqual(['g'])
    const lacking = ['size', 'size', 'size', 'generation', 'time', 'metadata']
    expect(found?.skipped.map(({ reason }) => reason)).toEqual(
      lacking.map((what) => `the store gives it no ${what} that makes sense`),
    )
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
    expect(pages.flatMap(({ skipped }) => skipped.map(({ key }) => key))).toEqual(['d/'])
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
