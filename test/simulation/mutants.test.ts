import { beforeAll, describe, expect, it } from 'vitest'
import { eachLimited } from '../../src/sync/each-limited.ts'
import { type Found, huntAgain, seedsMax } from './mutant-hunt.ts'
import { mutants } from './mutants.ts'

// Two at a time, each in a process of its own; each test waits for its own.
const found = new Map(mutants.map(({ name }) => [name, Promise.withResolvers<Found | null>()]))

beforeAll(() => {
  for (const { promise } of found.values()) promise.catch(() => undefined)
  void eachLimited(mutants, 2, async (mutant) => {
    const { resolve, reject } = found.get(mutant.name) as PromiseWithResolvers<Found | null>
    await huntAgain(mutant).then(resolve, reject)
  })
})

describe(`the simulation finds, within ${seedsMax} seeds, that`, () => {
  it.each(mutants)('$name ($breaks)', { timeout: 900_000 }, async ({ name }) => {
    expect(await found.get(name)?.promise).not.toBeNull()
  })
})
