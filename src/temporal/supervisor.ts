/**
 * The embedded default: state lock → Temporal's dev server → workers, each a process of its own,
 * started again when it dies, ended in the reverse order. The workers' entry is src/worker.ts.
 */
import { existsSync, readFileSync, statSync } from 'node:fs'
import { extname, join, resolve } from 'node:path'
import { fileURLToPath } from 'node:url'
import { variable } from '../config/environment.ts'
import { EXIT, UserError } from '../errors.ts'
import { workflowBundle } from './bundle.ts'
import {
  type DevServer,
  type DevServerOptions,
  restartDevServer,
  startDevServer,
} from './dev-server.ts'
import { type Kept, keepAlive } from './keep-alive.ts'
import { lockState, type ServerInfo, type StateLock } from './lock.ts'
import { endRunsOfOthers } from './other-versions.ts'
import { markOf, type ProcessMark } from './processes.ts'
import {
  type Exit,
  NotReadyError,
  type Program,
  startProgram,
  tailOf,
  untilReady,
} from './program.ts'
import { checkRoom } from './room.ts'
import { limitsHeap, workerEnvironment, workerFlags } from './worker-process.ts'

export type EmbeddedEvent =
  | { kind: 'temporal-ready'; address: string; ui: string }
  | { kind: 'worker-ready'; worker: string }
  | { kind: 'died'; program: string; exit: Exit; againInMs: number; logFile: string }
  | { kind: 'restarted'; program: string }

export interface EmbeddedOptions {
  stateDir: string
  configPath: string
  /** Lines for a person: what is being fetched, built or waited for. */
  log: (line: string) => void
  onEvent?: (event: EmbeddedEvent) => void
  /** Worker processes; default 1. */
  workers?: number
  /** Given ports are taken or refused (`port-in-use`); others are found. */
  port?: number
  uiPort?: number
  /** Ends a start that is under way: UserError `interrupted`. Afterwards there is `stop`. */
  signal?: AbortSignal
  /** The worker's program; default src/worker.ts. */
  workerEntry?: string
}

export interface Embedded {
  server: ServerInfo
  /** Rejects with UserError `server-failing` when a part is given up; resolves when stopped. */
  ended: Promise<void>
  /** Workers, then Temporal, then the lock. Safe to call twice. */
  stop(): Promise<void>
}

/** SIGKILL follows SIGTERM after this. A worker's activities are told to stop at once. */
const graceMs = 10_000

/** Resolves when Temporal and all workers are ready. Throws what a person must mend (UserError). */
export async function startEmbedded(options: EmbeddedOptions): Promise<Embedded> {
  const stateDir = resolve(options.stateDir)
  const interrupted = new UserError('interrupted', 'interrupted while starting', {
    exit: EXIT.interrupted,
  })
  if (options.signal?.aborted) throw interrupted
  const tree = createTree(options, stateDir, await lockState(stateDir))
  const aborted = Promise.withResolvers<never>()
  const onAbort = () => aborted.reject(interrupted)
  options.signal?.addEventListener('abort', onAbort, { once: true })
  try {
    await Promise.race([startTree(tree, options, stateDir), aborted.promise])
  } catch (error) {
    await tree.stop()
    throw error instanceof NotReadyError ? notStarted(error, stateDir) : error
  } finally {
    options.signal?.removeEventListener('abort', onAbort)
  }
  return { server: tree.announce(true), ended: tree.ended, stop: tree.stop }
}

/** In their order: workers need Temporal's address, and the bundle, which is made once for all. */
async function startTree(tree: Tree, options: EmbeddedOptions, stateDir: string): Promise<void> {
  const { onEvent = () => {} } = options
  await checkRoom(stateDir)
  const server = await tree.startTemporal()
  onEvent({ kind: 'temporal-ready', address: server.address, ui: server.ui })
  if (limitsHeap(variable('NODE_OPTIONS'))) {
    options.log('workers go without the heap limit in NODE_OPTIONS: it lifts those of modules')
  }
  const { codePath } = await workflowBundle(stateDir)
  // Before the first worker could take one of them up.
  await endRunsOfOthers(server.address, stateDir, codePath, options.log)
  const names = Array.from({ length: options.workers ?? 1 }, (_, index) => `worker-${index + 1}`)
  await Promise.all(
    names.map(async (worker) => {
      await tree.startWorker(worker, server.address)
      onEvent({ kind: 'worker-ready', worker })
    }),
  )
}

type Tree = ReturnType<typeof createTree>

