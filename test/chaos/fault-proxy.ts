/**
 * A TCP proxy that harms what passes: by a seeded dice for each connection, which is thrown for
 * each exchange on it. Bytes pass as they are, so that signatures hold: a client signs for the
 * proxy's address, which its Host header names.
 */
import { connect, createServer, type Server, type Socket } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import { type Dice, diceOf } from '../sync/world.ts'
import { type Fault, type FaultName, faultOf, type StoreKind } from './faults.ts'
import {
  createReader,
  type Head,
  methodOf,
  type Reader,
  replyLength,
  requestLength,
  statusOf,
} from './http-reader.ts'

export interface FaultProxy {
  /** host:port */
  address: string
  port: number
  /** Of a thousand exchanges so many are harmed (raw: of 30,000 pieces); 0: none. */
  rate: number
  /** Harms the next exchanges so, whatever the rate. */
  next: Fault[]
  /** No connection is taken while it is true; those that are open are reset when it becomes so. */
  down: boolean
  /** From now on nothing is harmed, and who still waits for an answer hears of it. */
  quiet(): void
  /** How often each happened. */
  counts: Record<FaultName, number>
  /** Exchanges in all. */
  exchanges: number
  close(): Promise<void>
}

export interface ProxyOptions {
  /** Where it listens; default: any free port. */
  port?: number
  host?: string
  target: number | { host: string; port: number }
  /** `raw`: not HTTP; connections are reset, delayed or fall silent by the bytes that passed. */
  speaks: StoreKind | 'raw'
  seed: number
  /** Enforces what an emulator doesn't heed: asked before each request, may answer in its place. */
  before?: (request: Head) => Promise<Before>
}

/** `reply`: sent in the store's place. `after`: called when the exchange has ended. */
export interface Before {
  reply?: Buffer
  after?: () => void
}

/** How long (ms) a half-open connection stays so where its client has more patience. */
const halfOpenMsMax = 8_000

interface Line {
  client: Socket
  upstream: Socket
  dice: Dice
  /** Aborted: the proxy became quiet, or the line broke. */
  ended: AbortController
}

export async function startFaultProxy(options: ProxyOptions): Promise<FaultProxy> {
  const lines = new Set<Line>()
  let connections = 0
  let down = false
  const server = createServer({ allowHalfOpen: true }, (client) => {
    if (down) return void client.resetAndDestroy()
    const line = lineOf(client, options, options.seed * 1_000_003 + connections++)
    lines.add(line)
    const serve = options.speaks === 'raw' ? serveRaw : serveHttp
    void serve(proxy, line, options).finally(() => {
      close(line)
      lines.delete(line)
    })
  })
  await listening(server, options)
  const { port } = server.address() as { port: number }
  const proxy: FaultProxy = {
    address: `127.0.0.1:${port}`,
    port,
    rate: 0,
    next: [],
    counts: {},
    exchanges: 0,
    get down() {
      return down
    },
    set down(is) {
      down = is
      if (is) for (const line of lines) close(line)
    },
    quiet() {
      proxy.rate = 0
      proxy.down = false
      for (const { ended } of lines) ended.abort()
    },
    async close() {
      for (const line of lines) close(line)
      await new Promise((done) => server.close(done))
    },
  }
  return proxy
}

async function listening(server: Server, { port = 0, host = '127.0.0.1' }: ProxyOptions) {
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject)
    server.listen(port, host, resolve)
  })
}

function lineOf(client: Socket, { target }: ProxyOptions, seed: number): Line {
  const to = typeof target === 'number' ? { host: '127.0.0.1', port: target } : target
  const upstream = connect({ ...to, allowHalfOpen: true, noDelay: true })
  client.setNoDelay(true)
  // Whoever reads or writes hears of it.
  for (const socket of [client, upstream]) socket.on('error', () => {})
  const line = { client, upstream, dice: diceOf(seed), ended: new AbortController() }
  client.once('close', () => {
    line.ended.abort()
    upstream.destroy()
  })
  return line
}

/** With RST, but for a side that was ended in order: that one still gets all that was written. */
function close({ client, upstream, ended }: Line): void {
  ended.abort()
  for (const socket of [client, upstream]) {
    if (socket.writableEnded) socket.destroySoon()
    else if (!socket.destroyed) socket.resetAndDestroy()
  }
}

// ── HTTP ────────────────────────────────────────────────────────────────────────────────────────

async function serveHttp(proxy: FaultProxy, line: Line, options: ProxyOptions): Promise<void> {
  const requests = createReader(line.client)
  const replies = createReader(line.upstream)
  for (;;) {
    const request = await requests.head()
    if (request === null) return void line.client.end()
    proxy.exchanges++
    const fault = proxy.next.shift() ?? drawn(proxy, line, options, request)
    const { reply, after } = (await options.before?.(request)) ?? {}
    try {
      const instead = reply ?? (fault?.kind === 'answer' ? fault.reply : undefined)
      const goesOn = instead
        ? await answerInstead(line, requests, request, instead)
        : await exchange(line, { requests, replies, request, fault })
      if (fault && !reply) count(proxy, nameOf(fault, request))
      if (!goesOn) return
    } finally {
      after?.()
    }
  }
}

function drawn({ rate }: FaultProxy, { dice }: Line, { speaks }: ProxyOptions, request: Head) {
  if (dice.below(1_000) >= rate) return undefined
  return faultOf(dice, speaks as StoreKind, methodOf(request))
}

