/** Unison, where it is installed, decides as Tidemark does: key by key, over short random lists. */
import { expect, test } from 'vitest'
import type { Operation } from '../simulation/operations.ts'
import { listOf, playList, unisonVersion } from './unison.ts'

const lists = 15

test('Unison and Tidemark leave the same under every key', async (context) => {
  if ((await unisonVersion()) === null) context.skip('there is no unison here (Debian has it)')
  const told: unknown[] = []
  let [compared, conflicts] = [0, 0]
  for (let seed = 0; seed < lists; seed++) {
    const played = await playList(listOf(seed))
    compared += played.compared
    conflicts += played.conflicts
    told.push(...played.differences.map((one) => ({ seed, ...one })))
  }
  expect(told).toEqual([])
  // Something was there to be decided.
  expect(compared).toBe(lists * 20)
  expect(conflicts).toBeGreaterThan(5)
}, 300_000)

test('the comparison sees what is decided differently', async (context) => {
  if ((await unisonVersion()) === null) context.skip('there is no unison here (Debian has it)')
  const put = (at: number, author: number): Operation => {
    const text = { form: 'plain', author, bytes: 8 } as const
    return { do: 'put', why: 'edit', at: [at], key: 'z', text }
  }
  const list = [[put(0, 1)], [put(0, 2), put(1, 3)]]
  // Both changed it: Unison leaves that, and this Tidemark doesn't.
  const { differences } = await playList(list, { name: 'last-write-wins' })
  expect(differences).toMatchObject([{ key: 'z', round: 1 }])
}, 60_000)
