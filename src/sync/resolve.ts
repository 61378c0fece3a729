/**
 * A conflict into an outcome by the dataset's strategy: which contender wins, by which rule; or
 * nobody, and it stays open for a person. Pure. A new strategy is a row in `STRATEGIES`.
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
  Strategy,
  Token,
  Version,
} from '../model.ts'
import { compareContent } from './content.ts'
import { orderText } from './contents.ts'
import { addRescue } from './item.ts'

export interface Verdict {
  winner: Contender
  /** Why, for people and for the record. */
  rule: string
}

type Decide<S extends Strategy> = (contenders: Contender[], strategy: S) => Verdict | null

const STRATEGIES: { [N in Strategy['name']]: Decide<Extract<Strategy, { name: N }>> } = {
  'last-write-wins': lastWriteWins,
  prefer: preferReplicas,
  manual: () => null,
}

/** null: it stays open. Drift is decided by the policy `drift`, never by a strategy. */
export function decide(conflict: Conflict, strategy: Strategy): Verdict | null {
  if (conflict.kind === 'drift') return null
  const decideBy = STRATEGIES[strategy.name] as Decide<Strategy>
  return decideBy(conflict.contenders, strategy)
}

/** A delete has no time, so an update wins over it; equal times are decided by digest. */
function lastWriteWins(contenders: Contender[]): Verdict | null {
  const updates = contenders.filter(({ content }) => content !== null)
  const [first, ...rest] = updates
  if (!first) return null
  const latest = rest.reduce((a, b) => (isLater(b, a) ? b : a), first)
  if (updates.length < contenders.length && rest.length === 0) {
    return { winner: latest, rule: 'an update survives a delete' }
  }
  const tie = updates.some((other) => other !== latest && other.at === latest.at)
  const how = latest.head ? 'what is agreed stays' : 'by digest'
  return { winner: latest, rule: tie ? `written at the same time: ${how}` : 'written last' }
}

/** Equal times: what is agreed stays, so that a second try decides as the first; else by digest. */
function isLater(a: Contender, b: Contender): boolean {
  if (a.at !== b.at) return (a.at ?? 0) > (b.at ?? 0)
  if (a.head !== b.head) return a.head
  return orderText(a.content) > orderText(b.content)
}

/** The first of the preferred replicas that takes a side; none does: it stays open. */
function preferReplicas(
  contenders: Contender[],
  { replicas }: Extract<Strategy, { name: 'prefer' }>,
): Verdict | null {
  for (const replica of replicas) {
    const winner = contenders.find((contender) => sideOf(contender).includes(replica))
    if (winner) return { winner, rule: `${replica} is preferred` }
  }
  return null
}

function sideOf({ replicas, deletedAt }: Contender): string[] {
  return [...replicas.map(({ replica }) => replica), ...deletedAt]
}

/** Everybody but the winner: what is there, and whether it took a side. */
interface Side {
  replica: string
  expect: Token | null
  content: Content | null
  loser: boolean
}

/**
 * The winner as an item: adopted where it is, put (or deleted) everywhere else. null: the key
 * waits, because the winner's content can't be read now, or because it got a version in this run.
 */
export function itemOf(
  conflict: Conflict,
  winner: Contender,
  policy: Policy,
  moment: Moment,
): PlanItem | null {
  const head = winningVersion(conflict, winner, policy, moment)
  if (head.content !== null && winner.replicas.length === 0) return null
  if (!winner.head && conflict.head?.run === moment.run) return null
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
    reason: 'resolved',
    head,
    actions,
    sources: winner.replicas,
    rescues,
    goneAt: head.content === null ? winner.deletedAt : [],
  }
}

function sidesBut(winner: Contender, { contenders, bystanders }: Conflict): Side[] {
  const losers = contenders.filter((one) => one !== winner)
  return [
    ...losers.flatMap(({ content, replicas, deletedAt }): Side[] => [
      ...replicas.map(({ replica, token }) => ({ replica, expect: token, content, loser: true })),
      ...deletedAt.map((replica) => ({ replica, expect: null, content: null, loser: true })),
    ]),
    ...bystanders.map((one) => ({ ...one, loser: false })),
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
