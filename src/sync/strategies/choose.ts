/** Strategies that let one side win by what is known of it without reading it. */
import type { Conflict, Contender, Strategy } from '../../model.ts'
import { orderText } from '../contents.ts'
import { compareKeys } from '../keys.ts'
import type { Word } from './verdict.ts'

type Of<N extends Strategy['name']> = Extract<Strategy, { name: N }>

/** A delete has no time, so an update wins over it; equal times are decided by digest. */
export function lastWriteWins({ contenders }: Conflict, { skewMs }: Of<'last-write-wins'>): Word {
  const ahead = Math.max(...contenders.map((one) => one.ahead ?? 0))
  if (skewMs !== undefined && ahead > skewMs) {
    const seconds = Math.round(ahead / 1000)
    const message = `a side's time lies ${seconds} s ahead of the scan: its clock is not believed`
    return { kind: 'passes', code: 'clock-skew', message }
  }
  return latestOf(contenders)
}

/** The latest update, of sides that aren't all deletes. */
export function latestOf(contenders: Contender[]): Word {
  return best(contenders, isLater, 'written last', 'written at the same time')
}

/** What is agreed was first, whatever clocks say: else a second try could decide otherwise. */
export function firstWriteWins({ contenders }: Conflict): Word {
  const time = ({ at, since }: Contender) => since ?? at ?? 0
  const earlier = (a: Contender, b: Contender) =>
    a.head || b.head || time(a) === time(b) ? staysBefore(a, b) : time(a) < time(b)
  return best(contenders, earlier, 'written first', 'written at the same time')
}

export function largest({ contenders }: Conflict): Word {
  return best(contenders, bySize(1), 'the largest')
}

export function smallest({ contenders }: Conflict): Word {
  return best(contenders, bySize(-1), 'the smallest')
}

/** The first rank that takes a side; of several in one rank, the one that was written last. */
export function preferred({ contenders }: Conflict, { ranks }: Of<'prefer'>): Word {
  for (const rank of ranks) {
    const sides = contenders.filter((one) => sideOf(one).some((replica) => rank.includes(replica)))
    const [only, ...others] = sides
    if (!only) continue
    if (others.length > 0) return latestOf(sides)
    const names = sideOf(only).filter((replica) => rank.includes(replica))
    return win(only, `${names.join(', ')} is preferred`)
  }
  return { kind: 'passes', code: 'none-preferred', message: 'no preferred replica takes a side' }
}

export function updateWins({ contenders }: Conflict): Word {
  const updates = contenders.filter(({ content }) => content !== null)
  const [first, ...rest] = updates
  if (first && rest.length === 0) return win(first, survives)
  const message = 'several replicas updated it'
  return { kind: 'passes', code: 'several-updates', message, left: updates }
}

export function deleteWins({ contenders }: Conflict): Word {
  const gone = contenders.find(({ content }) => content === null)
  if (gone) return win(gone, 'a delete wins over an update')
  return { kind: 'passes', code: 'no-delete', message: 'nobody deleted it' }
}

/** The last write keeps the name; a side that deleted it has nothing to be kept. */
export function keepBoth(contenders: Conflict['contenders'], as: string): Word {
  const word = latestOf(contenders)
  if (word.kind !== 'wins') return word
  const sides = contenders.filter((one) => one !== word.winner && one.content !== null)
  return sides.length > 0 ? { ...word, keep: { sides, as } } : word
}

/** Who takes this side, by name. */
export function sideOf({ replicas, deletedAt, was }: Contender): string[] {
  return was ?? [...replicas.map(({ replica }) => replica), ...deletedAt].sort(compareKeys)
}

const survives = 'an update survives a delete'

function win(winner: Contender, why: string): Word {
  return { kind: 'wins', winner, why }
}

function best(
  contenders: Contender[],
  isBefore: (a: Contender, b: Contender) => boolean,
  why: string,
  tie?: string,
): Word {
  const updates = contenders.filter(({ content }) => content !== null)
  const [first, ...rest] = updates
  if (!first) return { kind: 'passes', code: 'no-update', message: 'nobody has content' }
  const winner = rest.reduce((a, b) => (isBefore(b, a) ? b : a), first)
  if (updates.length < contenders.length && rest.length === 0) return win(winner, survives)
  const tied = tie && updates.some((other) => other !== winner && other.at === winner.at)
  const how = winner.head ? 'what is agreed stays' : 'by digest'
  return win(winner, tied ? `${tie}: ${how}` : why)
}

function isLater(a: Contender, b: Contender): boolean {
  return a.at === b.at ? staysBefore(a, b) : (a.at ?? 0) > (b.at ?? 0)
}

/** Where nothing else tells: what is agreed stays, so that a second try decides as the first. */
function staysBefore(a: Contender, b: Contender): boolean {
  if (a.head !== b.head) return a.head
  return orderText(a.content) > orderText(b.content)
}

function bySize(sign: 1 | -1) {
  return (a: Contender, b: Contender): boolean => {
    const more = ((a.content?.size ?? 0) - (b.content?.size ?? 0)) * sign
    return more === 0 ? isLater(a, b) : more > 0
  }
}
