/** What must hold at every step of every story, whatever went wrong before: I1 to I4. */
import type { Action, BaselineRow, Outcome, PlanItem } from '../../src/model.ts'
import { itemOf } from '../../src/sync/resolve.ts'
import type { Settled } from '../../src/sync/settle.ts'
import type { Decided } from './rounds.ts'
import { bytesOf, type Stored, storeOf, type World } from './world.ts'

function fail(promise: string): never {
  throw new Error(`broken promise: ${promise}`)
}

/** Also of what a person might choose: each contender of a conflict as its winner. */
export function checkDecided(world: World, decided: Decided): void {
  const { conflict, items, moment } = decided
  const possible = (conflict?.contenders ?? []).flatMap((winner) => {
    const item = conflict && itemOf(conflict, winner, world.policy, moment)
    return item ? [item] : []
  })
  for (const item of [...items, ...possible]) {
    const replicas = item.actions.map(({ replica }) => replica)
    if (new Set(replicas).size < replicas.length) fail('one action a replica')
    for (const action of item.actions) checkAction(world, decided, item, action)
  }
  for (const item of items) {
    checkDeletes(world, decided, item)
    checkDriftStays(world, decided, item)
  }
}

function checkAction(world: World, decided: Decided, item: PlanItem, action: Action): void {
  const { observations, row } = decided
  const seen = observations.get(action.replica)
  if (!seen || seen.kind === 'unknown') fail('I3: an unknown replica gets no action')
  const token = seen.kind === 'entry' ? seen.entry.token : null
  const named = action.do === 'adopt' ? action.token : action.expect
  if (named?.id !== token?.id) fail(`I1: ${action.do} names the token that was seen`)
  if (action.do === 'adopt') return
  if (action.do === 'delete' && row === null) fail('I4: no baseline, no delete')
  if (action.do === 'put' && item.sources.length === 0) fail('a put has something to read')
  const { direction, source } = world.policy
  if (direction === 'one-way' && action.replica === source) fail('one-way never writes the source')
}

/** A new tombstone comes from an absence that was seen, of the head that was held. */
function checkDeletes(
  world: World,
  { row, observations, conflict }: Decided,
  item: PlanItem,
): void {
  const deletes = item.actions.filter((action) => action.do === 'delete')
  if (deletes.length === 0) return
  checkExtras(world, row, deletes)
  if (row?.head.content === null) return
  if (item.goneAt.length === 0) fail('I3: only what is gone causes deletes')
  for (const name of item.goneAt) {
    if (observations.get(name)?.kind !== 'absent') fail('I3: gone is definitely absent')
    if (!row?.holds[name]?.token) fail('I3: gone is what was held')
  }
  const causes = item.goneAt.map((name) => row?.holds[name])
  const lawful = causes.some((hold) => hold?.version.run === row?.head.run && !hold?.drift)
  const { direction, delete: carriedOn } = world.policy
  if (direction === 'two-way' && !conflict && !lawful) fail('I3: who deleted it held the head')
  if (direction === 'one-way' && carriedOn === 'never') fail('deletes are never carried on')
}

/** What a destination has of its own is touched by the policy `overwrite` alone. */
function checkDriftStays(world: World, { row, key }: Decided, item: PlanItem): void {
  const { direction, drift } = world.policy
  if (direction === 'two-way' || drift === 'overwrite') return
  for (const { replica, do: verb } of item.actions) {
    const there = storeOf(world, replica).objects.get(key)
    if (verb === 'adopt' || !there) continue
    const hold = row?.holds[replica]
    const held = hold?.drift ? null : hold?.version.content
    const agreed = [row?.head.content, held, item.head.content].flatMap((one) => one ?? [])
    const known = agreed.map(bytesOf)
    const foreign = known.every((bytes) => bytes !== null && bytes !== there.bytes)
    if (foreign) fail(`drift at ${replica} is left alone`)
  }
}

/** One-way, what a destination never held isn't ours. */
function checkExtras(world: World, row: BaselineRow | null | undefined, deletes: Action[]): void {
  if (world.policy.direction === 'two-way') return
  for (const { replica } of deletes) {
    const shows = storeOf(world, replica).objects.get(row?.key ?? '')?.bytes
    const head = row?.head.content ? bytesOf(row.head.content) : null
    if (!row?.holds[replica] && head !== shows) fail(`an extra is deleted at ${replica}`)
  }
}

