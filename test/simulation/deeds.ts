/** What people do with Tidemark itself, between runs: as the commands do it. */
import { StoreError } from '../../src/errors.ts'
import type { Directive, Request } from '../../src/model.ts'
import { rebind } from '../../src/rebind.ts'
import { contentNames } from '../../src/sync/content.ts'
import { sideOf } from '../../src/sync/strategies/choose.ts'
import { collectVault } from '../../src/vault/collect.ts'
import { Broken } from './oracle.ts'
import type { Director } from './play.ts'
import { type Deed, nameOf } from './scenario.ts'
import type { Replica } from './stores.ts'
import { commandDeps, type World } from './world.ts'

export async function doDeed(director: Director, what: Deed): Promise<void> {
  const { world, oracle } = director
  world.machine.trace(`deed: ${JSON.stringify(what)}`)
  world.count(`deed ${what.deed}`)
  switch (what.deed) {
    case 'exclude':
      oracle.disturbed()
      world.exclude = what.patterns
      return await world.configure()
    case 'leave':
      if (what.at === 0 || world.members.size < 3) return
      oracle.disturbed()
      world.members.delete(what.at)
      return await world.configure()
    case 'join':
      oracle.disturbed()
      world.members.add(what.at)
      return await world.configure()
    case 'offline':
      world.offline.set(what.at, what.rounds)
      return
    case 'astray':
      return await lead(world, what)
    case 'move':
      return await move(director, what)
    case 'approve':
      return await approve(director)
    case 'decide':
      return await decide(director, what)
    case 'restore':
    case 'undo':
      return await goBack(director, what)
    case 'gc':
      return await collect(director, what.hours)
    // Of a run that is under way: between two there is none.
    case 'cancel':
    case 'pause':
  }
}

/** Elsewhere, once the catalog knows where it belongs. */
async function lead(world: World, { at, rounds }: { at: number; rounds: number }): Promise<void> {
  if ((await world.shared.catalog.getLocation(nameOf(at))) === null) return
  world.astray.set(at, rounds)
  await world.configure()
}

/** The location is another place, and a person says so until it is heard. */
async function move(
  { world, oracle }: Director,
  { at, keeps }: Extract<Deed, { deed: 'move' }>,
): Promise<void> {
  const { catalog, locations } = commandDeps(world)
  const replica = world.replicas[at] as Replica
  // The versions that its bucket keeps stay behind.
  if (!world.members.has(at) || world.offline.has(at) || replica.store.versioned) return
  // Nobody says so of a place that is there by mistake.
  if (world.astray.has(at)) return
  if ((await catalog.getLocation(replica.name)) === null) return
  oracle.moved(replica)
  replica.move(keeps)
  const connector = await locations.open(world.config, replica.name)
  const { name: location } = replica
  const rebinding = { location, host: null, datasets: ['data'], by: 'ada@host' }
  for (let bound = false; !bound; world.machine.advance(10_000)) {
    try {
      await rebind(catalog, connector, rebinding, new AbortController().signal)
      bound = true
    } catch (error) {
      if (!(error instanceof StoreError)) throw error
    }
  }
}

async function approve(director: Director): Promise<void> {
  const { world, oracle } = director
  const runs = await world.shared.catalog.listRuns({ dataset: 'data', limit: 5 })
  const held = runs.find(({ state }) => state === 'held')
  if (!held) return
  oracle.asked('held')
  await director.run({ mode: 'approve', base: held.run })
}

async function decide(
  director: Director,
  { nth, side }: Extract<Deed, { deed: 'decide' }>,
): Promise<void> {
  const { world, oracle } = director
  const { catalog } = world.shared
  const open = await catalog.openConflicts({
    ...{ dataset: 'data', range: { from: null, to: null }, after: null, limit: 10 },
  })
  const record = open[nth % Math.max(1, open.length)]
  const contenders = record?.conflict.contenders ?? []
  const chosen = contenders[side % Math.max(1, contenders.length)]
  const replica = chosen && sideOf(chosen)[0]
  if (!record || replica === undefined) return
  oracle.asked('anything')
  const { id: conflict, identity, key } = record
  const directive: Directive = { do: 'resolve', conflict, identity, take: { replica } }
  const at = world.machine.now()
  const request = await catalog.createRequest('data', { kind: 'resolve' }, 'ada@host', at)
  await catalog.addRequestKeys(request, [{ key, directive }])
  await catalog.endSelection(request)
  await director.run({ request })
}

async function goBack(
  director: Director,
  { deed, back, overwriteLater }: Extract<Deed, { deed: 'restore' | 'undo' }>,
): Promise<void> {
  const { world, oracle } = director
  const { catalog } = world.shared
  const runs = await catalog.listRuns({ dataset: 'data', limit: 10 })
  const run = runs.filter(({ mode }) => mode !== 'plan')[back]?.run
  if (run === undefined) return
  if (overwriteLater) oracle.restoring(run, deed === 'undo')
  oracle.asked('anything')
  const more = { prefix: '', overwriteLater }
  const request: Request =
    deed === 'undo'
      ? { kind: 'undo', run, ...more }
      : { kind: 'restore', to: { beforeRun: run }, ...more }
  const id = await catalog.createRequest('data', request, 'ada@host', world.machine.now())
  const plan = await director.run({ mode: 'plan', request: id })
  if (plan.state === 'planned') await director.run({ mode: 'apply', base: plan.run })
}

async function collect({ world }: Director, hours: number): Promise<void> {
  const { locations, catalog, clock } = commandDeps(world)
  const before = await keptOf(world)
  world.machine.advance(hours * 3_600_000)
  const options = { type: 'memory', store: 'vault', prefix: '' } as const
  const store = await locations.openOptions('vault', options, null)
  const work = collectVault(
    { store, catalog, place: null, clock },
    {
      retentionOf: () => ({ versions: null, keepMs: null }),
      ...{ dryRun: false, by: 'ada@host', signal: new AbortController().signal },
    },
  )
  await work.catch((error) => {
    // Whoever collects is told, and does it again some day.
    if (!(error instanceof StoreError)) throw error
    world.machine.trace(`the collection failed: ${error.code}`)
  })
  const after = await keptOf(world)
  const gone = [...before].filter((name) => !after.has(name))
  if (gone.length > 0) throw new Broken('what is needed is not collected', gone.join(', '))
}

/** What the vault has of what history and open conflicts need. */
async function keptOf({ shared: { catalog }, vault }: World): Promise<Set<string>> {
  const lines = await catalog.linesOfDataset('data', { limit: 1_000 })
  const open = await catalog.openConflicts({
    ...{ dataset: 'data', range: { from: null, to: null }, after: null, limit: 1_000 },
  })
  const contents = [
    ...lines.map(({ version }) => version.content),
    ...open.flatMap(({ conflict }) => conflict.contenders.map(({ content }) => content)),
  ]
  const names = contents.flatMap((content) => (content ? contentNames(content.digests) : []))
  return new Set(names.filter((name) => vault.names().some((one) => one.includes(`/${name}-`))))
}
