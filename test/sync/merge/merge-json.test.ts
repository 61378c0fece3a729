/** JSON by field: what becomes of it, and how it is written. */
import { describe, expect, it } from 'vitest'
import { merged, outcome, permutations } from './merging.ts'

const json = { key: 'a.json' }

/** Without layout, so that a line says one thing. */
const cases: [promise: string, base: string, sides: string[], outcome: string][] = [
  ['fields of each side', '{"a":1,"b":1}', ['{"a":2,"b":1}', '{"a":1,"b":2}'], '{"a":2,"b":2}'],
  ['equal changes', '{"a":1,"b":1}', ['{"a":2,"b":1}', '{"a":2,"b":3}'], '{"a":2,"b":3}'],
  ['one field, two ways', '{"a":1}', ['{"a":2}', '{"a":3}'], 'both-changed /a'],
  ['added and removed', '{"a":1,"b":1}', ['{"a":1,"b":1,"c":1}', '{"b":1}'], '{"b":1,"c":1}'],
  ['removed by both', '{"a":1,"b":1}', ['{"b":1}', '{"b":2}'], '{"b":2}'],
  ['removed and changed', '{"a":1,"b":1}', ['{"b":1}', '{"a":2,"b":1}'], 'both-changed /a'],
  ['added by both alike', '{}', ['{"a":1}', '{"a":1,"b":2}'], '{"a":1,"b":2}'],
  ['added by both, differently', '{}', ['{"a":{"x":1}}', '{"a":{"y":1}}'], 'both-changed /a'],
  [
    'deep',
    '{"a":{"b":{"c":1,"d":1}}}',
    ['{"a":{"b":{"c":2,"d":1}}}', '{"a":{"b":{"c":1}}}'],
    '{"a":{"b":{"c":2}}}',
  ],
  [
    'a deep clash',
    '{"a":{"b/c":{"~":1}}}',
    ['{"a":{"b/c":{"~":2}}}', '{"a":{"b/c":{"~":3}}}'],
    'both-changed /a/b~1c/~0',
  ],
  ['an object made a value', '{"a":{"b":1}}', ['{"a":1}', '{"a":{"b":2}}'], 'both-changed /a'],
  [
    'null is a value',
    '{"a":1,"b":1}',
    ['{"a":null,"b":1}', '{"a":1,"b":null}'],
    '{"a":null,"b":null}',
  ],
  [
    '__proto__ is a field',
    '{"__proto__":1}',
    ['{"__proto__":2}', '{"__proto__":1,"a":1}'],
    '{"__proto__":2,"a":1}',
  ],
  [
    'every digit',
    '{"a":1}',
    ['{"a":12345678901234567890}', '{"a":1,"b":1.10}'],
    '{"a":12345678901234567890,"b":1.10}',
  ],
  ['1.0 is not 1', '{"a":1}', ['{"a":1.0}', '{"a":2}'], 'both-changed /a'],
  [
    'digits that a number has not',
    '{"a":1}',
    ['{"a":10000000000000000}', '{"a":10000000000000001}'],
    'both-changed /a',
  ],
  [
    'an escape is layout',
    '{"a":"é","b":1}',
    ['{"a":"\\u00e9","b":2}', '{"a":"é","b":1,"c":1}'],
    '{"a":"\\u00e9","b":2,"c":1}',
  ],
  ['half of a pair', '{"a":1}', ['{"a":"\\ud800"}', '{"a":1,"b":2}'], '{"a":"\\ud800","b":2}'],
  ['no document', '1', ['2', '3'], 'both-changed '],
  ['all fields gone', '{ "a": 1, "b": 1 }', ['{ "a": 1 }', '{ "b": 1 }'], '{}'],
  [
    'the same field twice',
    '{"a":1}',
    ['{"a":1,"x":{"y":1,"y":1}}', '{"a":2}'],
    'duplicate-key /x/y',
  ],
]

describe('JSON', () => {
  it.each(cases)('%s', (_, base, sides, wanted) => {
    for (const order of permutations(sides)) expect(outcome(base, order, json)).toBe(wanted)
  })

  it('three sides, each with its own', () => {
    const sides = ['{"a":2,"b":1,"c":1}', '{"a":1,"b":2,"c":1}', '{"a":1,"b":1,"c":2}']
    for (const order of permutations(sides)) {
      expect(outcome('{"a":1,"b":1,"c":1}', order, json)).toBe('{"a":2,"b":2,"c":2}')
    }
  })

  it('says who changed what, and how much more there is', () => {
    const result = merged(
      '{"a":1,"b":1}',
      ['{"a":2,"b":2}', '{"a":3,"b":3}', '{"a":1,"b":4}'],
      json,
    )
    expect(result).toEqual({
      kind: 'undecided',
      code: 'both-changed',
      message: 'a and b changed the field /a differently; and 1 more such places',
      at: '/a',
    })
  })
})

