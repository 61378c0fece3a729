/** One server a state folder. `server.json` says where it is, to every other command. */
import { mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { EXIT, UserError } from '../errors.ts'
import { packageVersion } from '../package-root.ts'
import { isLocked, takeLock } from './process-lock.ts'
import { endProcess, isAlive, markOf, type ProcessMark } from './processes.ts'

export interface ServerInfo {
  pid: number
  /** host:port of its Temporal server. */
  address: string
  /** The Web UI's address. */
  ui: string
  /** Tidemark's own. */
  version: string
  /** ISO 8601. */
  startedAt: string
}

/** What the file holds: more than others need. */
interface ServerFile extends ServerInfo {
  /** false: still starting. */
  ready: boolean
  self: ProcessMark
  /** Its children, which the next server ends where they outlived it. */
  programs: ProcessMark[]
}

export interface StateLock {
  /** Writes `server.json`. Others see the server when `ready` is true. */
  announce(server: {
    address: string
    ui: string
    ready: boolean
    programs: ProcessMark[]
  }): ServerInfo
  /** Removes `server.json` and gives the lock back. */
  release(): void
}

const lockFile = (stateDir: string) => join(stateDir, 'server.lock')
const infoFile = (stateDir: string) => join(stateDir, 'server.json')

/**
 * Makes this process the folder's one server; children of a killed one are ended first. UserError
 * `state-in-use` names the process and the address of the server that is there.
 */
export async function lockState(stateDir: string): Promise<StateLock> {
  mkdirSync(stateDir, { recursive: true })
  const release = takeLock(lockFile(stateDir))
  if (!release) throw inUse(stateDir, readFile(stateDir))
  try {
    for (const program of readFile(stateDir)?.programs ?? []) await endProcess(program)
    rmSync(infoFile(stateDir), { force: true })
  } catch (error) {
    release()
    throw error
  }
  const self = markOf('tidemark', process.pid)
  const startedAt = new Date().toISOString()
  return {
    announce({ address, ui, ready, programs }) {
      const info = { pid: process.pid, address, ui, version: packageVersion, startedAt }
      const content: ServerFile = { ...info, ready, self, programs }
      const temporary = `${infoFile(stateDir)}.${process.pid}`
      writeFileSync(temporary, `${JSON.stringify(content, null, 2)}\n`)
      renameSync(temporary, infoFile(stateDir))
      return info
    },
    release() {
      rmSync(infoFile(stateDir), { force: true })
      release()
    },
  }
}

/** The folder's live server, or null. Waits for one that is just starting (`patience`, ms). */
export async function readServer(stateDir: string, patience = 60_000): Promise<ServerInfo | null> {
  const deadline = performance.now() + patience
  while (isLocked(lockFile(stateDir))) {
    const file = readFile(stateDir)
    // Between taking the lock and announcing itself, the file is that of a dead one.
    if (file?.ready && isAlive(file.self)) {
      const { pid, address, ui, version, startedAt } = file
      return { pid, address, ui, version, startedAt }
    }
    if (performance.now() > deadline) throw inUse(stateDir, file)
    await sleep(50)
  }
  return null
}

function readFile(stateDir: string): ServerFile | null {
  try {
    const file: unknown = JSON.parse(readFileSync(infoFile(stateDir), 'utf8'))
    return isServerFile(file) ? file : null
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return null
    // A loss of power may leave it empty or half written: then no process of its is left, either.
    if (error instanceof SyntaxError) return null
    throw error
  }
}

function isServerFile(value: unknown): value is ServerFile {
  const { self, programs, address, ui, pid } = (value ?? {}) as Partial<ServerFile>
  const texts = [address, ui].every((one) => typeof one === 'string')
  return texts && Number.isSafeInteger(pid) && isMark(self) && !!programs?.every?.(isMark)
}

/** To a signal, pids below 2 mean many processes, or everybody's first. */
function isMark(value: unknown): value is ProcessMark {
  const { pid = 0, start } = (value ?? {}) as Partial<ProcessMark>
  return Number.isSafeInteger(pid) && pid > 1 && typeof start === 'string'
}

function inUse(stateDir: string, file: ServerFile | null): UserError {
  const who = file && isAlive(file.self) ? file : null
  const where = who ? `process ${who.pid}, Temporal at ${who.address}` : 'which is just starting'
  return new UserError('state-in-use', `a server is up on ${stateDir}: ${where}`, {
    where: stateDir,
    next: who
      ? `Other commands use it by themselves. End it with \`kill ${who.pid}\`, or choose another` +
        ' folder by --state.'
      : 'Try again in a moment, or choose another folder by --state.',
    exit: EXIT.usage,
  })
}
