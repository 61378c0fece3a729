import { execFileSync } from 'node:child_process'
import { join } from 'node:path'
import { afterEach, expect, test, vi } from 'vitest'
import { workerEnvironment, workerFlags } from '../../src/temporal/worker-process.ts'

afterEach(() => vi.unstubAllEnvs())

test.each([
  '',
  '--max-old-space-size=4096',
  '--max_old_space_size 4096 --no-deprecation',
  '--no-deprecation --max-old-space-size-percentage=50',
])(
  'a thread of a worker’s process has its own limit of memory, whatever a user’s options are: %s',
  (options) => {
    vi.stubEnv('NODE_OPTIONS', options)
    const inThread = `
    const { heap_size_limit } = require('node:v8').getHeapStatistics()
    require('node:worker_threads').parentPort.postMessage(heap_size_limit / 2 ** 20)`
    const script = `
    const { Worker } = require('node:worker_threads')
    const thread = new Worker(${JSON.stringify(inThread)}, {
      eval: true,
      resourceLimits: { maxOldGenerationSizeMb: 64 },
    })
    thread.on('message', console.log)`
    const env = workerEnvironment()
    const how = { env, encoding: 'utf8' } as const
    const said = execFileSync(process.execPath, [...workerFlags, '-e', script], how)
    expect(env.NODE_OPTIONS ?? '').toBe(options.includes('no-dep') ? '--no-deprecation' : '')
    expect(Number(said)).toBeGreaterThan(60)
    expect(Number(said)).toBeLessThan(128)
  },
)

test('a command becomes a worker’s process, as itself', (context) => {
  context.skip(process.platform === 'win32', 'Windows can’t replace a process')
  const env = { ...process.env, NODE_OPTIONS: '--max-old-space-size=4096 --no-deprecation' }
  const script = join(import.meta.dirname, 'become-worker.ts')
  const args = ['--max-old-space-size=2048', '--no-warnings', script, 'a b', '--c']
  const said = execFileSync(process.execPath, args, { env, encoding: 'utf8' })
  expect(JSON.parse(said)).toEqual({
    ...{ is: true, same: true, args: ['a b', '--c'], options: '--no-deprecation' },
    execArgv: ['--no-warnings', ...workerFlags],
  })
})
