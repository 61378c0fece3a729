/** S3's versions, as no server gives them on demand: what is asked, what is made of the answers. */
import { describe, expect, it } from 'vitest'
import type { Connector, Versions } from '../../connectors/connector.ts'
import { calling, failsWith } from '../conformance/world.ts'
import { scripted } from './s3-scripted.ts'
import type { Answer } from './scripted-server.ts'

const token = { id: 'e1' }
const headers = {
  etag: '"e1"',
  'last-modified': 'Mon, 06 May 2024 07:08:09 GMT',
  'content-length': '7',
}
const named = (id: string) => ({ ...headers, 'x-amz-version-id': id })
const versionsOf = (connector: Connector) => connector.versions as Versions
const refusal = (status: number, code: string): Answer => ({
  status,
  body: `<Error><Code>${code}</Code><Message>no</Message></Error>`,
})

describe('a version', () => {
  it('`null` is none: the next write may take its place', async () => {
    const { connector } = await scripted(() => ({ headers: named('null') }))
    expect(await versionsOf(connector).keep('k', token, calling())).toBeNull()
  })

  it('is asked for once whether we may read it', async () => {
    const { connector, requests } = await scripted(() => ({ headers: named('v1') }))
    for (const key of ['k', 'l', 'm']) {
      expect(await versionsOf(connector).keep(key, token, calling())).toBe('v1')
    }
    expect(requests.map(({ method, query }) => [method, query])).toEqual([
      ['HEAD', {}],
      ['HEAD', { versionId: 'v1' }],
      ['HEAD', {}],
      ['HEAD', {}],
    ])
  })

  it('is none where we may not read it (s3:GetObjectVersion)', async () => {
    const list = '<ListBucketResult><IsTruncated>false</IsTruncated></ListBucketResult>'
    const { connector } = await scripted(({ method, query }) => {
      if (query['list-type']) return { body: list }
      return query.versionId && method === 'HEAD' ? { status: 403 } : { headers: named('v1') }
    })
    expect(await versionsOf(connector).keep('k', token, calling())).toBeNull()
    expect(await versionsOf(connector).keep('k', token, calling())).toBeNull()
  })

  it('is not what a store gives that does not know versions', async () => {
    const { connector } = await scripted(() => ({ headers, body: 'content' }))
    await failsWith('unsupported', versionsOf(connector).read('k', 'v1', calling()))
  })

  it.each([
    [404, 'NoSuchVersion', 'not-found'],
    [404, 'NoSuchBucket', 'root-missing'],
    [403, 'AccessDenied', 'denied'],
    [404, '', 'unavailable'],
  ] as const)('that is refused with %s %s is %s', async (status, code, expected) => {
    const { connector } = await scripted(() => refusal(status, code))
    await failsWith(expected, versionsOf(connector).read('k', 'v1', calling()))
  })
})
