/** YAML by field: what becomes of it, and how it is written. */
import { describe, expect, it } from 'vitest'
import { outcome, permutations } from './merging.ts'

const yaml = { key: 'a.yaml' }
const file = (...lines: string[]) => `${lines.join('\n')}\n`

const cases: [promise: string, base: string, sides: string[], outcome: string][] = [
  ['fields of each side', 'a: 1\nb: 1\n', ['a: 2\nb: 1\n', 'a: 1\nb: 2\n'], 'a: 2\nb: 2\n'],
  ['one field, two ways', 'a: 1\n', ['a: 2\n', 'a: 3\n'], 'both-changed /a'],
  ['both add at the end', 'a: 1\n', ['a: 1\nb: 1\n', 'a: 1\nc: 1\n'], 'a: 1\nb: 1\nc: 1\n'],
  ['removed and changed', 'a: {b: 1}\nc: 1\n', ['c: 1\n', 'a: {b: 2}\nc: 1\n'], 'both-changed /a'],
  ['flow', '{a: 1, b: [x]}\n', ['{a: 2, b: [x]}\n', '{a: 1, b: [x, y]}\n'], '{a: 2, b: [x, y]}\n'],
  [
    'every digit',
    '{a: 1, b: 1}\n',
    ['{a: 12345678901234567890, b: 1}\n', '{a: 1, b: 1.10}\n'],
    '{a: 12345678901234567890, b: 1.10}\n',
  ],
  [
    'spellings',
    '{a: 1, b: 1}\n',
    ['{a: 0x1F, b: 1}\n', '{a: 1, b: 1e3, c: ~}\n'],
    '{a: 0x1F, b: 1e3, c: ~}\n',
  ],
  ['yes is not "yes"', 'a: x\n', ['a: yes\n', 'a: "yes"\n'], 'both-changed /a'],
  ['quotes are layout', 'a: x\nb: 1\n', ["a: 'y'\nb: 1\n", 'a: "y"\nb: 2\n'], 'a: "y"\nb: 2\n'],
  [
    'a block is a text',
    'a: x\nb: 1\n',
    ['a: |\n  t\nb: 1\n', 'a: "t\\n"\nb: 2\n'],
    'a: "t\\n"\nb: 2\n',
  ],
  [
    'tags',
    'a: !Ref x\nb: 1\n',
    ['a: !Sub x\nb: 1\n', 'a: !Ref x\nb: !!str 1\n'],
    'a: !Sub x\nb: !!str 1\n',
  ],
  [
    'a tag changed, and a field',
    'a: !x {p: 1}\n',
    ['a: !y {p: 2}\n', 'a: !x {p: 1, q: 1}\n'],
    'both-changed /a',
  ],
  ['a tag is a change', '{a: 1}\n', ['{a: !x 1}\n', '{a: !y 1}\n'], 'both-changed /a'],
  [
    '__proto__ is a field',
    '{__proto__: 1}\n',
    ['{__proto__: 2}\n', '{__proto__: 1, a: 1}\n'],
    '{__proto__: 2, a: 1}\n',
  ],
  [
    'the same field twice',
    'a: 1\n',
    ['a: 1\nb:\n  c: 1\n  c: 2\n', 'a: 2\n'],
    'duplicate-key /b/c',
  ],
  ['twice by merging lines', 'a: 1\n', ['b: 1\na: 1\n', 'a: 1\nb: 1\n'], 'a: 1\nb: 1\n'],
]

describe('YAML', () => {
  it.each(cases)('%s', (_, base, sides, wanted) => {
    for (const order of permutations(sides)) expect(outcome(base, order, yaml)).toBe(wanted)
  })

  it('lists merge as asked for', () => {
    const list = (...items: string[]) => file('list:', ...items.map((item) => `- ${item}`))
    const merge = (lists: 'ordered' | 'union' | { byKey: string }, ...all: string[][]) => {
      const [base = '', ...sides] = all.map((items) => list(...items))
      return outcome(base, sides, { ...yaml, lists })
    }
    expect(merge('ordered', ['a', 'b'], ['x', 'b'], ['a', 'b', 'c'])).toBe(list('x', 'b', 'c'))
    expect(merge('ordered', ['a'], ['x'], ['y'])).toBe('both-changed /list/0')
    expect(merge('union', ['a'], ['a', 'x'], ['y'])).toBe(list('y', 'x'))
    const byName = merge(
      { byKey: 'n' },
      ['n: 1\n  v: 1\n  w: 1'],
      ['n: 1\n  v: 2\n  w: 1'],
      ['n: 1\n  v: 1\n  w: 2'],
    )
    expect(byName).toBe(list('n: 1\n  v: 2\n  w: 2'))
  })
})

