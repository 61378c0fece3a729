/** Conflicts by strategy: who wins, and what the winner's item does to everybody. */
import { describe, expect, it } from 'vitest'
import type { Conflict, PlanItem, Policy, Strategy } from '../../src/model.ts'
import { itemOf } from '../../src/sync/resolve.ts'
import { ruleOf, winnerOf } from './deciding.ts'
import {
  decisionOf,
  type Given,
  moment,
  policyOf,
  type States,
  saidContent,
  saidItem,
} from './table.ts'

function conflictOf(states: States, given: Given = {}): Conflict {
  const decision = decisionOf(states, given)
  if (decision.kind === 'nothing' || decision.kind === 'need-digest' || !decision.conflict) {
    throw new Error(`no conflict but ${decision.kind}`)
  }
  return decision.conflict
}

const lww: Strategy = { name: 'last-write-wins' }
const prefer = (...replicas: string[]): Strategy => ({
  name: 'prefer',
  ranks: replicas.map((one) => [one]),
})

function winner(states: States, strategy: Strategy, given: Given = {}): string | null {
  const verdict = winnerOf(conflictOf(states, given), { rules: ruleOf(strategy) })
  return verdict && `${saidContent(verdict.winner.content)}: ${verdict.why}`
}

function resolved(
  states: States,
  strategy: Strategy,
  given: Given = {},
  policy: Partial<Policy> = {},
): PlanItem | null {
  const conflict = conflictOf(states, given)
  const verdict = winnerOf(conflict, { rules: ruleOf(strategy) })
  if (!verdict) throw new Error('it stays open')
  return itemOf(conflict, verdict.winner, policyOf(states, policy), moment)
}

const text = (item: PlanItem | null) => (item ? saidItem(item) : null)
const dead = { head: 'deleted' }
const first = { head: null }

describe('last-write-wins', () => {
  it.each<[States, string, Given?]>([
    [{ A: 'changed x @1100', B: 'changed y @1200' }, 'y: written last'],
    [{ A: 'changed x @1200', B: 'changed y @1100' }, 'x: written last'],
    [{ A: 'new x @5', B: 'new y @6' }, 'y: written last', first],
    // Several hold it: their latest counts.
    [{ A: 'changed x @5', B: 'changed y @6', C: 'changed x @7' }, 'x: written last'],
    // Clocks that run ahead count as now; then the digest decides, for all alike.
    [{ A: 'changed x @8000', B: 'changed y @9000' }, 'y: written at the same time: by digest'],
    [{ A: 'changed y @9000', B: 'changed x @8000' }, 'y: written at the same time: by digest'],
    [{ A: 'changed x @8000', B: 'changed y @2000' }, 'y: written at the same time: by digest'],
    // The head is as old as its version (500 ms), whenever the stores wrote it.
    [{ A: 'current', B: 'old-changed x @400' }, 'head: written last'],
    [{ A: 'current', B: 'old-changed x @600' }, 'x: written last'],
    // A delete has no time.
    [{ A: 'gone', B: 'changed x @1' }, 'x: an update survives a delete'],
    [{ A: 'current', B: 'old-gone' }, 'head: an update survives a delete'],
    [{ A: 'deleted', B: 'old-changed x' }, 'x: an update survives a delete', dead],
    [{ A: 'gone', B: 'changed x @5', C: 'changed y @6' }, 'y: written last'],
  ])('%o → %s', (states, expected, given) => {
    expect(winner(states, lww, given)).toBe(expected)
  })

  it('at equal times the head stays: a second try decides as the first did', () => {
    const states = { A: 'current', B: 'old-changed zzz @500' }
    expect(winner(states, lww)).toBe('head: written at the same time: what is agreed stays')
  })
})

describe('prefer', () => {
  it.each<[States, Strategy, string | null, Given?]>([
    [{ A: 'changed x', B: 'changed y' }, prefer('B'), 'y: B is preferred'],
    [{ A: 'changed x', B: 'changed y' }, prefer('B', 'A'), 'y: B is preferred'],
    [{ A: 'gone', B: 'changed y' }, prefer('A'), 'deleted: A is preferred'],
    [{ A: 'deleted', B: 'old-changed y' }, prefer('A'), 'deleted: A is preferred', dead],
    // Who only waits takes no side.
    [{ A: 'current', B: 'changed x', C: 'changed y' }, prefer('A', 'C'), 'y: C is preferred'],
    [{ A: 'changed x', B: 'changed y', C: 'off' }, prefer('C'), null],
    // Who followed an earlier delete doesn't ask for another.
    [
      { A: 'changed x', B: 'changed y', C: 'old-gone' },
      prefer('C', 'A'),
      'x: A is preferred',
      dead,
    ],
  ])('%o, %o → %s', (states, strategy, expected, given) => {
    expect(winner(states, strategy, given)).toBe(expected)
  })
})

