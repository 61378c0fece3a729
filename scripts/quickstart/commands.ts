/** The product as its users have it: `tidemark` as a process, in the work folder. */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { UserError } from '../../src/errors.ts'
import { packageRoot } from '../../src/package-root.ts'
import { type Exit, startProgram, startWatchdog, untilReady } from '../../src/temporal/program.ts'
import { command } from './terminal.ts'

const bin = join(packageRoot, 'bin', 'tidemark.js')

export interface Commands {
  /** Runs it on this terminal; throws UserError `command-failed` where it doesn't exit with 0. */
  run(args: string[]): Promise<void>
  /** Its answer by `--json`. */
  ask<T>(args: string[]): Promise<T>
  /** `tidemark up`: resolves when it is. */
  up(): Promise<Up>
}

export interface Up {
  address: string
  /** The Web UI's address. */
  ui: string
  logFile: string
  /** Resolves when it ended, which nobody asked for. */
  ended: Promise<Exit>
  stop(): Promise<void>
}

export interface CommandsOptions {
  /** Holds tidemark.yaml; the state folder is `.tidemark` in it. */
  folder: string
  environment: NodeJS.ProcessEnv
  /** Ends the command that runs. */
  signal: AbortSignal
}

let running = 0

/** Whether a command has this terminal now. */
export const commandRuns = (): boolean => running > 0

export function createCommands({ folder, environment, signal }: CommandsOptions): Commands {
  async function start(args: string[], captured: boolean): Promise<string> {
    signal.throwIfAborted()
    const child = spawn(process.execPath, [bin, ...args], {
      cwd: folder,
      env: environment,
      stdio: ['ignore', captured ? 'pipe' : 'inherit', 'inherit'],
    })
    // A terminal's Ctrl-C has reached it as well: it takes both for one.
    const interrupt = () => void child.kill('SIGTERM')
    signal.addEventListener('abort', interrupt, { once: true })
    running++
    let stdout = ''
    child.stdout?.setEncoding('utf8').on('data', (text: string) => {
      stdout += text
    })
    try {
      await once(child, 'spawn')
      const watchdog = startWatchdog(child.pid as number)
      const [code, killedBy] = (await once(child, 'close')) as [number | null, string | null]
      watchdog.kill('SIGKILL')
      signal.throwIfAborted()
      if (code === 0) return stdout
      const how = killedBy ? `was ended by ${killedBy}` : `exited with ${code}`
      throw new UserError('command-failed', `tidemark ${args.join(' ')} ${how}`, {
        where: folder,
        next: 'What it printed says why; the logs are in .tidemark/logs.',
        exit: 1,
      })
    } finally {
      running--
      signal.removeEventListener('abort', interrupt)
    }
  }

  async function up(): Promise<Up> {
    signal.throwIfAborted()
    const logFile = join(folder, 'up.log')
    const program = await startProgram({
      command: process.execPath,
      args: [bin, 'up', '--json'],
      ...{ logFile, folder, environment },
    })
    const read = async () => answerIn(await readFile(logFile, 'utf8'))
    const stop = () => program.stop(20_000)
    try {
      const answers = async () => {
        signal.throwIfAborted()
        return (await read()) !== null
      }
      await untilReady(program, { name: 'tidemark up', logFile, answers, timeoutMs: 120_000 })
    } catch (error) {
      await stop()
      throw error
    }
    const { address, ui } = (await read()) as { address: string; ui: string }
    return { address, ui, logFile, ended: program.exited, stop }
  }

  return {
    run: async (args) => void (await start(args, false)),
    ask: async (args) => JSON.parse(await start([...args, '--json'], true)),
    up,
  }
}

/** The JSON among the lines of a log; null: it isn't there yet. */
function answerIn(log: string): unknown {
  const [json] = /^\{$.*?^\}$/ms.exec(log) ?? []
  return json === undefined ? null : JSON.parse(json)
}

/** Runs it, and shows what was typed. */
export async function shown(commands: Commands, args: string[]): Promise<void> {
  command(args)
  await commands.run(args)
}
