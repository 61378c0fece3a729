/** Files that were edited at several places by programs that know nothing of CRDTs. */
import { describe, expect, it } from 'vitest'
import { type CrdtField, type CrdtSide, mergeByCrdt } from '../../../src/sync/crdt/merge-by-crdt.ts'

const bytesOf = (text: string) => new TextEncoder().encode(text)

/** The sides in the order of their times: 1,000, 2,000, … */
function sidesOf(texts: string[]): CrdtSide[] {
  return texts.map((text, i) => ({
    bytes: bytesOf(text),
    label: `replica ${i}`,
    at: (i + 1) * 1000,
    actor: `digest of ${text}`,
  }))
}

function merge(base: string | null, sides: CrdtSide[], fields: CrdtField[] = []): string {
  const result = mergeByCrdt(base === null ? null : bytesOf(base), sides, { fields })
  return result.kind === 'merged'
    ? new TextDecoder('utf-8', { ignoreBOM: true }).decode(result.bytes)
    : `${result.code} ${result.at}: ${result.message}`
}

/** In every order of the sides, which makes no difference (I11). */
function merged(base: string | null, texts: string[], fields: CrdtField[] = []): string {
  const sides = sidesOf(texts)
  const results = permutations(sides).map((order) => merge(base, order, fields))
  expect(new Set(results).size).toBe(1)
  return results[0] ?? ''
}

function permutations<T>(list: T[]): T[][] {
  if (list.length < 2) return [list]
  return list.flatMap((one, i) => permutations(list.toSpliced(i, 1)).map((rest) => [one, ...rest]))
}

type Case = [what: string, base: string, sides: string[], merged: string, fields?: CrdtField[]]

const fields: Case[] = [
  ['other fields', '{"a":1,"b":1}', ['{"a":2,"b":1}', '{"a":1,"b":2}'], '{"a":2,"b":2}'],
  ['a new field each', '{"a":1}', ['{"a":1,"b":1}', '{"a":1,"c":1}'], '{"a":1,"b":1,"c":1}'],
  ['one field: the later', '{"a":1}', ['{"a":2}', '{"a":3}'], '{"a":3}'],
  [
    'the depth',
    '{"o":{"x":{"p":1}}}',
    ['{"o":{"x":{"p":2}}}', '{"o":{"x":{"p":1,"q":1}}}'],
    '{"o":{"x":{"p":2,"q":1}}}',
  ],
  ['removed and other', '{"a":1,"b":1}', ['{"b":1}', '{"a":1,"b":2}'], '{"b":2}'],
  ['removed by both', '{"a":1,"b":1,"c":1}', ['{"c":1}', '{"b":1}'], '{}'],
  ['removed and changed: the change', '{"a":1}', ['{"a":2}', '{}'], '{"a":2}'],
  [
    'removed around a change: the whole',
    '{"o":{"x":1,"y":1}}',
    ['{"o":{"x":2,"y":1}}', '{}'],
    '{"o":{"x":2,"y":1}}',
  ],
  ['another kind, the later', '{"o":{"x":1,"y":1}}', ['{"o":{"x":2,"y":1}}', '{"o":5}'], '{"o":5}'],
  [
    'another kind, the earlier',
    '{"o":{"x":1,"y":1}}',
    ['{"o":5}', '{"o":{"x":2,"y":1}}'],
    '{"o":{"x":2,"y":1}}',
  ],
  [
    'three sides',
    '{"a":1,"b":1,"c":1}',
    ['{"a":2,"b":1,"c":1}', '{"a":1,"b":2,"c":1}', '{"a":1,"b":1,"c":2}'],
    '{"a":2,"b":2,"c":2}',
  ],
  ['empty objects', '{}', ['{"a":{}}', '{"b":[]}'], '{"a":{},"b":[]}'],
]

