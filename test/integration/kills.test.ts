/** A run survives what runs it: workers and Temporal are killed in the middle of a first copy. */
import { setTimeout as sleep } from 'node:timers/promises'
import { afterAll, beforeAll, expect, inject, test } from 'vitest'
import { transfersMax } from '../../src/limits.ts'
import type { SyncResult } from '../../workflows/messages.ts'
import { createSurvival, type Survival } from './survival.ts'

const keys = 5_000
/** Ten kills, with so many writes under way at each. */
const inFlightMax = 10 * transfersMax
const datasets = ['worker-kills', 'temporal-kills']
let world: Survival

beforeAll(async () => {
  world = await createSurvival(inject('servers').s3, { keys, datasets, workers: 1 })
})
afterAll(() => world?.close())

/** Every key once in the bucket, and written once: by a retry as little as by anybody. */
async function expectComplete(dataset: string, result: SyncResult): Promise<void> {
  expect(result.state).toBe('complete')
  const paths = [...world.proxy.written].filter(([path]) => path.startsWith(`/${dataset}/`))
  // An answer that came while its worker was killed may be missing here; the key is not (below).
  expect(paths.length).toBeGreaterThan(keys - inFlightMax)
  expect(paths.filter(([, times]) => times > 1)).toEqual([])
  const again = await (await world.start(dataset)).result()
  const record = await world.catalog.getRun(again.run)
  expect(record?.counts).toMatchObject({ scanned: keys, puts: 0, deletes: 0, failed: 0 })
}

test('ten kills of the worker: complete, and no object is written twice (I6)', async () => {
  const run = await world.start('worker-kills')
  for (let kills = 0, seen = -1; kills < 10; ) {
    await sleep(50 + Math.random() * 400)
    const now = await world.written('worker-kills')
    // Each kill meets a worker that has got on since the last one, or is about to begin.
    if (now === seen || now >= keys) {
      if (now >= keys) break
      continue
    }
    seen = now
    world.signal('worker-1', 'SIGKILL')
    kills++
  }
  await expectComplete('worker-kills', await run.result())
}, 400_000)

test('Temporal killed and started again in mid-run: the same', async () => {
  const run = await world.start('temporal-kills')
  for (let kills = 0; kills < 2; kills++) {
    const before = await world.written('temporal-kills')
    while ((await world.written('temporal-kills')) < Math.min(before + 500, keys)) await sleep(20)
    world.signal('temporal', 'SIGKILL')
  }
  // The client's connection was cut along with the server: the result is asked for anew.
  for (;;) {
    try {
      await expectComplete('temporal-kills', await run.result())
      return
    } catch (error) {
      if ((error as Error).name !== 'ServiceError') throw error
      await sleep(500)
    }
  }
}, 200_000)
