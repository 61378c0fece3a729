/** Patterns: what they match, by example, and against a plain definition of them. */
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { compileFilter, patternProblem } from '../../src/sync/filter.ts'

const matches = (pattern: string, key: string) => compileFilter([pattern], [])(key)

const examples: [pattern: string, key: string, matches: boolean][] = [
  // A bare name: at any depth, and a key, not a folder.
  ['*.json', 'a.json', true],
  ['*.json', 'x/y/a.json', true],
  ['*.json', 'a.json/b', false],
  ['logs', 'x/logs', true],
  ['logs', 'logs/a', false],
  // With a slash: the whole key.
  ['config/*.json', 'config/a.json', true],
  ['config/*.json', 'x/config/a.json', false],
  ['config/*.json', 'config/x/a.json', false],
  ['/a.json', 'a.json', true],
  ['/a.json', 'x/a.json', false],
  // A slash at its end: all below that folder.
  ['logs/', 'logs/a', true],
  ['logs/', 'x/logs/y/a', true],
  ['logs/', 'logs', false],
  ['logs/', 'mylogs/a', false],
  ['/logs/', 'x/logs/a', false],
  ['x/logs/', 'x/logs/a', true],
  // Two stars.
  ['a/**', 'a/b/c', true],
  ['a/**', 'a/', true],
  ['a/**', 'a', false],
  ['a/**/b', 'a/b', true],
  ['a/**/b', 'a/x/y/b', true],
  ['a**b', 'a/b', false],
  ['**', 'a/b', true],
  // Dots and odd names are names.
  ['*', '.env', true],
  ['a/**', 'a/.b/c', true],
  ['a/**', 'a/../b', true],
  ['**', 'a\nb', true],
  ['*.TXT', 'a.txt', false],
  ['a', 'a/', false],
  // Classes and braces, as in bash.
  ['[a-c]x', 'bx', true],
  ['[!a]x', 'bx', true],
  ['[!a]x', 'ax', false],
  ['[^a]x', 'ax', false],
  ['[[:digit:]]', '7', true],
  ['*.{js,ts}', 'x/a.ts', true],
  ['{a,b}/c', 'b/c', true],
  ['{a}', '{a}', true],
  // One character, however many units.
  ['?', '😀', true],
  ['??', '😀', false],
  ['[😀]', '😀', true],
  // What means something elsewhere stands for itself.
  ['file (1).txt', 'file (1).txt', true],
  ['a|b', 'a|b', true],
  ['a|b', 'a', false],
  ['+(a)', '+(a)', true],
  ['@(a|b)', 'a', false],
  ['c++', 'c++', true],
  ['"a"', '"a"', true],
  ['a^b$', 'a^b$', true],
  ['a.b', 'axb', false],
  ['\\*', '*', true],
  ['\\*', 'a', false],
  ['\\!a', '!a', true],
  ['\\[a\\]', '[a]', true],
  ['{a\\,b,c}', 'a,b', true],
]

describe('a pattern', () => {
  it.each(examples)('%s, key %j: %s', (pattern, key, expected) => {
    expect(patternProblem(pattern)).toBeNull()
    expect(matches(pattern, key)).toBe(expected)
  })

  it.each([
    ['nothing', ''],
    ['slashes alone', '//'],
    ['an open class', 'a[b'],
    ['an open brace', 'a{b'],
    ['a class closed without its opening', 'a]'],
    ['a negation', '!a'],
    ['a range of numbers', 'x{1..10}'],
    ['a slash in a class', '[a/b]'],
    ['a class in the wrong order', '[z-a]'],
  ])('is not %s', (_what, pattern) => {
    expect(patternProblem(pattern)).toEqual(expect.any(String))
  })

  it('of letters, stars, dots and slashes means what a plain reading says', () => {
    const piece = fc.constantFrom('a', 'b', '.', '*', '?', '**', '/')
    const pattern = fc.array(piece, { minLength: 1, maxLength: 8 }).map((all) => all.join(''))
    const key = fc
      .array(fc.constantFrom('a', 'b', '.', '/'), { minLength: 1, maxLength: 8 })
      .map((all) => all.join(''))
    const property = fc.property(pattern, key, (pattern, key) => {
      // Two stars beside other characters, and empty parts, are nobody's pattern.
      fc.pre(!/[^/]\*\*|\*\*[^/]|\/\/|\*\*\*/.test(pattern) && patternProblem(pattern) === null)
      fc.pre(!/\/\/|^\/|\/$/.test(key))
      expect(matches(pattern, key)).toBe(plainly(pattern, key))
    })
    fc.assert(property, { numRuns: 20_000 })
  })
})

describe('a filter', () => {
  it('takes all keys where it has no pattern, but for those of a probe', () => {
    const filter = compileFilter([], [])
    expect(filter('a/b')).toBe(true)
    expect(filter('.tidemark-probe/x')).toBe(false)
  })

  it('takes what any include matches and no exclude does', () => {
    const filter = compileFilter(['*.json', 'conf/'], ['secret*', 'conf/tmp/'])
    expect(['a.json', 'conf/x', 'secret.json', 'conf/tmp/x', 'a.txt'].filter(filter)).toEqual([
      'a.json',
      'conf/x',
    ])
  })

  it('with excludes alone takes the rest', () => {
    expect(['a', 'b.tmp', 'x/c.tmp'].filter(compileFilter([], ['*.tmp']))).toEqual(['a'])
  })
})

/** The definition in words, segment by segment. */
function plainly(pattern: string, key: string): boolean {
  const anchored = /\/./.test(pattern)
  const trimmed = pattern.replace(/^(\.?\/)+/, '')
  const whole = trimmed.endsWith('/') ? `${trimmed}**` : trimmed
  return below((anchored ? whole : `**/${whole}`).split('/'), key.split('/'))
}

function below(pattern: string[], key: string[]): boolean {
  const [first, ...rest] = pattern
  if (first === undefined) return key.length === 0
  if (first === '**') {
    if (rest.length === 0) return key.length > 0
    return key.some((_, skipped) => below(rest, key.slice(skipped)))
  }
  const [name, ...others] = key
  if (name === undefined) return false
  const segment = first
    .split('')
    .map((c) => (c === '*' ? '.*' : c === '?' ? '.' : c === '.' ? '\\.' : c))
  return new RegExp(`^${segment.join('')}$`).test(name) && below(rest, others)
}