/** The baseline moves with an outcome alone. */
export function checkSettled(
  row: BaselineRow | null,
  item: PlanItem,
  fresh: Record<string, Outcome>,
  settled: Settled | null,
): void {
  const done = Object.values(fresh).some(({ kind }) => kind === 'done')
  if (settled && !done) fail('I8: the baseline moved though nothing was done')
  for (const { replica, do: verb } of item.actions) {
    const [before, after] = [row, settled?.row].map((one) => one?.holds[replica]?.token?.id)
    // Who lost holds what it lost with.
    const lost = item.rescues.some(({ loser, sources }) =>
      sources.some((one) => loser && one.replica === replica && one.token.id === after),
    )
    const moved = settled?.row && before !== after && !lost
    if (moved && verb !== 'adopt' && fresh[replica]?.kind !== 'done')
      fail('I8: a hold moved though its write failed')
  }
}

/** Immediately before we write over `there`, or delete it. */
export function checkLoss(
  world: World,
  { row, conflict, key }: Decided,
  replica: string,
  there: Stored,
  next: Stored | null,
): void {
  if (next?.bytes === there.bytes || world.vault.has(there.bytes)) return
  if (world.policy.history) fail(`I2: ${replica} loses ${key} = ${there.bytes}, kept nowhere`)
  // Without history, only what was agreed once may go.
  const hold = row?.holds[replica]
  const agreed = [row?.head.content, hold?.drift ? null : hold?.version.content].some((content) => {
    if (!content) return false
    return (bytesOf(content) ?? (hold?.token?.id === there.id && there.bytes)) === there.bytes
  })
  if (!agreed) fail(`I2: ${replica} loses ${key} = ${there.bytes}, which nobody else had agreed to`)
  const contends = conflict?.contenders.some(({ replicas }) =>
    replicas.some((one) => one.replica === replica),
  )
  if (contends) fail(`I2: the loser ${key} = ${there.bytes} at ${replica} is kept nowhere`)
}

/** What keeps the replicas apart when all is calm, but for what is listed: conflicts and drift. */
export function checkTogether(world: World, last: Decided[]): void {
  for (const { key, items, conflict, decision, row } of last) {
    if (items.length > 0) fail(`I7: there is still something to do for ${key}`)
    if (conflict) {
      const decided = world.policy.rules[0]?.strategy.name !== 'manual' && conflict.kind !== 'drift'
      if (decided) fail(`I7: the conflict over ${key} stays open`)
      continue
    }
    const extra = new Set(decision.notes.map(({ replica }) => replica))
    if (decision.notes.some(({ kind }) => kind === 'delete-ignored')) continue
    checkDrift(world, key, row)
    checkConfirmed(world, key, row)
    const names = world.policy.replicas.filter(
      (name) => !extra.has(name) && !row?.holds[name]?.drift,
    )
    const stored = names.map((name) => storeOf(world, name).objects.get(key))
    const bytes = new Set(stored.map((one) => one?.bytes))
    if (bytes.size > 1) fail(`I7: ${key} isn't the same at ${names}: ${[...bytes]}`)
    checkMetadata(world, key, names)
  }
}

/** Who is without the key has confirmed its tombstone, so that it can be forgotten. */
function checkConfirmed(world: World, key: string, row: BaselineRow | null): void {
  if (row === null || row.head.content !== null) return
  // A source that never had the key says nothing of it.
  const { direction, source } = world.policy
  if (direction === 'one-way' && !row.holds[source]) return
  const open = world.policy.replicas.filter((name) => {
    return row.holds[name]?.token && !storeOf(world, name).objects.has(key)
  })
  if (open.length > 0) fail(`I7: the tombstone of ${key} is still to be confirmed at ${open}`)
}

/** Drift is what differs: a destination that its source has followed is together with it again. */
function checkDrift(world: World, key: string, row: BaselineRow | null): void {
  const { source, direction } = world.policy
  if (storeOf(world, source).metadata === 'hidden') return
  const wanted = storeOf(world, source).objects.get(key)
  for (const name of world.policy.replicas) {
    const drift = direction === 'one-way' && row?.holds[name]?.drift
    const there = storeOf(world, name).objects.get(key)
    const same = there?.bytes === wanted?.bytes && there?.metadata === wanted?.metadata
    if (drift && there && same) fail(`I7: ${name} has what its source has: no drift`)
  }
}

/** Where a listing hides metadata, it isn't looked at; what a folder writes over keeps its own. */
function checkMetadata(world: World, key: string, names: string[]): void {
  const stores = names.map((name) => storeOf(world, name))
  if (world.stores.some(({ metadata }) => metadata !== 'listed')) return
  const texts = new Set(stores.map(({ objects }) => objects.get(key)?.metadata))
  if (texts.size > 1) fail(`I7: ${key} is described differently at ${names}: ${[...texts]}`)
}
