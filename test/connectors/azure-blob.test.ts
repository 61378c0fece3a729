/** What is Azure's own: order, folders, credentials, names, and failures on demand. */
import { describe, expect, it } from 'vitest'
import { digestsOf } from '../../connectors/digests.ts'
import { keyProblem } from '../../src/sync/keys.ts'
import {
  calling,
  entriesOf,
  entryAt,
  expectContent,
  failsWith,
  keysOf,
  noise,
  pagesOf,
  put,
  readAll,
  removing,
  suiteContext,
  text,
  whole,
} from '../conformance/world.ts'
import {
  azurite,
  bytes,
  connectorAt,
  key,
  md5,
  page,
  refusal,
  scripted,
  token,
} from './azure-world.ts'
import type { Answer } from './scripted-server.ts'

const time = 'Mon, 06 May 2024 07:08:09 GMT'
const blobHeaders = { etag: '"0x1"', 'last-modified': time }

function blob(name: string, extra = '') {
  const changed = `<Last-Modified>${time}</Last-Modified><Etag>0x1</Etag>`
  const properties = `${changed}<Content-Length>7</Content-Length>`
  return `<Blob><Name>${name}</Name><Properties>${properties}</Properties>${extra}</Blob>`
}

describe('listings', () => {
  it('a page that is cut short, or is no listing, fails and never ends the listing', async () => {
    const good = page(blob('p/b'))
    const bad: Answer[] = [
      { body: good.slice(0, -10) },
      { body: good, cutAt: 60 },
      { body: '<html>sign in</html>' },
      { body: '' },
      { body: '<?xml version="1.0"?><EnumerationResults></EnumerationResults>' },
      { body: page(blob('p/b'), '') },
      { body: page(`${blob('p/b')}<Blob><Name>p/c</Name>`) },
    ]
    for (const answer of bad) {
      const first = { body: page(blob('p/a'), '<NextMarker>next</NextMarker>') }
      const { connector } = await scripted(({ query }) => (query.marker ? answer : first))
      await failsWith('unavailable', keysOf(connector))
    }
  })

  it('a blob without a size, time or ETag that makes sense is skipped by name, alone', async () => {
    const senseless = [
      blob('p/a').replace('<Etag>0x1</Etag>', ''),
      blob('p/b').replace('<Content-Length>7', '<Content-Length>'),
      blob('p/c').replace('<Content-Length>7', '<Content-Length>-7'),
      blob('p/d').replace(time, 'yesterday'),
      blob('p/\u{1f600}').replace(time, '1'),
    ]
    const all = page(`${blob('p/A')}${senseless.join('')}${blob('p/\uff5e')}`)
    const { connector } = await scripted(() => ({ body: all }))
    const [found] = await pagesOf(connector)
    expect(found?.entries.map(({ key }) => key)).toEqual(['A', '\uff5e'])
    expect(found?.skipped.map(({ key, reason }) => `${key}: ${reason.split(' that')[0]}`)).toEqual([
      'a: the listing gives it no ETag',
      'b: the listing gives it no size',
      'c: the listing gives it no size',
      'd: the listing gives it no time',
      '\u{1f600}: the listing gives it no time',
    ])
  })

  it('a page out of its order fails', async () => {
    const { connector } = await scripted(() => ({ body: page(blob('p/b') + blob('p/a')) }))
    await failsWith('corrupt', keysOf(connector))
  })

  it('no name and no metadata is taken for the listing’s own words', async () => {
    const metadata =
      '<Metadata><Blob>&lt;/Blob&gt;</Blob><Metadata>&amp;x</Metadata>' +
      '<NextMarker>n</NextMarker><empty /></Metadata>'
    const inner =
      blob('p/&lt;NextMarker&gt;', metadata) +
      blob('p/b', '<Metadata />') +
      blob('x').replace('<Name>x', '<Name Encoded="true">p%2Fc%EF%BF%BFd')
    const { connector } = await scripted(() => ({ body: page(inner) }))
    const entries = await entriesOf(connector)
    expect(entries.map((entry) => entry.key)).toEqual(['<NextMarker>', 'b', 'c\uffffd'])
    const user = { blob: '</Blob>', metadata: '&x', nextmarker: 'n', empty: '' }
    expect(entries[0]?.metadata).toEqual({ user })
    expect(entries[1]?.metadata).toEqual({})
  })

  it('asks for no snapshots, versions, deleted or uncommitted blobs, and shows none', async () => {
    const { connector, container } = await azurite()
    await put(connector, 'k', text('1'))
    await container.getBlobClient('some where/k').createSnapshot()
    await container.getBlockBlobClient('some where/staged').stageBlock('AAAA', text('1'), 1)
    expect(await keysOf(connector)).toEqual(['k'])
    const { connector: other, requests } = await scripted(() => ({ body: page('') }))
    await keysOf(other)
    expect(requests[0]?.query.include).toBe('metadata')
  })
})

