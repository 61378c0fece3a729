/** Strategies are total, and blind to names: over all small situations, every one of them. */
import { describe, expect, it } from 'vitest'
import type { Strategy } from '../../../src/model.ts'
import type { Given, States } from '../table.ts'
import { conflictOf, decided, name, strategies, type Texts, words } from './situations.ts'

const sides = [
  'current',
  'old',
  'gone',
  'changed x',
  'changed y',
  'changed z',
  'old-changed y',
  'off',
]
const freshSides = ['never', 'new x', 'new y', 'new z', 'off']
const deadSides = ['deleted', 'old-deleted', 'old-gone', 'old-changed x', 'old-changed y']

const json = (value: object) => JSON.stringify(value)
const kinds: [string, Texts][] = [
  [
    'k.json',
    {
      ...{ head: json({ a: 1, b: 1 }), old: json({ a: 0, b: 1 }), x: json({ a: 2, b: 1 }) },
      ...{ y: json({ a: 1, b: 2 }), z: json({ a: 3, b: 3 }) },
    },
  ],
  ['k.yaml', { head: 'a: 1\n', old: 'a: 0\n', x: 'a: 1\nb: 1\n', y: 'c: 1\na: 1\n', z: 'a: [' }],
  ['k.txt', { head: '1\n2\n', old: '1\n', x: '0\n1\n2\n', y: '1\n2\n3\n', z: '\xfe\xff' }],
  ['k.csv', { head: 'i,v\n1,a\n', old: 'i,v\n', x: 'i,v\n1,b\n', y: 'i,v\n2,a\n', z: '"' }],
  ['k.bin', { head: '\0', old: '\0\x01', x: '\0\x02', y: '\0\x03', z: '' }],
]

function* tuples<T>(list: T[], length: number): Generator<T[]> {
  if (length === 0) yield []
  else for (const first of list) for (const rest of tuples(list, length - 1)) yield [first, ...rest]
}

const replicas = ['A', 'B', 'C']

function statesOf(tuple: string[]): States {
  return Object.fromEntries(tuple.map((state, i) => [replicas[i] as string, `${state} @1100`]))
}

/** Every set of sides, two and three replicas, with and without a base, over a tombstone. */
function* situations(): Generator<{ tuple: string[]; given: Given }> {
  for (const length of [2, 3]) {
    for (const tuple of tuples(sides, length)) yield { tuple, given: {} }
    for (const tuple of tuples(freshSides, length)) yield { tuple, given: { head: null } }
    for (const tuple of tuples(deadSides, length)) yield { tuple, given: { head: 'deleted' } }
  }
}

/** Whose names say nothing: who is preferred is named by a person. */
const blind: Strategy[] = strategies.filter((one) => one.name !== 'prefer')

describe.each(kinds)('%s', (key, texts) => {
  it('every strategy comes to an end in every situation, with a side, a content or a reason', () => {
    let conflicts = 0
    for (const { tuple, given } of situations()) {
      const conflict = conflictOf(statesOf(tuple), texts, given, key)
      if (conflict === null) continue
      conflicts++
      for (const strategy of strategies) {
        const verdict = decided(conflict, strategy, texts)
        if (verdict.kind === 'open') {
          expect(verdict.tried.length, `${tuple} by ${strategy.name}`).toBeGreaterThan(0)
        }
        if (verdict.kind === 'wins') {
          expect(conflict.contenders).toContain(verdict.winner)
          expect(verdict.keep?.sides ?? []).not.toContain(verdict.winner)
        }
      }
    }
    expect(conflicts).toBeGreaterThan(300)
  })

  it('I11: in whichever order the replicas are named, it is the same', () => {
    const orders = [
      [1, 0, 2],
      [2, 1, 0],
      [1, 2, 0],
    ]
    for (const { tuple, given } of situations()) {
      const said = (states: States) => {
        const conflict = conflictOf(states, texts, given, key)
        return conflict && blind.map((one) => saidOf(decided(conflict, one, texts)))
      }
      const first = said(statesOf(tuple))
      if (first === null) continue
      for (const order of orders.filter((one) => tuple.length === 3 || one[2] === 2)) {
        const shuffled = order.flatMap((i) => tuple[i] ?? [])
        expect(said(statesOf(shuffled)), `${tuple}`).toEqual(first)
      }
    }
  })
})

function saidOf(verdict: ReturnType<typeof decided>): string {
  const bytes = verdict.kind === 'made' ? Buffer.from(verdict.bytes).toString('latin1') : ''
  return `${words(verdict)} ${bytes}`
}

it('what it falls back on decides among those that are left', () => {
  const texts = { x: '1', y: '22', z: '333', head: '' }
  const states = { A: 'gone', B: 'changed x @1100', C: 'changed y @1200' }
  const conflict = conflictOf(states, texts)
  if (!conflict) throw new Error('no conflict')
  const by = (strategy: Strategy) => decided(conflict, strategy, texts)
  const prefer: Strategy = { name: 'prefer', ranks: [['D']] }
  expect(by({ name: 'update-wins', otherwise: prefer })).toMatchObject({
    kind: 'open',
    tried: [{ code: 'several-updates' }, { code: 'none-preferred' }],
  })
  const merge = strategies.find((one) => one.name === 'merge') as Strategy
  const largest: Strategy = { name: 'largest' }
  const chain = { ...merge, otherwise: { ...prefer, otherwise: largest } }
  expect(by(chain as Strategy)).toMatchObject({
    ...{ kind: 'wins', by: 'largest' },
    tried: [{ code: 'deleted' }, { code: 'none-preferred' }],
  })
})

it('of several in one rank of prefer the last write wins', () => {
  const texts = { x: '1', y: '2', z: '3', head: '0' }
  const states = { A: 'changed x @1300', B: 'changed y @1100', C: 'changed z @1200' }
  const conflict = conflictOf(states, texts)
  const verdict =
    conflict && decided(conflict, { name: 'prefer', ranks: [['B', 'C'], ['A']] }, texts)
  expect(verdict?.kind === 'wins' && name(verdict.winner)).toBe('z')
})