function nameOf(fault: Fault, request: Head): FaultName {
  if (fault.kind === 'answer') return fault.name
  const wrote = fault.kind === 'reply lost' && !['GET', 'HEAD'].includes(methodOf(request))
  return wrote ? 'reply lost after a write' : fault.kind
}

function count(proxy: FaultProxy, name: FaultName): void {
  proxy.counts[name] = (proxy.counts[name] ?? 0) + 1
}

async function answerInstead(
  { client }: Line,
  requests: Reader,
  request: Head,
  reply: Buffer,
): Promise<boolean> {
  for await (const _ of requests.body(requestLength(request)));
  return await write(client, reply)
}

interface Exchange {
  requests: Reader
  replies: Reader
  request: Head
  fault: Fault | undefined
}

/** Whether the connection goes on afterwards. */
async function exchange(line: Line, given: Exchange): Promise<boolean> {
  const { requests, replies, request, fault } = given
  const asking = harmed(line, fault?.kind === 'reset request' ? fault : undefined, line.upstream)
  let asked = false
  const sending = (async () => {
    if (!(await asking(request.bytes))) return
    for await (const piece of requests.body(requestLength(request))) {
      if (!(await asking(piece))) return
    }
    asked = true
  })()
  if (fault?.kind === 'reset request') {
    await sending
    if (!asked) return false
  }
  if (fault?.kind === 'reply lost') {
    await sending
    await heard(replies, request)
    close(line)
    return false
  }
  const answering = harmed(line, fault, line.client)
  for (;;) {
    const reply = await replies.head()
    if (reply === null) return false
    if (!(await answering(reply.bytes))) return false
    const length = replyLength(request, reply)
    for await (const piece of replies.body(length)) if (!(await answering(piece))) return false
    if (statusOf(reply) < 200) continue
    // A server that answered before it had heard all doesn't listen any more.
    if (length === 'closed' || !asked || reply.headers.get('connection') === 'close') {
      line.client.end()
      return false
    }
    return true
  }
}

async function heard(replies: Reader, request: Head): Promise<void> {
  for (;;) {
    const reply = await replies.head()
    if (reply === null) return
    for await (const _ of replies.body(replyLength(request, reply)));
    if (statusOf(reply) >= 200) return
  }
}

/** Passes bytes on to that side, and does to them what the fault says; false: nothing more. */
function harmed(line: Line, fault: Fault | undefined, to: Socket) {
  let passed = 0
  let waited = false
  return async (bytes: Buffer): Promise<boolean> => {
    switch (fault?.kind) {
      case 'delay':
        if (!waited) await pause(line, fault.ms)
        waited = true
        return await write(to, bytes)
      case 'slow body':
        return await trickle(line, to, bytes, fault)
      case 'reset request':
      case 'reset reply':
      case 'truncate':
      case 'half-open': {
        const rest = fault.after - passed
        passed += bytes.length
        if (rest > bytes.length) return await write(to, bytes)
        await write(to, bytes.subarray(0, rest))
        await cut(line, fault.kind)
        return false
      }
      default:
        return await write(to, bytes)
    }
  }
}

async function cut(line: Line, kind: Fault['kind']): Promise<void> {
  if (kind === 'half-open') await pause(line, halfOpenMsMax)
  if (kind === 'truncate') line.client.end()
  close(line)
}

/** At most so many pieces: a slow body ends some time. */
const trickledPiecesMax = 300

async function trickle(
  line: Line,
  to: Socket,
  bytes: Buffer,
  { bytes: most, everyMs }: { bytes: number; everyMs: number },
): Promise<boolean> {
  const step = Math.max(most, Math.ceil(bytes.length / trickledPiecesMax))
  for (let at = 0; at < bytes.length; at += step) {
    if (!(await write(to, bytes.subarray(at, at + step)))) return false
    await pause(line, everyMs)
  }
  return true
}

/** Ends early where the line ends, or the proxy becomes quiet. */
async function pause({ ended: { signal } }: Line, ms: number): Promise<void> {
  try {
    await sleep(ms, undefined, { signal })
  } catch (error) {
    if (!signal.aborted) throw error
  }
}

/** false: nobody takes it any more. */
async function write(to: Socket, bytes: Buffer): Promise<boolean> {
  if (to.destroyed || to.writableEnded) return false
  return await new Promise((done) => to.write(bytes, (error) => done(!error)))
}

// ── anything else ───────────────────────────────────────────────────────────────────────────────

/** A transaction is several pieces, and a run many transactions: else none would get through. */
const piecesPerExchange = 30

/** A piece is what comes at once: the dice is thrown for each that the server sends. */
async function serveRaw(proxy: FaultProxy, line: Line): Promise<void> {
  const { client, upstream, dice } = line
  const up = pump(createReader(client), upstream, async () => 'pass')
  const downward = pump(createReader(upstream), client, async () => {
    proxy.exchanges++
    if (dice.below(1_000 * piecesPerExchange) >= proxy.rate) return 'pass'
    const kind = dice.pick(['reset reply', 'half-open', 'delay'] as const)
    count(proxy, kind)
    if (kind === 'delay') await pause(line, 50 + dice.below(2_000))
    if (kind === 'half-open') await pause(line, halfOpenMsMax)
    return kind === 'delay' ? 'pass' : 'end'
  })
  await Promise.race([up, downward])
}

async function pump(from: Reader, to: Socket, judge: () => Promise<'pass' | 'end'>): Promise<void> {
  for (;;) {
    const piece = await from.some(1 << 16)
    if (piece === null || (await judge()) === 'end' || !(await write(to, piece))) return
  }
}
