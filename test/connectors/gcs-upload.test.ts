/** Resumable uploads, against a store that keeps the real protocol: fake-gcs-server doesn't. */
import { describe, expect, it } from 'vitest'
import type { Connector } from '../../connectors/connector.ts'
import { digestsOf } from '../../connectors/digests.ts'
import { toBase64 } from '../../connectors/gcs-object.ts'
import { failsWith, noise, put, removing } from '../conformance/world.ts'
import { object, refusal, scripted } from './gcs-world.ts'
import type { Answer, Recorded } from './scripted-server.ts'

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

  it('is refused at its end where content differs later, and a retry begins anew', async () => {
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
