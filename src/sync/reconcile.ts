/**
 * What to do about one key: `(baseline row, observations, policy) → nothing | need-digest | item |
 * conflict`. Pure and total: no I/O, no clock. The truth table, two-way:
 *
 *   nothing changed, none gone       → bring `behind` and `never` to the head
 *   one new content, from the head   → it is the new head; put it everywhere else
 *   several, or from behind the head → conflict update/update, create/create
 *   gone from a head, none changed   → tombstone; delete elsewhere
 *   gone, and changed elsewhere      → conflict update/delete
 *
 * One-way is in `reconcile-one-way.ts`: there the source decides, and the rest is drift.
 */
import type {
  BaselineRow,
  Conflict,
  ConflictKind,
  Contender,
  Content,
  Decision,
  Entry,
  Key,
  Moment,
  Observation,
  Policy,
  Version,
} from '../model.ts'
import { compareContent, contentKey } from './content.ts'
import { bare, type Group, groupContents } from './contents.ts'
import { buildItem } from './item.ts'
import { holdsHead, observe, type Seen } from './observe.ts'
import { reconcileOneWay } from './reconcile-one-way.ts'

export const NOTHING: Decision = { kind: 'nothing', notes: [] }

/** Everything about one key, as the two directions need it. */
export interface Situation {
  key: Key
  row: BaselineRow | null
  seen: Seen[]
  policy: Policy
  moment: Moment
}

export type SeenEntry = Seen & { entry: Entry }

export function reconcile(
  key: Key,
  row: BaselineRow | null,
  observations: ReadonlyMap<string, Observation>,
  policy: Policy,
  moment: Moment,
): Decision {
  const seen: Seen[] = []
  const toLearn: string[] = []
  for (const replica of policy.replicas) {
    const observation = observations.get(replica) ?? { kind: 'unknown', reason: 'not looked at' }
    const one = observe(replica, row, observation)
    if (one) seen.push(one)
    else toLearn.push(replica)
  }
  if (toLearn.length > 0) return { kind: 'need-digest', replicas: toLearn }
  const situation = { key, row, seen, policy, moment }
  return policy.direction === 'one-way' ? reconcileOneWay(situation) : reconcileTwoWay(situation)
}

function reconcileTwoWay(situation: Situation): Decision {
  const { row, seen } = situation
  const split = splitByHead(seen, row?.head.content ?? null)
  if ('unknown' in split) return { kind: 'need-digest', replicas: split.unknown }
  const grouped = groupContents(split.fresh)
  if ('unknown' in grouped) return { kind: 'need-digest', replicas: grouped.unknown }
  const { groups } = grouped
  const gone = seen.filter(({ state }) => state === 'gone')
  if (row === null || row.head.content === null) {
    return groups.length === 0
      ? toHead(situation, split.caught)
      : overNothing(situation, groups, gone)
  }
  if (groups.length === 0) return unchanged(situation, split.caught, gone)
  const [only, ...others] = groups
  if (only && others.length === 0 && gone.length === 0 && fromHead(only, row)) {
    return toNewHead(situation, only)
  }
  return conflict(situation, groups, gone)
}

/** Nobody held any content: the one that is new is the head, unless it comes from behind. */
function overNothing(situation: Situation, groups: Group[], gone: Seen[]): Decision {
  const [only, ...others] = groups
  // An older version that was edited where the delete had not arrived yet.
  const behind = groups.some(({ members }) =>
    members.some(({ hold }) => hold !== null && hold.token !== null),
  )
  if (only && others.length === 0 && !behind) return toNewHead(situation, only)
  return conflict(situation, groups, gone)
}

/** No new content anywhere: a delete is carried on, or replicas are brought to the head. */
function unchanged(situation: Situation, caught: SeenEntry[], gone: Seen[]): Decision {
  const row = situation.row as BaselineRow
  if (gone.length === 0) return toHead(situation, caught)
  const wasAgreed = gone.some(({ hold }) => hold !== null && holdsHead(row, hold))
  if (!wasAgreed || caught.length > 0) return conflict(situation, [], gone)
  const origin = gone.find(({ hold }) => hold !== null && holdsHead(row, hold)) as Seen
  const { run, to } = situation.moment
  const head: Version = { run, content: null, origin: origin.replica, at: to }
  return itemOrNothing(situation, head, 'deleted')
}

function toHead(situation: Situation, caught: SeenEntry[]): Decision {
  if (situation.row === null) return NOTHING
  const head = situation.row.head
  return itemOrNothing(situation, head, caught.length > 0 ? 'equal' : 'behind')
}

function toNewHead(situation: Situation, group: Group): Decision {
  const head = versionOf(group, situation)
  return itemOrNothing(situation, head, situation.row?.head.content ? 'changed' : 'new')
}

export function itemOrNothing(
  situation: Situation,
  head: Version,
  reason: 'new' | 'changed' | 'deleted' | 'behind' | 'equal',
): Decision {
  const item = buildItem(situation, head, reason)
  return item ? { kind: 'item', item, conflict: null, notes: [] } : NOTHING
}

// ── contents ────────────────────────────────────────────────────────────────────────────────────

