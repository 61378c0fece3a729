/** When all is calm: nothing is left to do, and everything that is kept can be had back. */
import { digestsOf } from '../../connectors/digests.ts'
import type { MemoryEntry } from '../../connectors/memory-store.ts'
import { verifyAudit } from '../../src/audit/verify.ts'
import { nativeParts } from '../../src/locations.ts'
import type { Content, Key, Request } from '../../src/model.ts'
import { compareBytes, metadataText } from '../../src/sync/content.ts'
import { compileFilter } from '../../src/sync/filter.ts'
import { checkVault } from '../../src/vault/check.ts'
import { Broken } from './oracle.ts'
import type { Director } from './play.ts'
import { type Replica, shaOf } from './stores.ts'
import { commandDeps, type World } from './world.ts'

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
  await checkMetadata(director)
  await checkRuns(director)
  await checkKept(director)
  if (world.scenario.seed % 4 === 0) await checkRestored(director)
  const [first] = world.unexpected
  if (first) throw new Broken('errors have codes', String((first as Error).stack))
}

/** Where all have the same bytes, all that can carry any have the same metadata: but for those of
 *  one-way destinations whose source has none, for what a listing hid while it was agreed, and for
 *  bytes that users made twice, where a place lists no metadata: they are taken for equal. */
async function checkMetadata({ world }: Director): Promise<void> {
  const { catalog } = world.shared
  const { direction } = world.scenario.dataset
  if (direction === 'one-way' || world.troubles.counted.has('listing-lies')) return
  const range = { from: null, to: null }
  const open = await catalog.openConflicts({ dataset: 'data', range, after: null, limit: 1_000 })
  const conflicts = new Set(open.map(({ key }) => key))
  const selects = compileFilter([], world.exclude)
  const carriers = world.replicas.filter(
    ({ index, store }) => world.members.has(index) && store.traits.carriesMetadata !== false,
  )
  for (const key of new Set(carriers.flatMap(({ store }) => store.names()))) {
    if (conflicts.has(key) || !selects(key)) continue
    const entries = carriers.flatMap(({ store }) => store.get(key) ?? [])
    if (new Set(entries.map(shaOf)).size !== 1) continue
    const texts = new Set(entries.map(({ metadata }) => metadataText(metadata)))
    if (texts.size < 2) continue
    if (carriers.some(hidesMetadata) && madeTwice(world, key, shaOf(entries[0]))) continue
    throw new Broken('I7 metadata', `${key}: ${[...texts].join(' and ')}`)
  }
}

const hidesMetadata = ({ store }: Replica): boolean => store.traits.listingMetadata === false

function madeTwice({ journal }: World, name: Key, sha: string | null): boolean {
  const made = journal.filter(({ by, key, to }) => {
    return by === 'user' && key === name && to !== null && shaOf(to) === sha
  })
  return made.length > 1
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
  // What a bucket kept goes out of reach with its location: that is told, and no loss of ours.
  const bad = checked.bad.filter(
    ({ neededBy, problem }) => neededBy.length > 0 && problem !== 'out of reach',
  )
  if (bad.length > 0) throw new Broken('the vault has what it must', JSON.stringify(bad))
}

/** Some version that is kept is had back, to the byte, wherever the key can be held. */
async function checkRestored(director: Director): Promise<void> {
  const { world, oracle } = director
  const { catalog } = world.shared
  const { direction } = world.scenario.dataset
  const selects = compileFilter([], world.exclude)
  const lines = await catalog.linesOfDataset('data', { limit: 1_000 })
  const wanted = lines.filter(({ key, version }) => version.content !== null && selects(key))
  const line = wanted[world.scenario.seed % Math.max(1, wanted.length)]
  if (!line || direction === 'one-way' || (await catalog.countOpenConflicts('data')) > 0) return
  const content = line.version.content as Content
  if (!(await isKept(world, line.key, content))) return
  const to = { version: line.version.run, key: line.key }
  const request: Request = { kind: 'restore', to, prefix: '', overwriteLater: true }
  oracle.asked('anything')
  const id = await catalog.createRequest('data', request, 'ada@host', world.machine.now())
  const plan = await director.run({ mode: 'plan', request: id })
  const words = `${line.key} of run ${line.version.run}`
  if (plan.state !== 'planned') {
    throw new Broken('history restores', `${words}: ${plan.state} ${plan.problem?.code}`)
  }
  const applied = await director.run({ mode: 'apply', base: plan.run })
  world.count('deed restore at the end')
  if (applied.state !== 'complete') return
  for (const { index, store, name } of world.replicas) {
    const entry = store.get(line.key)
    if (!entry && store.refuses(line.key) !== null) continue
    const same = entry && compareBytes(content, contentOf(entry)) === 'same'
    if (same || !world.members.has(index)) continue
    throw new Broken('history restores', `${words} isn't what ${name} has now`)
  }
}

const contentOf = ({ bytes }: MemoryEntry): Content => {
  return { size: bytes.length, digests: digestsOf(bytes) }
}

/** By a replica under its key, or by the vault. */
async function isKept(world: World, key: Key, content: Content): Promise<boolean> {
  const held = world.replicas.some(({ index, store }) => {
    const entry = store.get(key)
    const same = entry && compareBytes(content, contentOf(entry)) === 'same'
    return same && world.members.has(index)
  })
  if (held) return true
  const vault = await commandDeps(world).vault(world.config)
  return await vault.has(content, new AbortController().signal)
}