describe('a blob with snapshots', () => {
  it('is not removed, for they would go with it', async () => {
    const { connector, container } = await azurite()
    const { token: present } = await put(connector, 'k', text('1'))
    await container.getBlobClient('some where/k').createSnapshot()
    await failsWith('unsupported', connector.remove('k', present, removing()))
    await expectContent(connector, 'k', text('1'))
  })
})

describe('a hierarchical namespace', () => {
  const keys = ['a-b', 'a.txt', 'a/b', 'a/b/c', 'a/x', 'a0', 'd/\u{1f600}', 'd/\uff5e', 'z']

  it('is walked by folder, in the order of bytes, across pages and within ranges', async () => {
    const { at, server, connector } = await azurite()
    const tree = await at({ 'connection-string': server.connectionString, hierarchical: true })
    for (const one of keys) await put(connector, one, text(one))
    const sorted = [...keys].sort((a, b) => Buffer.compare(Buffer.from(a), Buffer.from(b)))
    const pages = await pagesOf(tree)
    expect(pages.flatMap(({ entries }) => entries.map((entry) => entry.key))).toEqual(sorted)
    let seen = 0
    for (const { entries, resume } of pages) {
      seen += entries.length
      if (resume) expect(await keysOf(tree, whole, resume)).toEqual(sorted.slice(seen))
    }
    for (const bound of ['a', 'a/', 'a/b', 'a/b/', 'a/b/zz', 'd/\uff5e', '~']) {
      const at = Buffer.from(bound)
      const isBefore = (one: string) => Buffer.compare(Buffer.from(one), at) < 0
      expect(await keysOf(tree, { from: null, to: bound })).toEqual(sorted.filter(isBefore))
      const behind = sorted.filter((one) => !isBefore(one))
      expect(await keysOf(tree, { from: bound, to: null })).toEqual(behind)
    }
  })

  it('has folders, which are no entries', async () => {
    const { at, server, container } = await azurite()
    const tree = await at({ 'connection-string': server.connectionString, hierarchical: true })
    const folder = { metadata: { hdi_isfolder: 'true' } }
    await container.getBlockBlobClient('some where/d').upload('', 0, folder)
    await container.getBlockBlobClient('some where/d/k').upload('1', 1)
    expect(await keysOf(tree)).toEqual(['d/k'])
    expect(await tree.stat('d', calling())).toBeNull()
    expect(tree.traits.keys.pathLike).toBe(true)
    await failsWith('cannot-hold', put(tree, 'a//b', bytes))
  })
})

