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
  Key,
  Moment,
  Observation,
  Policy,
  Version,
} from '../model.ts'
import { compareContent, contentKey } from './content.ts'
import { bare, type Group, groupContents, type SeenEntry, toLearn } from './contents.ts'
import { buildItem, knownContent, shows, sourceOf, withShown } from './item.ts'
import { holdsHead, lostWith, observe, type Seen } from './observe.ts'
import { reconcileOneWay } from './reconcile-one-way.ts'
import { changedMetadataAlone, keptMetadata } from './same-edit.ts'

export const NOTHING: Extract<Decision, { kind: 'nothing' }> = { kind: 'nothing', notes: [] }

/** Everything about one key, as the two directions need it. */
export interface Situation {
  key: Key
  /** The baseline row's; 0 where there is none. */
  rev: number
  /** Its head has all that is known of the content now, also what its holders show of it. */
  row: BaselineRow | null
  seen: Seen[]
  policy: Policy
  moment: Moment
}

export function reconcile(
  key: Key,
  row: BaselineRow | null,
  observations: ReadonlyMap<string, Observation>,
  policy: Policy,
  moment: Moment,
): Decision {
  const look = lookIn(observations)
  if (policy.replicas.every((replica) => isQuiet(observe(replica, row, look(replica))))) {
    return NOTHING
  }
  const { situation, asked } = situationOf(key, row, observations, policy, moment)
  if (policy.direction === 'one-way') return reconcileOneWay(situation, asked)
  if (asked.length > 0) return { kind: 'need-digest', replicas: asked }
  return reconcileTwoWay(situation)
}

/** What each replica shows, against what it held; `asked`: whose digests must be learned first. */
export function situationOf(
  key: Key,
  row: BaselineRow | null,
  observations: ReadonlyMap<string, Observation>,
  policy: Policy,
  moment: Moment,
): { situation: Situation; asked: string[] } {
  const look = lookIn(observations)
  const plain = metadataIsTheirs(policy)
  const known = plain && row ? withoutMetadata(row) : row
  const asked: string[] = []
  const seen = policy.replicas.map((replica): Seen => {
    const observation = plain ? withoutItsMetadata(look(replica)) : look(replica)
    const one = observe(replica, known, observation)
    if (one === null) asked.push(replica)
    return one ?? undecided(replica, known, observation)
  })
  const given = { key, rev: row?.rev ?? 0, row: known, seen, policy, moment }
  const situation = known
    ? { ...given, row: { ...known, head: withShown(known.head, given) } }
    : given
  return { situation, asked }
}

const lookIn =
  (observations: ReadonlyMap<string, Observation>) =>
  (replica: string): Observation =>
    observations.get(replica) ?? { kind: 'unknown', reason: 'not looked at' }

function isQuiet(one: Seen | null): boolean {
  return one?.state === 'unknown' || (one?.state === 'current' && !one.touched)
}

/** Its digest is still to be learned: until then it may have changed. */
function undecided(replica: string, row: BaselineRow | null, observation: Observation): Seen {
  const entry = observation.kind === 'entry' ? observation.entry : null
  const hold = row?.holds[replica] ?? null
  return { replica, state: 'changed', entry, hold, touched: false }
}

/** Below a source that carries no metadata (a folder), each destination has its own. */
export function metadataIsTheirs({ direction, source, withoutMetadata }: Policy): boolean {
  return direction === 'one-way' && withoutMetadata?.includes(source) === true
}

function withoutMetadata(row: BaselineRow): BaselineRow {
  const plain = (version: Version): Version => {
    return { ...version, content: version.content && withoutIts(version.content) }
  }
  const holds = Object.entries(row.holds).map(([replica, hold]) => [
    replica,
    { ...hold, version: plain(hold.version) },
  ])
  return { ...row, head: plain(row.head), holds: Object.fromEntries(holds) }
}

function withoutItsMetadata(observation: Observation): Observation {
  if (observation.kind !== 'entry') return observation
  return { kind: 'entry', entry: withoutIts(observation.entry) }
}

