/** Outcomes into the baseline: it moves only with what was done (I8). */
import { describe, expect, it } from 'vitest'
import type { Contender, Content, Outcome, PlanItem } from '../../src/model.ts'
import { itemOf as itemOfWinner } from '../../src/sync/resolve.ts'
import { settle } from '../../src/sync/settle.ts'
import { decisionOf, type Given, moment, policyOf, rowOf, type States } from './table.ts'

function itemOf(states: States, given: Given = {}): PlanItem {
  const decision = decisionOf(states, given)
  if (decision.kind !== 'item') throw new Error(`no item but ${decision.kind}`)
  return decision.item
}

const done = (id: string | null, content: Content | null = null): Outcome => ({
  kind: 'done',
  token: id === null ? null : { id },
  content,
})
const failed: Outcome = { kind: 'failed', code: 'unavailable', message: 'cut' }
const stale: Outcome = { kind: 'changed-meanwhile' }
const replicas = ['A', 'B', 'C']

const first = { A: 'new x', B: 'never', C: 'never' }
const edit = { A: 'changed x', B: 'current', C: 'current' }

describe('the baseline', () => {
  it('does not move where nothing was done', () => {
    const item = itemOf(edit)
    const row = rowOf(edit, {})
    expect(settle(row, item, {}, replicas)).toBeNull()
    for (const outcome of [failed, stale, { kind: 'held', reason: 'limit' } as const]) {
      expect(settle(row, item, { B: outcome, C: outcome }, replicas)).toBeNull()
    }
  })

  it('moves its head with the first outcome, and each hold with its own', () => {
    const item = itemOf(edit)
    const one = settle(rowOf(edit, {}), item, { B: done('b1'), C: failed }, replicas)
    expect(one?.version?.run).toBe(9)
    expect(one?.row).toMatchObject({
      rev: 8,
      head: { run: 9, content: { digests: { sha256: 'x' } } },
      holds: {
        B: { version: { run: 9 }, token: { id: 'b1' } },
        C: { version: { run: 5 }, token: { id: 'held-C' } },
      },
    })
    const two = settle(one?.row ?? null, item, { C: done('c1') }, replicas)
    expect(two?.version).toBeNull()
    expect(two?.row).toMatchObject({ rev: 9, holds: { C: { version: { run: 9 } } } })
  })

  it('is the same in whichever order the outcomes come', () => {
    const item = itemOf(first, { head: null })
    const outcomes: [string, Outcome][] = [
      ['A', done('new-A')],
      ['B', done('b1')],
      ['C', done('c1')],
    ]
    const orders = [outcomes, outcomes.toReversed()]
    const [one, two] = orders.map((order) => {
      let row = null
      for (const [name, outcome] of order) {
        row = settle(row, item, { [name]: outcome }, replicas)?.row ?? null
      }
      return row
    })
    expect(one).toEqual(two)
    expect(settle(null, item, Object.fromEntries(outcomes), replicas)?.row?.holds).toEqual(
      one?.holds,
    )
  })

  it('knows where the content came from as soon as it has arrived anywhere', () => {
    const { row } = settle(rowOf(edit, {}), itemOf(edit), { B: done('b1') }, replicas) ?? {}
    expect(row?.holds.A).toMatchObject({ version: { run: 9 }, token: { id: 'new-A' } })
  })

  it('never goes back behind what a later run has agreed', () => {
    const later = rowOf(edit, {})
    if (later) later.head = { ...later.head, run: 10 }
    expect(settle(later, itemOf(edit), { B: done('b1') }, replicas)).toBeNull()
  })

  it('keeps no hold of a replica that is no longer in the dataset', () => {
    const { row } = settle(rowOf(edit, {}), itemOf(edit), { B: done('b1') }, ['A', 'B']) ?? {}
    expect(Object.keys(row?.holds ?? {})).toEqual(['A', 'B'])
  })
})

it('who lost a conflict holds what it lost with, until the winner arrives', () => {
  const states = { A: 'changed x @1600', B: 'changed y @1500', C: 'current' }
  const decision = decisionOf(states)
  if (decision.kind !== 'conflict') throw new Error('no conflict')
  const [x] = decision.conflict.contenders
  const item = itemOfWinner(decision.conflict, x as Contender, policyOf(states), moment) as PlanItem
  const { row } = settle(rowOf(states, {}), item, { A: done('new-A'), B: failed }, replicas) ?? {}
  expect(row?.holds).toMatchObject({
    A: { version: { run: 9, content: { digests: { sha256: 'x' } } }, token: { id: 'new-A' } },
    B: { version: { content: { digests: { sha256: 'y' } } }, token: { id: 'new-B' } },
    C: { version: { run: 5 }, token: { id: 'held-C' } },
  })
  const run = row?.holds.B?.version.run ?? 0
  expect(run > 5 && run < 9).toBe(true)
})

