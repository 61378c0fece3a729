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
import type {
  BaselineRow,
  Conflict,
  Content,
  Decision,
  Note,
  PlanItem,
  Reason,
  Version,
} from '../model.ts'
import { contentKey } from './content.ts'
import { bare, groupContents } from './contents.ts'
import { addRescue, buildItem } from './item.ts'
import type { Seen } from './observe.ts'
import {
  bystanders,
  contenderOf,
  headContender,
  NOTHING,
  type SeenEntry,
  type Situation,
  splitByHead,
  versionOf,
} from './reconcile.ts'

export function reconcileOneWay(situation: Situation): Decision {
  const { seen, policy } = situation
  const source = seen.find(({ replica }) => replica === policy.source) as Seen
  const destinations = seen.filter(({ replica }) => replica !== policy.source)
  const target = targetHead(situation, source)
  if ('unknown' in target) return { kind: 'need-digest', replicas: target.unknown }
  if ('stop' in target) return { kind: 'nothing', notes: target.stop }
  const { head, reason } = target
  // Under a tombstone, what a destination never held isn't ours to delete: it is an extra.
  const extras = head.content === null ? destinations.filter(({ state }) => state === 'new') : []
  const split = splitByHead(destinations, head.content)
  if ('unknown' in split) return { kind: 'need-digest', replicas: split.unknown }
  const drifted = [
    ...split.fresh.filter((one) => !extras.includes(one)),
    ...(policy.drift === 'keep' ? [] : driftedBefore(destinations)),
  ]
  const calm = [source, ...destinations].filter(
    (one) => !drifted.includes(one as SeenEntry) && !extras.includes(one),
  )
  const item = buildItem(situation, head, reason, calm)
  const notes: Note[] = extras.map(({ replica }) => ({ kind: 'extra', replica }))
  if (drifted.length === 0) return decision(item, null, notes)
  return withDrift(situation, head, reason, item, drifted, notes)
}

function driftedBefore(destinations: Seen[]): SeenEntry[] {
  return destinations.filter((one): one is SeenEntry => one.state === 'drifted')
}

/** What the destinations should have: the source's content, a tombstone, or the head as it was. */
function targetHead(
  situation: Situation,
  source: Seen,
): { head: Version; reason: Reason } | { stop: Note[] } | { unknown: string[] } {
  const { row, policy, moment } = situation
  if (source.entry !== null) return sourceHead(situation, source as SeenEntry)
  const head = row?.head
  if (source.state === 'gone' && head) {
    if (policy.delete === 'never') {
      return { stop: [{ kind: 'delete-ignored', replica: source.replica }] }
    }
    if (head.content === null) return { head, reason: 'deleted' }
    const tombstone = { run: moment.run, content: null, origin: source.replica, at: moment.to }
    return { head: tombstone, reason: 'deleted' }
  }
  // The source holds an agreed tombstone, or can't be looked at: the head stays what it was.
  const settled = source.state === 'current' || source.state === 'unknown'
  if (head && settled) return { head, reason: 'behind' }
  if (head && source.state === 'behind') return { head, reason: 'behind' }
  return { stop: source.state === 'unknown' ? [] : extrasOf(situation, source) }
}

/** Keys that only destinations have. */
function extrasOf({ seen }: Situation, source: Seen): Note[] {
  return seen
    .filter((one) => one !== source && one.entry !== null)
    .map(({ replica }) => ({ kind: 'extra', replica }))
}

function sourceHead(
  situation: Situation,
  source: SeenEntry,
): { head: Version; reason: Reason } | { unknown: string[] } {
  const { row } = situation
  if (row && source.state === 'current') return { head: row.head, reason: 'behind' }
  if (row?.head.content && source.state !== 'behind') {
    const split = splitByHead([source], row.head.content)
    if ('unknown' in split) return split
    if (split.caught.length > 0) return { head: row.head, reason: 'equal' }
  }
  const group = { content: sourceContent(source), members: [source] }
  const head = versionOf(group, situation)
  return { head, reason: row?.head.content ? 'changed' : 'new' }
}

