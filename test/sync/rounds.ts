/**
 * A run over the model, as the engine does it, with the faults that it can meet: observe →
 * reconcile (learning what is asked for) → resolve → apply → settle. The rules that the core relies
 * on are marked; `promises.ts` looks at every step.
 */
import type {
  Action,
  BaselineRow,
  Conflict,
  Content,
  Decision,
  Key,
  Moment,
  Observation,
  Outcome,
  PlanItem,
  Source,
} from '../../src/model.ts'
import { reconcile } from '../../src/sync/reconcile.ts'
import { itemOf } from '../../src/sync/resolve.ts'
import { settle } from '../../src/sync/settle.ts'
import { winnerOf } from './deciding.ts'
import { checkDecided, checkLoss, checkSettled } from './promises.ts'
import {
  bytesOf,
  type Dice,
  diceOf,
  digestsOf,
  learned,
  listed,
  metadataOf,
  type Store,
  type Stored,
  sizeOf,
  storeOf,
  tell,
  tokenOf,
  userActs,
  type World,
  write,
} from './world.ts'

/** What goes wrong, in percent. */
export interface Faults {
  seed: number
  /** Keys that have all the faults; absent: every key. */
  only?: Key
  fails: number
  replyLost: number
  userBetween: number
  notSettled: number
}

export const noFaults: Faults = { seed: 0, fails: 0, replyLost: 0, userBetween: 0, notSettled: 0 }

/** One key as it was decided in a round. */
export interface Decided {
  key: Key
  row: BaselineRow | null
  observations: Map<string, Observation>
  moment: Moment
  decision: Exclude<Decision, { kind: 'need-digest' }>
  /** Who was asked for a digest. */
  asked: string[]
  conflict: Conflict | null
  items: PlanItem[]
  /** Replicas where a write was done, whatever was told of it. */
  written: Set<string>
}

export function round(world: World, faults: Faults): Decided[] {
  world.now += 10_000
  world.run++
  const moment = { run: world.run, from: world.lastScan, to: world.now }
  tell(world, () => `run ${world.run}, without ${[...world.offline].join(' ') || 'none missing'}`)
  const all = world.keys.map((key) => decideKey(world, key, moment))
  world.lastScan = world.now
  const chance = (key: Key) => diceOf(faults.seed ^ (key.charCodeAt(0) * 0x9e3779b1))
  const first = chance('')
  if (first.below(100) < faults.userBetween) userActs(world, first, true)
  // Deletes come last, when everything else has ended.
  const isDelete = ({ head }: PlanItem) => head.content === null
  for (const late of [false, true]) {
    for (const one of first.shuffle(all)) {
      for (const item of one.items.filter((item) => isDelete(item) === late)) {
        const mine = faults.only === undefined || faults.only === one.key
        carryOut(world, one, item, mine ? faults : noFaults, chance(one.key))
      }
    }
  }
  return all
}

// ── observe, reconcile, resolve ─────────────────────────────────────────────────────────────────

export function decideKey(world: World, key: Key, moment: Moment): Decided {
  const row = world.rows.get(key) ?? null
  const observations = new Map<string, Observation>()
  for (const name of world.policy.replicas) observations.set(name, look(world, name, key))
  const { decision, asked } = decideLearning(world, key, row, observations, moment)
  const conflict = decision.kind === 'nothing' ? null : decision.conflict
  const items = decision.kind === 'item' ? [decision.item] : []
  const verdict = conflict && winnerOf(conflict, world.policy)
  const resolved = conflict && verdict && itemOf(conflict, verdict.winner, world.policy, moment)
  if (resolved) items.push(resolved)
  world.open.delete(key)
  if (conflict && !resolved) openConflict(world, conflict)
  const decided = {
    key,
    row,
    observations,
    moment,
    decision,
    asked,
    conflict,
    items,
    written: new Set<string>(),
  }
  tell(world, () => sayDecided(decided))
  checkDecided(world, decided)
  return decided
}

