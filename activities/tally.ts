/** What a page of a scan has found: items for the plan, and counts for the run. */
import type { ItemRecord, RunCounts } from '../src/catalog/catalog.ts'
import type { Conflict, Decision, Directive, Outcome, PlanItem } from '../src/model.ts'
import { renameKey } from '../src/sync/content.ts'
import type { JoinedKey } from '../src/sync/merge-join.ts'
import type { RunContext } from './run-context.ts'

export type NewItem = Omit<ItemRecord, 'run' | 'seq' | 'rangeNumber'>

export interface Tally {
  items: NewItem[]
  scanned: number
  excluded: number
  counts: Partial<RunCounts>
  seen: Record<string, { seen: number; gone: number }>
}

export interface TalliedKey extends JoinedKey {
  /** By replica: why it can't hold this key. */
  unholdable: Record<string, string>
  /** By replica ('': of all): why its content could not be looked at, or is left as it is. */
  unlearned: Record<string, Outcome>
  /** In a run of selected keys: what a person wants of it. */
  directive?: Directive
}

export function emptyTally(): Tally {
  return { items: [], scanned: 0, excluded: 0, counts: {}, seen: {} }
}

export function tally(
  found: Tally,
  one: TalliedKey,
  decision: Exclude<Decision, { kind: 'need-digest' }>,
  context: RunContext,
): void {
  found.scanned++
  add(found, 'scanned', 1)
  countSeen(found, one, context)
  const outcomes = { ...skips(one, context), ...one.unlearned }
  for (const { kind } of decision.notes) {
    add(found, kind === 'drift-kept' ? 'drift' : 'extra', kind === 'delete-ignored' ? 0 : 1)
  }
  const conflict = decision.kind === 'nothing' ? null : decision.conflict
  const item = decision.kind === 'item' ? decision.item : null
  if (item) {
    const state = item.head.content === null ? 'deferred' : 'pending'
    push(found, one, state, item, null, outcomes)
    add(found, 'planned', 1)
  }
  if (conflict) push(found, one, 'conflict', null, conflict, outcomes)
  // Known to everybody who can hold it; said in every run, so that nobody believes it is synced.
  const kinds = Object.values(outcomes).map(({ kind }) => kind)
  if (!item && !conflict && kinds.length > 0) push(found, one, worstOf(kinds), null, null, outcomes)
  for (const kind of kinds) add(found, stateOf(kind), 1)
}

const stateOf = (kind: Outcome['kind']) =>
  kind === 'failed' ? 'failed' : kind === 'skipped' ? 'skipped' : 'stale'

function worstOf(kinds: Outcome['kind'][]): 'failed' | 'stale' | 'skipped' {
  const states = kinds.map(stateOf)
  return (['failed', 'stale'] as const).find((state) => states.includes(state)) ?? 'skipped'
}

/** A name that no catalog can hold: it stays where it is, and is listed by how it is written. */
export function tallyUnnameable(found: Tally, joined: JoinedKey, context: RunContext): void {
  found.scanned++
  add(found, 'scanned', 1)
  countSeen(found, joined, context)
  const reason = 'the name has a NUL character or is not valid Unicode'
  const lacking = context.replicas.filter((_, i) => joined.observations[i]?.kind === 'absent')
  const skipped = lacking.map(({ name }): [string, Outcome] => [name, { kind: 'skipped', reason }])
  const key = JSON.stringify(joined.key).slice(1, -1)
  push(found, { ...joined, key }, 'skipped', null, null, Object.fromEntries(skipped))
  add(found, 'skipped', lacking.length)
}

/** A key that every replica shows as it was agreed. */
export function tallyUnchanged(found: Tally, context: RunContext): void {
  found.scanned++
  add(found, 'scanned', 1)
  for (const { name } of context.replicas) {
    found.seen[name] ??= { seen: 0, gone: 0 }
    found.seen[name].seen++
  }
}

/** What a store can't take of what is elsewhere, and what lies there but is no key (a symlink). */
function skips(one: TalliedKey, context: RunContext): Record<string, Outcome> {
  const { unholdable, unlearned, observations } = one
  const exists = observations.some(({ kind }) => kind === 'entry')
  const found: Record<string, Outcome> = {}
  context.replicas.forEach(({ name, connector }, i) => {
    const seen = observations[i]
    // A replica that is unknown as a whole says so once, in the run's own report.
    if (connector === null || seen?.kind !== 'unknown' || unlearned[name]) return
    if (unholdable[name] !== undefined && !exists) return
    found[name] = { kind: 'skipped', reason: seen.reason }
  })
  return found
}

function push(
  found: Tally,
  one: JoinedKey,
  state: ItemRecord['state'],
  item: PlanItem | null,
  conflict: Conflict | null,
  outcomes: ItemRecord['outcomes'],
): void {
  found.items.push({
    key: one.key,
    state,
    item,
    conflict,
    outcomes,
    tries: 0,
    rev: one.row?.rev ?? 0,
    contentKey: renameKey(item?.head.content ?? one.row?.head.content ?? null),
  })
}

function countSeen(found: Tally, one: JoinedKey, context: RunContext): void {
  context.replicas.forEach(({ name }, i) => {
    const kind = one.observations[i]?.kind
    const held = one.row?.holds[name]
    const gone = kind === 'absent' && held !== undefined && held.token !== null
    if (kind !== 'entry' && !gone) return
    found.seen[name] ??= { seen: 0, gone: 0 }
    const counts = found.seen[name]
    if (gone) counts.gone++
    else counts.seen++
  })
}

function add(found: Tally, name: keyof RunCounts, n: number): void {
  if (n > 0) found.counts[name] = (found.counts[name] ?? 0) + n
}