const lists: Case[] = [
  ['a list, at its end', '{"l":[1]}', ['{"l":[1,2,3]}', '{"l":[1,4,5]}'], '{"l":[1,2,3,4,5]}'],
  [
    'a list, at its beginning',
    '{"l":[9]}',
    ['{"l":[1,2,9]}', '{"l":[3,4,9]}'],
    '{"l":[1,2,3,4,9]}',
  ],
  [
    'a list, removed and appended',
    '{"l":[1,2,3]}',
    ['{"l":[2,3]}', '{"l":[1,2,3,4]}'],
    '{"l":[2,3,4]}',
  ],
  [
    'one item: both',
    '{"l":[1,2,3]}',
    ['{"l":[1,"x",3]}', '{"l":[1,"y",3]}'],
    '{"l":[1,"x","y",3]}',
  ],
  [
    'objects of a list, by id',
    '{"l":[{"id":1,"v":1}]}',
    ['{"l":[{"id":0},{"id":1,"v":2}]}', '{"l":[{"id":1,"v":1,"w":1}]}'],
    '{"l":[{"id":0},{"id":1,"v":2,"w":1}]}',
  ],
  [
    'an object of a list, removed and changed',
    '{"l":[{"id":1,"v":1}]}',
    ['{"l":[]}', '{"l":[{"id":1,"v":2}]}'],
    '{"l":[{"id":1,"v":2}]}',
  ],
  [
    'rows of a matrix',
    '{"m":[[1,2],[3,4]]}',
    ['{"m":[[1,2],[3,4,5]]}', '{"m":[[0,1,2],[3,4]]}'],
    '{"m":[[0,1,2],[3,4,5]]}',
  ],
]

const declared: Case[] = [
  [
    'a set',
    '{"s":["a","b"]}',
    ['{"s":["a","c"]}', '{"s":["b","a","d"]}'],
    '{"s":["a","c","d"]}',
    [{ path: '/s', type: 'set' }],
  ],
  [
    'a set, both the same',
    '{"s":[]}',
    ['{"s":["x"],"a":1}', '{"s":["x","y"]}'],
    '{"s":["x","y"],"a":1}',
    [{ path: '/s', type: 'set' }],
  ],
  ['a counter', '{"n":10}', ['{"n":12}', '{"n":7}'], '{"n":9}', [{ path: '/n', type: 'counter' }]],
  [
    'counters, to the last digit',
    '{"n":0.1,"m":9007199254740993}',
    ['{"n":0.3,"m":9007199254740994}', '{"n":0.2,"m":9007199254740995}'],
    '{"n":0.4,"m":9007199254740996}',
    [{ path: '/*', type: 'counter' }],
  ],
  [
    'a counter, in fractions of several lengths',
    '{"n":10}',
    ['{"n":12.5}', '{"n":-9.25}'],
    '{"n":-6.75}',
    [{ path: '/n', type: 'counter' }],
  ],
  [
    'a counter, removed and counted on',
    '{"n":10}',
    ['{"n":15}', '{}'],
    '{"n":15}',
    [{ path: '/n', type: 'counter' }],
  ],
  [
    'a multi-value field',
    '{"v":1}',
    ['{"v":"y"}', '{"v":"x"}'],
    '{"v":["x","y"]}',
    [{ path: '/v', type: 'multi-value' }],
  ],
  [
    'a multi-value field, decided by one',
    '{"v":["x","y"]}',
    ['{"v":"y"}', '{"v":["x","y"],"a":1}'],
    '{"v":"y","a":1}',
    [{ path: '/v', type: 'multi-value' }],
  ],
  [
    'a multi-value field, decided by two',
    '{"v":["x","y"]}',
    ['{"v":"y"}', '{"v":"x"}'],
    '{"v":["x","y"]}',
    [{ path: '/v', type: 'multi-value' }],
  ],
  [
    'a list as one value',
    '{"v":[1,2]}',
    ['{"v":[1,3]}', '{"v":[0,2]}'],
    '{"v":[0,2]}',
    [{ path: '/v', type: 'register' }],
  ],
  [
    'fields by pattern',
    '{"d":{"a/b":{"n":1},"c":{"n":1}}}',
    ['{"d":{"a/b":{"n":2},"c":{"n":2}}}', '{"d":{"a/b":{"n":3},"c":{"n":1}}}'],
    '{"d":{"a/b":{"n":4},"c":{"n":2}}}',
    [{ path: '/d/*/n', type: 'counter' }],
  ],
  [
    'a field by its escaped name',
    '{"a/b~":1}',
    ['{"a/b~":2}', '{"a/b~":3,"c":1}'],
    '{"a/b~":4,"c":1}',
    [{ path: '/a~1b~0', type: 'counter' }],
  ],
  [
    'fields inside a list',
    '{"l":[{"id":1,"n":1}]}',
    ['{"l":[{"id":1,"n":2}]}', '{"l":[{"id":1,"n":3}]}'],
    '{"l":[{"id":1,"n":4}]}',
    [{ path: '/l/*/n', type: 'counter' }],
  ],
  [
    'names that are dangerous elsewhere',
    '{"__proto__":{"a":1},"constructor":1}',
    ['{"__proto__":{"a":2},"constructor":1}', '{"__proto__":{"a":1,"b":1},"constructor":2}'],
    '{"__proto__":{"a":2,"b":1},"constructor":2}',
  ],
]

