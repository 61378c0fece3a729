/** One read of a large object feeds every target: in step, and each on its own. */
import { randomBytes } from 'node:crypto'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { fanOut } from '../../activities/fan-out.ts'
import { dropMemoryStores, memoryStore } from '../../connectors/memory-store.ts'
import { StoreError } from '../../src/errors.ts'
import { createEngine, type Engine } from './engine.ts'

const chunks = (...texts: string[]) => texts.map((text) => Buffer.from(text))

/** Counts what was pulled, and whether it was ended. */
function source(parts: Buffer[], fails?: Error) {
  const seen = { pulled: 0, ended: false }
  async function* stream() {
    try {
      for (const part of parts) {
        seen.pulled++
        yield part
      }
      if (fails) throw fails
    } finally {
      seen.ended = true
    }
  }
  return { stream: stream(), seen }
}

async function all(branch: AsyncIterable<Uint8Array>): Promise<string> {
  const read: Uint8Array[] = []
  for await (const chunk of branch) read.push(chunk)
  return Buffer.concat(read).toString()
}

describe('a fanned out stream', () => {
  it('gives every branch every chunk, and tells of what goes out', async () => {
    let out = 0
    const branches = fanOut(source(chunks('ab', 'c', 'def')).stream, 3, (bytes) => {
      out += bytes
    })
    expect(await Promise.all(branches.map(all))).toEqual(['abcdef', 'abcdef', 'abcdef'])
    expect(out).toBe(18)
  })

  it('is read no faster than the slowest takes it', async () => {
    const { stream, seen } = source(chunks('a', 'b', 'c'))
    const [fast, slow] = fanOut(stream, 2)
    const reading = all(fast as AsyncIterable<Uint8Array>)
    const iterator = slow?.[Symbol.asyncIterator]()
    await iterator?.next()
    await new Promise((wake) => setTimeout(wake, 10))
    expect(seen.pulled).toBe(1)
    slow?.leave()
    expect(await reading).toBe('abc')
  })

  it('goes on without who leaves, and ends when all have left', async () => {
    const { stream, seen } = source(chunks('a', 'b', 'c'))
    const branches = fanOut(stream, 2)
    const read: string[] = []
    await Promise.all(
      branches.map(async (branch, i) => {
        for await (const chunk of branch) {
          read.push(`${i}${String(chunk)}`)
          if (i === 0 || read.length > 2) break
        }
      }),
    )
    expect(read.sort()).toEqual(['0a', '1a', '1b'])
    expect(seen).toEqual({ pulled: 2, ended: true })
  })

  it('is ended, too, where nobody began to read it', async () => {
    const { stream, seen } = source(chunks('a'))
    for (const branch of fanOut(stream, 2)) branch.leave()
    await expect.poll(() => seen.ended).toBe(true)
  })

  it('throws in all of them what it throws', async () => {
    const branches = fanOut(source(chunks('a'), new Error('torn')).stream, 2)
    const ends = await Promise.allSettled(branches.map(all))
    expect(ends.map(({ status }) => status)).toEqual(['rejected', 'rejected'])
    await expect(all(branches[0] as AsyncIterable<Uint8Array>)).rejects.toThrow('torn')
  })
})

describe('a large object for several replicas', () => {
  let engine: Engine
  const partBytes = 1_000
  const large = randomBytes(10 * partBytes)

  beforeEach(() => dropMemoryStores())
  afterEach(() => engine.close())

  async function begin(stores: string[]): Promise<() => number> {
    const places = stores.map((store) => ({ type: 'memory' as const, store, prefix: '' }))
    engine = await createEngine(places, {}, { partBytes })
    memoryStore('a').put('large', large)
    let reads = 0
    memoryStore('a').faults.push(({ when, operation }) => {
      if (when === 'before' && operation === 'read') reads++
    })
    return () => reads
  }

  it('is read once', async () => {
    const reads = await begin(['a', 'b', 'c', 'd'])
    expect(await engine.run()).toMatchObject({ state: 'complete', counts: { puts: 3 } })
    expect(reads()).toBe(1)
    for (const name of ['b', 'c', 'd']) expect(memoryStore(name).get('large')?.bytes).toEqual(large)
  })

  it('I5: one that refuses it in the middle stops nobody, and sends only the rest again', async () => {
    await begin(['a', 'b', 'c'])
    let seen = 0
    const { faults } = memoryStore('b')
    faults.push(({ when, operation, location, key }) => {
      if (when !== 'chunk' || operation !== 'write' || ++seen !== 7) return
      throw new StoreError('denied', 'no more', { location, operation, key: key ?? '' })
    })
    const partial = await engine.run()
    expect(partial).toMatchObject({ state: 'partial', counts: { puts: 1, failed: 1 } })
    expect(memoryStore('c').get('large')?.bytes).toEqual(large)
    expect(memoryStore('b').names()).toEqual([])
    const sent = memoryStore('b').partsSent
    expect(await engine.run()).toMatchObject({ state: 'complete', counts: { puts: 1 } })
    expect(memoryStore('b').partsSent).toBe(10)
    expect(sent).toBeGreaterThan(0)
  })

  it('I6: torn on the way, it is written nowhere', async () => {
    await begin(['a', 'b', 'c'])
    const { faults } = memoryStore('a')
    faults.push(({ when, operation, location, key }) => {
      if (when !== 'chunk' || operation !== 'read') return
      throw new StoreError('denied', 'torn', { location, operation, key: key ?? '' })
    })
    expect(await engine.run()).toMatchObject({ state: 'partial', counts: { puts: 0, failed: 2 } })
    for (const name of ['b', 'c']) expect(memoryStore(name).names()).toEqual([])
  })
})
