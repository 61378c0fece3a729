import { gzipSync } from 'node:zlib'
import { expect } from 'vitest'
import { digestsOf } from '../../connectors/digests.ts'
import { StoreError } from '../../src/errors.ts'
import {
  bytesOf,
  type Cases,
  calling,
  entryAt,
  expectContent,
  failsWith,
  keysOf,
  noise,
  put,
  readAll,
  sizes,
  streamed,
  text,
  type World,
  writing,
} from './world.ts'

const everything = {
  contentType: 'text/csv; charset=utf-8',
  contentLanguage: 'de',
  contentDisposition: 'attachment; filename="a.csv"',
  cacheControl: 'max-age=60',
  user: { owner: 'platform', 'build-id': '42 = 6 * 7' },
}

/** Reads on after `meddle` came between: all the old bytes, or an error; never a mixture. */
async function readAcross(world: World, meddle: () => Promise<void>): Promise<void> {
  const size = world.connector.traits.partBytes * 4
  const old = noise(size, 'old')
  await world.putForeign('k', old)
  const { token } = await entryAt(world.connector, 'k')
  const { body } = await world.connector.read('k', token, undefined, calling())
  const chunks: Uint8Array[] = []
  try {
    for await (const chunk of body) {
      if (chunks.length === 0) await meddle()
      chunks.push(Buffer.from(chunk))
    }
  } catch (error) {
    if (!(error instanceof StoreError)) throw error
    expect(['changed-meanwhile', 'not-found', 'unavailable']).toContain(error.code)
    return
  }
  expect(Buffer.concat(chunks).equals(old), 'what ended well is the pinned content').toBe(true)
}