describe('metadata', () => {
  it('keeps names that Azure does not have, and their case is none', async () => {
    const { connector, container } = await azurite()
    const user = {
      'build-id': '1',
      'a.b': '2',
      '1st': '3',
      a_b: '4',
      a1: '5',
      a_x002d_b: '6',
      'ü😀': '7',
    }
    await put(connector, 'k', bytes, null, { metadata: { user } })
    expect((await entryAt(connector, 'k')).metadata).toEqual({ user })
    expect((await entriesOf(connector))[0]?.metadata).toEqual({ user })
    const { metadata } = await container.getBlobClient('some where/k').getProperties()
    expect(Object.keys(metadata ?? {})).toContain('build_x002d_id')
    await container.getBlockBlobClient('some where/l').upload('', 0, { metadata: { Owner: 'me' } })
    expect((await entryAt(connector, 'l')).metadata).toEqual({ user: { owner: 'me' } })
  })

  it('that no header can hold is refused, and nothing is written', async () => {
    const { connector } = await azurite()
    for (const value of ['ü', ' x', 'x ', 'a\nb']) {
      await failsWith(
        'cannot-hold',
        put(connector, 'k', bytes, null, { metadata: { user: { value } } }),
      )
      const metadata = { contentDisposition: value }
      await failsWith('cannot-hold', put(connector, 'k', bytes, null, { metadata }))
    }
    expect(await keysOf(connector)).toEqual([])
  })
})

describe('names', () => {
  it('that Azure would change are refused', async () => {
    const connector = await connectorAt({ account: 'me', 'account-key': key })
    const parts = (count: number) => Array(count).fill('x').join('/')
    for (const name of ['a\\b', 'a.', 'a./b', '...', 'a/', 'a\u0007', 'a\u0081', parts(254)]) {
      expect(keyProblem(name, connector.traits.keys), name).not.toBeNull()
      await failsWith('cannot-hold', put(connector, name, bytes))
    }
    for (const name of ['.a', 'a..b', 'a/.b', '/a', 'a//b', parts(253)]) {
      expect(keyProblem(name, connector.traits.keys), name).toBeNull()
    }
  })

  it('with empty parts are kept', async () => {
    const { connector } = await azurite()
    for (const name of ['/a', 'a//b', '//']) {
      if (keyProblem(name, connector.traits.keys)) continue
      const { token: present } = await put(connector, name, text(name))
      expect(await keysOf(connector)).toEqual([name])
      await expectContent(connector, name, text(name))
      await connector.remove(name, present, removing())
    }
  })
})

describe('answers', () => {
  it.each([
    [403, 'AuthenticationFailed', 'unauthenticated'],
    [401, 'NoAuthenticationInformation', 'unauthenticated'],
    [403, 'AuthorizationFailure', 'denied'],
    [403, 'AuthorizationPermissionMismatch', 'denied'],
    [404, 'ContainerNotFound', 'root-missing'],
    [409, 'ContainerBeingDeleted', 'root-missing'],
    [412, 'LeaseIdMissing', 'denied'],
    [500, 'OperationTimedOut', 'unavailable'],
    [503, 'ServerBusy', 'throttled'],
    [429, '', 'throttled'],
    [502, '', 'unavailable'],
    [400, 'InvalidHeaderValue', 'unsupported'],
  ] as const)('%i %s is %s', async (status, code, expected) => {
    const { connector } = await scripted(() => refusal(status, code))
    await failsWith(expected, connector.identity({ ...calling(), create: false }))
    await failsWith(expected, connector.stat('k', calling()))
    await failsWith(expected, readAll(connector, 'k', token))
    await failsWith(expected, put(connector, 'k', bytes))
    await failsWith(expected, connector.remove('k', token, removing()))
    await failsWith(expected, keysOf(connector))
  })

  it('a 404 that a proxy may have said is no absence', async () => {
    const { connector } = await scripted(() => ({ status: 404, body: '<html>not here</html>' }))
    await failsWith('unavailable', connector.stat('k', calling()))
    await failsWith('unavailable', readAll(connector, 'k', token))
    await failsWith('unavailable', connector.remove('k', token, removing()))
    await failsWith('unavailable', keysOf(connector))
  })

  it('bytes that are cut, too few or not the blob’s own are an error', async () => {
    const headers = { ...blobHeaders, 'content-md5': md5 }
    const answers = [
      [{ headers, body: bytes, cutAt: 3 }, 'unavailable'],
      [{ headers, body: 'CONTENT' }, 'corrupt'],
    ] as const
    for (const [answer, code] of answers) {
      const { connector } = await scripted(({ method }) =>
        method === 'GET' ? answer : { headers },
      )
      await failsWith(code, readAll(connector, 'k', token))
    }
  })

  it('a range is beside the digest of the whole, never its own', async () => {
    const whole = Buffer.from(digestsOf(text('0123')).md5 ?? '', 'hex').toString('base64')
    const headers = {
      ...blobHeaders,
      'content-range': 'bytes 1-2/4',
      'content-md5': md5,
      'x-ms-blob-content-md5': whole,
    }
    const { connector } = await scripted(() => ({ status: 206, headers, body: '12' }))
    const { entry } = await connector.read('k', token, { start: 1, end: 3 }, calling())
    expect(entry).toMatchObject({ size: 4, digests: { md5: digestsOf(text('0123')).md5 } })
  })

  it('a blob that changed while it was read is changed-meanwhile at its end', async () => {
    const large = noise(suiteContext('').partBytes + 1, 'large')
    const sent = [
      { body: large, headers: blobHeaders },
      { body: bytes, headers: blobHeaders },
    ]
    for (const answer of sent) {
      let looks = 0
      const { connector } = await scripted(({ method, headers }) => {
        if (method === 'GET') return answer
        const isPinned = headers['if-match'] !== undefined
        if (isPinned) looks++
        return isPinned
          ? refusal(412, 'ConditionNotMet')
          : { headers: { ...blobHeaders, etag: '"0x2"' } }
      })
      await failsWith('changed-meanwhile', readAll(connector, 'k', token))
      expect(looks).toBe(1)
    }
  })
})

