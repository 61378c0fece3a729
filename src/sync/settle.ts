/**
 * Outcomes into the baseline: what a row is after some of an item's actions have ended. Pure. The
 * baseline moves only with an outcome (I8), so an action that didn't end leaves its hold alone.
 */
import type { Action, BaselineRow, Hold, Outcome, PlanItem, Version } from '../model.ts'
import { mergeContent } from './content.ts'

export interface Settled {
  /** The row afterwards; null: everybody confirmed the tombstone, the key is forgotten. */
  row: BaselineRow | null
  /** The line of history, where the head moved. */
  version: Version | null
  /** The head, where more is known of its content than its line says. */
  learned: Version | null
}

/**
 * `row`: as it is now. `outcomes`: by replica, of this item's actions; what isn't `done` changes
 * nothing, but for adopts, which come along with the first that is: they say what the plan saw, and
 * a head without them would make the next edit there look like one of an older version.
 * `replicas`: the dataset's; holds of others are dropped. null: nothing was done, or a later run
 * has moved the head.
 */
export function settle(
  row: BaselineRow | null,
  item: PlanItem,
  outcomes: Record<string, Outcome>,
  replicas: string[],
): Settled | null {
  const done = item.actions.filter(({ replica }) => outcomes[replica]?.kind === 'done')
  if (done.length === 0 || (row !== null && row.head.run > item.head.run)) return null
  const moved = row === null || row.head.run !== item.head.run
  const head = withLearned(moved ? item.head : row.head, item, outcomes)
  const holds: Record<string, Hold> = moved ? losersOf(item, replicas) : {}
  for (const replica of replicas) {
    const hold = row?.holds[replica]
    if (hold) holds[replica] ??= hold.version.run === head.run ? { ...hold, version: head } : hold
  }
  for (const action of item.actions) {
    const outcome = outcomes[action.replica]
    if (outcome?.kind === 'done') holds[action.replica] = holdAfter(action, outcome.token, head)
    else if (action.do === 'adopt' && !action.drift) {
      holds[action.replica] = holdAfter(action, action.token, head)
    }
  }
  const forgotten = head.content === null && Object.values(holds).every((h) => h.token === null)
  const next = { key: item.key, rev: (row?.rev ?? 0) + 1, head, holds }
  const learned = !moved && knowsMore(head, row.head) ? head : null
  return { row: forgotten ? null : next, version: moved ? head : null, learned }
}

function knowsMore({ content: a }: Version, { content: b }: Version): boolean {
  if (a === null || b === null) return false
  const digests = Object.keys(a.digests).length > Object.keys(b.digests).length
  return digests || (a.metadata !== undefined && b.metadata === undefined)
}

/**
 * Who lost a conflict holds what it lost with, until it gets the winner: decided once, it isn't
 * contended again, and what is made of it next is compared with it. No line of history bears its
 * run: it lies between the head before and the new one, as versions do that follow one another.
 */
function losersOf({ reason, head, rescues }: PlanItem, replicas: string[]): Record<string, Hold> {
  if (reason !== 'resolved' && reason !== 'merged') return {}
  const holds = rescues.flatMap(({ content, sources, loser }) =>
    sources.map(({ replica, token }): [string, Hold] => {
      const version = { run: head.run - 0.5, content, origin: replica, at: head.at }
      return [loser && replicas.includes(replica) ? replica : '', { version, token }]
    }),
  )
  return Object.fromEntries(holds.filter(([replica]) => replica !== ''))
}

/** A kept drift holds the head that it was compared with. */
function holdAfter(action: Action, token: Hold['token'], head: Version): Hold {
  const drift = action.do === 'adopt' && action.drift !== undefined
  return { version: head, token, ...(drift ? { drift } : {}) }
}

/** What was learned of the content by comparing, and while it passed through, is the head's. */
function withLearned(version: Version, item: PlanItem, outcomes: Record<string, Outcome>): Version {
  if (version.content === null || item.head.content === null) return version
  let content = mergeContent(version.content, item.head.content)
  for (const action of item.actions) {
    const outcome = outcomes[action.replica]
    if (action.do !== 'put' || outcome?.kind !== 'done' || !outcome.content) continue
    if (outcome.content.size === content.size) content = mergeContent(content, outcome.content)
  }
  return { ...version, content }
}