/** The processes that run now, and how they are told of, kept and ended. */
function createTree(options: EmbeddedOptions, stateDir: string, lock: StateLock) {
  const { onEvent = () => {}, log } = options
  const running = new Map<string, Program>()
  const kept: Kept[] = []
  let where = { address: '', ui: '' }
  let ready = false
  let stopped: Promise<void> | null = null
  let releasePorts = () => {}
  const end = Promise.withResolvers<void>()
  // Who stops us before anything failed needn't look at it.
  end.promise.catch(() => {})

  /** Also for our successor, who ends what outlives us. */
  function announce(isReady: boolean): ServerInfo {
    ready = isReady
    const programs: ProcessMark[] = [...running].map(([name, { pid }]) => markOf(name, pid))
    return lock.announce({ ...where, ready, programs })
  }

  function adopt(name: string, program: Program): void {
    running.set(name, program)
    // Born while we stop: nobody else would end it.
    if (stopped) void program.stop(graceMs)
    else announce(ready)
  }

  function keep(name: string, program: Program, start: () => Promise<Program>): void {
    const logFile = logFileOf(stateDir, name)
    const keeping = keepAlive(program, {
      start,
      onDeath: (exit, againInMs) =>
        onEvent({ kind: 'died', program: name, exit, againInMs, logFile }),
      onRestart: () => onEvent({ kind: 'restarted', program: name }),
      gaveUp: (last) => failing(name, last, logFile),
    })
    kept.push(keeping)
    if (stopped) keeping.halt()
    keeping.ended.catch((error: unknown) => {
      end.reject(error)
      void stop()
    })
  }

  async function startTemporal(): Promise<DevServer> {
    const { port, uiPort } = options
    const start: DevServerOptions = {
      ...{ stateDir, report: log },
      onSpawn(program, address, ui) {
        where = { address, ui }
        adopt('temporal', program)
      },
    }
    const server = await startDevServer({
      ...start,
      ...(port === undefined ? {} : { port }),
      ...(uiPort === undefined ? {} : { uiPort }),
    })
    releasePorts = server.release
    // Stopped while it started: nobody else gives them back.
    if (stopped) releasePorts()
    keep('temporal', server.program, async () => (await restartDevServer(server, start)).program)
    return server
  }

  async function startWorker(name: string, address: string): Promise<void> {
    const args = [...workerFlags, options.workerEntry ?? ownWorkerEntry(), '--state', stateDir]
    args.push('--temporal', address, '--config', resolve(options.configPath))
    const start = () => startReady(name, args, stateDir, (program) => adopt(name, program))
    keep(name, await start(), start)
  }

  async function stopAll(): Promise<void> {
    for (const { halt } of kept) halt()
    const workers = [...running].filter(([name]) => name !== 'temporal')
    await Promise.all(workers.map(([, program]) => program.stop(graceMs)))
    await running.get('temporal')?.stop(graceMs)
    await Promise.allSettled(kept.map(({ ended }) => ended))
    releasePorts()
    lock.release()
    end.resolve()
  }

  function stop(): Promise<void> {
    stopped ??= stopAll()
    return stopped
  }

  return { startTemporal, startWorker, announce, stop, ended: end.promise }
}

/** A worker says that it's ready by a message, or a line in its log: `{"ready":true}`. */
async function startReady(
  name: string,
  args: string[],
  stateDir: string,
  onSpawn: (program: Program) => void,
): Promise<Program> {
  const logFile = logFileOf(stateDir, name)
  const before = existsSync(logFile) ? statSync(logFile).size : 0
  let said = false
  const onMessage = (message: unknown) => {
    said ||= (message as { ready?: boolean } | null)?.ready === true
  }
  const wrote = () => readFileSync(logFile).subarray(before).includes('{"ready":true}\n')
  const program = await startProgram({
    ...{ command: process.execPath, args, logFile, onMessage },
    environment: workerEnvironment(),
  })
  onSpawn(program)
  try {
    const answers = async () => said || wrote()
    await untilReady(program, { name, logFile, answers, timeoutMs: 60_000 })
  } catch (error) {
    await program.stop(graceMs)
    throw error
  }
  return program
}

const logFileOf = (stateDir: string, name: string) => join(stateDir, 'logs', `${name}.log`)

function ownWorkerEntry(): string {
  const extension = extname(fileURLToPath(import.meta.url))
  return fileURLToPath(new URL(`../worker${extension}`, import.meta.url))
}

function notStarted(error: NotReadyError, stateDir: string): UserError {
  return new UserError('server-failing', `the server did not start: ${error.message}`, {
    where: join(stateDir, 'logs'),
    next: 'Read the logs, and see that all it needs is up; then start again.',
    exit: EXIT.failed,
    cause: error,
  })
}

function failing(name: string, last: unknown, logFile: string): UserError {
  const why = last instanceof Error ? last.message : String(last)
  return new UserError(
    'server-failing',
    `${name} died five times, each soon after its start, and was given up: ` +
      `${why}\n${tailOf(logFile)}`,
    {
      where: logFile,
      next: `Read ${logFile}; then start again: what was under way resumes.`,
      exit: EXIT.failed,
      cause: last,
    },
  )
}