const lists: [lists: 'ordered' | 'union' | { byKey: string }, string, string[], string][] = [
  ['ordered', '[1,2,3]', ['[0,1,2,3]', '[1,2,3,4]'], '[0,1,2,3,4]'],
  ['ordered', '[1,2,3]', ['[9,2,3]', '[1,8,3]'], '[9,8,3]'],
  ['ordered', '[1,2,3]', ['[1,3]', '[1,2,3,4]'], '[1,3,4]'],
  ['ordered', '[1,2,3]', ['[1,9,3]', '[1,8,3]'], 'both-changed /1'],
  ['ordered', '[1]', ['[1,2]', '[1,3]'], 'both-changed /1'],
  ['ordered', '[{"a":1,"b":1}]', ['[{"a":2,"b":1}]', '[{"a":1,"b":2}]'], 'both-changed /0'],
  // 2 became two elements: is 7 behind both, or between them?
  ['ordered', '[1,2,3]', ['[1,9,8,3]', '[1,2,7,3]'], 'both-changed /1'],
  ['union', '[1,2,3]', ['[1,3,4]', '[1,2,3,5]'], '[1,3,4,5]'],
  ['union', '["a"]', ['["a","b"]', '["c","a","b"]'], '["c","a","b"]'],
  ['union', '[1,2]', ['[1]', '[2]'], '[]'],
  [
    { byKey: 'id' },
    '[{"id":"x","v":1,"w":1},{"id":"y","v":1}]',
    ['[{"id":"x","v":2,"w":1},{"id":"y","v":1}]', '[{"id":"z"},{"id":"x","v":1,"w":2}]'],
    '[{"id":"z"},{"id":"x","v":2,"w":2}]',
  ],
  [
    { byKey: 'id' },
    '[{"id":1,"v":1}]',
    ['[{"id":1,"v":2}]', '[{"id":1,"v":3}]'],
    'both-changed /id=1/v',
  ],
  [
    { byKey: 'id' },
    '[{"id":1,"v":1}]',
    ['[{"id":1},{"id":1}]', '[{"id":1,"v":3}]'],
    'duplicate-key ',
  ],
  [{ byKey: 'id' }, '[1,2]', ['[0,1,2]', '[1,2,3]'], '[0,1,2,3]'],
]

describe('lists in JSON', () => {
  it.each(lists)('%o: %s with %j is %s', (how, base, sides, wanted) => {
    for (const order of permutations(sides)) {
      expect(outcome(base, order, { ...json, lists: how })).toBe(wanted)
    }
  })
})

