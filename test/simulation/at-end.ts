/** When all is calm: nothing is left to do, and everything that is kept can be had back. */
import { verifyAudit } from '../../src/audit/verify.ts'
import { nativeParts } from '../../src/locations.ts'
import { checkVault } from '../../src/vault/check.ts'
import { Broken } from './oracle.ts'
import type { Director } from './play.ts'
import { commandDeps } from './world.ts'

export async function checkAtEnd(director: Director): Promise<void> {
  const { world, oracle } = director
  const before = world.journal.length
  const again = await director.run()
  const moved = world.journal.slice(before).filter(({ by }) => by === 'tidemark')
  if (moved.length > 0 || again.counts.puts + again.counts.deletes > 0) {
    const words = moved.map(
      ({ key, store, to }) => `${to ? 'put' : 'removed'} ${key} ${store.name}`,
    )
    throw new Broken('I6 a rerun does nothing', words.join(', ') || JSON.stringify(again.counts))
  }
  const lasting = ['complete', 'conflicts', 'partial']
  if (!lasting.includes(again.state)) {
    throw new Broken('nothing is held for ever', `the last run is ${again.state}`)
  }
  await oracle.quiet()
  oracle.throwIfBroken()
  await checkRuns(director)
  await checkKept(director)
  const [first] = world.unexpected
  if (first) throw new Broken('errors have codes', String((first as Error).stack))
}

async function checkRuns({ world }: Director): Promise<void> {
  const { catalog } = world.shared
  const runs = await catalog.listRuns({ dataset: 'data', limit: 100 })
  const open = runs.filter(({ state }) => state === 'running')
  if (open.length > 0) {
    const words = open.map(({ run, mode }) => `run ${run} (${mode})`).join(', ')
    throw new Broken('no run stays open', `still running: ${words}`)
  }
  await verifyAudit(catalog, 'data', null, ({ code, message }) => {
    throw new Broken('the audit holds', `${code}: ${message}`)
  })
}

async function checkKept({ world }: Director): Promise<void> {
  const { locations, catalog, clock } = commandDeps(world)
  const options = { type: 'memory', store: 'vault', prefix: '' } as const
  const store = await locations.openOptions('vault', options, null)
  const { content, when } = world.scenario.dataset.history
  const history = { versions: null, keepMs: null, heads: when === 'agreed' }
  const checked = await checkVault(
    { store, catalog, place: null, clock },
    {
      places: nativeParts(locations, catalog, world.config),
      deep: true,
      historyOf: () => (content === 'off' ? null : history),
      signal: new AbortController().signal,
    },
  )
  const bad = checked.bad.filter(({ neededBy }) => neededBy.length > 0)
  if (bad.length > 0) throw new Broken('the vault has what it must', JSON.stringify(bad))
}