/** Entries under new content: those equal to the head have caught up, the others are fresh. */
export function splitByHead(
  seen: Seen[],
  head: Content | null,
): { caught: SeenEntry[]; fresh: SeenEntry[] } | { unknown: string[] } {
  const caught: SeenEntry[] = []
  const fresh: SeenEntry[] = []
  const unknown: string[] = []
  for (const one of seen) {
    if ((one.state !== 'changed' && one.state !== 'new') || one.entry === null) continue
    const verdict = head === null ? 'different' : compareContent(head, one.entry)
    // With a sha256 nothing more can be learned: what isn't proven equal is different.
    if (verdict === 'unknown' && !one.entry.digests.sha256) unknown.push(one.replica)
    else (verdict === 'same' ? caught : fresh).push(one as SeenEntry)
  }
  return unknown.length > 0 ? { unknown } : { caught, fresh }
}

/** A content is a lawful successor of the head where someone made it out of the head. */
function fromHead(group: Group, row: BaselineRow): boolean {
  return group.members.some(({ hold }) => hold !== null && holdsHead(row, hold))
}

/** The version that this content becomes; its time is the store's, within the moment. */
export function versionOf(group: Group, situation: Situation): Version {
  const { row, moment } = situation
  const origin = earliest(group)
  const inherited = row?.head.content?.metadata
  const content = group.content.metadata
    ? group.content
    : { ...group.content, ...(inherited === undefined ? {} : { metadata: inherited }) }
  return {
    run: moment.run,
    content,
    origin: origin.replica,
    at: clamp(origin.entry.modifiedAt, moment),
  }
}

function earliest(group: Group): SeenEntry {
  return group.members.reduce((a, b) => (b.entry.modifiedAt < a.entry.modifiedAt ? b : a))
}

function clamp(at: number, { from, to }: Moment): number {
  return Math.min(Math.max(at, from), to)
}

// ── conflicts ───────────────────────────────────────────────────────────────────────────────────

function conflict(situation: Situation, groups: Group[], gone: Seen[]): Decision {
  const { key, row, seen } = situation
  const nameless = groups.filter(({ content }) => contentKey(content) === null)
  if (nameless.length > 0) {
    const replicas = nameless.flatMap(({ members }) => members.map(({ replica }) => replica))
    return { kind: 'need-digest', replicas }
  }
  const contenders: Contender[] = groups.map((group) => contenderOf(group, situation))
  // Superseded by a lawful successor or a lawful delete, the head doesn't contend any more.
  const superseded =
    row === null ||
    groups.some((group) => fromHead(group, row)) ||
    (groups.length > 0 && gone.some(({ hold }) => hold !== null && holdsHead(row, hold)))
  if (row !== null && !superseded) contenders.unshift(headContender(row, seen))
  const tombstone = contenders.find(({ content }) => content === null)
  if (gone.length > 0 && !tombstone) contenders.push(deleteContender(gone))
  return {
    kind: 'conflict',
    notes: [],
    conflict: {
      key,
      rev: row?.rev ?? 0,
      kind: kindOf(contenders, row),
      contenders,
      head: row?.head ?? null,
      bystanders: bystanders(seen, contenders),
    },
  }
}

function kindOf(contenders: Contender[], row: BaselineRow | null): ConflictKind {
  const updates = contenders.filter(({ content }) => content !== null).length
  if (updates < contenders.length && updates <= 1) return 'update/delete'
  return row === null || row.head.content === null ? 'create/create' : 'update/update'
}

export function contenderOf(group: Group, situation: Situation): Contender {
  const at = Math.max(
    ...group.members.map(({ entry }) => clamp(entry.modifiedAt, situation.moment)),
  )
  const replicas = group.members.map(({ replica, entry }) => ({ replica, token: entry.token }))
  return { content: group.content, replicas, deletedAt: [], at, head: false }
}

/** The agreed head, on the side of those that hold it or have caught up with it. */
export function headContender(row: BaselineRow, seen: Seen[]): Contender {
  const { content, at } = row.head
  const holders = seen.filter((one) => one.entry !== null && isAtHead(one, row))
  const deleted = content === null ? seen.filter(({ state }) => state === 'current') : []
  return {
    content,
    replicas: holders.map(({ replica, entry }) => ({ replica, token: (entry as Entry).token })),
    deletedAt: deleted.map(({ replica }) => replica),
    at: content === null ? null : at,
    head: true,
  }
}

function deleteContender(gone: Seen[]): Contender {
  const deletedAt = gone.map(({ replica }) => replica)
  return { content: null, replicas: [], deletedAt, at: null, head: false }
}

/** Whether this replica shows the head's content now. */
export function isAtHead(one: Seen, row: BaselineRow): boolean {
  if (one.entry === null || row.head.content === null) return false
  if (one.state === 'current') return one.hold?.version.run === row.head.run
  if (one.state !== 'changed' && one.state !== 'new') return false
  return compareContent(row.head.content, one.entry) === 'same'
}

export function bystanders(seen: Seen[], contenders: Contender[]): Conflict['bystanders'] {
  const contending = new Set(
    contenders.flatMap((c) => [...c.replicas.map(({ replica }) => replica), ...c.deletedAt]),
  )
  return seen
    .filter(({ replica, state }) => state !== 'unknown' && !contending.has(replica))
    .map(({ replica, entry }) => ({
      replica,
      expect: entry?.token ?? null,
      content: entry ? bare(entry) : null,
    }))
}
