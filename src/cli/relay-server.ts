/** The server's side of relay.ts: runs what the command line relays to it. */
import { chmodSync, rmSync } from 'node:fs'
import { createServer, type Socket } from 'node:net'
import { createInterface } from 'node:readline'
import { EXIT } from '../errors.ts'
import type { CommandContext } from './command.ts'
import { commands } from './commands.ts'
import { reportError } from './failure.ts'
import { createOutput, type Sink } from './output.ts'
import {
  HandOver,
  type RelayReply,
  type RelayRequest,
  relaySocket,
  requestBytesMax,
  requestIn,
} from './relay.ts'

export interface Relayed {
  /** Leaves what is under way to those who asked for it. */
  close(): Promise<void>
}

/** null where the state folder's path is too long for a socket: commands run by themselves then. */
export async function serveRelayed(context: CommandContext): Promise<Relayed | null> {
  const path = relaySocket(context.state)
  if (path === null) return null
  const running = new Map<AbortController, Promise<void>>()
  const server = createServer((socket) => {
    const stop = new AbortController()
    const ended = serveOne(context.state, socket, stop).finally(() => running.delete(stop))
    running.set(stop, ended)
  })
  // Left by a server that was killed: the state folder's lock says that none is up.
  rmSync(path, { force: true })
  await new Promise<void>((done, fail) => {
    server.once('error', fail)
    server.listen(path, done)
  })
  chmodSync(path, 0o600)
  return {
    async close() {
      server.close()
      for (const stop of running.keys()) stop.abort(new HandOver('the server is ending'))
      await Promise.all(running.values())
      rmSync(path, { force: true })
    },
  }
}

async function serveOne(state: string, socket: Socket, stop: AbortController): Promise<void> {
  const tell = (reply: RelayReply) => {
    if (socket.writable) socket.write(`${JSON.stringify(reply)}\n`)
  }
  // The command line was killed, or interrupted.
  socket.on('error', () => stop.abort(new Error('interrupted')))
  socket.once('close', () => stop.abort(new Error('interrupted')))
  let bytes = 0
  socket.on('data', (chunk) => {
    bytes += chunk.length
    // No command line is so long, and what never ends a line would fill the memory.
    if (bytes > requestBytesMax) socket.destroy()
  })
  const lines = createInterface({ input: socket })
  // A client that went away abruptly is an error of the lines, too: unheard, it would end us.
  lines.on('error', () => stop.abort(new Error('interrupted')))
  const first = await new Promise<string>((done) => {
    lines.once('line', done)
    lines.once('close', () => done(''))
    // A connection that broke before it said anything ends no line; nor does one that says nothing.
    stop.signal.addEventListener('abort', () => done(''), { once: true })
  })
  lines.on('line', () => stop.abort(new Error('interrupted')))
  const request = requestIn(first)
  const row = commands.find(({ name, relayed }) => relayed && name === request?.command)
  if (!request || !row) tell({ refused: true })
  else {
    const exit = await run(state, request, row, tell, stop.signal)
    if (!(stop.signal.reason instanceof HandOver)) tell({ exit })
  }
  socket.end()
}

async function run(
  state: string,
  { config, json, by, args, options, colour, terminal, columns }: RelayRequest,
  row: (typeof commands)[number],
  tell: (reply: RelayReply) => void,
  signal: AbortSignal,
): Promise<number> {
  const stdout = sinkOf((out) => tell({ out }), colour, columns)
  const stderr = sinkOf((err) => tell({ err }), terminal, columns)
  const output = createOutput(json, { stdout, stderr })
  try {
    const { run } = await row.load()
    const context = { config, state, temporal: null, json, by, output, signal }
    const code = await run(context, args, options)
    return signal.aborted ? EXIT.interrupted : code
  } catch (error) {
    return reportError(error, { json, signal, stderr })
  }
}

function sinkOf(write: (text: string) => void, isTTY: boolean, columns: number): Sink {
  return {
    isTTY,
    columns,
    write(text) {
      write(text)
      return true
    },
    once: (_, done) => done(),
  }
}
