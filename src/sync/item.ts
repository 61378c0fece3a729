/** One key's actions towards a head: who is put, deleted, adopted, and what must be kept first. */
import type {
  Action,
  Content,
  Metadata,
  PlanItem,
  Policy,
  Reason,
  Rescue,
  Source,
  Version,
} from '../model.ts'
import {
  compareBytes,
  compareContent,
  mergeContent,
  mergeDigests,
  metadataText,
} from './content.ts'
import { bare, orderText, type SeenEntry } from './contents.ts'
import { lostWith, type Seen } from './observe.ts'
import type { Situation } from './reconcile.ts'

/** What is done about content that nobody agreed to lose; absent: it is left alone. */
export interface Beside {
  /** Brought to the head; their content is kept whatever `history` says. */
  overwritten?: SeenEntry[]
  /** Left as they are; their token is noted. */
  kept?: SeenEntry[]
  /** The vault has the head's content, where no replica does. */
  vaulted?: boolean
}

/** null: everybody is at the head already, or the head's content can't be had now. */
export function buildItem(
  situation: Situation,
  wanted: Version,
  reason: Reason,
  targets: Seen[] = situation.seen,
  { overwritten = [], kept = [], vaulted = false }: Beside = {},
): PlanItem | null {
  const { key, rev, row, seen, policy, moment } = situation
  // A key gets one version a run, and none behind that of a later run (of selected keys) which went
  // on beside this one: what changed since is the next run's.
  const passed = row !== null && row.head.run >= moment.run
  if (passed && wanted.run === moment.run && wanted !== row.head) return null
  const head = withShown(wanted, situation)
  const sources = sourcesOf(situation, head)
  const actions: Action[] = []
  for (const one of [...targets, ...overwritten]) {
    const action = actionFor(one, head, sources, vaulted)
    if (action) actions.push(action)
  }
  for (const { replica, entry } of kept) {
    actions.push({ do: 'adopt', replica, token: entry.token, drift: bare(entry) })
  }
  if (actions.length === 0) return null
  const rescues: Rescue[] = []
  rescue(rescues, overwritten, actions, head, true)
  // Who lost a conflict may hold all there is of it: the run that decided it may have kept nothing.
  const lost = targets.filter(({ hold }) => lostWith(hold))
  rescue(rescues, lost, actions, head, true)
  if (policy.history) rescue(rescues, targets, actions, head, false)
  const goneAt = seen.filter(({ state }) => state === 'gone').map(({ replica }) => replica)
  return {
    key,
    rev,
    reason: actions.every(({ do: verb }) => verb === 'adopt')
      ? adoptReason(actions, head, reason)
      : reason,
    head,
    actions,
    sources: head.content === null ? [] : sources,
    ...(vaulted ? { vaulted } : {}),
    rescues,
    goneAt: head.content === null ? goneAt : [],
  }
}

/**
 * The head with all that is shown of it now: a folder's file was agreed before anything was known
 * of its content. Metadata that it lacks is what its holders have, else who shows the same bytes.
 */
export function withShown(head: Version, situation: Situation): Version {
  if (head.content === null) return head
  const showing = (content: Content): SeenEntry[] =>
    situation.seen.filter((one): one is SeenEntry => shows(one, { ...head, content }, situation))
  // Twice: once its holders have named it, others can be seen to be equal.
  const named = showing(head.content).map(knownContent).reduce(mergeDigests, head.content)
  const shown = showing(named)
  const content = shown.map(knownContent).reduce(mergeDigests, named)
  const metadata = content.metadata ?? shownMetadata(shown, situation.policy)
  return { ...head, content: metadata ? { ...content, metadata } : content }
}

/** One-way, the source alone says what it is. */
function shownMetadata(shown: SeenEntry[], policy: Policy): Metadata | undefined {
  const telling = shown.filter(({ replica, entry }) => {
    return entry.metadata && (policy.direction === 'two-way' || replica === policy.source)
  })
  const holders = telling.filter(({ state }) => state === 'current')
  const [first] = (holders.length > 0 ? holders : telling)
    .map(({ entry }) => entry.metadata as Metadata)
    .sort((a, b) => (metadataText(a) < metadataText(b) ? -1 : 1))
  return first
}