it('manual leaves it open; drift is open whatever the strategy', () => {
  expect(winner({ A: 'changed x', B: 'changed y' }, { name: 'manual' })).toBeNull()
  const oneWay = { policy: { direction: 'one-way' } } as const
  expect(winner({ A: 'current', B: 'changed y' }, lww, oneWay)).toBeNull()
  expect(winner({ A: 'current', B: 'changed y' }, prefer('B'), oneWay)).toBeNull()
})

describe('the winner as an item', () => {
  it.each<[States, Strategy, string, Given?]>([
    [
      { A: 'changed x', B: 'changed y', C: 'current', D: 'never' },
      prefer('B'),
      'resolved, y: adopt B, put A, put C, put D',
    ],
    [{ A: 'current', B: 'old-changed y' }, prefer('A'), 'resolved, head: adopt A, put B'],
    [{ A: 'gone', B: 'changed y' }, prefer('B'), 'resolved, y: adopt B, put A'],
    [
      { A: 'gone', B: 'changed y', C: 'current', D: 'never' },
      prefer('A'),
      'resolved, deleted: adopt A, adopt D, delete B, delete C',
    ],
    [{ A: 'changed x', B: 'changed y', C: 'off' }, prefer('B'), 'resolved, y: adopt B, put A'],
    // A bystander that has the winner's content already.
    [
      { A: 'changed old', B: 'changed y', C: 'old' },
      prefer('A'),
      'resolved, old: adopt A, adopt C, put B',
    ],
  ])('%o, %o → %s', (states, strategy, expected, given) => {
    expect(text(resolved(states, strategy, given))).toBe(expected)
  })

  it('waits while the winning content is on a replica that cannot be reached', () => {
    const states = { A: 'off', B: 'old-changed y @1' }
    expect(text(resolved(states, lww))).toBeNull()
  })

  it('waits for the next run where the key got a version in this one', () => {
    const conflict = conflictOf({ A: 'changed x', B: 'changed y' })
    const now = { ...moment, run: conflict.head?.run ?? 0 }
    const [winner] = conflict.contenders
    expect(winner && itemOf(conflict, winner, policyOf({ A: '', B: '' }), now)).toBeNull()
  })

  it('keeps the losers whatever history says, and bystanders where there is history (I2)', () => {
    const states = { A: 'changed x', B: 'changed y', C: 'current' }
    const kept = (history: boolean) =>
      resolved(states, prefer('B'), {}, { history })?.rescues.map(
        ({ content, loser }) => `${saidContent(content)} ${loser}`,
      )
    expect(kept(true)).toEqual(['x true', 'head false'])
    expect(kept(false)).toEqual(['x true'])
  })

  it("a version's time is its store's: what a second try compares it with", () => {
    const item = resolved({ A: 'changed x @5', B: 'changed y @3' }, lww)
    expect(item?.head).toMatchObject({ run: 9, at: 5, origin: 'A' })
  })

  it('a folder that wins has won with its bytes alone', () => {
    const policy = { withoutMetadata: ['F'] }
    const states = { F: 'changed x', B: 'changed y #u' }
    expect(text(resolved(states, prefer('F'), { head: 'head #t' }, policy))).toBe(
      'resolved, x #t: adopt F, put B',
    )
    expect(text(resolved(states, prefer('F'), { head: 'head' }, policy))).toBe(
      'resolved, x #u: adopt F, put B',
    )
  })

  it('one-way never writes the source, whoever a person lets win', () => {
    const given = { policy: { direction: 'one-way' } } as const
    const conflict = conflictOf({ A: 'current', B: 'changed y' }, given)
    const policy = policyOf({ A: '', B: '' }, given.policy)
    const items = conflict.contenders.map((one) => text(itemOf(conflict, one, policy, moment)))
    expect(items).toEqual(['resolved, head: adopt A, put B', 'resolved, y: adopt B'])
  })
})

describe('what a person would have seen, had the first version stayed', () => {
  it('the older content won in the end, where the put of the younger had failed once', () => {
    // Run 9 let x of 1,600 ms win and adopted it at A; the put to B failed. Run 12 looks again.
    const first = resolved({ A: 'changed x @1600', B: 'changed y @1500' }, lww)
    const states = { A: 'current', B: 'old-changed y @1500' }
    const conflict = conflictOf(states, { head: 'x' })
    const head = conflict.contenders.find((one) => one.head)
    if (head) head.at = first?.head.at ?? null
    expect(saidContent(winnerOf(conflict, { rules: ruleOf(lww) })?.winner.content ?? null)).toBe(
      'x',
    )
  })
})
