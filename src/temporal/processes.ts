/** Which process a pid means: pids are used again, so one is known by its start time as well. */
import { spawnSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { setTimeout as sleep } from 'node:timers/promises'

export interface ProcessMark {
  name: string
  pid: number
  /** Opaque; equal only for the same process. */
  start: string
}

/** null: there is no such process (or only its zombie is left). */
export function startOf(pid: number): string | null {
  if (process.platform !== 'linux') return askPs(pid, 'lstart=')
  const stat = readStat(pid)
  if (stat === null) return null
  // A state folder outlives a boot.
  return `${stat.start}@${readFileSync('/proc/sys/kernel/random/boot_id', 'latin1').trim()}`
}

/** The parent's pid, and what the process calls itself: `npm exec tidemark …`. */
export function familyOf(pid: number): { parent: number; title: string } | null {
  if (process.platform === 'linux') return readStat(pid)
  const [, parent, title] = /^(\d+)\s+(.*)$/.exec(askPs(pid, 'ppid=,args=') ?? '') ?? []
  return parent === undefined ? null : { parent: Number(parent), title: title ?? '' }
}

/** proc(5): the name is in brackets; behind the last `)`, field 3 is the state, 4 the parent and 22
 *  the start, in clock ticks since boot. */
function readStat(pid: number): { parent: number; title: string; start: string } | null {
  try {
    const text = readFileSync(`/proc/${pid}/stat`, 'latin1')
    const end = text.lastIndexOf(')')
    const [state, parent, ...others] = text.slice(end + 2).split(' ')
    const start = others[17]
    if (state === 'Z' || start === undefined) return null
    return { parent: Number(parent), title: text.slice(text.indexOf('(') + 1, end), start }
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException
    if (code === 'ENOENT' || code === 'ESRCH') return null
    throw error
  }
}

function askPs(pid: number, what: string): string | null {
  const { stdout } = spawnSync('ps', ['-o', what, '-p', String(pid)], { encoding: 'utf8' })
  return stdout?.trim() || null
}

export function markOf(name: string, pid: number): ProcessMark {
  return { name, pid, start: startOf(pid) ?? 'gone' }
}

export function isAlive({ pid, start }: ProcessMark): boolean {
  return startOf(pid) === start
}

/** Ends the process that the mark means, and no other. Resolves when it's gone. */
export async function endProcess(mark: ProcessMark): Promise<void> {
  for (let tries = 0; isAlive(mark); tries++) {
    if (tries > 200) throw new Error(`process ${mark.pid} (${mark.name}) can't be ended`)
    try {
      process.kill(mark.pid, tries < 40 ? 'SIGTERM' : 'SIGKILL')
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error
    }
    await sleep(50)
  }
}
