/** What a worker's process is started with, so that it keeps little of what it needs only once. */
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { environmentWith } from '../config/environment.ts'

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
  return environmentWith({
    // Where `module.enableCompileCache()` has it, but before the first import: 30 MB less, since
    // types needn't be stripped again.
    NODE_COMPILE_CACHE: join(tmpdir(), 'node-compile-cache'),
    // glibc's heaps, by default eight for each core: what is freed in one isn't used in another.
    // 20 MB less.
    MALLOC_ARENA_MAX: '2',
  })
}
