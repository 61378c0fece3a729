/** One key's actions towards a head: who is put, deleted, adopted, and what must be kept first. */
import type { Action, Content, Entry, PlanItem, Reason, Rescue, Source, Version } from '../model.ts'
import { compareContent, mergeContent } from './content.ts'
import { bare, orderText } from './contents.ts'
import type { Seen } from './observe.ts'
import type { Situation } from './reconcile.ts'

/** null: everybody is at the head already, or the head's content can't be had now. */
export function buildItem(
  situation: Situation,
  head: Version,
  reason: Reason,
  targets: Seen[] = situation.seen,
): PlanItem | null {
  const { key, row, seen, policy } = situation
  const sources = sourcesOf(seen, head, policy.source)
  const actions: Action[] = []
  for (const one of targets) {
    const action = actionFor(one, head, sources)
    if (action) actions.push(action)
  }
  if (actions.length === 0) return null
  const goneAt = seen.filter(({ state }) => state === 'gone').map(({ replica }) => replica)
  return {
    key,
    rev: row?.rev ?? 0,
    reason: actions.every(({ do: verb }) => verb === 'adopt')
      ? adoptReason(actions, head, reason)
      : reason,
    head,
    actions,
    sources: head.content === null ? [] : sources,
    rescues: policy.history ? rescuesFor(targets, actions, head) : [],
    goneAt: head.content === null ? goneAt : [],
  }
}

/** Nothing is moved: the replicas agree already. */
function adoptReason(actions: Action[], head: Version, reason: Reason): Reason {
  if (head.content === null) return 'deleted'
  if (reason === 'behind') return 'touched'
  return actions.length > 1 ? 'equal' : reason
}

/** Where the head's content is right now. The dataset's source first, else as configured. */
function sourcesOf(seen: Seen[], head: Version, first: string): Source[] {
  const holders = seen.filter((one) => shows(one, head))
  const sources = holders.map(({ replica, entry }) => ({
    replica,
    token: (entry as Entry).token,
  }))
  return sources.sort((a, b) => Number(b.replica === first) - Number(a.replica === first))
}

/** Whether this replica's entry is the head's content: held so, or equal by digest. */
function shows(one: Seen, head: Version): boolean {
  if (one.entry === null || head.content === null) return false
  if (one.state === 'current' && one.hold?.version.run === head.run) return true
  if (one.state === 'drifted') return false
  return compareContent(head.content, knownContent(one)) === 'same'
}

/** What is known of a replica's bytes: its entry's own, and what was agreed of it while unchanged. */
function knownContent(one: Seen): Content {
  const entry = one.entry as Entry
  const held = one.hold?.version.content
  const unchanged = one.state === 'current' || one.state === 'behind'
  return unchanged && held ? mergeContent(bare(entry), held) : bare(entry)
}

function actionFor(one: Seen, head: Version, sources: Source[]): Action | null {
  const { replica, entry, hold, state } = one
  if (state === 'unknown' || state === 'drifted') return null
  if (head.content === null) {
    if (entry !== null) return { do: 'delete', replica, expect: entry.token }
    const confirmed = hold === null || (hold.token === null && hold.version.run === head.run)
    return confirmed ? null : { do: 'adopt', replica, token: null }
  }
  if (sources.some((source) => source.replica === replica)) {
    const held = state === 'current' && hold?.version.run === head.run && !one.touched
    return held ? null : { do: 'adopt', replica, token: (entry as Entry).token }
  }
  if (sources.length === 0) return null
  return { do: 'put', replica, expect: entry?.token ?? null }
}

/** Each distinct content that an action takes away, once. */
function rescuesFor(targets: Seen[], actions: Action[], head: Version): Rescue[] {
  const rescues: Rescue[] = []
  for (const action of actions) {
    if (action.do === 'adopt' || (action.do === 'put' && action.expect === null)) continue
    const one = targets.find(({ replica }) => replica === action.replica) as Seen
    addRescue(rescues, knownContent(one), action.replica, (one.entry as Entry).token, head, false)
  }
  return rescues
}

/** Adds a source to the rescue of this content, or a new rescue. What is the head stays anyway. */
export function addRescue(
  rescues: Rescue[],
  content: Content,
  replica: string,
  token: Source['token'],
  head: Version,
  loser: boolean,
): void {
  if (head.content && compareContent(head.content, content) === 'same') return
  const known = rescues.find((rescue) => orderText(rescue.content) === orderText(content))
  if (known && orderText(content).trim() !== '') known.sources.push({ replica, token })
  else rescues.push({ content, sources: [{ replica, token }], loser })
}
