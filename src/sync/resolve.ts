/**
 * A conflict into an outcome by the dataset's strategy: which contender wins, by which rule; or
 * nobody, and it stays open for a person. Pure. A new strategy is a row in `STRATEGIES`.
 */
import type {
  Action,
  Conflict,
  Contender,
  Moment,
  PlanItem,
  Policy,
  Strategy,
  Version,
} from '../model.ts'
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
  const tie = rest.some((other) => other !== latest && other.at === latest.at)
  return { winner: latest, rule: tie ? 'written at the same time: by digest' : 'written last' }
}

function isLater(a: Contender, b: Contender): boolean {
  if (a.at !== b.at) return (a.at ?? 0) > (b.at ?? 0)
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

/**
 * The winner as an item: adopted where it is, put (or deleted) everywhere else. null: its content
 * can't be read anywhere now, so the key waits.
 */
export function itemOf(
  conflict: Conflict,
  winner: Contender,
  policy: Policy,
  moment: Moment,
): PlanItem | null {
  const head = winner.head && conflict.head ? conflict.head : winningVersion(winner, moment)
  if (head.content !== null && winner.replicas.length === 0) return null
  const actions: Action[] = winner.replicas.map(({ replica, token }) => ({
    do: 'adopt',
    replica,
    token,
  }))
  const rescues: PlanItem['rescues'] = []
  for (const loser of conflict.contenders) {
    if (loser === winner) continue
    for (const { replica, token } of loser.replicas) {
      actions.push(replace(replica, token, head))
      if (loser.content) addRescue(rescues, loser.content, replica, token, head, true)
    }
    for (const replica of loser.deletedAt) actions.push({ do: 'put', replica, expect: null })
  }
  for (const replica of winner.deletedAt) actions.push({ do: 'adopt', replica, token: null })
  for (const { replica, expect, content } of conflict.bystanders) {
    if (expect) actions.push(replace(replica, expect, head))
    else if (head.content) actions.push({ do: 'put', replica, expect: null })
    if (expect && content && policy.history) {
      addRescue(rescues, content, replica, expect, head, false)
    }
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

function replace(replica: string, expect: Contender['replicas'][number]['token'], head: Version) {
  const verb = head.content === null ? ('delete' as const) : ('put' as const)
  return { do: verb, replica, expect }
}

function winningVersion(winner: Contender, { run, to }: Moment): Version {
  const origin = winner.replicas[0]?.replica ?? winner.deletedAt[0] ?? ''
  return { run, content: winner.content, origin, at: winner.at ?? to }
}
