import { createHash } from 'node:crypto'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import {
  ALL_DIGESTS,
  createDigester,
  digestProblem,
  digestsOf,
  partsOf,
} from '../../connectors/digests.ts'

async function* streamOf(chunks: Uint8Array[]) {
  yield* chunks
}

async function collect(parts: AsyncIterable<Buffer>): Promise<Buffer[]> {
  const all: Buffer[] = []
  for await (const part of parts) all.push(part)
  return all
}

const chunks = fc.array(fc.uint8Array({ maxLength: 40 }), { maxLength: 12 })

describe('digests', () => {
  it('are the known ones of "123456789"', () => {
    expect(digestsOf(Buffer.from('123456789'))).toEqual({
      sha256: '15e2b0d3c33891ebb0f1ef609ec419420c20e320ce94c65fbc8c3312448eb225',
      md5: '25f9e794323b453885f5181f1b624d0b',
      crc32c: 'e3069283',
    })
  })

  it('of a stream are those of the whole, however it is cut', () => {
    fc.assert(
      fc.property(chunks, (chunks) => {
        const digester = createDigester()
        for (const chunk of chunks) digester.update(chunk)
        expect(digester.digest()).toEqual(digestsOf(Buffer.concat(chunks)))
      }),
    )
  })

  it('only those that were asked for', () => {
    const only = { sha256: false, md5: true, crc32c: false }
    const md5 = createHash('md5').update('x').digest('hex')
    expect(digestsOf(Buffer.from('x'), only)).toEqual({ md5 })
    expect(createDigester(only).digest()).not.toHaveProperty('sha256')
    expect(Object.keys(ALL_DIGESTS)).toEqual(['sha256', 'md5', 'crc32c'])
  })

  it('a claim is checked by what is known of both', () => {
    const actual = digestsOf(Buffer.from('x'))
    expect(digestProblem({ sha256: actual.sha256 ?? '' }, actual)).toBeNull()
    expect(digestProblem({}, actual)).toBeNull()
    expect(digestProblem({ crc32c: '00000000' }, actual)).toContain('crc32c')
  })
})

describe('a body in parts', () => {
  it('has the same bytes, in parts of exactly that size but the last', async () => {
    await fc.assert(
      fc.asyncProperty(chunks, fc.integer({ min: 1, max: 50 }), async (chunks, partBytes) => {
        const whole = Buffer.concat(chunks)
        for (const body of [streamOf(chunks), whole, new Uint8Array(whole)]) {
          const parts = await collect(partsOf(body, partBytes))
          expect(Buffer.concat(parts)).toEqual(whole)
          expect(parts.slice(0, -1).filter((part) => part.length !== partBytes)).toEqual([])
          expect(parts.length).toBe(Math.ceil(whole.length / partBytes))
        }
      }),
    )
  })

  it('a small stream whose size is known takes no memory of a whole part', async () => {
    const [part] = await collect(partsOf(streamOf([Buffer.alloc(3), Buffer.alloc(4)]), 1_000, 7))
    expect(part?.buffer.byteLength).toBe(7)
  })

  it('a wrong size loses no byte', async () => {
    await fc.assert(
      fc.asyncProperty(chunks, fc.nat(300), fc.integer({ min: 1, max: 50 }), async (...given) => {
        const [chunks, size, partBytes] = given
        const parts = await collect(partsOf(streamOf(chunks), partBytes, size))
        expect(Buffer.concat(parts)).toEqual(Buffer.concat(chunks))
        expect(parts.every((part) => part.length > 0 && part.length <= partBytes)).toBe(true)
      }),
    )
  })

  it('copies nothing where a chunk holds a whole part', async () => {
    const whole = Buffer.alloc(30)
    for (const body of [whole, streamOf([whole])]) {
      const parts = await collect(partsOf(body, 10))
      expect(parts.map((part) => part.buffer === whole.buffer)).toEqual([true, true, true])
    }
  })

  it('a source that breaks breaks it with the same error', async () => {
    const oops = new Error('oops')
    const broken = async function* () {
      yield Buffer.alloc(5)
      throw oops
    }
    await expect(collect(partsOf(broken(), 10))).rejects.toBe(oops)
  })
})
