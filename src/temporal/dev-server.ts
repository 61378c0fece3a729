/** Temporal's dev server: the embedded default's engine, with its state in one SQLite file. */
import { existsSync, mkdirSync, renameSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { UserError } from '../errors.ts'
import { getTool, temporalTool } from './binaries.ts'
import { connect } from './connection.ts'
import { hostId } from './host.ts'
import { type ClaimedPort, claimFreePort, claimPort, isFree } from './ports.ts'
import { accepts, NotReadyError, type Program, startProgram, untilReady } from './program.ts'
import { ensureSearchAttributes, searchAttributeNames } from './search-attributes.ts'

export interface DevServerOptions {
  stateDir: string
  /** Given: exactly this one, or UserError `port-in-use`. Else 7233, or any free one. */
  port?: number
  /** Given: exactly this one. Else 8233, or any free one. */
  uiPort?: number
  /** Lines for a person while the program is fetched or built. */
  report: (line: string) => void
  /** Called as soon as the process is there, before it answers. */
  onSpawn?: (program: Program, address: string, ui: string) => void
}

export interface DevServer {
  program: Program
  /** host:port */
  address: string
  /** The Web UI's address. */
  ui: string
  ports: { port: number; uiPort: number }
  logFile: string
  /** Gives its ports back, when it has ended and isn't started again. */
  release(): void
}

const loopback = '127.0.0.1'
const preferred = { port: 7233, uiPort: 8233 } as const
const logBytesMax = 16 * 1024 * 1024

/** Server 1.29's dynamic config, as JSON values. */
const settings = [
  // One shard loads tasks 20 times a second by default: 88 ms an activity instead of 11 to 15.
  'history.transferProcessorMaxPollRPS=2000',
  'history.timerProcessorMaxPollRPS=2000',
  // A worker that schedules an activity for itself gets it with the same reply.
  'system.enableActivityEagerExecution=true',
  // Priorities and fairness are ignored without these.
  'matching.useNewMatcher=true',
  'matching.enableFairness=true',
]

/** The SQLite file in the state folder that all of Temporal's state is in. */
export const databaseFile = (stateDir: string) => join(stateDir, 'temporal.db')

/** Starts it and waits until it answers and knows our search attributes. */
export async function startDevServer(options: DevServerOptions): Promise<DevServer> {
  const program = await programOf(options)
  const fixed = options.port !== undefined && options.uiPort !== undefined
  for (let tries = 1; ; tries++) {
    const claims = await claimPorts(options)
    const release = () => {
      for (const one of claims) one.release()
    }
    const [port, uiPort] = claims.map((one) => one.port) as [number, number]
    try {
      return { ...(await startOn(program, { port, uiPort }, options)), release }
    } catch (error) {
      release()
      // Another program may have taken a port since we looked: then there are others.
      const retry = error instanceof NotReadyError && !fixed && tries < 3
      if (!retry || ((await isFree(port)) && (await isFree(uiPort)))) throw error
    }
  }
}

/** Again where it was, on the ports that it still has: clients and workers know that address. */
export async function restartDevServer(
  { ports, release }: DevServer,
  options: DevServerOptions,
): Promise<DevServer> {
  for (const port of [ports.port, ports.uiPort]) if (!(await isFree(port))) throw inUse(port)
  return { ...(await startOn(await programOf(options), ports, options)), release }
}

async function programOf({ stateDir, report }: DevServerOptions) {
  const command = await getTool(temporalTool, { report })
  mkdirSync(stateDir, { recursive: true })
  const logFile = join(stateDir, 'logs', 'temporal.log')
  if (existsSync(logFile) && statSync(logFile).size > logBytesMax) {
    renameSync(logFile, `${logFile}.1`)
  }
  return { command, logFile }
}

async function claimPorts({ port, uiPort }: DevServerOptions): Promise<ClaimedPort[]> {
  const first = await claim(port, preferred.port)
  try {
    return [first, await claim(uiPort, preferred.uiPort)]
  } catch (error) {
    first.release()
    throw error
  }
}

async function claim(given: number | undefined, otherwise: number): Promise<ClaimedPort> {
  if (given !== undefined) {
    const claimed = await claimPort(given)
    if (claimed) return claimed
    throw inUse(given)
  }
  return (await claimPort(otherwise)) ?? (await claimFreePort())
}

async function startOn(
  { command, logFile }: { command: string; logFile: string },
  ports: DevServer['ports'],
  { stateDir, onSpawn }: DevServerOptions,
): Promise<Omit<DevServer, 'release'>> {
  const address = `${loopback}:${ports.port}`
  const ui = `http://${loopback}:${ports.uiPort}`
  const ours = ownNamespace(stateDir)
  const args = [
    ...['server', 'start-dev', '--ip', loopback, '--namespace', 'default', '--namespace', ours],
    ...['--port', String(ports.port), '--ui-port', String(ports.uiPort)],
    ...['--db-filename', databaseFile(stateDir), '--log-level', 'warn'],
    ...settings.flatMap((setting) => ['--dynamic-config-value', setting]),
    ...searchAttributeNames.flatMap((name) => ['--search-attribute', `${name}=Keyword`]),
  ]
  const program = await startProgram({ command, args, logFile })
  onSpawn?.(program, address, ui)
  try {
    const answers = async () => (await accepts(ports.port)) && (await isOurs(address, ours))
    await untilReady(program, { name: 'Temporal’s dev server', logFile, answers })
    await prepare(address)
  } catch (error) {
    await program.stop()
    throw error
  }
  return { program, address, ui, ports, logFile }
}

/** In every dev server of this state folder, and in no other. Nothing runs in it. */
export const ownNamespace = (stateDir: string) => `tidemark-${hostId(stateDir)}`

/**
 * Another server may have got the port first, and would answer while ours is still failing: the
 * namespace tells whose it is.
 */
export async function isOurs(address: string, namespace: string): Promise<boolean> {
  try {
    const { close } = await connect({ address, namespace })
    await close()
    return true
  } catch (error) {
    const notYet = ['temporal-namespace', 'temporal-unreachable']
    if (error instanceof UserError && notYet.includes(error.code)) return false
    throw error
  }
}

async function prepare(address: string): Promise<void> {
  const { connection, close } = await connect({ address })
  try {
    await ensureSearchAttributes(connection, 'default')
  } finally {
    await close()
  }
}

function inUse(port: number): UserError {
  return new UserError('port-in-use', `port ${port} is in use on ${loopback}`, {
    where: `${loopback}:${port}`,
    next: 'Stop the program that listens there, give another port, or leave the port out.',
  })
}
