/** Tidemark as people run it: `tidemark up`, and commands asked of it; and who harms them. */
import { type ChildProcess, spawn } from 'node:child_process'
import { closeSync, openSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { EXIT } from '../../src/errors.ts'
import { startWatchdog } from '../../src/temporal/program.ts'
import { bin } from '../cli/process.ts'

export interface Said {
  code: number | null
  stdout: string
  stderr: string
}

export interface Program {
  /** A command in a process of its own. Ended by SIGKILL, and `code` null, after `msMax`. */
  ask(args: string[], msMax?: number): Promise<Said>
  /** To the process of that name: `temporal`, `worker-1`, or `up` itself; false: it isn't there. */
  signal(name: string, signal: NodeJS.Signals): boolean
  /** Starts of `up`: more than one where it was killed, or gave up. */
  starts: number
  /** When it was ended by nobody else than itself, what it said. */
  gaveUp: string[]
  stop(): Promise<void>
}

export interface UpOptions {
  configPath: string
  stateDir: string
  workers: number
  /** Node for the commands; default: this one with the product's bin. */
  environment?: NodeJS.ProcessEnv
}

/** `up` is kept running, as a service manager does. */
export function keepUp({ configPath, stateDir, workers, environment = {} }: UpOptions): Program {
  const given = ['--config', configPath, '--state', stateDir]
  const logFile = join(stateDir, '..', 'up.log')
  const env = { ...process.env, NO_COLOR: '1', ...environment }
  const program: Program = { ask, signal, starts: 0, gaveUp: [], stop }
  let child: ChildProcess | null = null
  let stopping = false
  const kept = keep()

  async function keep(): Promise<void> {
    while (!stopping) {
      const log = openSync(logFile, 'a')
      const args = [bin, ...given, 'up', '--workers', String(workers)]
      const one = spawn(process.execPath, args, { stdio: ['ignore', log, log], env })
      const watchdog = startWatchdog(one.pid as number)
      closeSync(log)
      child = one
      const code = await new Promise<number | null>((done) => one.once('exit', (it) => done(it)))
      watchdog.kill('SIGKILL')
      // A command that found no server has brought up its own: until that one has ended.
      if (code !== EXIT.usage) program.starts++
      const inUse = code === EXIT.usage
      if (!stopping && code !== null && !inUse) program.gaveUp.push(lastLines(logFile))
      if (!stopping) await sleep(500)
    }
  }

  function ask(args: string[], msMax = 300_000): Promise<Said> {
    const one = spawn(process.execPath, [bin, ...given, ...args], {
      ...{ stdio: ['ignore', 'pipe', 'pipe'], env },
    })
    const timer = setTimeout(() => one.kill('SIGKILL'), msMax)
    let [stdout, stderr] = ['', '']
    one.stdout?.setEncoding('utf8').on('data', (text: string) => {
      stdout += text
    })
    one.stderr?.setEncoding('utf8').on('data', (text: string) => {
      stderr += text
    })
    return new Promise((resolve, reject) => {
      one.once('error', reject)
      one.once('close', (code) => {
        clearTimeout(timer)
        resolve({ code, stdout, stderr })
      })
    })
  }

  function signal(name: string, how: NodeJS.Signals): boolean {
    const pid = name === 'up' ? child?.pid : pidOf(stateDir, name)
    if (pid === undefined) return false
    try {
      return process.kill(pid, how)
    } catch (error) {
      // It is just being started again.
      if ((error as NodeJS.ErrnoException).code === 'ESRCH') return false
      throw error
    }
  }

  async function stop(): Promise<void> {
    stopping = true
    child?.kill('SIGINT')
    const timer = setTimeout(() => child?.kill('SIGKILL'), 30_000)
    await kept
    clearTimeout(timer)
  }

  return program
}

function pidOf(stateDir: string, name: string): number | undefined {
  try {
    const { programs } = JSON.parse(readFileSync(join(stateDir, 'server.json'), 'utf8')) as {
      programs: { name: string; pid: number }[]
    }
    return programs.find((one) => one.name === name)?.pid
  } catch (error) {
    // Between two of them.
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined
    throw error
  }
}

function lastLines(file: string): string {
  return readFileSync(file, 'utf8').trimEnd().split('\n').slice(-12).join('\n')
}
