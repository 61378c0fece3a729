/**
 * One-way, source → destinations. The source is never written, and decides; what a destination
 * changed by itself is drift:
 *
 *   source changed or new      → the new head; put to the destinations
 *   source gone                → tombstone; delete there (`delete: never`: nothing)
 *   destination gone           → put again
 *   destination changed        → drift: an open conflict, overwritten, or kept
 *   only a destination has it  → extra: kept, reported, never deleted
 */
import type { Conflict, Decision, Note, PlanItem, Reason, Version } from '../model.ts'
import { compareContent } from './content.ts'
import { type Group, groupContents, type SeenEntry, toLearn } from './contents.ts'
import { buildItem, knownContent } from './item.ts'
import type { Seen } from './observe.ts'
import {
  asChanged,
  bystanders,
  contenderOf,
  headContender,
  NOTHING,
  namelessOf,
  type Situation,
  splitByHead,
  versionOf,
  withoutLater,
} from './reconcile.ts'

/** What the destinations should have, and who has it for sure. */
interface Target {
  head: Version
  reason: Reason
  holders: SeenEntry[]
}

/** `asked`: whose digest must be learned before they can be told from what they held. */
export function reconcileOneWay(given: Situation, asked: string[]): Decision {
  const { policy } = given
  const source = asChanged(given.seen.find(({ replica }) => replica === policy.source) as Seen)
  if (asked.includes(policy.source)) return { kind: 'need-digest', replicas: asked }
  const target = targetOf(given, source)
  if ('unknown' in target) return { kind: 'need-digest', replicas: target.unknown }
  if ('stop' in target) return decision(null, null, target.stop)
  if (asked.length > 0) return { kind: 'need-digest', replicas: asked }
  const destinations = given.seen
    .filter(({ replica }) => replica !== policy.source)
    .map((one) => lookAgain(one, target.head, given))
  const told = followed(given, destinations, target.head)
  if ('unknown' in told) return { kind: 'need-digest', replicas: told.unknown }
  return toTarget(given, source, told.destinations, target)
}

function toTarget(given: Situation, source: Seen, destinations: Seen[], target: Target): Decision {
  // Under a tombstone, what a destination never held isn't ours to delete: it is an extra.
  const extras = destinations.filter(({ state }) => target.head.content === null && state === 'new')
  const ours = destinations.filter((one) => !extras.includes(one))
  const everybody = [source, ...destinations]
  const split = splitByHead(ours, target.head, target.holders, everybody)
  if ('unknown' in split) return { kind: 'need-digest', replicas: split.unknown }
  const situation = { ...given, seen: withoutLater(everybody, split) }
  const notes = extras.map(({ replica }): Note => ({ kind: 'extra', replica }))
  const calmOrFresh = withoutLater([source, ...ours], split)
  return towards(situation, target, calmOrFresh, split.fresh, notes)
}

/** Drift that is kept is compared with each head once: the source may have followed it. */
function lookAgain(one: Seen, head: Version, { policy }: Situation): Seen {
  const compared = policy.drift === 'keep' && one.hold?.version.run === head.run
  return compared ? one : asChanged(one)
}

/**
 * Who shows the head that the source has left holds that: mostly by a put of ours whose reply was
 * lost. It is no drift, and no extra.
 */
function followed(
  { row, seen }: Situation,
  destinations: Seen[],
  next: Version,
): { destinations: Seen[] } | { unknown: string[] } {
  if (!row?.head.content || next.run === row.head.run) return { destinations }
  const holders = seen.filter((one): one is SeenEntry => isHolder(one))
  const split = splitByHead(destinations, row.head, holders, seen)
  if ('unknown' in split) return split
  const caught = new Set<Seen>(split.caught)
  return {
    destinations: destinations.map((one) => {
      if (!caught.has(one) || !one.entry) return one
      return { ...one, state: 'behind', hold: { version: row.head, token: one.entry.token } }
    }),
  }
}

// ── the source ──────────────────────────────────────────────────────────────────────────────────

