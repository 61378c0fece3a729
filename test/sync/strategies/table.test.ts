/**
 * The tables of docs/conflicts.md are what the code does. To write them anew:
 * TIDEMARK_WRITE_TABLES=1 vitest run test/sync/strategies/table.test.ts
 */
import { readFileSync, writeFileSync } from 'node:fs'
import { expect, it } from 'vitest'
import type { Given, States } from '../table.ts'
import { conflictOf, decided, strategies, type Texts, words } from './situations.ts'

const file = new URL('../../../docs/conflicts.md', import.meta.url)

const json = (value: object) => JSON.stringify(value)
const fields: Texts = {
  head: json({ a: 1, b: 1, c: 1 }),
  old: json({ a: 1, b: 1, c: 0 }),
  x: json({ a: 22, b: 1, c: 1 }),
  y: json({ a: 1, b: 222, c: 1 }),
  z: json({ a: 1, b: 1, c: 2222 }),
}

const situations: [string, States, Given?][] = [
  ['x and y, of one base', { A: 'changed x @1100', B: 'changed y @1200' }],
  ['x and y, of nothing', { A: 'new x @1100', B: 'new y @1200' }, { head: null }],
  ['x, y and z', { A: 'changed x @1100', B: 'changed y @1200', C: 'changed z @1300' }],
  ['deleted and y', { A: 'gone', B: 'changed y @1200' }],
  ['deleted, y and z', { A: 'gone', B: 'changed y @1200', C: 'changed z @1300' }],
  [
    'the head x and y, made of an older one',
    { A: 'current', B: 'old-changed y @1200' },
    { head: 'x' },
  ],
  [
    'a tombstone and y, made before it',
    { A: 'deleted', B: 'old-changed y @1200' },
    { head: 'deleted' },
  ],
]

function strategyTable(): string {
  const rows = strategies.map((strategy) => [
    `\`${strategy.name}\``,
    ...situations.map(([, states, given]) => {
      if (strategy.name === 'custom') return 'as the module says'
      const conflict = conflictOf(states, fields, given, 'k.json')
      return conflict ? words(decided(conflict, strategy, fields)) : 'none'
    }),
  ])
  return markdown([['', ...situations.map(([title]) => title)], ...rows])
}

const utf16 = '\xfe\xff\x00a'
const kinds: [string, string, Texts, Texts][] = [
  ['JSON', 'k.json', fields, { ...fields, y: json({ a: 33, b: 1, c: 1 }) }],
  ['YAML', 'k.yaml', yaml('a: 2\nb: 1', 'a: 1\nb: 2'), yaml('a: 2\nb: 1', 'a: 3\nb: 1')],
  [
    'text',
    'k.txt',
    { head: '1\n2\n3\n4\n', x: '1!\n2\n3\n4\n', y: '1\n2\n3\n4!\n' },
    { head: '1\n2\n', x: '1!\n2\n', y: '1?\n2\n' },
  ],
  [
    'sets of lines',
    '.gitignore',
    { head: 'a\nb\n', x: 'a\nb\nc\n', y: 'b\n' },
    { head: 'a\n', x: 'a\nb\n', y: 'a\nc\n' },
  ],
  [
    'CSV',
    'k.csv',
    { head: 'id,v\n1,a\n2,b\n', x: 'id,v\n1,A\n2,b\n', y: 'id,v\n1,a\n2,B\n' },
    { head: 'id,v\n1,a\n', x: 'id,v\n1,b\n', y: 'id,v\n1,c\n' },
  ],
  [
    'bytes',
    'k.bin',
    { head: '\0\x01', x: '\0\x02', y: '\0\x03' },
    { head: '\0\x01', x: '\0\x02', y: '\0\x03' },
  ],
  ['malformed JSON', 'k.json', { ...fields, y: '{"a": ' }, { ...fields, y: '{"a": ' }],
  ['mixed encodings', 'k.txt', { head: 'a', x: 'b', y: utf16 }, { head: 'a', x: 'b', y: utf16 }],
  [
    'more than `max-size`',
    'k.txt',
    { head: 'a', x: 'x'.repeat(2_000), y: 'y' },
    { head: 'a', x: 'x'.repeat(2_000), y: 'y' },
  ],
]

function yaml(x: string, y: string): Texts {
  return { head: 'a: 1\nb: 1\n', x: `${x}\n`, y: `${y}\n` }
}

function contentTable(): string {
  const states = { A: 'changed x @1100', B: 'changed y @1200' }
  const created = { A: 'new x @1100', B: 'new y @1200' }
  const [merge, crdt] = ['merge', 'crdt'].map((one) => strategies.find(({ name }) => name === one))
  const rows = kinds.map(([title, key, apart, together]) => {
    const cells = [merge, crdt].flatMap((strategy) =>
      [
        { sides: states, texts: apart, given: {} },
        { sides: states, texts: together, given: {} },
        { sides: created, texts: apart, given: { head: null } },
      ].map(({ sides, texts, given }) => {
        const conflict = conflictOf(sides, texts, given, key)
        return conflict && strategy ? words(decided(conflict, strategy, texts)) : 'none'
      }),
    )
    return [title, ...cells]
  })
  const columns = ['apart', 'in one place', 'without a base']
  const titles = ['merge', 'crdt'].flatMap((one) =>
    columns.map((column) => `\`${one}\`: ${column}`),
  )
  return markdown([['', ...titles], ...rows])
}

function markdown([head = [], ...rows]: string[][]): string {
  const line = (cells: string[]) => `| ${cells.join(' | ')} |`
  const rule = line(head.map(() => '---'))
  return [line(head), rule, ...rows.map(line)].join('\n')
}

it.each([
  ['strategies', strategyTable],
  ['contents', contentTable],
])('docs/conflicts.md has the table of %s as the code decides', (title, table) => {
  const text = readFileSync(file, 'utf8')
  const [begin, end] = [`<!-- ${title}: by test -->\n`, `\n<!-- ${title}: end -->`]
  const [before = '', rest = ''] = text.split(begin)
  const [, after] = rest.split(end)
  if (after === undefined) throw new Error(`docs/conflicts.md has no place for ${title}`)
  const wanted = `${before}${begin}${table()}${end}${after}`
  if (process.env.TIDEMARK_WRITE_TABLES) writeFileSync(file, wanted)
  else expect(text).toBe(wanted)
})