export function withoutIts<T extends Content>({ metadata: _, ...content }: T): Omit<T, 'metadata'> {
  return content
}

function holdersOf(seen: Seen[]): SeenEntry[] {
  return seen.filter((one): one is SeenEntry => one.state === 'current' && one.entry !== null)
}

function reconcileTwoWay(given: Situation): Decision {
  const situation = withoutLostHead(given)
  // Drift that was kept while the direction was one-way is a side like any other.
  const seen = situation.seen.map(asChanged)
  const { row } = situation
  const split = splitByHead(seen, row?.head ?? null, holdersOf(seen))
  if ('unknown' in split) return { kind: 'need-digest', replicas: split.unknown }
  const grouped = groupContents(split.fresh.filter((one) => !keptMetadata(one, row?.head.content)))
  if ('unknown' in grouped) return { kind: 'need-digest', replicas: grouped.unknown }
  const told = { ...situation, seen: withoutLater(seen, split) }
  return decideTwoWay(told, grouped.groups, split.caught)
}

function decideTwoWay(situation: Situation, groups: Group[], caught: SeenEntry[]): Decision {
  const { row, seen } = situation
  const [only, ...others] = groups
  const gone = seen.filter(({ state }) => state === 'gone')
  if (!only) return unchanged(situation, caught, gone)
  if (others.length > 0) return conflict(situation, groups, gone)
  // Over a tombstone, who is gone has only followed it.
  const undisputed = gone.length === 0 || row?.head.content === null
  const lawful = row === null || (undisputed && fromHead(only, row))
  return lawful ? toNewHead(situation, only) : conflict(situation, groups, gone)
}

/** No new content anywhere: a delete is carried on, or replicas are brought to the head. */
function unchanged(situation: Situation, caught: SeenEntry[], gone: Seen[]): Decision {
  const { row } = situation
  if (row === null) return NOTHING
  if (gone.length === 0 || row.head.content === null) {
    return itemOrNothing(situation, row.head, caught.length > 0 ? 'equal' : 'behind')
  }
  // Who has caught up has what was deleted: mostly by a put of ours whose reply was lost.
  const origin = gone.find((one) => holdsHeadOf(one, row))
  if (!origin) return conflict(situation, [], gone)
  const { run, to } = situation.moment
  const head: Version = { run, content: null, origin: origin.replica, at: to }
  return itemOrNothing(situation, head, 'deleted')
}

function toNewHead(situation: Situation, group: Group): Decision {
  const head = versionOf(group, situation)
  return itemOrNothing(situation, head, situation.row?.head.content ? 'changed' : 'new')
}

function itemOrNothing(
  situation: Situation,
  head: Version,
  reason: 'new' | 'changed' | 'deleted' | 'behind' | 'equal',
): Decision {
  const item = buildItem(situation, head, reason)
  return item ? { kind: 'item', item, conflict: null, notes: [] } : NOTHING
}

// ── who shows what ──────────────────────────────────────────────────────────────────────────────

/**
 * A head whose holders are all gone from the dataset (removed, or another place now) can't be had
 * from anyone: what the others hold is all there is, and is taken as if nothing had been agreed.
 */
function withoutLostHead(situation: Situation): Situation {
  const { row, seen, policy } = situation
  if (row === null || row.head.content === null) return situation
  const holds = policy.replicas.map((replica) => row.holds[replica])
  if (holds.some((hold) => hold !== undefined && holdsHead(row, hold))) return situation
  const anew = seen.map((one): Seen => {
    if (one.state === 'unknown') return one
    return { ...one, hold: null, touched: false, state: one.entry ? 'new' : 'never' }
  })
  return { ...situation, row: null, seen: anew }
}

export function asChanged(one: Seen): Seen {
  return one.state === 'drifted' ? { ...one, state: 'changed' } : one
}

interface Split {
  caught: SeenEntry[]
  fresh: SeenEntry[]
  later: Seen[]
}

