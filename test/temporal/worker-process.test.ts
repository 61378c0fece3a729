import { execFileSync } from 'node:child_process'
import { expect, test } from 'vitest'
import { workerFlags } from '../../src/temporal/worker-process.ts'

test('a thread of a worker’s process can have a limit of memory of its own', () => {
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
  const said = execFileSync(process.execPath, [...workerFlags, '-e', script], { encoding: 'utf8' })
  expect(Number(said)).toBeGreaterThan(60)
  expect(Number(said)).toBeLessThan(128)
})
