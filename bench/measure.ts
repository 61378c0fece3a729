/** Whole processes, measured from outside: wall time, CPU seconds, peak memory. Linux's /proc. */
import { spawn } from 'node:child_process'
import { readFileSync } from 'node:fs'

export interface Cost {
  /** Seconds. */
  wall: number
  /** User and system seconds, of all processes that count. */
  cpu: number
  /** Peak resident memory of the largest of them, MB. */
  peak: number
}

/** Clock ticks a second, as every Linux that Node runs on has it. */
const ticks = 100

/** CPU seconds of a process so far, with those of children that have ended; 0 where it is gone. */
export function cpuOf(pid: number): number {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8')
    const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
    return [11, 12, 13, 14].reduce((sum, i) => sum + Number(fields[i]), 0) / ticks
  } catch (error) {
    if (isGone(error)) return 0
    throw error
  }
}

export function peakOf(pid: number): number {
  try {
    const status = readFileSync(`/proc/${pid}/status`, 'utf8')
    return Number(/VmHWM:\s+(\d+)/.exec(status)?.[1] ?? 0) / 1024
  } catch (error) {
    if (isGone(error)) return 0
    throw error
  }
}

function isGone(error: unknown): boolean {
  return ['ENOENT', 'ESRCH'].includes((error as NodeJS.ErrnoException).code ?? '')
}

/** How often a running process is looked at (ms): what it used after the last look is missed. */
const lookMs = 10

/**
 * Runs a command to its end. `others`: processes that work for it and go on afterwards (a server's
 * worker); what they use meanwhile counts. Throws where it ends with another code than `expected`.
 */
export async function measure(
  command: string,
  args: string[],
  { others = [], cwd, expected = 0 }: { others?: number[]; cwd?: string; expected?: number } = {},
): Promise<Cost & { output: string }> {
  const before = others.map(cpuOf)
  const began = performance.now()
  const child = spawn(command, args, { cwd, stdio: ['ignore', 'pipe', 'pipe'] })
  let output = ''
  for (const stream of [child.stdout, child.stderr]) {
    stream.setEncoding('utf8').on('data', (text: string) => {
      output += text
    })
  }
  let cpu = 0
  let peak = 0
  const look = setInterval(() => {
    cpu = Math.max(cpu, cpuOf(child.pid as number))
    peak = Math.max(peak, peakOf(child.pid as number))
  }, lookMs)
  const code = await new Promise<number | null>((done, fail) => {
    child.once('error', fail)
    child.once('close', done)
  })
  clearInterval(look)
  const wall = (performance.now() - began) / 1000
  if (code !== expected) throw new Error(`${command} ${args.join(' ')}: exit ${code}\n${output}`)
  const meanwhile = others.reduce((sum, pid, i) => sum + cpuOf(pid) - (before[i] as number), 0)
  return { wall, cpu: cpu + meanwhile, peak: Math.max(peak, ...others.map(peakOf)), output }
}

export function median(values: number[]): number {
  const sorted = values.toSorted((a, b) => a - b)
  return sorted[Math.floor(sorted.length / 2)] as number
}

/** `12.3 s`: the median, and from least to most. */
export function spread(values: number[], digits = 2): string {
  const [least, most] = [Math.min(...values), Math.max(...values)]
  return `${median(values).toFixed(digits)} (${least.toFixed(digits)}–${most.toFixed(digits)})`
}