describe('the layout of YAML', () => {
  it('comments, blank lines, order and quotes of both sides stay', () => {
    const base = file('# head', 'a: 1 # one', '', 'b:', '    - x', '', '# tail', 'c: "1"')
    const one = file('# head', '# more', 'a: 1 # one', '', 'b:', '    - x', '', '# tail', 'c: "2"')
    const two = file(
      '# head',
      'a: 1 # uno',
      '',
      'b:',
      '    - x # ex',
      '    - y',
      '',
      '# tail',
      'c: "1"',
    )
    expect(outcome(base, [one, two], yaml)).toBe(
      file(
        '# head',
        '# more',
        'a: 1 # uno',
        '',
        'b:',
        '    - x # ex',
        '    - y',
        '',
        '# tail',
        'c: "2"',
      ),
    )
  })

  it('comments of what a side changed stay also where the lines cannot be merged', () => {
    const base = file('# head', 'a: {x: 1, y: 1} # one', 'b:', '- 1')
    const one = file('# head', 'a: {x: 2, y: 1} # one', 'b:', '- 1')
    const two = file('# head', 'a: {x: 1, y: 2} # one', 'b:', '- 1', '# new', 'c: 1')
    expect(outcome(base, [one, two], yaml)).toBe(
      file('# head', 'a: {x: 2, y: 2} # one', 'b:', '- 1', '# new', 'c: 1'),
    )
  })

  it('CRLF and a byte order mark stay', () => {
    const base = '\ufeffa: 1\r\nb: 1\r\n'
    const sides = ['\ufeffa: 2\r\nb: 1\r\n', '\ufeffa: 1\r\nb: 2\r\n']
    expect(outcome(base, sides, yaml)).toBe('\ufeffa: 2\r\nb: 2\r\n')
  })
})

describe('several documents in one YAML file', () => {
  const stream = (...documents: string[]) => documents.map((one) => `---\n${one}\n`).join('')

  it('each merges with the one in its place', () => {
    const base = stream('a: 1\nz: 1', 'b: 1')
    expect(outcome(base, [stream('a: 2\nz: 1', 'b: 1'), stream('a: 1\nz: 2', 'b: 2')], yaml)).toBe(
      stream('a: 2\nz: 2', 'b: 2'),
    )
    const clash = [stream('a: 1\nz: 1', 'b: 2'), stream('a: 1\nz: 1', 'b: 3')]
    expect(outcome(base, clash, yaml)).toBe('both-changed /1/b')
  })

  it('stay apart also where one end of a document stood between them', () => {
    const two = (first: string) => `${first}\n...\n{c: 1}\n`
    const sides = [two('{a: 2, b: 1}'), two('{a: 1, b: 2}')]
    expect(outcome(two('{a: 1, b: 1}'), sides, yaml)).toBe('{a: 2, b: 2}\n...\n---\n{c: 1}\n')
  })

  it('one that was added or removed leaves the others alone', () => {
    const base = stream('a: 1', 'b: 1')
    const sides = [stream('a: 2', 'b: 1'), stream('a: 1', 'b: 1', 'c: 1')]
    expect(outcome(base, sides, yaml)).toBe(stream('a: 2', 'b: 1', 'c: 1'))
    expect(outcome(base, [stream('b: 1'), stream('a: 1', 'b: 2')], yaml)).toBe(stream('b: 2'))
    expect(outcome(base, [stream('b: 1'), stream('a: 2', 'b: 1')], yaml)).toBe('both-changed /0')
  })
})

describe('anchors and aliases in YAML', () => {
  it('merge as what they are', () => {
    const base = 'a: &x {p: 1}\nb: *x\nc: 1\n'
    const sides = ['a: &x {p: 2}\nb: *x\nc: 1\n', 'a: &x {p: 1}\nb: *x\nc: 2\nd:\n  <<: *x\n']
    expect(outcome(base, sides, yaml)).toBe('a: &x {p: 2}\nb: *x\nc: 2\nd:\n  <<: *x\n')
  })

  it('an alias never loses its anchor, and no anchor is defined twice', () => {
    const base = 'a: &x 1\nb: 1\n'
    expect(outcome(base, ['a: 1\nb: 1\n', 'a: &x 1\nb: *x\n'], yaml)).toBe('both-changed')
    expect(outcome('a: 1\nb: 1\n', ['a: &x 1\nb: 1\n', 'a: 1\nb: &x 1\n'], yaml)).toBe(
      'both-changed',
    )
  })
})

describe('what is not YAML', () => {
  const texts: [what: string, text: string, outcome: string][] = [
    ['a bracket left open', 'a: [1', 'malformed 2:1'],
    ['a tab as indentation', 'a: 1\n\tb: 2\n', 'malformed 2:1'],
    ['an alias without its anchor', 'a: *nowhere\n', 'malformed 1:4'],
    ['a million brackets', '[ '.repeat(1_000_000), 'malformed 1:1000'],
    ['a million dashes', '- '.repeat(1_000_000), 'malformed 1:1000'],
  ]

  it.each(texts)('%s is told, with its place', (_, text, wanted) => {
    expect(outcome('a: 1\n', ['a: 2\n', `${text}\n`], yaml)).toBe(wanted)
  })
})