describe('the layout of JSON', () => {
  const file = (...lines: string[]) => `${lines.join('\n')}\n`

  it('each side’s indentation, order and lines stay, where they can', () => {
    const base = file('{', '  "a": 1,', '  "list": [1, 2],', '  "z": 1', '}')
    const one = file('{', '  "new": true,', '  "a": 1,', '  "list": [1, 2],', '  "z": 2', '}')
    const two = file('{', '  "a": 1,', '  "list": [1, 2, 3],', '  "z": 1,', '  "o": {}', '}')
    const all = [
      '{',
      '  "new": true,',
      '  "a": 1,',
      '  "list": [1, 2, 3],',
      '  "z": 2,',
      '  "o": {}',
    ]
    expect(outcome(base, [one, two], json)).toBe(file(...all, '}'))
  })

  it('a side that only laid it out anew loses nothing', () => {
    const result = outcome('{"a":1,"b":1}', ['{"a":2,"b":1}', '{\n  "a": 1,\n  "b": 1\n}\n'], json)
    expect(JSON.parse(result)).toEqual({ a: 2, b: 1 })
  })

  it('line endings and byte order mark are what the sides agree on', () => {
    const base = '{\r\n  "a": 1,\r\n  "b": 1\r\n}\r\n'
    const sides = [base.replace('"a": 1', '"a": 2'), base.replace('"b": 1', '"b": 2')]
    const wanted = '{\r\n  "a": 2,\r\n  "b": 2\r\n}\r\n'
    expect(outcome(base, sides, json)).toBe(wanted)
    expect(outcome(base, [sides[0] ?? '', `\ufeff${sides[1]}`], json)).toBe(`\ufeff${wanted}`)
    const [one = '', two = ''] = sides
    expect(outcome(base, [one, two.replaceAll('\r', '')], json)).toBe(wanted.replaceAll('\r', ''))
  })

  const jsonc = { key: 'a.jsonc' }

  it('comments stay: of the whole, of what a side changed, and of what it added', () => {
    const base = file('// head', '{', '  "a": 1, // one', '  "b": 1, "c": 1 // last', '}')
    const one = file('// head', '{', '  "a": 2, // two', '  "b": 1, "c": 1 // last', '}')
    const two = file(
      '// head',
      '{',
      '  "a": 1, // one',
      '  "b": 1, "c": 2, // last',
      '  /* new */ "d": 1, // end',
      '}',
    )
    const all = [
      '// head',
      '{',
      '  "a": 2, // two',
      '  "b": 1, "c": 2, // last',
      '  /* new */ "d": 1, // end',
    ]
    expect(outcome(base, [one, two], jsonc)).toBe(file(...all, '}'))
  })

  it('comments stay also where the lines cannot be merged', () => {
    const base = file('{ "a": 1, "b": [1, 2] // x', '}')
    const one = file('{ "a": 2, "b": [1, 2] // x', '}')
    const two = file('{ "a": 1, "b": [1, 2, 3], // x', '  "c": "http://c" // c', '}')
    const result = outcome(base, [one, two], jsonc)
    expect(result).toBe(file('{ "a": 2, "b": [1, 2, 3], // x', '  "c": "http://c" // c', '}'))
  })

  it('a comment to the end of its line takes in nothing that comes behind it', () => {
    const one = '{ "a": 1, "b": 1 // b\n}'
    const two = '{ "c": 1, "a": 1, "d": 2 // d\n}'
    const wanted = '{ "c": 1, "a": 1, "d": 2, // d\n "b": 1 // b\n}'
    expect(outcome('{ "a": 1 }', [one, two], jsonc)).toBe(wanted)
  })

  it('a trailing comma stays', () => {
    const sides = ['{ "a": 2, "b": 1, }', '{ "a": 1, "b": 1, "c": 1, }']
    expect(outcome('{ "a": 1, "b": 1, }', sides, jsonc)).toBe('{ "a": 2, "b": 1, "c": 1, }')
  })

  it('comments in .json are taken where the agreed version or all sides have them', () => {
    const [plain, said] = ['{"a":1,"b":1}', '{"a":1,"b":1,}']
    expect(outcome(said, ['{"a":2,"b":1}', '{"a":1,"b":2}'], json)).toBe('{"a":2,"b":2}')
    const both = ['{"a":2,"b":1} // 1', '{"a":1,"b":2} // 1']
    expect(outcome(plain, both, json)).toBe('{"a":2,"b":2} // 1')
    expect(outcome(plain, ['{"a":2,"b":1} // 1', '{"a":1,"b":2}'], json)).toBe('malformed 1:15')
  })
})

describe('what is not JSON', () => {
  const texts: [what: string, text: string, outcome: string][] = [
    ['a brace left open', '{"a":1', 'malformed 1:7'],
    ['a colon left out', '{\n  "a" 1}', 'malformed 2:7'],
    ['a zero before a number', '{"a":01}', 'malformed 1:7'],
    ['single quotes', "{'a':1}", 'malformed 1:2'],
    ['nothing', '', 'malformed 1:1'],
    ['more than one value', '{"a":1}}', 'malformed 1:8'],
    ['a million brackets', `{"a":${'['.repeat(1_000_000)}`, 'malformed 1:1005'],
  ]

  it.each(texts)('%s is told, with its place and whose it is', (_, text, wanted) => {
    const sides = ['{"a":2}', text]
    expect(outcome('{"a":1}', sides, json)).toBe(wanted)
    const message = /^b: not valid JSON at line \d+, column \d+: /
    expect(merged('{"a":1}', sides, json)).toMatchObject({
      message: expect.stringMatching(message),
    })
    expect(outcome(text, ['{"a":2}', '{"a":3}'], json)).toBe(wanted)
  })

  it('1,000 levels are merged', () => {
    const deep = (inner: string) => '{"a":'.repeat(999) + inner + '}'.repeat(999)
    const sides = [deep('{"x":2,"y":1}'), deep('{"x":1,"y":2}')]
    expect(outcome(deep('{"x":1,"y":1}'), sides, json)).toBe(deep('{"x":2,"y":2}'))
  })
})
