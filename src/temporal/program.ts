/** A server as a child process: logged to a file, awaited, ended in order, never left behind. */
import { type ChildProcess, spawn } from 'node:child_process'
import { closeSync, mkdirSync, openSync, readFileSync } from 'node:fs'
import { connect } from 'node:net'
import { dirname } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'

export interface ProgramOptions {
  command: string
  args: string[]
  /** stdout and stderr are appended here. */
  logFile: string
  environment?: NodeJS.ProcessEnv
  folder?: string
  /**
   * For a Node program of ours: opens an IPC channel, whose `disconnect` tells it of our death, and
   * gets each message that it sends.
   */
  onMessage?: (message: unknown) => void
}

export interface Exit {
  code: number | null
  signal: NodeJS.Signals | null
}

export interface Program {
  pid: number
  child: ChildProcess
  /** Never rejects. */
  exited: Promise<Exit>
  running(): boolean
  /** SIGTERM, then SIGKILL after `graceMs`. Resolves when it's gone. */
  stop(graceMs?: number): Promise<void>
}

/** Resolves when the program runs, which doesn't mean that it answers: see `untilReady`. */
export async function startProgram(options: ProgramOptions): Promise<Program> {
  mkdirSync(dirname(options.logFile), { recursive: true })
  const log = openSync(options.logFile, 'a')
  const child = spawn(options.command, options.args, {
    ...(options.folder === undefined ? {} : { cwd: options.folder }),
    ...(options.environment === undefined ? {} : { env: options.environment }),
    stdio: ['ignore', log, log, ...(options.onMessage ? ['ipc' as const] : [])],
    // Its own process group: a terminal's Ctrl-C reaches us alone, and we end things in order.
    detached: true,
  })
  closeSync(log)
  if (options.onMessage) child.on('message', options.onMessage)
  const exited = new Promise<Exit>((resolve) => {
    child.once('exit', (code, signal) => resolve({ code, signal }))
  })
  await new Promise<void>((resolve, reject) => {
    child.once('spawn', resolve)
    child.once('error', reject)
  })
  const pid = child.pid as number
  const watchdog = startWatchdog(pid)
  child.once('exit', () => watchdog.kill('SIGKILL'))
  const running = () => child.exitCode === null && child.signalCode === null
  const stop = async (graceMs = 10_000) => {
    if (!running()) return
    child.kill('SIGTERM')
    const timer = setTimeout(() => child.kill('SIGKILL'), graceMs)
    await exited
    clearTimeout(timer)
  }
  return { pid, child, exited, running, stop }
}

/**
 * Ends `pid` when we die, even by SIGKILL: the shell's read returns when the pipe is closed, of
 * which we alone hold the other end. Node has no prctl(PR_SET_PDEATHSIG), and macOS neither.
 */
export function startWatchdog(pid: number): ChildProcess {
  const script =
    'read _; kill -TERM "$1" || exit; ' +
    'for _ in 1 2 3 4 5 6 7 8; do sleep 1; kill -0 "$1" || exit; done; kill -KILL "$1"'
  const watchdog = spawn('/bin/sh', ['-c', script, 'tidemark-watchdog', String(pid)], {
    stdio: ['pipe', 'ignore', 'ignore'],
    detached: true,
  })
  // Without a shell the child lives on after a SIGKILL of ours; the next start ends it.
  watchdog.once('error', () => {})
  watchdog.stdin?.once('error', () => {})
  watchdog.unref()
  ;(watchdog.stdin as unknown as { unref(): void }).unref()
  return watchdog
}

/** The program ended, or didn't answer in time; `message` ends with its log's last lines. */
export class NotReadyError extends Error {
  override name = 'NotReadyError'
}

/** Asks `answers` again and again until it's true. Throws NotReadyError with the log's tail. */
export async function untilReady(
  program: Program,
  options: { name: string; logFile: string; answers: () => Promise<boolean>; timeoutMs?: number },
): Promise<void> {
  const { name, logFile, answers, timeoutMs = 30_000 } = options
  const deadline = performance.now() + timeoutMs
  const fail = (what: string) => new NotReadyError(`${name} ${what}\n${tailOf(logFile)}`.trimEnd())
  while (!(await answers())) {
    if (!program.running()) {
      const { code, signal } = await program.exited
      throw fail(`ended at once (${signal ?? `exit ${code}`})`)
    }
    if (performance.now() > deadline) throw fail(`didn't answer in ${timeoutMs / 1000} s`)
    await sleep(25)
  }
}

/** Whether something accepts connections there. */
export function accepts(port: number, host = '127.0.0.1'): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect({ port, host, timeout: 1_000 })
    const answer = (yes: boolean) => {
      socket.destroy()
      resolve(yes)
    }
    socket.once('connect', () => answer(true))
    socket.once('error', () => answer(false))
    socket.once('timeout', () => answer(false))
  })
}

/** The last lines of a log, for an error's text; empty where there is none. */
export function tailOf(logFile: string, lines = 15): string {
  try {
    return readFileSync(logFile, 'utf8').trimEnd().split('\n').slice(-lines).join('\n')
  } catch (error) {
    // This is for an error's text; a log that can't be read must not replace that error.
    return `(${logFile}: ${(error as Error).message})`
  }
}
