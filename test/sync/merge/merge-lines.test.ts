/** Text by lines, sets of lines, and CSV; bytes that are no text. */
import { describe, expect, it } from 'vitest'
import { type MergeOptions, mergeContents } from '../../../src/sync/merge/merge.ts'
import { type Asked, bytesOf, merged, outcome, permutations } from './merging.ts'

const file = (...lines: string[]) => lines.map((line) => `${line}\n`).join('')
const check = (base: string | null, sides: string[], wanted: string, asked: Asked = {}) => {
  for (const order of permutations(sides)) expect(outcome(base, order, asked)).toBe(wanted)
}

describe('text', () => {
  it('takes each side’s lines; equal changes are one', () => {
    const base = file('a', 'b', 'c', 'd')
    check(base, [file('A', 'b', 'c', 'd'), file('a', 'b', 'c', 'D')], file('A', 'b', 'c', 'D'))
    check(base, [file('A', 'b', 'c', 'D'), file('a', 'b', 'c', 'D')], file('A', 'b', 'c', 'D'))
    check(base, [file('a', 'b', 'd'), file('0', 'a', 'b', 'c', 'd')], file('0', 'a', 'b', 'd'))
  })

  it('the same region changed twice is for a person, with its line; so are neighbours', () => {
    const base = file('a', 'b', 'c')
    check(base, [file('a', 'x', 'c'), file('a', 'y', 'c')], 'both-changed 2')
    check(base, [file('a', 'x', 'c'), file('a', 'b', 'y')], 'both-changed 2')
    check(base, [file('a', 'b', 'c', 'x'), file('a', 'b', 'c', 'y')], 'both-changed 4')
    expect(merged(base, [file('x'), file('y')])).toMatchObject({
      message: 'a and b changed lines 1 to 3 of the last agreed version differently',
    })
  })

  it('keeps line endings, or takes a side’s new ones, and the last line’s missing end', () => {
    const base = 'a\r\nb\r\nc\r\n'
    check(base, ['A\r\nb\r\nc\r\n', 'a\r\nb\r\nC\r\n'], 'A\r\nb\r\nC\r\n')
    check(base, ['A\r\nb\r\nc\r\n', 'a\nb\nC\n'], 'A\nb\nC\n')
    check('a\nb\nc', ['A\nb\nc', 'a\nb\nC'], 'A\nb\nC')
    check('a\nb\nc\n', ['A\nb\nc\n', 'a\nb\nc'], 'A\nb\nc')
    check('a\r\nb\nc\r\n', ['A\r\nb\nc\r\n', 'a\r\nb\nC\r\n'], 'A\r\nb\nC\r\n')
  })
})

describe('a set of lines', () => {
  const lines: Asked = { format: 'lines' }

  it('has all that a side added, and nothing that a side removed', () => {
    const base = file('a', 'b', 'c')
    check(base, [file('a', 'b', 'c', 'x'), file('b', 'c', 'y')], file('b', 'c', 'y', 'x'), lines)
    check(base, [file('x', 'a', 'b', 'c'), file('c', 'x')], file('c', 'x'), lines)
  })

  it('keeps comments, empty lines and the order of what was there', () => {
    const base = file('# build', 'dist', '', '# editors', '.idea')
    const one = file('# build', 'dist', 'out', '', '# editors', '.idea')
    const two = file(
      '# build',
      'dist',
      '',
      '# editors',
      '.idea',
      '.vscode',
      '',
      '# os',
      '.DS_Store',
    )
    const all = [
      '# build',
      'dist',
      'out',
      '',
      '# editors',
      '.idea',
      '.vscode',
      '',
      '# os',
      '.DS_Store',
    ]
    check(base, [one, two], file(...all), { key: 'x/.gitignore' })
  })

  it('is the union where there is no base', () => {
    check(null, [file('a', 'b'), file('b', 'c')], file('a', 'b', 'c'), lines)
  })
})

const table = file('id,name,city', '1,Ann,Rome', '2,Bob,Oslo')

