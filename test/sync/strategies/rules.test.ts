/** Which rule decides: the first that matches the key, and whose condition holds. */
import { describe, expect, it } from 'vitest'
import type { Condition, Strategy, StrategyRule } from '../../../src/model.ts'
import { baseBytesMax, compileRules, decideByRules } from '../../../src/sync/strategies/rules.ts'
import type { Known } from '../../../src/sync/strategies/verdict.ts'
import { conflictOf, encoded, type Texts } from './situations.ts'

const manual: Strategy = { name: 'manual' }
const rule = (name: string, more: Partial<StrategyRule> = {}): StrategyRule => ({
  ...{ name, match: [], when: null, strategy: manual, later: null },
  ...more,
})

it('patterns are those of include, and the first rule that matches is asked', () => {
  const rulesOf = compileRules([
    rule('json', { match: ['*.json', 'conf/'] }),
    rule('rooted', { match: ['/a.json'] }),
    rule('all'),
  ])
  const names = (key: string) => rulesOf(key).map(({ name }) => name)
  expect(names('x/y.json')).toEqual(['json', 'all'])
  expect(names('a.json')).toEqual(['json', 'rooted', 'all'])
  expect(names('conf/x')).toEqual(['json', 'all'])
  expect(names('x')).toEqual(['all'])
})

const texts: Texts = { head: '{}', x: '{"status":"draft","n":3}', y: '{"status":"draft"}' }
const states = {
  A: 'changed x #application/json @1100',
  B: 'changed y #text/plain @1400',
  C: 'gone',
}

function holds(when: Condition, content = texts): boolean {
  const conflict = conflictOf(states, content)
  if (!conflict) throw new Error('no conflict')
  const sides = new Map(
    conflict.contenders.flatMap((one) =>
      one.content ? [[one, encoded(content[one.content.digests.sha256 ?? ''] ?? '')] as const] : [],
    ),
  )
  const contents = { bytesMax: 1 << 20, base: null, sides }
  const known: Known = { now: 2_000, contents, answers: new Map(), merges: new Map() }
  return (
    decideByRules(conflict, [rule('it', { when }), rule('other')], known, 0).rule?.name === 'it'
  )
}

describe('a condition', () => {
  it.each<[Condition, boolean]>([
    [{ sizeMax: 24 }, true],
    [{ sizeMax: 23 }, false],
    [{ sizeMin: 18 }, true],
    [{ sizeMin: 19 }, false],
    [{ ageMinMs: 600 }, true],
    [{ ageMinMs: 601 }, false],
    [{ ageMaxMs: 900 }, true],
    [{ ageMaxMs: 899 }, false],
    [{ replicas: ['C', 'D'] }, true],
    [{ replicas: ['D'] }, false],
    [{ contentTypes: ['application/json', 'text/*'] }, true],
    [{ contentTypes: ['application/json'] }, false],
    [{ fields: [{ path: '/status', equals: 'draft' }] }, true],
    [{ fields: [{ path: '/n', equals: 3 }] }, false],
    [{ fields: [{ path: '/status/0', equals: 'd' }] }, false],
    [{ sizeMax: 24, replicas: ['D'] }, false],
  ])('%o holds: %s', (when, expected) => {
    expect(holds(when)).toBe(expected)
  })

  it('on a field holds for no side that is not JSON', () => {
    const when = { fields: [{ path: '/status', equals: 'draft' }] }
    expect(holds(when, { ...texts, y: '{"status":"draft"' })).toBe(false)
    expect(holds(when, { ...texts, y: '\xfe' })).toBe(false)
  })

  it('on a field asks for the contents, unless one is too large to be looked at', () => {
    const when = { fields: [{ path: '/status', equals: 'draft' }] }
    const asked = (content: Texts) => {
      const conflict = conflictOf(states, content)
      const known: Known = { now: 2_000, contents: null, answers: new Map(), merges: new Map() }
      return conflict && decideByRules(conflict, [rule('it', { when })], known, 0).verdict
    }
    expect(asked(texts)).toMatchObject({ kind: 'needs', what: 'contents' })
    expect(asked({ ...texts, x: 'x'.repeat(2 << 20) })).toEqual({ kind: 'open', tried: [] })
  })
})

it('what is left open too long is decided by what the rule says', () => {
  const conflict = conflictOf(states, texts)
  if (!conflict) throw new Error('no conflict')
  const later = { afterMs: 1_000, strategy: { name: 'last-write-wins' } as const }
  const known: Known = { now: 2_000, contents: null, answers: new Map(), merges: new Map() }
  const verdict = (openFor: number) =>
    decideByRules(conflict, [rule('it', { later })], known, openFor).verdict
  expect(verdict(999)).toMatchObject({ kind: 'open' })
  expect(verdict(1_000)).toMatchObject({ kind: 'wins', by: 'last-write-wins' })
})

describe('the base of a later merge is kept', () => {
  const merge = { name: 'merge', bytesMax: 7 } as Strategy
  it.each<[string, StrategyRule[], number]>([
    ['for a merge', [rule('a', { strategy: merge })], 7],
    ['for none else', [rule('a')], 0],
    [
      'where it is fallen back on',
      [rule('a', { strategy: { name: 'prefer', ranks: [], otherwise: merge } })],
      7,
    ],
    ['where it comes later', [rule('a', { later: { afterMs: 1, strategy: merge } })], 7],
    [
      'behind a condition',
      [rule('a', { when: { sizeMax: 1 } }), rule('b', { strategy: merge })],
      7,
    ],
    ['but not behind a rule that holds for all', [rule('a'), rule('b', { strategy: merge })], 0],
  ])('%s', (_, rules, bytes) => {
    expect(baseBytesMax(rules)).toBe(bytes)
  })
})
