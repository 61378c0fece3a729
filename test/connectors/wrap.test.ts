/** What `openConnector` adds to any connector, on the memory connector and its faults. */
import { randomUUID } from 'node:crypto'
import { beforeEach, describe, expect, it } from 'vitest'
import type { Page } from '../../connectors/connector.ts'
import { type CallReport, type OpenContext, openConnector } from '../../connectors/index.ts'
import { type MemoryStore, memoryStore } from '../../connectors/memory.ts'
import { StoreError } from '../../src/errors.ts'
import {
  bytesOf,
  calling,
  errorOf,
  expectContent,
  failsWith,
  keysOf,
  noise,
  put,
  readAll,
  removing,
  streamed,
  text,
  writing,
} from '../conformance/world.ts'

let name: string
let store: MemoryStore

beforeEach(() => {
  name = randomUUID()
  store = memoryStore(name)
})

function open(given: Partial<OpenContext> = {}) {
  const context = { concurrency: 8, partBytes: 1_000, pageKeys: 3, ...given }
  return openConnector('place', { type: 'memory', store: name, prefix: '' }, context)
}

describe('I9: a listing that cannot be trusted fails', () => {
  const keys = ['a', 'b', 'c', 'd', 'e', 'f', 'g']

  async function listingWith(harm: (page: Page) => void) {
    for (const key of keys) store.put(key, text(key))
    store.faults.push(({ page }) => page && harm(page))
    return keysOf(await open(), { from: 'a', to: 'g' })
  }

  it('out of order within a page', async () => {
    const error = await failsWith(
      'corrupt',
      listingWith((page) => void page.entries.reverse()),
    )
    expect(error).toMatchObject({ location: 'place', operation: 'list', key: 'b' })
  })

  it('going back from page to page', async () => {
    const again = (page: Page) => {
      page.resume &&= 'a'
    }
    await failsWith('corrupt', listingWith(again))
  })

  it('a key twice', async () => {
    const twice = (page: Page) => page.entries.splice(1, 0, ...page.entries.slice(0, 1))
    await failsWith(
      'corrupt',
      listingWith((page) => void twice(page)),
    )
  })

  it('what it skips going back, or being an entry, too', async () => {
    const reason = 'a symlink'
    const showing = (key: string) => {
      store.faults.length = 0
      return listingWith((page) => {
        if (page.entries[0]?.key === 'd') page.skipped.push({ key, reason })
      })
    }
    await failsWith('corrupt', showing('aa'))
    await failsWith('corrupt', showing('e'))
    expect(await showing('dd')).toHaveLength(6)
  })

  it('a key outside of the range', async () => {
    const outside = (page: Page) => {
      const last = page.entries.at(-1)
      if (last) page.entries.push({ ...last, key: 'z' })
    }
    await failsWith('corrupt', listingWith(outside))
  })

  it('one that stops without having said that it ended', async () => {
    for (const key of keys) store.put(key, text(key))
    const { checked } = await import('../../connectors/wrap.ts')
    const inner = await open()
    const cut = checked({
      ...inner,
      async *list(...given) {
        for await (const page of inner.list(...given)) {
          yield page
          return
        }
      },
    })
    await failsWith('corrupt', keysOf(cut))
  })

  it('one that is in order passes', async () => {
    expect(await listingWith(() => {})).toEqual(['a', 'b', 'c', 'd', 'e', 'f'])
  })
})

describe('no more calls at a time than allowed', () => {
  it('of all kinds together; the others wait their turn', async () => {
    let inside = 0
    let most = 0
    store.put('k', text('1'))
    store.faults.push(async ({ when }) => {
      if (when === 'before') most = Math.max(most, ++inside)
      if (when === 'before') await new Promise((resolve) => setImmediate(resolve))
      if (when === 'after') inside--
    })
    const connector = await open({ concurrency: 3 })
    await Promise.all([
      ...Array.from({ length: 10 }, () => connector.stat('k', calling())),
      ...Array.from({ length: 10 }, (_, index) => put(connector, `new ${index}`, text('1'))),
    ])
    expect(most).toBe(3)
  })

  it('a call that fails gives its turn on', async () => {
    const connector = await open({ concurrency: 1 })
    for (let i = 0; i < 3; i++) {
      await failsWith('not-found', readAll(connector, 'none', { id: 'x' }))
    }
    expect(await connector.stat('none', calling())).toBeNull()
  })

  it('a call that is cancelled while it waits is never made', async () => {
    const connector = await open({ concurrency: 1 })
    const held = Promise.withResolvers<void>()
    const first = put(connector, 'first', text('1'), null, { beforeCommit: () => held.promise })
    const controller = new AbortController()
    const second = put(connector, 'second', text('1'), null, calling(controller.signal))
    controller.abort()
    await failsWith('cancelled', second)
    held.resolve()
    await first
    expect(await keysOf(connector)).toEqual(['first'])
  })

  it('a copy within one store does not wait for itself', async () => {
    const connector = await open({ concurrency: 1 })
    const source = await put(connector, 'a', noise(3_000, 'a'))
    const { body } = await connector.read('a', source.token, undefined, calling())
    await connector.write('b', body, null, writing(3_000))
    const options = { ...calling(), digests: {}, beforeCommit: async () => {} }
    const from = { connector, key: 'a', token: source.token, size: 3_000 }
    await connector.copyWithin?.('c', from, null, options)
    for (const key of ['b', 'c']) await expectContent(connector, key, noise(3_000, 'a'))
  })
})

