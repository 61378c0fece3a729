/** Whole processes, measured from outside: wall time, CPU seconds, peak memory. Linux's /proc. */
import { spawn } from 'node:child_process'
import { readFileSync, writeFileSync } from 'node:fs'

export interface Cost {
  /** Seconds. */
  wall: number
  /** User and system seconds, of all processes that count. */
  cpu: number
  /** Peak resident memory meanwhile, MB, of each of them by its name; our own is `command`. */
  peaks: Record<string, number>
}

/** A process that works for a command, and goes on afterwards: a server's worker. */
export interface Helper {
  name: string
  pid: number
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

/** proc(5), clear_refs: 5 sets the peak to what is resident now. */
function forgetPeak(pid: number): void {
  writeFileSync(`/proc/${pid}/clear_refs`, '5')
}

function isGone(error: unknown): boolean {
  return ['ENOENT', 'ESRCH'].includes((error as NodeJS.ErrnoException).code ?? '')
}

/** How often a running process is looked at (ms): what it used after the last look is missed. */
const lookMs = 10

/**
 * Runs a command to its end. What its helpers use meanwhile counts. Throws where it ends with
 * another code than `expected`.
 */
export async function measure(
  command: string,
  args: string[],
  { helpers = [], cwd, expected = 0 }: { helpers?: Helper[]; cwd?: string; expected?: number } = {},
): Promise<Cost & { output: string }> {
  const before = helpers.map(({ pid }) => cpuOf(pid))
  for (const { pid } of helpers) forgetPeak(pid)
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
  const meanwhile = helpers.reduce((sum, { pid }, i) => sum + cpuOf(pid) - (before[i] as number), 0)
  const peaks = Object.fromEntries(helpers.map(({ name, pid }) => [name, peakOf(pid)]))
  return { wall, cpu: cpu + meanwhile, peaks: { command: peak, ...peaks }, output }
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
