/** The command line as a person starts it: a process, in a folder of its own. */
import { type ChildProcess, spawn } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { onTestFinished } from 'vitest'
import { packageRoot } from '../../src/package-root.ts'

export const bin = join(packageRoot, 'bin', 'tidemark.js')

export interface Ended {
  /** null where a signal ended it. */
  code: number | null
  signal: NodeJS.Signals | null
  stdout: string
  stderr: string
}

export interface Started {
  child: ChildProcess
  ended: Promise<Ended>
}

export interface How {
  cwd?: string
  env?: NodeJS.ProcessEnv
  /** Leads a process group of its own, as a terminal's foreground job does. */
  group?: boolean
  /** Another command than this Node with the bin. */
  command?: [string, ...string[]]
}

/** A folder that goes when the test ends. */
export function folder(): string {
  const made = mkdtempSync(join(tmpdir(), 'tidemark-cli-'))
  onTestFinished(() => rmSync(made, { recursive: true, force: true }))
  return made
}

export function start(args: string[], how: How = {}): Started {
  const [command, ...first] = how.command ?? [process.execPath, bin]
  const child = spawn(command, [...first, ...args], {
    cwd: how.cwd ?? packageRoot,
    env: { ...process.env, NO_COLOR: '1', ...how.env },
    stdio: ['ignore', 'pipe', 'pipe'],
    detached: how.group ?? false,
  })
  onTestFinished(() => void child.kill('SIGKILL'))
  let [stdout, stderr] = ['', '']
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    stdout += text
  })
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    stderr += text
  })
  const ended = new Promise<Ended>((resolve, reject) => {
    child.once('error', reject)
    child.once('close', (code, signal) => resolve({ code, signal, stdout, stderr }))
  })
  return { child, ended }
}

export function run(args: string[], how: How = {}): Promise<Ended> {
  return start(args, how).ended
}

/** As a terminal's Ctrl-C: to the whole process group of the foreground job. */
export function pressCtrlC({ child }: Started): void {
  process.kill(-(child.pid as number), 'SIGINT')
}
