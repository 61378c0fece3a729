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
  return process.platform === 'linux' ? startFromProc(pid) : startFromPs(pid)
}

/** proc(5): after the last `)`, field 3 is the state and field 22 the start, in clock ticks since
 *  boot. The boot's own id goes with it: a state folder outlives a boot. */
function startFromProc(pid: number): string | null {
  try {
    const text = readFileSync(`/proc/${pid}/stat`, 'latin1')
    const fields = text.slice(text.lastIndexOf(')') + 2).split(' ')
    if (fields[0] === 'Z' || fields[19] === undefined) return null
    const boot = readFileSync('/proc/sys/kernel/random/boot_id', 'latin1').trim()
    return `${fields[19]}@${boot}`
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException
    if (code === 'ENOENT' || code === 'ESRCH') return null
    throw error
  }
}

function startFromPs(pid: number): string | null {
  const { stdout } = spawnSync('ps', ['-o', 'lstart=', '-p', String(pid)], { encoding: 'utf8' })
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
