/** Blob versions, which Azurite doesn't have: what is asked, and what is made of the answers. */
import { describe, expect, it } from 'vitest'
import type { Connector, Versions } from '../../connectors/connector.ts'
import { bytesOf, calling, failsWith, put, text } from '../conformance/world.ts'
import { azurite, bytes, md5, refusal, scripted, token } from './azure-world.ts'
import type { Answer, Recorded } from './scripted-server.ts'

const version = '2024-05-06T07:08:09.1234567Z'
const headers = {
  etag: '"0x1"',
  'last-modified': 'Mon, 06 May 2024 07:08:09 GMT',
  'content-length': String(bytes.length),
  'content-md5': md5,
}
const named = { ...headers, 'x-ms-version-id': version }
const versionsOf = (connector: Connector) => connector.versions as Versions

/** As the service: the present state has `now` for its version, and `old` is the one before. */
const service =
  ({ now, old }: { now: Answer; old: Answer }) =>
  ({ query }: Recorded) =>
    query.versionid === undefined ? now : old

describe('a version', () => {
  it('is the one that has the ETag, told by one request', async () => {
    const { connector, requests } = await scripted(() => ({ headers: named }))
    expect(await versionsOf(connector).keep('k', token, calling())).toBe(version)
    expect(requests).toMatchObject([{ method: 'HEAD', path: '/cont/p/k', query: {} }])
  })

  it('is none where the service names none', async () => {
    const { connector } = await scripted(() => ({ headers }))
    expect(await versionsOf(connector).keep('k', token, calling())).toBeNull()
  })

  it('is not that of another state, nor of a blob that is gone', async () => {
    const { connector } = await scripted(() => ({ headers: { ...named, etag: '"0x2"' } }))
    await failsWith('changed-meanwhile', versionsOf(connector).keep('k', token, calling()))
    const gone = await scripted(() => refusal(404, 'BlobNotFound'))
    await failsWith('not-found', versionsOf(gone.connector).keep('k', token, calling()))
  })

  it('is read by its id, whatever is there now', async () => {
    const now = {
      headers: { ...named, 'x-ms-version-id': 'later', etag: '"0x2"' },
      body: 'later!!',
    }
    const { connector, requests } = await scripted(
      service({ now, old: { headers: named, body: bytes } }),
    )
    const { stat, read } = versionsOf(connector)
    expect(await stat('k', version, calling())).toMatchObject({ key: 'k', size: bytes.length })
    const { body } = await read('k', version, calling())
    expect((await bytesOf(body)).equals(bytes)).toBe(true)
    expect(requests.map(({ method, query }) => [method, query])).toEqual([
      ['HEAD', { versionid: version }],
      ['GET', { versionid: version }],
    ])
  })

  it('that is gone is absent; no other answer is', async () => {
    const { connector } = await scripted(() => refusal(404, 'BlobNotFound'))
    expect(await versionsOf(connector).stat('k', version, calling())).toBeNull()
    await failsWith('not-found', versionsOf(connector).read('k', version, calling()))
    const proxy = await scripted(() => ({ status: 404, body: '<html>not here</html>' }))
    await failsWith('unavailable', versionsOf(proxy.connector).stat('k', version, calling()))
    await failsWith('unavailable', versionsOf(proxy.connector).read('k', version, calling()))
  })

  it('that is cut short says so', async () => {
    const answer = { headers: named, body: bytes, cutAt: 3 }
    const { connector } = await scripted(() => answer)
    const { body } = await versionsOf(connector).read('k', version, calling())
    await failsWith('unavailable', bytesOf(body))
  })

  it('is not what a service gives that does not know versions', async () => {
    const { connector } = await azurite()
    const { token: first } = await put(connector, 'k', text('first'))
    expect(await versionsOf(connector).keep('k', first, calling())).toBeNull()
    await failsWith('unsupported', versionsOf(connector).stat('k', version, calling()))
    await failsWith('unsupported', versionsOf(connector).read('k', version, calling()))
  })
})
