/** Conflicts with contents, for deciding: replicas in the words of `table.ts`, contents by name. */
import type { Conflict, Contender, Strategy } from '../../../src/model.ts'
import { decide } from '../../../src/sync/strategies/decide.ts'
import { runMerge } from '../../../src/sync/strategies/merge-task.ts'
import type { Contents, Known, Need, Verdict } from '../../../src/sync/strategies/verdict.ts'
import { decisionOf, type Given, moment, type States } from '../table.ts'

/** What `head` (the base), `x`, `y` and `z` stand for, as bytes. */
export type Texts = Record<string, string>

export const encoded = (text: string) => Buffer.from(text, 'latin1')

/** null: these replicas don't conflict. */
export function conflictOf(
  states: States,
  texts: Texts,
  given: Given = {},
  key = 'k',
): Conflict | null {
  const decision = decisionOf(states, given)
  const conflict =
    decision.kind === 'conflict' || decision.kind === 'item' ? decision.conflict : null
  if (!conflict) return null
  const sized = <T extends Pick<Contender, 'content'>>(one: T): T => {
    const { content } = one
    const text = texts[content?.digests.sha256 ?? '']
    if (!content || text === undefined) return one
    return { ...one, content: { ...content, size: encoded(text).length } }
  }
  const contenders = conflict.contenders.map(sized)
  return { ...conflict, key, contenders, base: conflict.base && sized(conflict.base) }
}

/** Decided with all that it asks for; a module says `said`. */
export function decided(
  conflict: Conflict,
  strategy: Strategy,
  texts: Texts,
  said: unknown = { keepBoth: true },
): Exclude<Verdict, { kind: 'needs' }> {
  let known: Known = { now: moment.to, contents: null, answers: new Map(), merges: new Map() }
  for (let asked = 0; asked < 4; asked++) {
    const verdict = decide(conflict, strategy, known)
    if (verdict.kind !== 'needs') return verdict
    known = answered(conflict, texts, known, verdict, said)
  }
  throw new Error('it asks and asks')
}

function answered(
  conflict: Conflict,
  texts: Texts,
  known: Known,
  need: Need,
  said: unknown,
): Known {
  switch (need.what) {
    case 'contents':
      return { ...known, contents: contentsOf(conflict, texts, need.bytesMax) }
    case 'answer':
      return { ...known, answers: new Map([[need.strategy.module, { said }]]) }
    case 'merge':
      return { ...known, merges: new Map([[need.strategy, runMerge(need.task)]]) }
  }
}

function contentsOf({ contenders, base }: Conflict, texts: Texts, bytesMax: number): Contents {
  const bytesOf = (content: Contender['content']) => {
    const text = content && texts[content.digests.sha256 ?? '']
    return text === undefined || text === null || content === null || content.size > bytesMax
      ? null
      : encoded(text)
  }
  const sides = contenders.flatMap((one): [Contender, Buffer][] => {
    const bytes = bytesOf(one.content)
    return bytes ? [[one, bytes]] : []
  })
  return { bytesMax, base: bytesOf(base?.content ?? null), sides: new Map(sides) }
}

export const name = ({ content }: Contender) =>
  content ? (content.digests.sha256 ?? '?') : 'deleted'

/** In a few words: who wins, what is made, why it stays open. */
export function words(verdict: Exclude<Verdict, { kind: 'needs' }>): string {
  if (verdict.kind === 'open') return `open (${verdict.tried.at(-1)?.code})`
  if (verdict.kind === 'made') return 'made of all'
  const beside = verdict.keep?.sides.map(name).toSorted().join(', ')
  return `${name(verdict.winner)}${beside ? `, beside it ${beside}` : ''}`
}

const bytesMax = 1024
const mergeRules = { format: 'auto', lists: 'ordered', csvKey: null } as const

/** Every strategy, as it is where only its name is given. */
export const strategies: Strategy[] = [
  { name: 'last-write-wins' },
  { name: 'first-write-wins' },
  { name: 'largest' },
  { name: 'smallest' },
  { name: 'prefer', ranks: [['A']] },
  { name: 'update-wins', otherwise: { name: 'last-write-wins' } },
  { name: 'delete-wins', otherwise: { name: 'last-write-wins' } },
  { name: 'keep-both', as: '{name}.conflict-{replica}-{time}{ext}' },
  { name: 'merge', ...mergeRules, bytesMax },
  { name: 'crdt', fields: [], bytesMax },
  { name: 'custom', module: '/resolve.ts', sha256: '' },
  { name: 'manual' },
]
