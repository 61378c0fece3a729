import { generateKeyPairSync, randomUUID } from 'node:crypto'
import { describe, expect, it } from 'vitest'
import { openConnector } from '../../connectors/index.ts'
import { headKey, isSigned, readHeads, signHead, writeHead } from '../../src/audit/heads.ts'

const { privateKey, publicKey } = generateKeyPairSync('ed25519')
const { signal } = new AbortController()
const head = { dataset: 'photos', seq: 12, at: 5, digest: 'abcd', signedAt: 6, by: 'ada@host' }
const signed = signHead(head, privateKey)

const memory = () =>
  openConnector(
    'safe',
    { type: 'memory', store: randomUUID(), prefix: '' },
    { concurrency: 4, partBytes: 1 << 20 },
  )

async function readAll(connector: Awaited<ReturnType<typeof memory>>, key = publicKey) {
  const found = []
  for await (const one of readHeads(connector, 'p/', 'photos', key, signal)) found.push(one.head)
  return found
}

describe('a signed head', () => {
  it('is signed in every part of it', () => {
    expect(isSigned(signed, 'photos', publicKey)).toBe(true)
    const others = { seq: 13, at: 6, digest: 'abce', signedAt: 7, by: 'eve@host' }
    for (const [name, value] of Object.entries(others)) {
      expect(isSigned({ ...signed, [name]: value }, 'photos', publicKey), name).toBe(false)
    }
    expect(isSigned({ ...signed, dataset: 'other' }, 'other', publicKey)).toBe(false)
    expect(isSigned(signed, 'other', publicKey)).toBe(false)
    const other = generateKeyPairSync('ed25519').publicKey
    expect(isSigned(signed, 'photos', other)).toBe(false)
    for (const none of [
      null,
      'x',
      {},
      [],
      { ...signed, signature: '!' },
      { ...signed, seq: '12' },
    ]) {
      expect(isSigned(none, 'photos', publicKey)).toBe(false)
    }
  })

  it('is written once, and never over another', async () => {
    const connector = await memory()
    expect(await writeHead(connector, 'p/', signed, signal)).toBe(true)
    const forged = signHead({ ...head, digest: 'ffff' }, privateKey)
    expect(await writeHead(connector, 'p/', forged, signal)).toBe(false)
    expect(await readAll(connector)).toEqual([signed])
  })

  it('is read in order, its own dataset’s alone; what isn’t one is told', async () => {
    const connector = await memory()
    const later = signHead({ ...head, seq: 1_000 }, privateKey)
    const foreign = signHead({ ...head, dataset: 'photos2' }, privateKey)
    for (const one of [later, signed, foreign]) await writeHead(connector, 'p/', one, signal)
    const put = async (seq: number, text: string) => {
      const body = Buffer.from(text)
      const options = { size: body.length, metadata: {}, digests: {}, signal }
      const write = { ...options, beforeCommit: async () => undefined }
      await connector.write(headKey('p/', 'photos', seq), body, null, write)
    }
    await put(13, 'no JSON')
    await put(14, JSON.stringify(foreign))
    await put(15, JSON.stringify(signed))
    await put(16, ' '.repeat(20_000))
    expect(await readAll(connector)).toEqual([signed, null, null, null, null, later])
    const other = generateKeyPairSync('ed25519').publicKey
    expect(await readAll(connector, other)).toEqual(Array(6).fill(null))
  })
})
