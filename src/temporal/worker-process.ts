/** What a worker's process is started with, so that it keeps little of what it needs only once. */
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { environmentWith, variable } from '../config/environment.ts'

/**
 * For V8, which else lets a process grow while the machine has memory: 480 MB after four copies of
 * 10,000 objects, and more with each; with these 280. Never --max-old-space-size: it would set
 * aside the limits of the threads that custom modules run in.
 */
export const workerFlags = [
  // MiB; what is young takes three times that, by default 96. A page of keys and what is made of it
  // has room in 16; in 8 so much was copied that a scan took 60 % more CPU time.
  '--max-semi-space-size=16',
  // Old garbage is collected when there is half of what lives (50 MB), not three times as much.
  '--heap-growing-percent=50',
]

export function workerEnvironment(): NodeJS.ProcessEnv {
  const environment = environmentWith({
    // Where `module.enableCompileCache()` has it, but before the first import: 30 MB less, since
    // types needn't be stripped again.
    NODE_COMPILE_CACHE: join(tmpdir(), 'node-compile-cache'),
    // glibc's heaps, by default eight for each core: what is freed in one isn't used in another.
    // 20 MB less.
    MALLOC_ARENA_MAX: '2',
  })
  const { NODE_OPTIONS: options } = environment
  return options
    ? { ...environment, NODE_OPTIONS: options.replace(heapLimit, '').trim() }
    : environment
}

const heapLimit = /(^|\s)--max[-_]old[-_]space[-_]size(?:[-_]percentage)?(?:=|\s+)\S+/g

/** The user's Node options limit the heap, and with that lift the threads' own limits. */
export function limitsHeap(options: string | undefined): boolean {
  return options !== undefined && options.search(heapLimit) >= 0
}

/**
 * The command that runs, begun again in this process with the flags and the environment that a
 * worker has: under the same number, for whoever signals or watches it. Returns in what has them;
 * false on a system that can't replace a process (Windows).
 */
export function becomeWorkerProcess(): boolean {
  const { execPath, execArgv, argv } = process
  const has = workerFlags.every((flag) => execArgv.includes(flag))
  if (has && ![variable('NODE_OPTIONS'), ...execArgv].some(limitsHeap)) return true
  if (!process.execve || process.platform === 'win32') return false
  // The channel to an older Node that handed over ends here; what it is for, doesn't.
  const handedOver = process.channel ? { TIDEMARK_HANDED_OVER: '1' } : {}
  const environment = Object.entries({ ...workerEnvironment(), ...handedOver })
  const others = execArgv.filter((flag) => !workerFlags.includes(flag) && !limitsHeap(flag))
  return process.execve(
    execPath,
    [execPath, ...others, ...workerFlags, ...argv.slice(1)],
    Object.fromEntries(environment.filter((one) => one[1] !== undefined)),
  )
}
