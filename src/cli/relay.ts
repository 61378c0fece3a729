/**
 * A command run by the server that is up: its modules are loaded and its connections open, which
 * spares a command half a second. The same code runs there, with this terminal as its own. Lines of
 * JSON over a socket in the state folder, which only its owner may open.
 */
import { connect } from 'node:net'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { packageVersion } from '../package-root.ts'
import type { CommandContext, CommandOptions } from './command.ts'
import { createPaint } from './output.ts'

export interface RelayRequest {
  /** Of another version: it isn't taken. */
  version: string
  command: string
  args: string[]
  options: CommandOptions
  config: string
  json: boolean
  by: string
  /** Whether colour is wanted on standard output; whether standard error is a terminal. */
  colour: boolean
  terminal: boolean
  columns: number
}

/** What a request may have, bytes: a command line has no more. */
export const requestBytesMax = 1024 * 1024

/** null: it is none, or of another version of Tidemark. */
export function requestIn(line: string): RelayRequest | null {
  const request = parsed(line) as Partial<RelayRequest> | null
  if (typeof request !== 'object' || request === null) return null
  const { version, command, args, options, config, by, columns = 0 } = request
  const texts = [command, config, by, ...(Array.isArray(args) ? args : [null])]
  const flags = [request.json, request.colour, request.terminal]
  const isWhole =
    version === packageVersion &&
    texts.every((text) => typeof text === 'string') &&
    flags.every((flag) => typeof flag === 'boolean') &&
    typeof options === 'object' &&
    options !== null &&
    Number.isSafeInteger(columns) &&
    columns > 0
  return isWhole ? (request as RelayRequest) : null
}

/** undefined: no JSON. */
function parsed(line: string): unknown {
  try {
    return JSON.parse(line)
  } catch (error) {
    if (error instanceof SyntaxError) return undefined
    throw error
  }
}

/** From the server; `exit` is the last. */
export type RelayReply = { out: string } | { err: string } | { exit: number } | { refused: true }

/** The server is ending: whoever relayed a command goes on with it by itself, on the same run. */
export class HandOver extends Error {
  override name = 'HandOver'
}

/** Ctrl-C, as the client tells it. Closing the connection means the same. */
export const abortLine = '"abort"'

/** Unix sockets have short names: Linux takes 107 bytes. */
const pathBytesMax = 100

/** null where the state folder's path is too long for a socket: then nothing is relayed. */
export function relaySocket(state: string): string | null {
  const path = join(state, 'relay.sock')
  return Buffer.byteLength(path) <= pathBytesMax ? path : null
}

/**
 * The exit code, or null where no server took the command, or it went away in the middle: then the
 * command is run here, and finds the run that the server began.
 */
export async function relay(
  context: CommandContext,
  command: string,
  args: string[],
  options: CommandOptions,
): Promise<number | null> {
  const path = relaySocket(context.state)
  if (path === null || context.temporal !== null || context.signal.aborted) return null
  const socket = connect(path)
  const connected = await new Promise<boolean>((done) => {
    socket.once('connect', () => done(true))
    socket.once('error', () => done(false))
  })
  if (!connected) return null
  // Whatever breaks the connection later: the command is run here.
  socket.on('error', () => {})
  const request: RelayRequest = {
    version: packageVersion,
    ...{ command, args, options, config: context.config },
    ...{ json: context.json, by: context.by },
    colour: createPaint(process.stdout)('bold', 'x') !== 'x',
    terminal: process.stderr.isTTY === true,
    columns: process.stderr.columns ?? 100,
  }
  const abort = () => void socket.write(`${abortLine}\n`)
  context.signal.addEventListener('abort', abort, { once: true })
  socket.write(`${JSON.stringify(request)}\n`)
  try {
    for await (const line of createInterface({ input: socket })) {
      const reply = parsed(line) as RelayReply | undefined
      // A server that was killed leaves half a line.
      if (typeof reply !== 'object' || reply === null) return null
      if ('refused' in reply) return null
      if ('exit' in reply) return reply.exit
      if ('out' in reply) process.stdout.write(reply.out)
      else process.stderr.write(reply.err)
    }
    return null
  } catch (error) {
    // The connection broke in the middle; what else may throw here isn't the socket's.
    if ((error as NodeJS.ErrnoException).syscall === undefined) throw error
    return null
  } finally {
    context.signal.removeEventListener('abort', abort)
    socket.destroy()
  }
}