describe('blocks', () => {
  const { partBytes } = suiteContext('')
  const large = noise(partBytes * 3, 'large')

  it('are committed under the condition, with the md5 of the whole', async () => {
    const { connector, requests } = await scripted(() => ({ status: 201, headers: blobHeaders }))
    const metadata = { contentType: 'text/csv', user: { a: '1' } }
    await put(connector, 'k', large, token, { metadata })
    const blocks = requests.filter(({ query }) => query.comp === 'block')
    expect(blocks.length).toBe(3)
    for (const { headers, body } of blocks) {
      const sum = Buffer.from(digestsOf(body).md5 ?? '', 'hex').toString('base64')
      expect(headers['content-md5']).toBe(sum)
    }
    const { headers, body } = requests.at(-1) ?? { headers: {}, body: '' }
    expect(headers).toMatchObject({
      'if-match': '"0x1"',
      'x-ms-blob-content-md5': Buffer.from(digestsOf(large).md5 ?? '', 'hex').toString('base64'),
      'x-ms-blob-content-type': 'text/csv',
      'x-ms-meta-a': '1',
    })
    const named = [...String(body).matchAll(/<Uncommitted>([^<]+)</g)].map(([, name]) => name)
    expect([...blocks.map(({ query }) => query.blockid)].sort()).toEqual([...named].sort())
    expect(named).toEqual([...named].sort())
  })

  it('that another commit swept away are changed-meanwhile, and the session is over', async () => {
    const { connector } = await scripted(({ query }) =>
      query.comp === 'blocklist' ? refusal(400, 'InvalidBlockList') : { status: 201 },
    )
    const saved: (string | null)[] = []
    const session = {
      state: undefined,
      save: async (state: string | null) => void saved.push(state),
    }
    await failsWith('changed-meanwhile', put(connector, 'k', large, null, { session }))
    expect(saved.at(-1)).toBeNull()
  })

  it('a block that fails ends the write, and no other one begins behind it', async () => {
    let blocks = 0
    const { connector } = await scripted(() => (++blocks === 1 ? refusal(503, 'ServerBusy') : {}))
    const write = put(connector, 'k', noise(partBytes * 20, 'many'))
    await failsWith('throttled', write)
    expect(blocks).toBeLessThan(10)
  })
})