describe('what two or more sides changed', () => {
  it.each([...fields, ...lists, ...declared])('%s', (_, base, sides, expected, fields) => {
    expect(merged(base, sides, fields)).toBe(expected)
  })

  it('at the same time: the same side wins in any order', () => {
    const sides = sidesOf(['{"a":2}', '{"a":3}']).map((side) => ({ ...side, at: 5 }))
    expect(merge('{"a":1}', sides)).toBe('{"a":3}')
    expect(merge('{"a":1}', sides.toReversed())).toBe('{"a":3}')
  })

  it('what is inserted at one place stands there in the order of the times', () => {
    const [a, b] = sidesOf(['{"l":[1]}', '{"l":[2]}']) as [CrdtSide, CrdtSide]
    expect(merge('{"l":[]}', [a, b])).toBe('{"l":[1,2]}')
    expect(merge('{"l":[]}', [{ ...a, at: 9000 }, b])).toBe('{"l":[2,1]}')
  })

  it('what a replica is called makes no difference', () => {
    const sides = sidesOf(['{"l":[1]}', '{"l":[2]}'])
    const renamed = sides.map((side, i) => ({ ...side, label: `z${-i}` }))
    expect(merge('{"l":[]}', renamed)).toBe(merge('{"l":[]}', sides))
  })
})

describe('long lists', () => {
  const items = (count: number, of: (i: number) => object) =>
    JSON.stringify({ l: Array.from({ length: count }, (_, i) => of(i)) })

  it.each([
    ['by their ids', (i: number) => ({ id: i })],
    ['by their places', () => ({})],
  ])('every object changed on one side, one on the other: they are still the same, %s', (_, of) => {
    const text = (v: number, w: (i: number) => number) =>
      items(3_000, (i) => ({ ...of(i), v, w: w(i), x: i % 7 }))
    const zero = () => 0
    const one = (i: number) => +(i === 1_500)
    expect(merged(text(1, zero), [text(2, zero), text(1, one)])).toBe(text(2, one))
  })

  it('nothing in common at all: both', () => {
    const l = (start: number) => items(4_000, (i) => ({ i: i + start }))
    const result = JSON.parse(merged('{"l":[]}', [l(0), l(4_000)]))
    expect(JSON.stringify(result)).toBe(items(8_000, (i) => ({ i })))
  })
})

describe('without a base', () => {
  it('objects merge by field', () => {
    expect(merged(null, ['{"a":1,"o":{"x":1}}', '{"b":1,"o":{"y":1}}'])).toBe(
      '{"a":1,"b":1,"o":{"x":1,"y":1}}',
    )
  })

  it('what all sides have is there once: lists and counters don’t double', () => {
    const fields: CrdtField[] = [{ path: '/n', type: 'counter' }]
    expect(merged(null, ['{"n":7,"l":[1,2],"a":1}', '{"n":7,"l":[1,2,3]}'], fields)).toBe(
      '{"n":7,"l":[1,2,3],"a":1}',
    )
  })

  it('counters that differ add up; an object of a list is one by its id', () => {
    const fields: CrdtField[] = [{ path: '/n', type: 'counter' }]
    const sides = ['{"n":7,"l":[{"id":1,"v":1}]}', '{"n":9,"l":[{"id":1,"v":2}]}']
    expect(merged(null, sides, fields)).toBe('{"n":16,"l":[{"id":1,"v":2}]}')
  })
})