describe('what was learned on the way', () => {
  it('belongs to the head, and to all that hold it', () => {
    const item = itemOf({ A: 'new x!', B: 'never', C: 'never' }, { head: null })
    const content = { size: 3, digests: { sha256: 'x', md5: 'm' }, metadata: {} }
    const one = settle(null, item, { A: done('new-A'), B: done('b1', content) }, replicas)
    expect(one?.row?.head.content).toEqual(content)
    expect(one?.row?.holds.A?.version.content).toEqual(content)
    expect(one?.version?.content).toEqual(content)
  })

  it('after the version was first agreed is for its line in history', () => {
    const item = itemOf({ A: 'new x!', B: 'never', C: 'never' }, { head: null })
    const content = { size: 3, digests: { sha256: 'x', md5: 'm' }, metadata: {} }
    const one = settle(null, item, { A: done('new-A'), B: done('b1') }, replicas)
    expect(one?.learned).toBeNull()
    const two = settle(one?.row ?? null, item, { C: done('c1', content) }, replicas)
    expect(two).toMatchObject({ version: null, learned: { run: item.head.run, content } })
    const three = settle(two?.row ?? null, item, { C: done('c1', content) }, replicas)
    expect(three?.learned).toBeNull()
  })

  it('is nothing where another size arrived', () => {
    const item = itemOf({ A: 'new x!', B: 'never' }, { head: null })
    const content = { size: 4, digests: { sha256: 'y' } }
    const { row } = settle(null, item, { B: done('b1', content) }, replicas) ?? {}
    expect(row?.head.content).toEqual({ size: 3, digests: {} })
  })

  it('by comparing is kept too: nobody has to be read again', () => {
    const states = { A: 'current', B: 'touched head' }
    const given = { head: 'head!' }
    const item = itemOf({ A: 'touched head', B: 'new head' }, given)
    const { row } = settle(rowOf(states, given), item, { B: done('new-B') }, replicas) ?? {}
    expect(row?.head.content?.digests).toEqual({ sha256: 'head' })
  })
})

describe('a tombstone', () => {
  const states = { A: 'gone', B: 'current', C: 'current' }

  it('stays until every replica has confirmed it', () => {
    const item = itemOf(states)
    const one = settle(rowOf(states, {}), item, { A: done(null), B: done(null) }, replicas)
    expect(one?.row?.head.content).toBeNull()
    expect(one?.row?.holds).toMatchObject({
      A: { version: { run: 9 }, token: null },
      B: { token: null },
      C: { version: { run: 5 }, token: { id: 'held-C' } },
    })
    const two = settle(one?.row ?? null, item, { C: done(null) }, replicas)
    expect(two).toEqual({ row: null, version: null, learned: null })
  })

  it('stays while an offline replica still holds an older version', () => {
    const away = { A: 'gone', B: 'off', C: 'current' }
    const { row } =
      settle(rowOf(away, {}), itemOf(away), { A: done(null), C: done(null) }, replicas) ?? {}
    expect(row?.holds.B).toMatchObject({ token: { id: 'held-B' } })
  })

  it('leaves a line of history when it is forgotten at once', () => {
    const outcomes = { A: done(null), B: done(null), C: done(null) }
    const settled = settle(rowOf(states, {}), itemOf(states), outcomes, replicas)
    expect(settled?.row).toBeNull()
    expect(settled?.version).toMatchObject({ run: 9, content: null, origin: 'A' })
  })
})

it('drift that is kept is held as drift, beside the head that it was compared with', () => {
  const policy = { direction: 'one-way', drift: 'keep' } as const
  const states = { A: 'current', B: 'changed x' }
  const item = itemOf(states, { policy })
  const { row, version } = settle(rowOf(states, {}), item, { B: done('new-B') }, ['A', 'B']) ?? {}
  expect(version).toBeNull()
  expect(row?.holds.B).toMatchObject({ version: { run: 5 }, token: { id: 'new-B' }, drift: true })
})

it("a person's edit was a conflict with our own copy, where a crash lost the source's hold", () => {
  // x came from A to B; the worker died before A's own outcome; then A was edited again.
  const { row } = settle(rowOf(edit, {}), itemOf(edit), { B: done('b1') }, replicas) ?? {}
  const held = row?.holds.A
  expect(held?.version.run).toBe(row?.head.run)
})
