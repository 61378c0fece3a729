/** Writes, uploads and copies that S3 answers as it only does on a bad day. */
import { describe, expect, it } from 'vitest'
import { digestsOf } from '../../connectors/digests.ts'
import {
  calling,
  errorOf,
  failsWith,
  noise,
  put,
  removing,
  text,
  writing,
} from '../conformance/world.ts'
import { etag, found, refusal, type Scripted, scripted, uploads } from './s3-scripted.ts'
import type { Recorded } from './scripted-server.ts'

const token = { id: etag }
const large = noise(64 * 1024 + 1, 'large')

describe('a write', () => {
  it('whose reply is lost is unavailable, and is not sent again', async () => {
    const { connector, asked } = await scripted(() => ({ body: 'half', cutAt: 2 }))
    await failsWith('unavailable', put(connector, 'a', text('x')))
    expect(asked()).toEqual(['PUT'])
  })

  it('that something else than S3 answers is unavailable', async () => {
    const { connector } = await scripted(() => ({ body: '<html>Sign in</html>' }))
    await failsWith('unavailable', put(connector, 'a', text('x')))
  })

  it('over a key that is gone is changed-meanwhile, although S3 says 404', async () => {
    const { connector } = await scripted(() => refusal(404, 'NoSuchKey'))
    await failsWith('changed-meanwhile', put(connector, 'a', text('x'), token))
  })

  it('that meets another is tried once more, fenced again', async () => {
    const answers = [refusal(409, 'ConditionalRequestConflict'), found()]
    const { connector, requests } = await scripted(() => answers.shift() ?? found())
    let fences = 0
    const beforeCommit = async () => {
      fences++
    }
    await put(connector, 'a', text('x'), token, { beforeCommit })
    expect([requests.length, fences]).toEqual([2, 2])
    expect(requests[1]?.headers['if-match']).toBe(`"${etag}"`)
  })

  it('that meets others again and again is unavailable', async () => {
    const { connector, asked } = await scripted(() => refusal(409, 'ConditionalRequestConflict'))
    await failsWith('unavailable', put(connector, 'a', text('x')))
    expect(asked()).toEqual(['PUT', 'PUT'])
  })

  it('is guarded by looking where the store has no conditions', async () => {
    const b2 = { provider: 'b2', region: 'eu-central-003' } as const
    const { connector, asked, requests } = await scripted(() => found(), b2)
    await failsWith('changed-meanwhile', put(connector, 'a', text('x')))
    expect(asked()).toEqual(['HEAD'])
    await put(connector, 'a', text('x'), token)
    expect(asked()).toEqual(['HEAD', 'HEAD', 'PUT'])
    expect(requests[2]?.headers).not.toHaveProperty('if-match')
    await connector.remove('a', token, removing())
    expect(asked().slice(3)).toEqual(['HEAD', 'DELETE'])
    expect(connector.traits).toMatchObject({ conditionalCreate: false, conditionalDelete: false })
  })

  it('has its checksums and its storage class in the request', async () => {
    const { connector, requests } = await scripted(() => found(), {
      'storage-class': 'STANDARD_IA',
    })
    await put(connector, 'a', text('x'))
    const { sha256 = '', md5 = '' } = digestsOf(text('x'))
    expect(requests[0]?.headers).toMatchObject({
      'x-amz-content-sha256': sha256,
      'content-md5': Buffer.from(md5, 'hex').toString('base64'),
      'x-amz-storage-class': 'STANDARD_IA',
      'if-none-match': '*',
    })
  })
})