export function look(world: World, name: string, key: Key): Observation {
  if (world.offline.has(name)) return { kind: 'unknown', reason: 'offline' }
  const entry = listed(storeOf(world, name), key)
  return entry ? { kind: 'entry', entry } : { kind: 'absent' }
}

/** Learns what is asked for, and asks again. Nobody is asked twice, nor without an entry. */
export function decideLearning(
  world: World,
  key: Key,
  row: BaselineRow | null,
  observations: Map<string, Observation>,
  moment: Moment,
): Pick<Decided, 'decision' | 'asked'> {
  const asked: string[] = []
  for (;;) {
    const decision = reconcile(key, row, observations, world.policy, moment)
    if (decision.kind !== 'need-digest') return { decision, asked }
    if (decision.replicas.length === 0) throw new Error('it asks, but nobody')
    for (const name of decision.replicas) {
      const entry = learned(storeOf(world, name), key)
      if (observations.get(name)?.kind !== 'entry' || !entry)
        throw new Error(`${name} has no entry`)
      if (asked.includes(name)) throw new Error(`asking never ends: ${name} is asked for ${key}`)
      asked.push(name)
      observations.set(name, { kind: 'entry', entry })
    }
  }
}

/** Rule: all contents of a conflict are kept when it opens. */
function openConflict(world: World, conflict: Conflict): void {
  world.open.set(conflict.key, conflict)
  for (const { replicas } of conflict.contenders) {
    const read = replicas.length > 0 ? readAny(world, conflict.key, replicas) : null
    if (read) world.vault.add(read.stored.bytes)
  }
}

// ── apply ───────────────────────────────────────────────────────────────────────────────────────

function carryOut(world: World, one: Decided, item: PlanItem, faults: Faults, dice: Dice): void {
  const outcomes: Record<string, Outcome> = {}
  const happens = (percent: number) => dice.below(100) < percent
  const lost = rescueAll(world, item)
  const ready = item.head.content === null ? stillGone(world, item) : undefined
  let sourceLost = false
  for (const action of dice.shuffle(item.actions)) {
    if (happens(faults.userBetween)) userActs(world, dice, true)
    if (action.do === 'adopt') continue
    const failed = happens(faults.fails) || world.offline.has(action.replica)
    const replyLost = happens(faults.replyLost)
    const read = action.do === 'put' ? readAny(world, one.key, item.sources) : null
    if (action.do === 'put' && !read) sourceLost = true
    const blocked = lost.has(action.replica) || ready === false || (action.do === 'put' && !read)
    if (blocked) outcomes[action.replica] = { kind: 'changed-meanwhile' }
    else if (failed) outcomes[action.replica] = failure
    else {
      outcomes[action.replica] = perform(world, one, item, action, read)
      if (replyLost) outcomes[action.replica] = failure
    }
    const note = replyLost ? ' (the reply is lost)' : ''
    tell(
      world,
      () => `  ${action.do} at ${action.replica}: ${outcomes[action.replica]?.kind}${note}`,
    )
  }
  // Rule: where the source was lost, or the cause of a delete taken back, nothing is agreed.
  if (ready !== false && !sourceLost) {
    for (const action of item.actions) {
      if (action.do !== 'adopt') continue
      outcomes[action.replica] = { kind: 'done', token: action.token, content: null }
    }
  }
  commit(world, item, outcomes, () => happens(faults.notSettled), dice)
}

const failure: Outcome = { kind: 'failed', code: 'unavailable', message: 'connection cut' }

/** Rule: before the first write. Gives the replicas whose content can't be kept: not written. */
function rescueAll(world: World, item: PlanItem): Set<string> {
  const lost = new Set<string>()
  for (const { sources } of item.rescues) {
    const read = readAny(world, item.key, sources)
    if (read) world.vault.add(read.stored.bytes)
    else for (const { replica } of sources) lost.add(replica)
  }
  return lost
}

/** Rule: before a delete, absence is looked at once more where it was seen. */
function stillGone(world: World, { goneAt, key }: PlanItem): boolean {
  return goneAt.every((name) => look(world, name, key).kind === 'absent')
}

