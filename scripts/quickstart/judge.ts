/** Looks at everything through the stores' own APIs, and says what doesn't hold. */
import { join } from 'node:path'
import { UserError } from '../../src/errors.ts'
import { type Changes, expectedContents } from './changes.ts'
import {
  contentProblems,
  fateProblems,
  type Replicas,
  type Skipped,
  vaultProblems,
} from './checks.ts'
import { type Commands, shown } from './commands.ts'
import { contentsOf, type Place, vaultPlace } from './places.ts'
import type { Stage } from './stage.ts'
import { progress, step, tellContents, tellFate, tellKept } from './terminal.ts'

/** What doesn't hold, in words. */
export async function judge(
  stage: Stage,
  changes: Changes,
  signal: AbortSignal,
): Promise<string[]> {
  const { places, commands, work, copied } = stage
  step("What became of each change, as the stores' own APIs tell it")
  const replicas = await readAll(Object.values(places))
  signal.throwIfAborted()
  for (const fate of changes.fates) tellFate(fate, replicas)
  const vault = await contentsOf(vaultPlace(join(work, 'vault')))
  tellKept(changes.kept, vault)
  step('All four are byte-identical, and as expected')
  const expected = expectedContents(copied, changes.fates)
  const skipped = await skippedBy(commands)
  const differences = contentProblems(expected, replicas, skipped)
  tellContents(expected, replicas, skipped, differences)
  const problems = [
    ...changes.fates.flatMap((fate) => fateProblems(fate, replicas)),
    ...vaultProblems(changes.kept, new Set(vault.values())),
    ...differences,
  ]
  try {
    await shown(commands, ['verify', '--deep'])
  } catch (error) {
    if (!(error instanceof UserError) || error.code !== 'command-failed') throw error
    problems.push(error.message)
  }
  return problems
}

/** All of them at once: the servers are slower than we are. */
async function readAll(places: Place[]): Promise<Replicas> {
  let read = 0
  const tick = () => progress(`${(++read).toLocaleString('en-US')} objects read`)
  const all = await Promise.all(
    places.map(async (place) => [place.name, await contentsOf(place, tick)] as const),
  )
  progress(null)
  return new Map(all)
}

/** Keys that a store can't hold, as the first run said: by location. */
async function skippedBy(commands: Commands): Promise<Skipped> {
  interface Shown {
    items: { key: string; actions: { replica: string; outcome: string | null }[] }[]
  }
  const skipped: Skipped = new Map()
  const { items } = await commands.ask<Shown>(['show', '1'])
  for (const { key, actions } of items) {
    for (const { replica, outcome } of actions) {
      if (outcome !== 'skipped') continue
      skipped.set(replica, (skipped.get(replica) ?? new Set()).add(key))
    }
  }
  return skipped
}
