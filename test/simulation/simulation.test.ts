/**
 * The whole engine under random operations and faults, from seeds (I1 to I9, I11). What is looked
 * at: oracle.ts and at-end.ts. A failing seed is told as a story, and played again by
 * `npm run simulate -- --seed N`.
 */
import { fork } from 'node:child_process'
import { expect, test } from 'vitest'
import { type Report, simulate, storyOf } from './simulate.ts'

const seeds = 10_000

test(`${seeds} seeds: nothing is lost, and all is equal when all is calm`, async () => {
  const sum = await simulate({ from: 1, seeds, minutes: 60, workers: 2 })
  const { failures, counted, cpuMs, runs } = sum
  console.log(`${sum.seeds} seeds, ${runs} runs, ${(cpuMs / sum.seeds).toFixed(1)} CPU ms a seed`)
  expect(failures.map(storyOf).join('\n\n')).toBe('')
  expect(sum.seeds).toBe(seeds)
  // Nothing of the menus stays untried.
  const tried = new Map(counted)
  for (const kind of [...faultKinds, ...operationKinds, ...deedKinds]) {
    expect(tried.get(kind) ?? 0, kind).toBeGreaterThan(10)
  }
}, 3_600_000)

const faultKinds = [
  'reply-lost',
  'cut-read',
  'cut-write',
  'denied',
  'throttled',
  'outage',
  'no-space',
  'root-missing',
  'listing-fails',
  'listing-repeats',
  'listing-reorders',
  'listing-lies',
  'clock-jump',
  'crash',
  'zombie',
  'lost-completion',
  'catalog-away',
  'catalog-lost',
  'vault-fails',
].map((name) => `fault ${name}`)

const operationKinds = [
  'create',
  'edit',
  'edit-back',
  'same-edit',
  'twin',
  'large',
  'empty',
  'remove',
  'rename',
  'touch',
  'remove-all',
].map((name) => `operation ${name}`)

const deedKinds = [
  'approve',
  'cancel',
  'pause',
  'decide',
  'exclude',
  'leave',
  'join',
  'offline',
  'astray',
  'move',
  'restore',
  'undo',
  'gc',
].map((name) => `deed ${name}`)

/** What two processes say of the same seeds. */
async function digestsOf(from: number, many: number, canary = false): Promise<Report> {
  const child = fork(new URL('./seeds.ts', import.meta.url))
  return await new Promise((done, fail) => {
    child.on('message', (message: 'ready' | Report) => {
      if (message === 'ready') child.send({ from, many, canary, digest: true })
      else {
        child.disconnect()
        done(message)
      }
    })
    child.on('error', fail)
  })
}

test('a seed is one run: every call, every outcome, and the catalog at the end', async () => {
  const [once, again] = await Promise.all([digestsOf(1, 60), digestsOf(31, 30)])
  expect(once.digests.slice(30)).toEqual(again.digests)
  expect(new Set(once.digests).size).toBe(60)
})

test('the oracle looks: a promise that cannot be kept is found broken, and made small', async () => {
  const { failures } = await digestsOf(1, 6, true)
  expect(failures.map(({ promise }) => promise)).toContain('canary')
  const [first] = failures.filter(({ promise }) => promise === 'canary')
  const events = first?.shrunk.rounds.flatMap((round) => round.events) ?? []
  // Somebody wrote something that is to be copied.
  expect(events).toHaveLength(1)
  expect(first && storyOf(first)).toContain('tidemark puts')
})