/**
 * Entries under new content: those equal to the head have caught up, the others are fresh; `later`
 * are those that nobody can compare before a holder of the head is back: as good as unknown. Or
 * whose digests must be learned to tell.
 */
export function splitByHead(
  seen: Seen[],
  head: Version | null,
  holders: SeenEntry[],
  everybody: Seen[] = seen,
): Split | { unknown: string[] } {
  const split: Split = { caught: [], fresh: [], later: [] }
  const unknown = new Set<string>()
  const content = head?.content ?? null
  const away = everybody.some(({ state, hold }) => {
    return state === 'unknown' && hold?.version.run === head?.run && !hold?.drift
  })
  for (const one of seen as SeenEntry[]) {
    if (one.state !== 'changed' && one.state !== 'new') continue
    const verdict = content === null ? 'different' : compareContent(content, one.entry)
    if (verdict === 'same') split.caught.push(one)
    else if (verdict === 'different' || content === null) split.fresh.push(one)
    else {
      const shown = { content: bare(one.entry), members: [one] }
      const asked = toLearn({ content, members: holders }, shown)
      for (const replica of asked) unknown.add(replica)
      // Where nothing more can be learned, what isn't proven equal is different.
      if (asked.length === 0) (away ? split.later : split.fresh).push(one)
    }
  }
  return unknown.size > 0 ? { unknown: [...unknown] } : split
}

/** What can't be told now gets no action, and holds nobody up. */
export function withoutLater(seen: Seen[], { later }: Split): Seen[] {
  return seen.map((one) => (later.includes(one) ? { ...one, state: 'unknown', entry: null } : one))
}

/**
 * A content is a lawful successor of the head where someone made it out of the head, or had the
 * head's own bytes and changed the metadata alone; of a tombstone, where someone made it out of
 * nothing.
 */
function fromHead(group: Group, row: BaselineRow): boolean {
  const { content } = row.head
  if (content !== null) {
    return group.members.some((one) => holdsHeadOf(one, row) || changedMetadataAlone(one, content))
  }
  return group.members.some(({ hold }) => hold === null || hold.token === null)
}

function holdsHeadOf({ hold }: Seen, row: BaselineRow): boolean {
  return hold !== null && holdsHead(row, hold)
}

/** The version that this content becomes; its time is the store's, within the moment. */
export function versionOf({ content, members }: Group, situation: Situation): Version {
  const { row, moment, policy } = situation
  const origin = members.reduce((a, b) => (b.entry.modifiedAt < a.entry.modifiedAt ? b : a))
  // Who can't carry metadata (a folder) changes the bytes alone. Who only doesn't list it may have
  // changed it too: then it is unknown until it is read.
  const silent = members.every(({ replica }) => policy.withoutMetadata?.includes(replica))
  const metadata = content.metadata ?? (silent ? row?.head.content?.metadata : undefined)
  return {
    run: moment.run,
    content: metadata ? { ...content, metadata } : content,
    origin: origin.replica,
    at: Math.min(Math.max(origin.entry.modifiedAt, moment.from), moment.to),
  }
}

// ── conflicts ───────────────────────────────────────────────────────────────────────────────────

function conflict(situation: Situation, groups: Group[], gone: Seen[]): Decision {
  const { key, rev, row, seen } = situation
  const contenders: Contender[] = groups.map((group) => contenderOf(group, situation.moment))
  // Superseded by a lawful successor or a lawful delete, the head doesn't contend any more.
  const superseded =
    row === null ||
    groups.some((group) => fromHead(group, row)) ||
    (groups.length > 0 && gone.some((one) => holdsHeadOf(one, row)))
  if (row !== null && !superseded) contenders.unshift(headContender(row.head, situation))
  if (gone.length > 0 && row?.head.content) contenders.push(deleteContender(gone))
  const nameless = namelessOf(contenders, seen)
  if (nameless.length > 0) return { kind: 'need-digest', replicas: nameless }
  return {
    kind: 'conflict',
    notes: [],
    conflict: {
      key,
      rev,
      kind: kindOf(contenders, row),
      contenders,
      head: row?.head ?? null,
      base: baseOf(groups, contenders, row),
      bystanders: bystanders(seen, contenders),
    },
  }
}