describe('a limit on bandwidth', () => {
  it('changes no byte, in or out', async () => {
    const connector = await open({ bandwidthBytesPerSecond: 10_000_000 })
    const bytes = noise(5_000, 'slow')
    await put(connector, 'whole', bytes)
    await connector.write('stream', streamed(bytes, 700), null, writing(5_000))
    for (const key of ['whole', 'stream']) await expectContent(connector, key, bytes)
  })

  it('a wait for it is cancelled at once', async () => {
    const connector = await open({ bandwidthBytesPerSecond: 1 })
    const controller = new AbortController()
    const write = put(connector, 'k', noise(5_000, 'k'), null, calling(controller.signal))
    controller.abort()
    await failsWith('cancelled', write)
    expect(await keysOf(connector)).toEqual([])
  })
})

describe('each call is reported', () => {
  it('with its code and its bytes', async () => {
    const reports: CallReport[] = []
    const connector = await open({ onCall: (report) => reports.push(report) })
    const { token } = await put(connector, 'k', noise(2_500, 'k'))
    const { body } = await connector.read('k', token, undefined, calling())
    await bytesOf(body)
    await failsWith('changed-meanwhile', put(connector, 'k', text('other')))
    await failsWith('not-found', readAll(connector, 'none', token))
    await keysOf(connector)
    await connector.remove('k', token, removing())
    const fenced = () => Promise.reject(new Error('fenced'))
    await errorOf(put(connector, 'k', text('1'), null, { beforeCommit: fenced }))
    expect(reports.map(({ operation, code, bytes }) => [operation, code, bytes])).toEqual([
      ['write', 'ok', 2_500],
      ['read', 'ok', 2_500],
      ['write', 'changed-meanwhile', 5],
      ['read', 'not-found', 0],
      ['list', 'ok', 0],
      ['remove', 'ok', 0],
      ['write', 'error', 1],
    ])
  })

  it('also a body that breaks half-way', async () => {
    const reports: CallReport[] = []
    const connector = await open({ onCall: (report) => reports.push(report) })
    const { token } = await put(connector, 'k', noise(2_500, 'k'))
    let chunks = 0
    store.faults.push(({ when, operation, location }) => {
      if (when === 'chunk' && ++chunks === 2) {
        throw new StoreError('unavailable', 'cut', { location, operation })
      }
    })
    await failsWith('unavailable', readAll(connector, 'k', token))
    expect(reports.at(-1)).toMatchObject({ operation: 'read', code: 'unavailable', bytes: 1_000 })
  })
})

describe('the memory store serves tests', () => {
  it('a reply that is lost after success: the write is there, and counted once', async () => {
    const connector = await open()
    store.faults.push(({ when, operation, location }) => {
      if (when !== 'after' || operation !== 'write') return
      store.faults.length = 0
      throw new StoreError('unavailable', 'reply lost', { location, operation })
    })
    await failsWith('unavailable', put(connector, 'k', text('1')))
    await expectContent(connector, 'k', text('1'))
    expect(store.writes.get('k')).toBe(1)
  })

  it('a foreign writer at the worst moment', async () => {
    const connector = await open()
    store.faults.push(({ when }) => void (when === 'commit' && store.put('k', text('theirs'))))
    await failsWith('changed-meanwhile', put(connector, 'k', text('mine')))
    expect(store.get('k')?.bytes.toString()).toBe('theirs')
  })

  it('a listing that stops half-way fails', async () => {
    for (const key of 'abcdef') store.put(key, text(key))
    let pages = 0
    store.faults.push(({ when, operation, location }) => {
      if (when === 'page' && ++pages === 2) {
        throw new StoreError('unavailable', 'cut', { location, operation })
      }
    })
    await failsWith('unavailable', keysOf(await open()))
  })

  it('a clock of its own', async () => {
    store.clock = () => 42
    expect(await put(await open(), 'k', text('1'))).toMatchObject({ modifiedAt: 42 })
  })

  it('traits of its own: a store without conditions looks just before, then writes', async () => {
    store.traits = { conditionalOverwrite: false, listingDigests: [] }
    const connector = await open()
    const { token } = await put(connector, 'k', text('1'))
    store.faults.push(({ when }) => {
      if (when === 'commit') store.put('k', text('theirs'))
    })
    await put(connector, 'k', text('mine'), token)
    await failsWith('changed-meanwhile', put(connector, 'k', text('late'), token))
    await expectContent(connector, 'k', text('mine'))
  })
})
