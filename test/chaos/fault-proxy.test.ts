/** The fault proxy does what it says, before anything is proved by it. */
import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { Agent, request } from 'undici'
import { afterEach, beforeEach, describe, expect, inject, test } from 'vitest'
import { openConnector } from '../../connectors/index.ts'
import type { LocationOptions } from '../../connectors/options.ts'
import { resolveReferences } from '../../src/config/index.ts'
import { azurePlace, gcsPlace, s3Place } from '../integration/places.ts'
import { diceOf } from '../sync/world.ts'
import { type FaultProxy, startFaultProxy } from './fault-proxy.ts'
import { type Fault, faultOf, type StoreKind } from './faults.ts'
import { gcsGaps } from './gcs-gaps.ts'

const body = 'x'.repeat(10_000)

describe('a fault', () => {
  let server: Server
  let heard: string[]
  let proxy: FaultProxy
  let agent: Agent

  beforeEach(async () => {
    heard = []
    server = createServer((incoming, outgoing) => {
      const chunks: Buffer[] = []
      incoming.on('data', (chunk: Buffer) => void chunks.push(chunk))
      incoming.on('end', () => {
        heard.push(`${incoming.method} ${Buffer.concat(chunks).length}`)
        outgoing.end(body)
      })
    })
    await new Promise<void>((done) => server.listen(0, '127.0.0.1', done))
    const { port } = server.address() as AddressInfo
    proxy = await startFaultProxy({ target: port, speaks: 's3', seed: 1 })
    agent = new Agent({ connections: 1 })
  })
  afterEach(async () => {
    await agent.destroy()
    await proxy.close()
    server.closeAllConnections()
    await new Promise((done) => server.close(done))
  })

  async function ask(method: 'GET' | 'PUT' = 'GET'): Promise<string> {
    try {
      const sent = method === 'PUT' ? { body } : {}
      const reply = await request(`http://${proxy.address}/`, {
        ...{ method, dispatcher: agent, ...sent, bodyTimeout: 300, headersTimeout: 300 },
      })
      return `${reply.statusCode} ${(await reply.body.text()).length}`
    } catch (error) {
      return (error as { code: string }).code
    }
  }

  /** The next exchange is harmed so. */
  function next(fault: Fault): void {
    proxy.next.push(fault)
  }

  test('none: what is asked and answered passes as it is, on one connection', async () => {
    expect([await ask(), await ask('PUT'), await ask()]).toEqual(Array(3).fill('200 10000'))
    expect(heard).toEqual(['GET 0', 'PUT 10000', 'GET 0'])
    expect(proxy.counts).toEqual({})
    expect(proxy.exchanges).toBe(3)
  })

  test('reset request: the server never hears the whole', async () => {
    next({ kind: 'reset request', after: 5_000 })
    expect(await ask('PUT')).toMatch(/ECONNRESET|UND_ERR_SOCKET/)
    expect(heard).toEqual([])
  })

  test('reset reply and truncate: the client never hears the whole', async () => {
    next({ kind: 'reset reply', after: 5_000 })
    expect(await ask()).toMatch(/ECONNRESET|UND_ERR_SOCKET/)
    next({ kind: 'truncate', after: 5_000 })
    expect(await ask()).toMatch(/UND_ERR_SOCKET/)
    expect(await ask()).toBe('200 10000')
    expect(proxy.counts).toEqual({ 'reset reply': 1, truncate: 1 })
  })

  test('reply lost: the server has done it, and the client hears nothing', async () => {
    next({ kind: 'reply lost' })
    expect(await ask('PUT')).toMatch(/ECONNRESET|UND_ERR_SOCKET/)
    expect(heard).toEqual(['PUT 10000'])
    expect(proxy.counts).toEqual({ 'reply lost after a write': 1 })
  })

  test('half-open: nothing more is said until it is quiet', async () => {
    next({ kind: 'half-open', after: 0 })
    expect(await ask()).toBe('UND_ERR_HEADERS_TIMEOUT')
    next({ kind: 'half-open', after: 5_000 })
    expect(await ask()).toBe('UND_ERR_BODY_TIMEOUT')
    next({ kind: 'half-open', after: 0 })
    const asked = request(`http://${proxy.address}/`, { dispatcher: agent })
    while (heard.length < 3) await new Promise((done) => setTimeout(done, 10))
    proxy.quiet()
    await expect(asked).rejects.toThrow()
    expect(await ask()).toBe('200 10000')
  })

  test('slow body and delay: it arrives, whole', async () => {
    next({ kind: 'slow body', bytes: 500, everyMs: 2 })
    expect(await ask()).toBe('200 10000')
    next({ kind: 'delay', ms: 50 })
    expect(await ask()).toBe('200 10000')
  })

  test('an answer in its place: the server hears nothing, and the connection goes on', async () => {
    const dice = diceOf(5)
    let fault = faultOf(dice, 's3', 'PUT')
    while (fault.kind !== 'answer' || fault.name !== 'SlowDown') fault = faultOf(dice, 's3', 'PUT')
    next(fault)
    expect(await ask('PUT')).toMatch(/^503 /)
    expect(heard).toEqual([])
    expect(await ask()).toBe('200 10000')
  })

  test('down: nobody gets through, until it is up again', async () => {
    proxy.down = true
    expect(await ask()).toMatch(/ECONNRESET|UND_ERR_SOCKET/)
    proxy.down = false
    expect(await ask()).toBe('200 10000')
  })

  test('one dice a seed: the same faults again', () => {
    const faults = (seed: number) => {
      const dice = diceOf(seed)
      return Array.from({ length: 50 }, () => faultOf(dice, 'gcs', 'GET'))
    }
    expect(faults(7)).toEqual(faults(7))
    expect(faults(7)).not.toEqual(faults(8))
  })
})