describe('an upload in parts', () => {
  const session = () => {
    const saved: (string | null)[] = []
    const save = async (state: string | null) => void saved.push(state)
    return { state: undefined, save, saved }
  }
  const done = '<CompleteMultipartUploadResult><ETag>"x-2"</ETag></CompleteMultipartUploadResult>'

  it('that S3 refuses after saying 200 has failed', async () => {
    const error = '<?xml version="1.0"?>\n   <Error><Code>InternalError</Code></Error>'
    const { connector, asked } = await scripted(uploads(() => ({ body: error })))
    await failsWith('unavailable', put(connector, 'a', large))
    expect(asked().at(-1)).toBe('abort')
  })

  it('whose end is cut short has failed', async () => {
    const { connector } = await scripted(uploads(() => ({ body: done.slice(0, -5) })))
    await failsWith('unavailable', put(connector, 'a', large))
  })

  it('has the condition on its completion alone', async () => {
    const { connector, requests } = await scripted(uploads(() => ({ body: done })))
    const written = await put(connector, 'a', large, token)
    expect(written).toMatchObject({ token: { id: 'x-2' }, digests: {} })
    const conditional = requests.filter(({ headers }) => headers['if-match'])
    expect(conditional.map(({ method }) => method)).toEqual(['POST'])
    expect(requests.filter(({ query }) => query.partNumber).length).toBe(2)
    for (const { query, headers } of requests) {
      if (query.partNumber) expect(headers['content-md5']).toBeTruthy()
    }
  })

  it('that meets another write at its end is begun again by the retry', async () => {
    const conflict = () => refusal(409, 'ConditionalRequestConflict')
    const { connector, asked } = await scripted(uploads(conflict))
    const kept = session()
    await failsWith('unavailable', put(connector, 'a', large, null, { session: kept }))
    expect(asked().slice(-2)).toEqual(['complete', 'abort'])
    expect(kept.saved.at(-1)).toBeNull()
  })

  it('that fails for a while is kept for the retry', async () => {
    const { connector, asked } = await scripted(uploads(() => refusal(503, 'SlowDown')))
    const kept = session()
    await failsWith('throttled', put(connector, 'a', large, null, { session: kept }))
    expect(asked().at(-1)).toBe('complete')
    expect(kept.saved.at(-1)).toContain('u1')
  })

  it('that came too late is dropped, and so is its session', async () => {
    const { connector, asked } = await scripted(uploads(() => refusal(412, 'PreconditionFailed')))
    const kept = session()
    await failsWith('changed-meanwhile', put(connector, 'a', large, null, { session: kept }))
    expect(asked().at(-1)).toBe('abort')
    expect(kept.saved.at(-1)).toBeNull()
  })

  it('whose abort fails says what failed it, and stays in the catalog', async () => {
    const normal = uploads(() => refusal(412, 'PreconditionFailed'))
    const { connector } = await scripted((request) =>
      request.method === 'DELETE' ? refusal(500, 'InternalError') : normal(request),
    )
    const kept = session()
    await failsWith('changed-meanwhile', put(connector, 'a', large, null, { session: kept }))
    expect(kept.saved.at(-1)).toContain('u1')
  })

  const kept = JSON.stringify({ version: 2, uploadId: 'u1', partBytes: 65_536, headers: '' })
  const gone = refusal(404, 'NoSuchUpload')
  const drop = async ({ connector }: Scripted) => connector.abortUpload?.('a', kept, calling())

  it('is aborted until a part that landed late is gone too', async () => {
    const answers = [{ status: 204 }, { body: '<Part/>' }, { status: 204 }, gone]
    const store = await scripted(() => answers.shift() ?? gone)
    await drop(store)
    expect(store.asked()).toEqual(['abort', 'parts', 'abort', 'parts'])
  })

  it('whose abort fails, for a part lands meanwhile, is aborted again', async () => {
    const answers = [refusal(500, 'InternalError'), { status: 204 }, gone]
    const store = await scripted(() => answers.shift() ?? gone)
    await drop(store)
    expect(store.asked()).toEqual(['abort', 'abort', 'parts'])
  })

  it('is aborted once where the store has no answer: the next run tries again', async () => {
    const store = await scripted(() => ({ body: 'half', cutAt: 2 }))
    await failsWith('unavailable', drop(store))
    expect(store.asked()).toEqual(['abort'])
  })

  it('that the store knows no more is dropped already', async () => {
    const store = await scripted(() => gone)
    await drop(store)
    expect(store.asked()).toEqual(['abort'])
  })

  it('that stays, however often it is aborted, is not taken for dropped', async () => {
    const store = await scripted(() => ({ body: '<Part/>' }))
    await failsWith('unavailable', drop(store))
  })

  it('has larger parts where it would need more than 10,000', async () => {
    const { connector, asked } = await scripted(uploads(() => ({ body: done })))
    const oops = new Error('enough seen')
    const body = (async function* () {
      yield noise(1024 * 1024, 'part')
      throw oops
    })()
    const size = 64 * 1024 * 10_000 + 1
    expect(await errorOf(connector.write('a', body, null, writing(size)))).toBe(oops)
    expect(asked().filter((name) => name.startsWith('part '))).toEqual(['part 1'])
  })
})

describe('a copy', () => {
  const copied = (body: string) => (request: Recorded) =>
    request.headers['x-amz-copy-source'] ? { body } : found()
  const result =
    `<CopyObjectResult><LastModified>2024-05-06T07:08:09.000Z</LastModified>` +
    `<ETag>"${etag}"</ETag></CopyObjectResult>`
  const options = { ...calling(), metadata: {}, digests: {}, beforeCommit: async () => {} }

  it('that fails after saying 200 has failed', async () => {
    const answer = copied('<Error><Code>SlowDown</Code><Message>later</Message></Error>')
    const { connector } = await scripted(answer, { provider: 'aws', region: 'x' })
    const source = { connector, key: 's', token, size: 1 }
    const copy = async () => connector.copyWithin?.('t', source, null, options)
    await failsWith('throttled', copy())
  })

  it.each([
    ['aws', 'if-match', 'if-none-match'],
    ['r2', 'cf-copy-destination-if-match', 'cf-copy-destination-if-none-match'],
  ] as const)('at %s is conditional on both ends', async (provider, match, noneMatch) => {
    const { connector, requests, asked } = await scripted(copied(result), { provider, region: 'x' })
    const source = { connector, key: 's +%', token, size: 1 }
    await connector.copyWithin?.('t', source, { id: 'old' }, options)
    await connector.copyWithin?.('t', source, null, options)
    expect(asked()).toEqual(['COPY', 'COPY'])
    const common = {
      'x-amz-copy-source': '/b/p/s%20%2B%25',
      'x-amz-copy-source-if-match': `"${etag}"`,
      'x-amz-metadata-directive': 'REPLACE',
    }
    expect(requests[0]?.headers).toMatchObject({ ...common, [match]: '"old"' })
    expect(requests[1]?.headers).toMatchObject({ ...common, [noneMatch]: '*' })
  })

  it('never relies on a CopyObject that ignores its target', async () => {
    const { connector, asked } = await scripted(() => found({ 'content-length': '1' }))
    const source = { connector, key: 's', token, size: 1 }
    await connector.copyWithin?.('t', source, null, options)
    expect(asked()).toEqual(['GET', 'PUT'])
  })
})