/** Nothing is moved: the replicas agree already, or may differ. */
function adoptReason(actions: Action[], head: Version, reason: Reason): Reason {
  if (actions.every((action) => action.do === 'adopt' && action.drift)) return 'drift'
  if (head.content === null) return 'deleted'
  if (reason === 'behind') return 'touched'
  return actions.length > 1 ? 'equal' : reason
}

/** Where the head's content is right now. The dataset's source first, else as configured. */
function sourcesOf(situation: Situation, head: Version): Source[] {
  const { seen, policy } = situation
  const sources = seen.filter((one): one is SeenEntry => shows(one, head, situation)).map(sourceOf)
  const first = ({ replica }: Source) => Number(replica === policy.source)
  return sources.sort((a, b) => first(b) - first(a))
}

export function sourceOf({ replica, entry }: SeenEntry): Source {
  return { replica, token: entry.token }
}

/** Whether this replica's entry is the head's content: the head was made of it, it is held so, or
 *  equal by digest. A folder's new file has none yet: that the head was made of it must do. */
export function shows(one: Seen, head: Version, { row, policy, moment }: Situation): boolean {
  if (one.entry === null || head.content === null || one.state === 'drifted') return false
  const isNew = head.run === moment.run && row?.head.run !== head.run
  if (isNew && head.origin === one.replica) return true
  if (one.state === 'current' && one.hold?.version.run === head.run) return true
  const silent = policy.withoutMetadata?.includes(one.replica)
  const compare = silent ? compareBytes : compareContent
  return compare(head.content, knownContent(one as SeenEntry)) === 'same'
}

/** What is known of a replica's content: its entry's, and what was agreed of it while unchanged. */
export function knownContent({ entry, hold, state }: SeenEntry): Content {
  const held = hold?.version.content
  const unchanged = state === 'current' || state === 'behind'
  return unchanged && held ? mergeContent(bare(entry), held) : bare(entry)
}

function actionFor(one: Seen, head: Version, sources: Source[], vaulted: boolean): Action | null {
  const { replica, entry, hold, state } = one
  if (state === 'unknown' || state === 'drifted') return null
  if (head.content === null) {
    if (entry !== null) return { do: 'delete', replica, expect: entry.token }
    const confirmed = hold === null || (hold.token === null && hold.version.run === head.run)
    return confirmed ? null : { do: 'adopt', replica, token: null }
  }
  if (entry !== null && sources.some((source) => source.replica === replica)) {
    const held = state === 'current' && hold?.version.run === head.run && !one.touched
    return held ? null : { do: 'adopt', replica, token: entry.token }
  }
  if (sources.length === 0 && !vaulted) return null
  return { do: 'put', replica, expect: entry?.token ?? null }
}

/** Each distinct content that an action takes away, once. */
function rescue(
  rescues: Rescue[],
  targets: Seen[],
  actions: Action[],
  head: Version,
  loser: boolean,
): void {
  for (const one of targets as SeenEntry[]) {
    const action = actions.find(({ replica }) => replica === one.replica)
    if (action === undefined || action.do === 'adopt' || action.expect === null) continue
    addRescue(rescues, knownContent(one), sourceOf(one), head, loser)
  }
}

/** Adds a source to the rescue of this content, or a new rescue. What is the head stays anyway. */
export function addRescue(
  rescues: Rescue[],
  content: Content,
  source: Source,
  head: Version,
  loser: boolean,
): void {
  if (head.content && compareContent(head.content, content) === 'same') return
  const text = orderText(content)
  const known = rescues.find((rescue) => text.trim() !== '' && orderText(rescue.content) === text)
  if (!known) {
    rescues.push({ content, sources: [source], loser })
    return
  }
  known.sources.push(source)
  known.loser ||= loser
}