/** The first source that still is what the plan saw. */
function readAny(
  world: World,
  key: Key,
  sources: Source[],
): { store: Store; stored: Stored } | null {
  for (const { replica, token } of sources) {
    const store = storeOf(world, replica)
    const stored = store.objects.get(key)
    if (stored?.id === token.id && !world.offline.has(replica)) return { store, stored }
  }
  return null
}

function perform(
  world: World,
  one: Decided,
  item: PlanItem,
  action: Exclude<Action, { do: 'adopt' }>,
  read: { store: Store; stored: Stored } | null,
): Outcome {
  const store = storeOf(world, action.replica)
  const there = store.objects.get(one.key)
  if ((there?.id ?? null) !== (action.expect?.id ?? null)) return { kind: 'changed-meanwhile' }
  if (there) checkLoss(world, one, action.replica, there, read?.stored ?? null)
  one.written.add(action.replica)
  if (!read) {
    store.objects.delete(one.key)
    return { kind: 'done', token: null, content: null }
  }
  // Rule: metadata as decided, where it is known; else the source's, or the target's own where
  // the source is a folder.
  const known = item.head.content?.metadata
  const own = read.store.metadata === 'none' ? (there?.metadata ?? '') : read.stored.metadata
  const metadata = known ? (known.contentType ?? '') : own
  const stored = write(world, store, one.key, read.stored.bytes, metadata)
  const content = {
    size: sizeOf(stored.bytes),
    digests: digestsOf(stored.bytes),
    ...(store.metadata === 'none' ? {} : { metadata: metadataOf(stored.metadata) }),
  }
  return { kind: 'done', token: tokenOf(store, stored), content }
}

// ── commit ──────────────────────────────────────────────────────────────────────────────────────

/** Outcomes in any order, alone or together; a crash leaves out some. */
function commit(
  world: World,
  item: PlanItem,
  outcomes: Record<string, Outcome>,
  isCut: () => boolean,
  dice: Dice,
): void {
  let waiting: Record<string, Outcome> = {}
  for (const [replica, outcome] of dice.shuffle(Object.entries(outcomes))) {
    waiting[replica] = outcome
    if (dice.below(2) === 0) continue
    const fresh = waiting
    waiting = {}
    if (isCut()) continue
    commitSome(world, item, fresh)
  }
  if (!isCut()) commitSome(world, item, waiting)
}

function commitSome(world: World, item: PlanItem, fresh: Record<string, Outcome>): void {
  const row = world.rows.get(item.key) ?? null
  const settled = settle(row, item, fresh, world.policy.replicas)
  checkSettled(row, item, fresh, settled)
  if (settled?.row) world.rows.set(item.key, settled.row)
  else if (settled) world.rows.delete(item.key)
}

// ── story ───────────────────────────────────────────────────────────────────────────────────────

function sayDecided({ key, decision, conflict, items }: Decided): string {
  const words = decision.notes.map(({ kind, replica }) => `${kind} ${replica}`)
  const sides = (conflict?.contenders ?? []).map(({ content, head, replicas, deletedAt }) => {
    const names = [...replicas.map(({ replica }) => replica), ...deletedAt]
    return `${sayContent(content)} of ${names}${head ? ' (the head)' : ''}`
  })
  if (conflict) words.push(`conflict ${conflict.kind}: ${sides.join(' | ')}`)
  for (const { reason, head, actions } of items) {
    const deeds = actions.map((a) => `${a.do} ${a.replica}${'drift' in a ? ' (drift)' : ''}`)
    words.push(`${reason} → ${sayContent(head.content)}: ${deeds.join(', ')}`)
  }
  return `  ${key}: ${words.join('; ') || 'nothing'}`
}

function sayContent(content: Content | null): string {
  if (content === null) return 'deleted'
  const bytes = bytesOf(content)
  const metadata = content.metadata && (content.metadata.contentType ?? 'plain')
  return [bytes ?? 'unread', metadata].filter((word) => word !== undefined).join(' ')
}