function targetOf(
  situation: Situation,
  source: Seen,
): Target | { stop: Note[] } | { unknown: string[] } {
  const { row, policy, moment, seen } = situation
  if (source.entry !== null) return shownTarget(situation, source as SeenEntry)
  const head = row?.head
  if (source.state === 'gone' && head) {
    if (policy.delete === 'never') {
      return { stop: [{ kind: 'delete-ignored', replica: source.replica }] }
    }
    const { run, to } = moment
    const tombstone = { run, content: null, origin: source.replica, at: to }
    return { head: head.content ? tombstone : head, reason: 'deleted', holders: [] }
  }
  // It can't be looked at, or holds an agreed tombstone: the head stays what it was.
  const agrees = source.hold !== null && head?.content === null
  if (head && (source.state === 'unknown' || agrees)) {
    const holders = seen.filter((one): one is SeenEntry => isHolder(one))
    return { head, reason: 'behind', holders }
  }
  return { stop: source.state === 'unknown' ? [] : extrasOf(situation) }
}

function isHolder({ state, entry }: Seen): boolean {
  return state === 'current' && entry !== null
}

/** Keys that the source never had, or no longer has: none of them is ours to touch. */
function extrasOf({ seen }: Situation): Note[] {
  return seen
    .filter(({ entry }) => entry !== null)
    .map(({ replica }) => ({ kind: 'extra', replica }))
}

/** What the source shows is the head: the one there was, or a new one. */
function shownTarget(situation: Situation, source: SeenEntry): Target | { unknown: string[] } {
  const { row, seen } = situation
  const holders = seen.filter((one): one is SeenEntry => isHolder(one))
  if (row && source.state === 'current') return { head: row.head, reason: 'behind', holders }
  const shown: Group = { content: knownContent(source), members: [source] }
  if (row?.head.content) {
    const verdict = compareContent(row.head.content, shown.content)
    if (verdict === 'same')
      return { head: row.head, reason: 'equal', holders: [...holders, source] }
    const agreed = { content: row.head.content, members: holders }
    const unknown = verdict === 'unknown' ? toLearn(agreed, shown) : []
    if (unknown.length > 0) return { unknown }
  }
  const reason = row?.head.content ? 'changed' : 'new'
  return { head: versionOf(shown, situation), reason, holders: [source] }
}

// ── drift ───────────────────────────────────────────────────────────────────────────────────────

function towards(
  situation: Situation,
  { head, reason }: Target,
  ours: Seen[],
  drifted: SeenEntry[],
  notes: Note[],
): Decision {
  const calm = ours.filter((one) => !drifted.includes(one as SeenEntry))
  const { drift } = situation.policy
  if (drifted.length === 0) return decision(buildItem(situation, head, reason, calm), null, notes)
  if (drift === 'overwrite') {
    const item = buildItem(situation, head, reason, calm, { overwritten: drifted })
    return decision(item, null, notes)
  }
  if (drift === 'keep') {
    const kept = drifted.map(({ replica }): Note => ({ kind: 'drift-kept', replica }))
    const item = buildItem(situation, head, reason, calm, { kept: drifted })
    return decision(item, null, [...notes, ...kept])
  }
  const conflict = driftConflict(situation, head, drifted)
  if ('unknown' in conflict) return { kind: 'need-digest', replicas: conflict.unknown }
  return decision(buildItem(situation, head, reason, calm), conflict, notes)
}

/** The source's side against each distinct content that drifted. */
function driftConflict(
  situation: Situation,
  head: Version,
  drifted: SeenEntry[],
): Conflict | { unknown: string[] } {
  const { key, rev, seen, moment } = situation
  const grouped = groupContents(drifted)
  if ('unknown' in grouped) return grouped
  const contenders = [
    headContender(head, situation),
    ...grouped.groups.map((group) => contenderOf(group, moment)),
  ]
  const unknown = namelessOf(contenders, seen)
  if (unknown.length > 0) return { unknown }
  return {
    ...{ key, rev, kind: 'drift', contenders, head },
    // Nothing decides drift that would need what it was made of.
    base: null,
    bystanders: bystanders(seen, contenders),
  }
}

function decision(item: PlanItem | null, conflict: Conflict | null, notes: Note[]): Decision {
  if (item) return { kind: 'item', item, conflict, notes }
  if (conflict) return { kind: 'conflict', conflict, notes }
  return notes.length > 0 ? { kind: 'nothing', notes } : NOTHING
}
