/**
 * Outcomes into the baseline: what a row is after some of an item's actions have ended. Pure. The
 * baseline moves only with an outcome (I8), so an action that didn't end leaves its hold alone.
 */
import type { Action, BaselineRow, Content, Hold, Outcome, PlanItem, Version } from '../model.ts'
import { mergeContent } from './content.ts'

export interface Settled {
  /** The row afterwards; null: everybody confirmed the tombstone, the key is forgotten. */
  row: BaselineRow | null
  /** The line of history, where the head moved. */
  version: Version | null
}

/**
 * `row`: as it is now. `outcomes`: by replica, of this item's actions; what isn't `done` changes
 * nothing. `replicas`: the dataset's; holds of others are dropped. null: nothing was done.
 */
export function settle(
  row: BaselineRow | null,
  item: PlanItem,
  outcomes: Record<string, Outcome>,
  replicas: string[],
): Settled | null {
  const done = item.actions.flatMap((action) => {
    const outcome = outcomes[action.replica]
    return outcome?.kind === 'done' ? [{ action, outcome }] : []
  })
  if (done.length === 0) return null
  const moved = row === null || row.head.run !== item.head.run
  const base = moved ? item.head : row.head
  const learned = done.flatMap(({ action, outcome }) =>
    action.do === 'put' && outcome.content ? [outcome.content] : [],
  )
  const head = withContent(base, learned)
  const holds: Record<string, Hold> = {}
  for (const replica of replicas) {
    const hold = row?.holds[replica]
    if (hold) holds[replica] = hold.version.run === head.run ? { ...hold, version: head } : hold
  }
  for (const { action, outcome } of done) {
    holds[action.replica] = holdAfter(action, outcome.token, head, row?.holds[action.replica])
  }
  const forgotten = head.content === null && Object.values(holds).every((h) => h.token === null)
  const next = { key: item.key, rev: (row?.rev ?? 0) + 1, head, holds }
  return { row: forgotten ? null : next, version: moved ? head : null }
}

function holdAfter(action: Action, token: Hold['token'], head: Version, before?: Hold): Hold {
  if (action.do === 'adopt' && action.drift) {
    return { version: before?.version ?? head, token, drift: true }
  }
  return { version: head, token }
}

/** Digests and metadata that were learned while the content passed through belong to the head. */
function withContent(version: Version, learned: Content[]): Version {
  if (version.content === null || learned.length === 0) return version
  const content = learned.reduce(
    (known, more) => (known.size === more.size ? mergeContent(known, more) : known),
    version.content,
  )
  return { ...version, content }
}