const cases: [promise: string, base: string, sides: string[], outcome: string][] = [
  [
    'cells and rows of each side',
    table,
    [
      file('id,name,city', '1,Ann,Bern', '2,Bob,Oslo'),
      file('id,name,city', '1,Anna,Rome', '3,Cid,Bonn'),
    ],
    file('id,name,city', '1,Anna,Bern', '3,Cid,Bonn'),
  ],
  [
    'one cell, two ways',
    table,
    [
      file('id,name,city', '1,Ann,Bern', '2,Bob,Oslo'),
      file('id,name,city', '1,Ann,Paris', '2,Bob,Oslo'),
    ],
    'both-changed 1',
  ],
  [
    'a row removed and changed',
    table,
    [file('id,name,city', '1,Ann,Rome'), file('id,name,city', '1,Ann,Rome', '2,Bo,Oslo')],
    'both-changed 2',
  ],
  [
    'columns added and removed, beside rows',
    table,
    [file('id,age,name', '1,7,Ann', '2,8,Bob'), file('id,name,city', '1,Ann,Rome', '3,Cid,')],
    'both-changed 2',
  ],
  [
    'a column removed, beside a row removed and one added',
    table,
    [file('id,name', '1,Ann', '2,Bob'), file('id,name,city', '1,Ann,Rome', '3,Cid,')],
    file('id,name', '1,Ann', '3,Cid'),
  ],
  [
    'a column removed where another side wrote',
    table,
    [file('id,name', '1,Ann', '2,Bob'), file('id,name,city', '1,Ann,Bern', '2,Bob,Oslo')],
    'both-changed 1',
  ],
  [
    'a column added, beside a row',
    table,
    [file('id,name,age,city', '1,Ann,7,Rome', '2,Bob,8,Oslo'), `${table}3,Cid,Bonn\n`],
    file('id,name,age,city', '1,Ann,7,Rome', '2,Bob,8,Oslo', '3,Cid,,Bonn'),
  ],
  [
    'quotes stay, and come where they are needed',
    file('id,"name"', '1,"Ann"'),
    [file('id,"name"', '1,"Ann, ""A"""'), file('id,"name",x', '1,"Ann",y')],
    file('id,"name",x', '1,"Ann, ""A""",y'),
  ],
  [
    'line breaks in a cell',
    'id,note,x\n1,"a\nb",1\n',
    ['id,note,x\n1,"a\nb",2\n', 'id,note,x\n1,"a\nc",1\n'],
    'id,note,x\n1,"a\nc",2\n',
  ],
  [
    'semicolons',
    file('id;a;b', '1;1,5;1'),
    [file('id;a;b', '1;2,5;1'), file('id;a;b', '1;1,5;2')],
    file('id;a;b', '1;2,5;2'),
  ],
  [
    'one separator, two ways',
    file('id,a', '1,2'),
    [file('id;a', '1;2'), file('id\ta', '1\t2')],
    'both-changed 1',
  ],
  ['a key twice', table, [`${table}2,B,O\n`, `${table}3,C,P\n`], 'duplicate-key 2'],
  ['a column twice', table, [file('id,id', '1,2'), `${table}3,C,P\n`], 'duplicate-key id'],
  ['too many cells', table, [`${table}3,C\n`, `${table}4,C,P\n`], 'malformed 4'],
  ['a quote left open', table, [`${table}3,"C,P\n`, `${table}4,C,P\n`], 'malformed 4:1'],
]

describe('CSV', () => {
  const csv = { key: 'a.csv' }

  it.each(cases)('%s', (_, from, sides, wanted) => check(from, sides, wanted, csv))

  it('tabs, by the content type; a key of several columns; one that is missing', () => {
    const asked: Asked = {
      contentType: 'text/tab-separated-values; charset=utf-8',
      csvKey: ['a', 'b'],
    }
    const from = file('v\ta\tb', '1\tx\ty', '1\tx\tz')
    const sides = [file('v\ta\tb', '2\tx\ty', '1\tx\tz'), file('v\ta\tb', '1\tx\ty', '3\tx\tz')]
    check(from, sides, file('v\ta\tb', '2\tx\ty', '3\tx\tz'), asked)
    check(
      from,
      [file('v\ta\tb', '1\tx\ty', '1\tx\tz', '9\tx\ty'), ...sides],
      'duplicate-key x, y',
      asked,
    )
    check(from, sides, 'malformed c', { ...asked, csvKey: ['c'] })
  })
})

describe('what is merged at all', () => {
  const options: MergeOptions = { format: 'auto', lists: 'ordered', csvKey: null }
  const bytes = (...values: number[]) => new Uint8Array(values)
  const codeOf = (key: string, ...contents: Uint8Array[]) => {
    const sides = contents.map((content, index) => ({ bytes: content, label: `side ${index}` }))
    const result = mergeContents(key, undefined, bytesOf('{"a":1}'), sides, options)
    return result.kind === 'undecided' ? result.code : result.kind
  }

  it('UTF-8 alone: UTF-16 and broken UTF-8 are told, and what is no text', () => {
    const utf16 = new Uint8Array(Buffer.from('\ufeff{"a":2}', 'utf16le'))
    const other = bytesOf('{"a":1,"b":1}')
    expect(codeOf('a.json', utf16, other)).toBe('encoding')
    expect(codeOf('a', utf16, other)).toBe('encoding')
    expect(codeOf('a.json', bytes(0x7b, 0xff, 0x7d), other)).toBe('encoding')
    expect(codeOf('a.bin', bytes(0x7b, 0xff, 0x7d), other)).toBe('not-text')
    expect(codeOf('a.txt', bytes(0x41, 0x00), other)).toBe('not-text')
    expect(codeOf('a', bytesOf('x'), other)).toBe('both-changed')
  })

  it('without a base nothing but line sets; equal sides are decided', () => {
    for (const key of ['a.json', 'a.yaml', 'a.csv', 'a.txt']) {
      expect(outcome(null, ['{}', '{"a":1}'], { key })).toBe('no-base')
      expect(outcome(null, ['{}', '{}'], { key })).toBe('{}')
    }
  })

  it.each<[string, string | undefined, string]>([
    ['a.json', undefined, 'json'],
    ['x.y/A.JSON', 'text/plain', 'json'],
    ['a', 'application/ld+json; charset=utf-8', 'json'],
    ['a.yml', undefined, 'yaml'],
    ['a', 'application/x-yaml', 'yaml'],
    ['a.tsv', undefined, 'csv'],
    ['a/.dockerignore', undefined, 'lines'],
    ['a.json/b', undefined, 'text'],
    ['a.constructor', undefined, 'text'],
  ])('%s of type %s is merged as %s', (key, contentType, format) => {
    const result = merged('', ['x'], { key, ...(contentType && { contentType }) })
    expect(result).toMatchObject({ kind: 'merged', format })
  })
})
