import { expect } from 'vitest'
import { digestsOf } from '../../connectors/digests.ts'
import { StoreError } from '../../src/errors.ts'
import {
  type Cases,
  calling,
  errorOf,
  expectAbsent,
  expectContent,
  expectNothingLeft,
  failsWith,
  noise,
  put,
  removing,
  sizes,
  streamed,
  text,
  type World,
  writing,
} from './world.ts'

/** A write that must fail, first as a create, then over content that must stay. */
async function neverWrites(
  world: World,
  attempt: (expected: 'create' | 'overwrite', size: number) => Promise<void>,
): Promise<void> {
  for (const { size } of sizes(world.connector)) {
    await attempt('create', size)
    await expectAbsent(world.connector, 'create')
    await world.putForeign('overwrite', text('before'))
    await attempt('overwrite', size)
    await expectContent(world.connector, 'overwrite', text('before'))
    await expectNothingLeft(world)
  }
}

async function tokenOf(world: World, key: string) {
  return (await world.connector.stat(key, calling()))?.token ?? null
}

/** A body of which the second half never comes. */
function broken(size: number, error: Error) {
  return streamed(noise(size, 'broken'), 400, (sent) => {
    if (sent >= size / 2) throw error
  })
}

export const writeCases: Cases = {
  'a body shorter than its size is corrupt, and nothing is written': (world) =>
    neverWrites(world, async (key, size) => {
      const expected = await tokenOf(world, key)
      const bytes = noise(size, 'short')
      for (const body of [bytes, streamed(bytes, 1_000)]) {
        const write = world.connector.write(key, body, expected, writing(size + 1))
        await failsWith('corrupt', write)
      }
    }),

  'a body longer than its size is corrupt, and nothing is written': (world) =>
    neverWrites(world, async (key, size) => {
      const expected = await tokenOf(world, key)
      const bytes = noise(size, 'long')
      for (const body of [bytes, streamed(bytes, 1_000)]) {
        const write = world.connector.write(key, body, expected, writing(size - 1))
        await failsWith('corrupt', write)
      }
    }),

  "a source's error in mid-body comes through as it is, and nothing is written": (world) =>
    neverWrites(world, async (key, size) => {
      const expected = await tokenOf(world, key)
      const details = { location: 'the source', operation: 'read', key }
      const theirs = new StoreError('changed-meanwhile', 'the source changed', details)
      const write = world.connector.write(key, broken(size, theirs), expected, writing(size))
      expect(await errorOf(write)).toBe(theirs)
    }),

  'a body that throws half-way writes nothing': (world) =>
    neverWrites(world, async (key, size) => {
      const expected = await tokenOf(world, key)
      const oops = new Error('oops')
      const write = world.connector.write(key, broken(size, oops), expected, writing(size))
      const error = await errorOf(write)
      expect([error, (error as Error).cause]).toContain(oops)
    }),

  'content that does not have its digest is corrupt, and nothing is written': (world) =>
    neverWrites(world, async (key, size) => {
      const expected = await tokenOf(world, key)
      const bytes = noise(size, 'digest')
      const other = digestsOf(noise(size, 'other'))
      for (const algorithm of ['sha256', 'md5', 'crc32c'] as const) {
        const digests = { [algorithm]: other[algorithm] ?? '' }
        await failsWith('corrupt', put(world.connector, key, bytes, expected, { digests }))
        const body = streamed(bytes, 1_000)
        const options = writing(size, { digests })
        await failsWith('corrupt', world.connector.write(key, body, expected, options))
      }
    }),

  'content that has its digests is written': async ({ connector }) => {
    for (const { way, size } of sizes(connector)) {
      const bytes = noise(size, way)
      await put(connector, way, bytes, null, { digests: digestsOf(bytes) })
      await expectContent(connector, way, bytes)
    }
  },

  'a beforeCommit that throws ends the write with its error, and nothing is written': (world) =>
    neverWrites(world, async (key, size) => {
      const expected = await tokenOf(world, key)
      const fenced = new Error('the fence is gone')
      const beforeCommit = () => Promise.reject(fenced)
      const write = put(world.connector, key, noise(size, 'fence'), expected, { beforeCommit })
      expect(await errorOf(write)).toBe(fenced)
    }),

  'a beforeCommit that throws ends the remove with its error': async ({ connector }) => {
    const { token } = await put(connector, 'k', text('stays'))
    const fenced = new Error('the fence is gone')
    const remove = connector.remove(
      'k',
      token,
      removing(() => Promise.reject(fenced)),
    )
    expect(await errorOf(remove)).toBe(fenced)
    await expectContent(connector, 'k', text('stays'))
  },

  'beforeCommit is called once, before anything is to be seen': async ({ connector }) => {
    for (const { way, size } of sizes(connector)) {
      const bytes = noise(size, way)
      for (const body of [bytes, streamed(bytes, 400)]) {
        const key = body === bytes ? way : `${way} stream`
        const seen: unknown[] = []
        const beforeCommit = async () => {
          seen.push(await connector.stat(key, calling()))
        }
        await connector.write(key, body, null, writing(size, { beforeCommit }))
        expect(seen, key).toEqual([null])
      }
    }
  },

  'beforeCommit is called once for a remove, while the entry is there': async ({ connector }) => {
    const { token } = await put(connector, 'k', text('1'))
    const seen: (number | undefined)[] = []
    const look = removing(async () => {
      seen.push((await connector.stat('k', calling()))?.size)
    })
    await connector.remove('k', token, look)
    expect(seen).toEqual([1])
  },

  'nothing is to be seen before the whole body came': async ({ connector }) => {
    const size = connector.traits.partBytes * 2 + 1_000
    const bytes = noise(size, 'hidden')
    let looks = 0
    const body = streamed(bytes, connector.traits.partBytes, async () => {
      looks++
      await expectAbsent(connector, 'k')
    })
    await connector.write('k', body, null, writing(size))
    expect(looks).toBe(2)
    await expectContent(connector, 'k', bytes)
  },

  'a body may come in chunks of any size': async ({ connector }) => {
    const { partBytes } = connector.traits
    const size = partBytes * 2 + 17
    const bytes = noise(size, 'chunks')
    for (const chunkBytes of [1_013, partBytes - 1, partBytes, partBytes + 1, size]) {
      const key = `chunks of ${chunkBytes}`
      await connector.write(key, streamed(bytes, chunkBytes), null, writing(size))
      await expectContent(connector, key, bytes)
    }
  },

  'exactly one part, and exactly two': async ({ connector }) => {
    for (const parts of [1, 2]) {
      const bytes = noise(connector.traits.partBytes * parts, 'exact')
      await put(connector, `whole ${parts}`, bytes)
      await expectContent(connector, `whole ${parts}`, bytes)
      const body = streamed(bytes, 10_000)
      await connector.write(`stream ${parts}`, body, null, writing(bytes.length))
      await expectContent(connector, `stream ${parts}`, bytes)
    }
  },

  'a write that is cancelled in mid-body writes nothing': (world) =>
    neverWrites(world, async (key, size) => {
      const expected = await tokenOf(world, key)
      const controller = new AbortController()
      const body = streamed(noise(size, 'cut'), 400, (sent) => {
        if (sent >= size / 2) controller.abort()
      })
      const options = writing(size, calling(controller.signal))
      await failsWith('cancelled', world.connector.write(key, body, expected, options))
    }),

  'a write that is cancelled before its commit writes nothing': (world) =>
    neverWrites(world, async (key, size) => {
      const expected = await tokenOf(world, key)
      const controller = new AbortController()
      const beforeCommit = async () => controller.abort()
      const given = { ...calling(controller.signal), beforeCommit }
      await failsWith('cancelled', put(world.connector, key, noise(size, 'c'), expected, given))
    }),

  'a remove that is cancelled before its commit removes nothing': async ({ connector }) => {
    const { token } = await put(connector, 'k', text('stays'))
    const controller = new AbortController()
    const given = removing(async () => controller.abort())
    const remove = connector.remove('k', token, { ...given, ...calling(controller.signal) })
    await failsWith('cancelled', remove)
    await expectContent(connector, 'k', text('stays'))
  },

  'nothing is begun under a signal that has fired': async ({ connector }) => {
    const { token } = await put(connector, 'k', text('stays'))
    const given = calling(AbortSignal.abort())
    await failsWith('cancelled', connector.identity({ ...given, create: true }))
    await failsWith('cancelled', connector.stat('k', given))
    await failsWith('cancelled', connector.read('k', token, undefined, given))
    await failsWith('cancelled', put(connector, 'k', text('2'), token, given))
    await failsWith('cancelled', connector.remove('k', token, { ...removing(), ...given }))
    await expectContent(connector, 'k', text('stays'))
  },
}