const { signal } = new AbortController()
const stores = {
  s3: async () => [await s3Place(inject('servers').s3), inject('servers').s3.endpoint] as const,
  gcs: async () => [await gcsPlace(inject('servers').gcs), inject('servers').gcs.endpoint] as const,
  azure: async () => {
    const { azure } = inject('servers')
    return [await azurePlace(azure), azure.endpoint] as const
  },
}

describe.each(['s3', 'gcs', 'azure'] as StoreKind[])('%s behind the proxy', (kind) => {
  async function behind(test: (connector: Opened, proxy: FaultProxy) => Promise<void>) {
    const [place, endpoint] = await stores[kind]()
    const { host, port } = new URL(endpoint)
    const { before } = gcsGaps(endpoint)
    const proxy = await startFaultProxy({
      ...{ target: Number(port), speaks: kind, seed: 1, ...(kind === 'gcs' && { before }) },
    })
    const options = JSON.parse(JSON.stringify(place.options).replaceAll(host, proxy.address))
    const connector = await openConnector(
      'store',
      await resolveReferences(options as LocationOptions),
      { concurrency: 4, partBytes: 5 * 1024 * 1024 },
    )
    try {
      await test(connector, proxy)
    } finally {
      await connector.close()
      await proxy.close()
      await place.close()
    }
  }

  type Opened = Awaited<ReturnType<typeof openConnector>>
  const put = (connector: Opened, key: string, text: string) =>
    connector.write(key, Buffer.from(text), null, {
      ...{ size: text.length, metadata: {}, digests: {}, signal, beforeCommit: async () => {} },
    })

  test('takes signatures for the proxy, and answers as without it', async () => {
    await behind(async (connector, proxy) => {
      const { token } = await put(connector, 'a b/ü', 'content')
      expect(await connector.stat('a b/ü', { signal })).toMatchObject({ size: 7 })
      await connector.remove('a b/ü', token, { signal, beforeCommit: async () => {} })
      expect(await connector.stat('a b/ü', { signal })).toBeNull()
      expect(proxy.exchanges).toBeGreaterThan(3)
    })
  })

  test('never makes an absence out of an answer that is not the store’s', async () => {
    await behind(async (connector, proxy) => {
      await put(connector, 'key', 'content')
      const names = new Set<string>()
      const dice = diceOf(3)
      for (let tries = 0; tries < 300; tries++) {
        const fault = faultOf(dice, kind, 'GET')
        if (fault.kind !== 'answer' || names.has(fault.name)) continue
        names.add(fault.name)
        proxy.next.push(fault)
        const pages = connector.list({ from: null, to: null }, undefined, { signal })
        const listed = pages[Symbol.asyncIterator]()
        await expect(listed.next(), fault.name).rejects.toMatchObject({
          code: expect.stringMatching(/^(unavailable|throttled|corrupt|unsupported)$/),
        })
      }
      expect(names.size).toBeGreaterThanOrEqual(4)
    })
  })
})
