/**
 * Temporal for a command: the one named by --temporal or the config, else this state folder's
 * embedded server, which is brought up where none is up.
 */
import { setTimeout as sleep } from 'node:timers/promises'
import { UserError } from '../errors.ts'
import { connect, type TemporalClient } from '../temporal/connection.ts'
import { readServer, type ServerInfo } from '../temporal/lock.ts'
import type { Embedded } from '../temporal/supervisor.ts'
import { targetOf } from '../temporal/target.ts'
import type { CommandContext } from './command.ts'
import type { Session } from './session.ts'

/** A session with a Temporal server. */
export interface ServedSession extends Session {
  temporal: TemporalClient
  /** Of the embedded server; null: Temporal is somebody else's. */
  server: ServerInfo | null
  /** We started the embedded server: it ends with us. */
  own: boolean
  /** After the connection was lost: to where Temporal is now. An embedded server that another
   *  command had, and that ended with it, is brought up again here. */
  reconnect(): Promise<void>
  /** Looks after an embedded server that another command has, until `stop`: `gone` rejects with
   *  `ServerGone` when it has ended. Calls to it would fail much later. */
  watch(): { gone: Promise<never>; stop(): void }
}

export class ServerGone extends Error {
  override name = 'ServerGone'
}

/** How long (ms) Temporal may be away in the middle of a run: as long as a restart takes. */
const patienceMs = 60_000

/** `start`: an embedded server is brought up where none is, for as long as the session is open;
 *  without it UserError `no-server`. On failure the session is left open. */
export async function serve(
  context: CommandContext,
  session: Session,
  { start }: { start: boolean },
): Promise<ServedSession> {
  let embedded: Embedded | null = null

  async function attach(): Promise<Pick<ServedSession, 'temporal' | 'server' | 'own'>> {
    const { config } = session
    if (context.temporal ?? config.temporal.address) {
      const temporal = await connect(await targetOf(config, context.temporal))
      return { temporal, server: null, own: false }
    }
    const found = embedded ? null : await serverOf(context)
    if (!embedded && !found) {
      if (!start) throw noServer(context.state)
      embedded = await startOwn(context)
    }
    const server = embedded?.server ?? (found as ServerInfo)
    const temporal = await connect(await targetOf(config, server.address))
    return { temporal, server, own: embedded !== null }
  }

  async function attachAgain(): Promise<Awaited<ReturnType<typeof attach>>> {
    const deadline = performance.now() + patienceMs
    for (;;) {
      try {
        return await (embedded ? Promise.race([attach(), failed(embedded)]) : attach())
      } catch (error) {
        // Another command may have brought it up since we looked, or is just ending its own.
        const passing = isCode(error, 'state-in-use') || isCode(error, 'temporal-unreachable')
        if (!passing || context.signal.aborted || performance.now() > deadline) throw error
        await sleep(250)
      }
    }
  }

  async function first() {
    const elsewhere = context.temporal ?? session.config.temporal.address
    try {
      return await (elsewhere ? attach() : attachAgain())
    } catch (error) {
      await embedded?.stop()
      throw error
    }
  }

  const served: ServedSession = {
    ...session,
    ...(await first()),
    async reconnect() {
      // The old connection stays open: a call of it that is tried again would throw out of a timer.
      Object.assign(served, await attachAgain())
    },
    watch: () => watchServer(context.state, served.own ? null : served.server),
    async close() {
      await embedded?.stop()
      await session.close()
      await served.temporal.close()
    },
  }
  return served
}

const watchEveryMs = 1_000

function watchServer(state: string, server: ServerInfo | null): ReturnType<ServedSession['watch']> {
  const { promise: gone, reject } = Promise.withResolvers<never>()
  // Who stops watching needn't look at it.
  gone.catch(() => undefined)
  if (server === null) return { gone, stop: () => {} }
  const look = async () => {
    // Another one that is just starting: then this one is gone, too.
    const now = await readServer(state, 0).catch((error) => starting(error))
    if (now?.pid !== server.pid) reject(new ServerGone(`the server on ${state} has ended`))
  }
  const timer = setInterval(() => void look().catch(reject), watchEveryMs)
  return { gone, stop: () => clearInterval(timer) }
}

function starting(error: unknown): null {
  if (isCode(error, 'state-in-use')) return null
  throw error
}

/** Waits for a server that is just starting; Ctrl-C ends the wait. */
async function serverOf({ state, signal }: CommandContext): Promise<ServerInfo | null> {
  const { promise, reject } = Promise.withResolvers<never>()
  const onAbort = () => reject(signal.reason)
  signal.addEventListener('abort', onAbort, { once: true })
  try {
    signal.throwIfAborted()
    return await Promise.race([readServer(state), promise])
  } finally {
    signal.removeEventListener('abort', onAbort)
  }
}

async function startOwn(context: CommandContext): Promise<Embedded> {
  const { startEmbedded } = await import('../temporal/supervisor.ts')
  return await startEmbedded({
    stateDir: context.state,
    configPath: context.config,
    signal: context.signal,
    log: context.output.note,
    onEvent: (event) => {
      if (event.kind !== 'died') return
      context.output.note(`${event.program} ended unexpectedly; started again (${event.logFile})`)
    },
  })
}

/** Never resolves: rejects when the embedded server is given up. */
async function failed(embedded: Embedded): Promise<never> {
  await embedded.ended
  return await new Promise<never>(() => {})
}

function isCode(error: unknown, code: string): boolean {
  return error instanceof UserError && error.code === code
}

function noServer(state: string): UserError {
  return new UserError('no-server', 'no server is up on this state folder: nothing runs', {
    where: state,
    next: 'Start one: tidemark up',
    exit: 6,
  })
}

/** A session for a command that needs no server: Temporal where it answers, else why it doesn't. */
export async function glance(
  context: CommandContext,
  session: Session,
): Promise<{ temporal: TemporalClient | null; server: ServerInfo | null; without: string }> {
  const none = { temporal: null, server: null }
  try {
    if (context.temporal ?? session.config.temporal.address) {
      const temporal = await connect(await targetOf(session.config, context.temporal))
      return { temporal, server: null, without: '' }
    }
    const server = await readServer(context.state, 0)
    if (!server) return { ...none, without: 'no server is up' }
    const temporal = await connect(await targetOf(session.config, server.address))
    return { temporal, server, without: '' }
  } catch (error) {
    if (!(error instanceof UserError)) throw error
    if (isCode(error, 'state-in-use')) return { ...none, without: 'a server is just starting' }
    return { ...none, without: error.message }
  }
}
