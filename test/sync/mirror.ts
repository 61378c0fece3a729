/** The same world under other names, in another order (I11); and what must be decided equally. */
import type {
  BaselineRow,
  Content,
  Key,
  Observation,
  Policy,
  Rescue,
  Source,
  Strategy,
} from '../../src/model.ts'
import { metadataText } from '../../src/sync/content.ts'
import { itemOf } from '../../src/sync/resolve.ts'
import { winnerOf } from './deciding.ts'
import { decideLearning, look } from './rounds.ts'
import { bytesOf, type Dice, learned, storeOf, type World } from './world.ts'

/** All stores under new names, in a new order; what they hold is the same. */
export function mirrored(world: World, dice: Dice): { world: World; back: Map<string, string> } {
  const fresh = dice.shuffle(['K', 'L', 'M', 'N'])
  const names = new Map(world.stores.map(({ name }, i) => [name, fresh[i] as string]))
  const to = (name: string) => names.get(name) ?? name
  const stores = dice.shuffle(world.stores.map((store) => ({ ...store, name: to(store.name) })))
  const rows = [...world.rows].map(([key, row]): [Key, BaselineRow] => [key, renamedRow(row, to)])
  return {
    world: {
      ...world,
      stores,
      rows: new Map(rows),
      offline: new Set([...world.offline].map(to)),
      policy: renamedPolicy(world.policy, to, dice),
    },
    back: new Map([...names].map(([old, name]) => [name, old])),
  }
}

function renamedPolicy(policy: Policy, to: (name: string) => string, dice: Dice): Policy {
  return {
    ...policy,
    replicas: dice.shuffle(policy.replicas.map(to)),
    source: to(policy.source),
    // Priorities are declared: their order is kept.
    rules: policy.rules.map((rule) => ({ ...rule, strategy: renamedStrategy(rule.strategy, to) })),
    withoutMetadata: policy.withoutMetadata?.map(to) ?? [],
  }
}

function renamedStrategy(strategy: Strategy, to: (name: string) => string): Strategy {
  if (strategy.name !== 'prefer') return strategy
  return { ...strategy, ranks: strategy.ranks.map((rank) => rank.map(to)) }
}

function renamedRow(row: BaselineRow, to: (name: string) => string): BaselineRow {
  const version = (one: BaselineRow['head']) => ({ ...one, origin: to(one.origin) })
  const holds = Object.entries(row.holds).map(([name, hold]) => [
    to(name),
    { ...hold, version: version(hold.version) },
  ])
  return { ...row, head: version(row.head), holds: Object.fromEntries(holds) }
}

const noNames = new Map<string, string>()

/** What is decided about a key, as text, without names' order. `all`: every digest is known. */
export function outcomeText(world: World, key: Key, all: boolean, back = noNames): string {
  const row = world.rows.get(key) ?? null
  const moment = { run: world.run + 1, from: world.lastScan, to: world.now }
  const { policy } = world
  const observations = new Map(
    policy.replicas.map((name): [string, Observation] => {
      const seen = look(world, name, key)
      const entry = all && seen.kind === 'entry' ? learned(storeOf(world, name), key) : null
      return [name, entry ? { kind: 'entry', entry } : seen]
    }),
  )
  const { decision } = decideLearning(world, key, row, observations, moment)
  const conflict = decision.kind === 'nothing' ? null : decision.conflict
  const verdict = conflict && winnerOf(conflict, policy)
  const resolved = conflict && verdict && itemOf(conflict, verdict.winner, policy, moment)
  const item = decision.kind === 'item' ? decision.item : null
  return JSON.stringify({ decision, item, conflict, verdict, resolved }, (name, value) =>
    plain(name, value, all, back),
  )
}

/** Who is asked, and whose time names the version, may differ where several are alike. */
function plain(name: string, value: unknown, all: boolean, back: Map<string, string>): unknown {
  const old = (one: string) => back.get(one) ?? one
  if (name === 'origin' || (name === 'decision' && !all)) return undefined
  if (name === 'content' || name === 'drift') return all ? contentText(value as Content | null) : 0
  if (name === 'replica') return old(value as string)
  if (name === 'why') return (value as string).replace(/^\w+(, \w+)* is/, '')
  if (name === 'goneAt' || name === 'deletedAt') return (value as string[]).map(old).sort()
  // One content or two, where not all is known of it: what counts is who is kept.
  if (name === 'rescues') return keptText(value as Rescue[], old)
  const unordered = ['actions', 'sources', 'bystanders', 'notes', 'replicas']
  if (unordered.includes(name)) {
    const list = value as (Source | { sources: Source[] })[]
    return list.map((one) => JSON.stringify(one, (n, v) => plain(n, v, all, back))).sort()
  }
  return value
}

function keptText(rescues: Rescue[], old: (name: string) => string): string[] {
  return rescues
    .flatMap(({ sources, loser }) => sources.map(({ replica }) => `${old(replica)} ${loser}`))
    .sort()
}

function contentText(content: Content | null): string {
  if (content === null) return 'deleted'
  return `${bytesOf(content)} ${content.metadata ? metadataText(content.metadata) : 'unknown'}`
}