/**
 * Versions of a key follow one another, so of two the older is what both were made of. A content
 * that several replicas have was made of the latest that any of them held; kept drift, and what
 * stands over a tombstone, of nothing.
 */
function baseOf(groups: Group[], contenders: Contender[], row: BaselineRow | null): Version | null {
  if (row === null) return null
  const bases = groups.map(({ members }): Version | null => {
    const held = members.flatMap(({ hold }) => (hold && !hold.drift ? [hold.version] : []))
    return held.reduce<Version | null>((a, b) => (a && a.run >= b.run ? a : b), null)
  })
  if (contenders.some(({ head, content }) => head && content)) bases.push(row.head)
  if (bases.some((base) => base === null || base.content === null)) return null
  return bases.reduce((a, b) => (a && b && a.run <= b.run ? a : b), bases[0] ?? null)
}

function kindOf(contenders: Contender[], row: BaselineRow | null): ConflictKind {
  const updates = contenders.filter(({ content }) => content !== null).length
  if (updates < contenders.length && updates <= 1) return 'update/delete'
  return row === null || row.head.content === null ? 'create/create' : 'update/update'
}

/** A conflict's identity is made of digests: who to ask where a side has none yet. */
export function namelessOf(contenders: Contender[], seen: Seen[]): string[] {
  return contenders.flatMap(({ content, replicas }) => {
    if (content === null || contentKey(content) !== null) return []
    const one = seen.find(({ replica }) => replicas[0]?.replica === replica)
    return one?.entry && one.entry.digests.sha256 === undefined ? [one.replica] : []
  })
}

/**
 * Its time is the latest that a store tells, never later than this scan. There is no lower bound:
 * an edit made offline, or one whose outcome failed before, would pass for younger than it is.
 */
export function contenderOf({ content, members }: Group, { to }: Moment): Contender {
  const times = members.map(({ entry }) => entry.modifiedAt)
  const [first, last] = [Math.min(...times), Math.max(...times)]
  const at = Math.min(last, to)
  const more = {
    ...(first < at ? { since: first } : {}),
    ...(last > to ? { ahead: last - to } : {}),
  }
  return { content, replicas: members.map(sourceOf), deletedAt: [], at, ...more, head: false }
}

/** The agreed head, on the side of those that hold it or have caught up with it. */
export function headContender(head: Version, situation: Situation): Contender {
  const { seen } = situation
  const holders = seen.filter((one): one is SeenEntry => shows(one, head, situation))
  const absent = seen.filter(({ entry, hold }) => entry === null && hold !== null)
  const deleted = head.content === null ? absent.filter(({ state }) => state !== 'unknown') : []
  return {
    content: head.content,
    replicas: holders.map(sourceOf),
    deletedAt: deleted.map(({ replica }) => replica),
    at: head.content === null ? null : head.at,
    head: true,
  }
}

function deleteContender(gone: Seen[]): Contender {
  const deletedAt = gone.map(({ replica }) => replica)
  return { content: null, replicas: [], deletedAt, at: null, head: false }
}

export function bystanders(seen: Seen[], contenders: Contender[]): Conflict['bystanders'] {
  const contending = new Set(
    contenders.flatMap((c) => [...c.replicas.map(({ replica }) => replica), ...c.deletedAt]),
  )
  return seen
    .filter(({ replica, state }) => state !== 'unknown' && !contending.has(replica))
    .map((one) => ({
      replica: one.replica,
      expect: one.entry?.token ?? null,
      content: one.entry ? knownContent(one as SeenEntry) : null,
      ...(lostWith(one.hold) ? { lost: true as const } : {}),
    }))
}