export const readCases: Cases = {
  'a read gives the pinned entry and its bytes': async ({ connector }) => {
    for (const { way, size } of sizes(connector)) {
      const bytes = noise(size, way)
      const { token } = await put(connector, `k ${way}`, bytes)
      const { entry, body } = await connector.read(`k ${way}`, token, undefined, calling())
      expect(entry).toMatchObject({ key: `k ${way}`, size })
      expect(entry.token.id).toBe(token.id)
      expect((await bytesOf(body)).equals(bytes), way).toBe(true)
    }
  },

  'a read of another state says changed-meanwhile': async ({ connector, putForeign }) => {
    const { token } = await put(connector, 'k', text('first'))
    await putForeign('k', text('other'))
    await failsWith('changed-meanwhile', readAll(connector, 'k', token))
    const range = { start: 1, end: 3 }
    await failsWith('changed-meanwhile', readAll(connector, 'k', token, range))
  },

  'a read of a key that is gone says not-found': async ({ connector, removeForeign }) => {
    const { token } = await put(connector, 'k', text('first'))
    await removeForeign('k')
    await failsWith('not-found', readAll(connector, 'k', token))
  },

  'an overwrite in mid-read never yields torn bytes that end well': async (world) => {
    const other = noise(world.connector.traits.partBytes * 4, 'new')
    await readAcross(world, () => world.putForeign('k', other))
  },

  'a remove in mid-read never yields short bytes that end well': async (world) => {
    await readAcross(world, () => world.removeForeign('k'))
  },

  'ranges of bytes': async ({ connector }) => {
    const size = connector.traits.partBytes + 1_000
    const bytes = noise(size, 'ranges')
    const { token } = await put(connector, 'k', bytes)
    const edge = connector.traits.partBytes
    for (const [start, end] of [
      [0, 1],
      [0, size],
      [size - 1, size],
      [10, 500],
      [edge - 1, edge + 1],
    ] as const) {
      const got = await readAll(connector, 'k', token, { start, end })
      expect(got.equals(bytes.subarray(start, end)), `[${start}, ${end})`).toBe(true)
    }
  },

  'a range has the whole entry beside it': async ({ connector }) => {
    const { token } = await put(connector, 'k', text('0123456789'))
    const range = { start: 2, end: 5 }
    const { entry, body } = await connector.read('k', token, range, calling())
    expect(entry.size).toBe(10)
    expect((await bytesOf(body)).toString()).toBe('234')
  },

  'an empty object is one, given whole or as a stream': async ({ connector }) => {
    await put(connector, 'whole', text(''))
    await connector.write('stream', streamed(text(''), 1), null, writing(0))
    for (const key of ['whole', 'stream']) await expectContent(connector, key, text(''))
    expect(await keysOf(connector)).toEqual(['stream', 'whole'])
  },

  'a read may be left in the middle': async ({ connector }) => {
    const bytes = noise(connector.traits.partBytes * 3, 'left')
    const { token } = await put(connector, 'k', bytes)
    for (let i = 0; i < 20; i++) {
      const { body } = await connector.read('k', token, undefined, calling())
      for await (const _ of body) break
    }
    await expectContent(connector, 'k', bytes)
  },

  'stat of a key that is not there is null': async ({ connector }) => {
    await put(connector, 'there/is', text('1'))
    for (const key of ['nothing', 'there', 'there/i', 'there/is/not', 'no/such/folder']) {
      expect(await connector.stat(key, calling()), key).toBeNull()
    }
  },

  'every digest that the store shows is true': async ({ connector }) => {
    for (const { way, size } of sizes(connector)) {
      const bytes = noise(size, way)
      const written = await put(connector, way, bytes)
      const truth = digestsOf(bytes)
      expect(truth).toMatchObject(written.digests)
      expect(truth).toMatchObject((await entryAt(connector, way)).digests)
    }
  },

  'metadata is kept as it was given': async ({ connector }, context) => {
    if (!connector.traits.carriesMetadata) context.skip('it carries no metadata')
    for (const { way, size } of sizes(connector)) {
      const bytes = noise(size, way)
      const written = await put(connector, way, bytes, null, { metadata: everything })
      expect(written.metadata).toEqual(everything)
      expect((await entryAt(connector, way)).metadata).toEqual(everything)
      const { entry } = await connector.read(way, written.token, { start: 0, end: 1 }, calling())
      expect(entry.metadata).toEqual(everything)
    }
  },

  'metadata of others is seen': async ({ connector, putForeign }, context) => {
    if (!connector.traits.carriesMetadata) context.skip('it carries no metadata')
    await putForeign('k', text('1'), everything)
    expect((await entryAt(connector, 'k')).metadata).toEqual(everything)
  },

  'no metadata is known to be none': async ({ connector }, context) => {
    if (!connector.traits.carriesMetadata) context.skip('it carries no metadata')
    await put(connector, 'k', text('1'))
    expect((await entryAt(connector, 'k')).metadata).toEqual({})
  },

  'an overwrite replaces metadata as a whole': async ({ connector }, context) => {
    if (!connector.traits.carriesMetadata) context.skip('it carries no metadata')
    const { token } = await put(connector, 'k', text('1'), null, { metadata: everything })
    const metadata = { contentType: 'text/plain' }
    await put(connector, 'k', text('2'), token, { metadata })
    expect((await entryAt(connector, 'k')).metadata).toEqual(metadata)
  },

  'compressed bytes are given as they are stored': async ({ connector, putForeign }, context) => {
    if (!connector.traits.carriesMetadata) context.skip('it carries no metadata')
    const bytes = gzipSync('the same line\n'.repeat(100))
    const metadata = { contentType: 'text/plain', contentEncoding: 'gzip' }
    await put(connector, 'ours', bytes, null, { metadata })
    await putForeign('theirs', bytes, metadata)
    for (const key of ['ours', 'theirs']) {
      const { metadata: seen } = await expectContent(connector, key, bytes)
      expect(seen, key).toEqual(metadata)
    }
  },

  'a read that is cancelled in mid-body ends as cancelled': async ({ connector }) => {
    const { token } = await put(connector, 'k', noise(connector.traits.partBytes * 8, 'long'))
    const controller = new AbortController()
    const cut = async () => {
      const { body } = await connector.read('k', token, undefined, calling(controller.signal))
      for await (const _ of body) controller.abort()
    }
    await failsWith('cancelled', cut())
  },
}
