/**
 * A decided conflict as an item like any other: who is put, deleted, adopted, and what is kept
 * first. Pure.
 */
import type {
  Action,
  Conflict,
  Contender,
  Content,
  Moment,
  PlanItem,
  Policy,
  Rescue,
  Token,
  Version,
} from '../model.ts'
import { compareContent } from './content.ts'
import { addRescue } from './item.ts'

/** Everybody but the winner: what is there, and whether it took a side. */
interface Side {
  replica: string
  expect: Token | null
  content: Content | null
  loser: boolean
}

/**
 * The winner as an item: adopted where it is, put (or deleted) everywhere else. null: the key
 * waits, because the winner's content can't be read now, or because it got a version in this run or
 * in a later one.
 * `vaulted`: no replica has it, but the vault; it may be no side, but made of them.
 */
export function itemOf(
  conflict: Conflict,
  winner: Contender,
  policy: Policy,
  moment: Moment,
  vaulted?: 'vaulted',
): PlanItem | null {
  const head = winningVersion(conflict, winner, policy, moment)
  if (head.content !== null && winner.replicas.length === 0 && !vaulted) return null
  const passed = conflict.head !== null && conflict.head.run >= moment.run
  if (!winner.head && passed) return null
  const actions: Action[] = winner.replicas.map(({ replica, token }) => adopt(replica, token))
  for (const replica of winner.deletedAt) actions.push(adopt(replica, null))
  const rescues: Rescue[] = []
  for (const side of sidesBut(winner, conflict)) {
    const { replica, expect, content, loser } = side
    const action = actionFor(side, head)
    // One-way never writes the source, whoever wins.
    if (policy.direction === 'one-way' && replica === policy.source && action.do !== 'adopt')
      continue
    actions.push(action)
    if (action.do === 'adopt' || !expect || !content) continue
    if (loser || policy.history)
      addRescue(rescues, content, { replica, token: expect }, head, loser)
  }
  return {
    key: conflict.key,
    rev: conflict.rev,
    reason: conflict.contenders.includes(winner) ? 'resolved' : 'merged',
    head,
    actions,
    sources: winner.replicas,
    ...(vaulted ? { vaulted: true } : {}),
    rescues,
    goneAt: head.content === null ? winner.deletedAt : [],
  }
}

/**
 * Content of nobody's as a side: merged, or given by a person. Its time is that of the latest side;
 * its metadata the latest's that has any.
 */
export function madeContender({ contenders, head }: Conflict, content: Content): Contender {
  const latest = contenders.toSorted((a, b) => (b.at ?? 0) - (a.at ?? 0))
  const described = [...latest, head].find((one) => one?.content?.metadata)
  const metadata = content.metadata ?? described?.content?.metadata
  return {
    content: metadata ? { ...content, metadata } : content,
    ...{ replicas: [], deletedAt: [], at: latest[0]?.at ?? null, head: false },
  }
}

function sidesBut(winner: Contender, { contenders, bystanders }: Conflict): Side[] {
  const losers = contenders.filter((one) => one !== winner)
  return [
    ...losers.flatMap(({ content, replicas, deletedAt }): Side[] => [
      ...replicas.map(({ replica, token }) => ({ replica, expect: token, content, loser: true })),
      ...deletedAt.map((replica) => ({ replica, expect: null, content: null, loser: true })),
    ]),
    ...bystanders.map(({ lost = false, ...one }) => ({ ...one, loser: lost })),
  ]
}

function actionFor({ replica, expect, content }: Side, head: Version): Action {
  if (head.content === null) {
    return expect ? { do: 'delete', replica, expect } : adopt(replica, null)
  }
  // An older version that the winner happens to equal.
  const equal = content !== null && compareContent(head.content, content) === 'same'
  return equal ? adopt(replica, expect) : { do: 'put', replica, expect }
}

function adopt(replica: string, token: Token | null): Action {
  return { do: 'adopt', replica, token }
}

function winningVersion(
  { head, contenders }: Conflict,
  { content, ...winner }: Contender,
  policy: Policy,
  { run, to }: Moment,
): Version {
  const origin = winner.replicas[0]?.replica ?? winner.deletedAt[0] ?? ''
  const version = (winner.head && head) || { run, origin, at: winner.at ?? to }
  // Who can't carry metadata (a folder) wins with its bytes alone.
  const silent = winner.replicas.every(({ replica }) => policy.withoutMetadata?.includes(replica))
  const sides = silent ? [head, ...contenders] : []
  const metadata =
    content?.metadata ?? sides.find((one) => one?.content?.metadata)?.content?.metadata
  return { ...version, content: content && metadata ? { ...content, metadata } : content }
}
