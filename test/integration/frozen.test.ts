/** Workers that freeze and wake up again beside those that took over: zombies do no harm (I6). */
import { setTimeout as sleep } from 'node:timers/promises'
import { afterAll, beforeAll, expect, inject, test } from 'vitest'
import { createSurvival, type Survival } from './survival.ts'

const keys = 2_000
let world: Survival

beforeAll(async () => {
  world = await createSurvival(inject('servers').s3, { keys, datasets: ['frozen'], workers: 2 })
})
afterAll(() => world?.close())

test('a worker that was frozen for long wakes up, and writes nothing that another has written', async () => {
  const { catalog, temporal, proxy, written, signal } = world
  const run = await world.start('frozen')
  for (let round = 0; round < 3; round++) {
    const before = await written('frozen')
    while ((await written('frozen')) < Math.min(before + 200, keys)) await sleep(20)
    for (const worker of ['worker-1', 'worker-2']) signal(worker, 'SIGSTOP')
    // Longer than heartbeats may be missed: what they were doing is begun anew, here or there.
    await sleep(8_000)
    for (const worker of ['worker-1', 'worker-2']) signal(worker, 'SIGCONT')
  }
  const result = await run.result()
  const ended = await catalog.getRun(result.run)
  expect(ended).toMatchObject({ state: 'complete', counts: { failed: 0, stale: 0, scanned: keys } })
  const range = temporal.client.workflow.getHandle(`sync/frozen/${result.run}/r0`)
  const { events } = await range.fetchHistory()
  const attempts = events?.map((one) => one.activityTaskStartedEventAttributes?.attempt ?? 0)
  expect(Math.max(...(attempts ?? []))).toBeGreaterThan(1)
  expect([...proxy.written.values()].filter((times) => times > 1)).toEqual([])
  expect(proxy.written.size).toBe(keys)
}, 180_000)