/** A source that stands still behind the head still decides: what it held is known. */
function sourceContent(source: SeenEntry): Content {
  const held = source.hold?.version.content
  if (source.state !== 'behind' || !held) return bare(source.entry)
  return { ...held, ...bare(source.entry), digests: { ...held.digests, ...source.entry.digests } }
}

function withDrift(
  situation: Situation,
  head: Version,
  reason: Reason,
  item: PlanItem | null,
  drifted: SeenEntry[],
  notes: Note[],
): Decision {
  const { policy } = situation
  if (policy.drift === 'overwrite') {
    return decision(overwrite(situation, head, reason, item, drifted), null, notes)
  }
  if (policy.drift === 'keep') {
    const kept = drifted.map((one): Note => ({ kind: 'drift-kept', replica: one.replica }))
    return decision(keep(situation, head, item, drifted), null, [...notes, ...kept])
  }
  const conflict = driftConflict(situation, head, drifted)
  if ('unknown' in conflict) return { kind: 'need-digest', replicas: conflict.unknown }
  return decision(item, conflict, notes)
}

function overwrite(
  situation: Situation,
  head: Version,
  reason: Reason,
  item: PlanItem | null,
  drifted: SeenEntry[],
): PlanItem | null {
  const base = item ?? emptyItem(situation, head, reason)
  if (head.content !== null && base.sources.length === 0) return item
  for (const { replica, entry } of drifted) {
    base.actions.push(
      head.content === null
        ? { do: 'delete', replica, expect: entry.token }
        : { do: 'put', replica, expect: entry.token },
    )
    if (situation.policy.history) {
      addRescue(base.rescues, bare(entry), replica, entry.token, head, true)
    }
  }
  return base
}

function keep(
  situation: Situation,
  head: Version,
  item: PlanItem | null,
  drifted: SeenEntry[],
): PlanItem {
  const base = item ?? emptyItem(situation, head, 'drift')
  for (const { replica, entry } of drifted) {
    base.actions.push({ do: 'adopt', replica, token: entry.token, drift: bare(entry) })
  }
  return base
}

function emptyItem(situation: Situation, head: Version, reason: Reason): PlanItem {
  const { key, row, seen, policy } = situation
  const source = seen.find(({ replica }) => replica === policy.source)
  const sources =
    head.content !== null && source?.entry
      ? [{ replica: source.replica, token: source.entry.token }]
      : []
  return {
    key,
    rev: row?.rev ?? 0,
    reason,
    head,
    actions: [],
    sources,
    rescues: [],
    goneAt: head.content === null && source?.state === 'gone' ? [source.replica] : [],
  }
}

/** The source's side against each distinct content that drifted. */
function driftConflict(
  situation: Situation,
  head: Version,
  drifted: SeenEntry[],
): Conflict | { unknown: string[] } {
  const { key, row, seen } = situation
  // The identity of a conflict is made of digests, the source's too.
  if (head.content && contentKey(head.content) === null) {
    return { unknown: [situation.policy.source] }
  }
  const grouped = groupContents(drifted)
  if ('unknown' in grouped) return grouped
  const nameless = grouped.groups.filter(({ content }) => contentKey(content) === null)
  if (nameless.length > 0) {
    return { unknown: nameless.flatMap(({ members }) => members.map(({ replica }) => replica)) }
  }
  const agreed: BaselineRow = { key, rev: row?.rev ?? 0, head, holds: row?.holds ?? {} }
  const contenders = [
    headContender(agreed, seen),
    ...grouped.groups.map((group) => contenderOf(group, situation)),
  ]
  return {
    key,
    rev: row?.rev ?? 0,
    kind: 'drift',
    contenders,
    head,
    bystanders: bystanders(seen, contenders),
  }
}

function decision(item: PlanItem | null, conflict: Conflict | null, notes: Note[]): Decision {
  if (item) return { kind: 'item', item, conflict, notes }
  if (conflict) return { kind: 'conflict', conflict, notes }
  return notes.length > 0 ? { kind: 'nothing', notes } : NOTHING
}
