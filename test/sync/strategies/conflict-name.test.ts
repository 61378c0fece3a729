/** How losers are called. */
import { describe, expect, it } from 'vitest'
import type { Conflict, Contender } from '../../../src/model.ts'
import {
  conflictName,
  conflictNameProblem,
  defaultConflictName,
} from '../../../src/sync/strategies/conflict-name.ts'

const token = { id: 't' }
const loser = (more: Partial<Contender> = {}): Contender => ({
  content: { size: 1, digests: { sha256: '0123456789abcdef' } },
  replicas: [
    { replica: 'west', token },
    { replica: 'east', token },
  ],
  ...{ deletedAt: [], at: Date.UTC(2026, 0, 31, 23, 59, 59, 999), head: false },
  ...more,
})

function named(
  key: string,
  as = defaultConflictName,
  more: Partial<Contender> = {},
  longer = false,
) {
  const rest = { rev: 0, kind: 'create/create', head: null, base: null } as const
  const conflict: Conflict = { key, ...rest, contenders: [], bystanders: [] }
  return conflictName(conflict, loser(more), { as, replicas: ['east', 'west'], longer })
}

const tail = 'conflict-east-20260131T235959Z'

describe('a loser', () => {
  it.each([
    ['a/report.txt', `a/report.${tail}.txt`],
    ['a.b/report', `a.b/report.${tail}`],
    ['.env', `.env.${tail}`],
    ['a/.env', `a/.env.${tail}`],
    ['x.tar.gz', `x.tar.${tail}.gz`],
    ['dot.', `dot..${tail}`],
    // One of a copy is one of the original, with a digest: both may lose at the same time.
    [`a/report.${tail}.txt`, `a/report.${tail}.01234567.txt`],
    [`a/report.conflict-west-20250101T000000Z.txt`, `a/report.${tail}.01234567.txt`],
    [`a/report.conflict-west-20250101T000000Z.89abcdef.txt`, `a/report.${tail}.01234567.txt`],
    [
      `a/report.conflict-north-20250101T000000Z.txt`,
      `a/report.conflict-north-20250101T000000Z.${tail}.txt`,
    ],
  ])('of %s is %s', (key, name) => {
    expect(named(key)).toBe(name)
  })

  it('has a name of its content, where the plain one is taken', () => {
    expect(named('k.txt', defaultConflictName, {}, true)).toBe(`k.${tail}.01234567.txt`)
    expect(named('k.txt', '{name}{ext}-{replica}', {}, true)).toBe('k.01234567.txt-east')
  })

  it('is called as the config says', () => {
    expect(named('a/k.txt', 'lost/{name} ({digest}){ext}')).toBe('lost/a/k (01234567).txt')
    expect(named('lost/a/k (00000000).txt', 'lost/{name} ({digest}){ext}')).toBe(
      'lost/a/k (01234567).01234567.txt',
    )
  })

  it('is called alike by every run, also where its clock runs ahead', () => {
    const now = Date.UTC(2026, 0, 1)
    const names = [0, 60_000].map((passed) =>
      named('k', defaultConflictName, { at: now + passed, ahead: 3_600_000 - passed }),
    )
    expect(names[0]).toBe(names[1])
  })

  it('that nobody holds any more has a name, too', () => {
    expect(named('k', '{name}-{replica}{ext}', { replicas: [] })).toBe('k-agreed')
  })
})

it.each([
  ['{name}.{time}{ext}', null],
  ['{ext}{time}', 'it has no {name}: losers of several keys would be one'],
  ['{name}{time}', 'it has no {ext}: losers of several keys would be one'],
  [
    '{name}{ext}',
    'it has none of {replica}, {time} and {digest}: the next loser would have no name left',
  ],
  ['{name}{nome}{time}{ext}', '{nome} is not known here'],
  ['{name}{name}{time}{ext}', '{name} is there twice'],
  ['{name}{ext}{time}}', 'a brace that belongs to no variable'],
  ['/{name}{time}{ext}', 'a key does not begin with a slash'],
])('the template %s: %s', (template, problem) => {
  expect(conflictNameProblem(template)).toBe(problem)
})
