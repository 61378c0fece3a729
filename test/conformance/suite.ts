/**
 * The connector contract, executable: each promise of `connectors/connector.ts` is a case. A
 * connector's own file gives `make`, which makes a fresh and empty location for every case (start
 * servers once, in that file's `beforeAll`), with contexts from `suiteContext`. A case that a
 * server can't pass is skipped by its name and with a reason, which is printed.
 */
import { describe, expect, it } from 'vitest'
import { conditionCases } from './conditions.ts'
import { copyCases } from './copies.ts'
import { failureCases } from './failures.ts'
import { listingCases } from './listings.ts'
import { keyCases } from './names.ts'
import { readCases } from './reads.ts'
import { sessionCases } from './sessions.ts'
import { versionCases } from './versions.ts'
import type { Cases, World } from './world.ts'
import { writeCases } from './writes.ts'

export { suiteContext, type World } from './world.ts'

export interface Skip {
  /** The case's whole name. */
  test: string
  reason: string
}

const groups: Record<string, Cases> = {
  listing: listingCases,
  conditions: conditionCases,
  reading: readCases,
  writing: writeCases,
  keys: keyCases,
  failures: failureCases,
  copying: copyCases,
  sessions: sessionCases,
  versions: versionCases,
}

export function conformance(options: {
  name: string
  make: () => Promise<World>
  skip?: Skip[]
}): void {
  const skips = new Map((options.skip ?? []).map((skip) => [skip.test, skip.reason]))
  const names = new Set(Object.values(groups).flatMap((cases) => Object.keys(cases)))

  describe(`${options.name} keeps the connector contract`, () => {
    it('every skip names a case and has a reason', () => {
      for (const [test, reason] of skips) {
        expect(names.has(test), test).toBe(true)
        expect(reason, test).not.toBe('')
      }
    })
    for (const [group, cases] of Object.entries(groups)) {
      describe(group, () => defineCases(options, cases, skips))
    }
  })
}

function defineCases(
  options: { name: string; make: () => Promise<World> },
  cases: Cases,
  skips: Map<string, string>,
): void {
  for (const [test, run] of Object.entries(cases)) {
    it(test, { timeout: 60_000 }, async (context) => {
      const skip = (reason: string): never => {
        console.log(`skipped: ${options.name}: ${test}: ${reason}`)
        return context.skip(reason)
      }
      const reason = skips.get(test)
      if (reason !== undefined) skip(reason)
      const world = await options.make()
      try {
        await run(world, { skip })
      } finally {
        await world.close()
      }
    })
  }
}