describe('bytes', () => {
  it('only one side changed something: its bytes, as they are', () => {
    const mine = '{ "a" : 2.50,\n"b":[ ] }'
    expect(merged('{"a":1}', ['{"a":1}', mine, '{ "a":1 }'])).toBe(mine)
  })

  it('the result is what one side has already: its bytes', () => {
    const mine = '{ "a":2, "b":3 }'
    expect(merged('{"a":1,"b":1}', ['{"a":2,"b":1}', mine])).toBe(mine)
  })

  it('the digits of numbers and the spelling of strings and names stay', () => {
    const [base, a, b] = ['1', '2', '3'].map(
      (n) =>
        `{"big":123456789012345678901234567890,"f":1.10,"e":1E+2,"s":"\\u00e9\\/","\\u00fc":${n}}`,
    ) as [string, string, string]
    expect(merged(base, [a.replace('{', '{"x":0,'), b])).toBe(b.replace('{', '{"x":0,'))
  })

  it('indentation, blanks, order of names, line ends and the last newline stay', () => {
    for (const newline of ['\n', '\r\n']) {
      const text = (z: string, a: string) =>
        ['\ufeff{', `\t"z": ${z},`, '\t"l": [1, 2],', '\t"o": { "p": {}, "q": [] },', '\t"10": [']
          .concat(['\t\t{', '\t\t\t"k": 1', '\t\t}', '\t],', `\t"a": ${a}`, '}', ''])
          .join(newline)
      expect(merged(text('1', '1'), [text('2', '1'), text('1', '2')])).toBe(text('2', '2'))
    }
  })

  it('whoever lays it out anew is followed', () => {
    const sides = ['{"a":2,"b":1}', '{\n    "a": 1,\n    "b": 2\n}\n']
    expect(merged('{"a":1,"b":1}', sides)).toBe('{\n    "a": 2,\n    "b": 2\n}\n')
  })
})

describe('what can’t be merged so stays undecided, and says where', () => {
  const counter: CrdtField[] = [{ path: '/d/*/n', type: 'counter' }]
  const deep = (levels: number) => `{"a":${'['.repeat(levels - 1)}${']'.repeat(levels - 1)}}`
  const cases: [string, string, string, CrdtField[]?][] = [
    ['no JSON', '{"a":1,\n  "b":}', 'malformed 2:7: '],
    ['cut off', '{"a":"x', 'malformed 1:8: '],
    ['more than JSON', '{"a":1} x', 'malformed 1:9: '],
    ['a number that isn’t one', '{"a":01}', 'malformed 1:6: '],
    ['nothing at all', '', 'malformed 1:1: '],
    ['no object', '[1]', 'malformed : '],
    ['a name twice', '{"a":1,"a":2}', 'duplicate-key 1:8: '],
    ['too deep', deep(1001), 'malformed 1:1005: '],
    ['a counter that is no number', '{"d":{"x":{"n":"7"}}}', 'malformed /d/x/n: ', counter],
    ['a counter beyond counting', '{"d":{"x":{"n":1e999999}}}', 'malformed /d/x/n: ', counter],
    ['a set that is no list', '{"d":1}', 'malformed /d: ', [{ path: '/d', type: 'set' }]],
  ]

  it.each(cases)('%s', (_, text, expected, fields) => {
    expect(merged('{}', ['{"ok":1}', text], fields)).toContain(expected)
    expect(merged(text, ['{"ok":1}', '{"ok":2}'], fields)).toContain(expected)
  })

  it('no UTF-8', () => {
    const [side] = sidesOf(['{}'])
    const broken = { ...(side as CrdtSide), bytes: Uint8Array.of(0x7b, 0xff, 0x7d) }
    expect(merge('{}', [broken])).toContain('encoding')
  })

  it('1,000 levels are merged', () => {
    const inside = (text: string) => deep(1000).replace('[]', `[${text}]`)
    expect(merged(deep(1000), [inside('1'), inside('2')])).toBe(inside('1,2'))
  })

  it('a path that is no JSON pointer is the user’s mistake', () => {
    expect(() => merge('{}', [], [{ path: 'tags', type: 'set' }])).toThrow('no JSON pointer')
  })
})
