/** What holds for all merges, over random documents and edits of them. */
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { parse, stringify } from 'yaml'
import {
  canonical,
  documents,
  edited,
  edits,
  type Fields,
  type Json,
  mergedFields,
} from './documents.ts'
import { type Asked, merged, outcome, permutations, textOf } from './merging.ts'

/** As a person, a program and an editor would write it. */
const layouts: ((document: Json) => string)[] = [
  (document) => JSON.stringify(document),
  (document) => `${JSON.stringify(document, null, 2)}\n`,
  (document) => JSON.stringify(document, null, '\t').replaceAll('\n', '\r\n'),
]
const yamlLayouts: ((document: Json) => string)[] = [
  (document) => stringify(document, { version: '1.1' }),
  (document) => `# A comment.\n${stringify(document, { indent: 4, indentSeq: false })}`,
  (document) => stringify(document, { collectionStyle: 'flow', defaultStringType: 'QUOTE_DOUBLE' }),
]
const layout = fc.nat(2)
const compact = (document: Json) => JSON.stringify(document)

/** Fields alone: mergedFields takes a list as one value, and so may differ in what it refuses. */
function agrees(
  base: Fields,
  sides: Fields[],
  write: (d: Json) => string,
  asked: Asked,
  read: (text: string) => Json,
) {
  const wanted = mergedFields(base, sides)
  const result = merged(write(base), sides.map(write), asked)
  if (result.kind === 'merged') {
    const got = canonical(read(textOf(result.bytes)))
    if (wanted !== null) expect(got).toBe(canonical(wanted))
  } else {
    expect(result.code).toBe('both-changed')
    expect(wanted).toBeNull()
  }
  return result.kind === 'merged'
}

describe('merging by field', () => {
  const json = { key: 'a.json' }
  const several = fc.array(edits, { minLength: 2, maxLength: 3 })

  it('JSON: a field that one side changed is never lost, and none is made up', () => {
    let decided = 0
    fc.assert(
      fc.property(documents, several, layout, (base, changes, style) => {
        const sides = changes.map((change) => edited(base, change))
        if (agrees(base, sides, layouts[style] ?? compact, json, JSON.parse)) decided++
      }),
      { numRuns: 20_000 },
    )
    // The edits meet, and not always.
    expect(decided).toBeGreaterThan(5_000)
    expect(decided).toBeLessThan(20_000)
  })

  it('I11, JSON: no order of the sides shows, not even in the layout', () => {
    fc.assert(
      fc.property(documents, several, layout, (base, changes, style) => {
        const write = layouts[style] ?? compact
        const texts = changes.map((change) => write(edited(base, change)))
        const [first, ...others] = permutations(texts).map((order) =>
          outcome(write(base), order, json),
        )
        for (const other of others) expect(other).toBe(first)
      }),
      { numRuns: 2_000 },
    )
  })

  it('JSON whose sides are laid out differently', () => {
    fc.assert(
      fc.property(
        documents,
        edits,
        edits,
        fc.tuple(layout, layout, layout),
        (base, a, b, styles) => {
          const [one, two, three] = styles.map((style) => layouts[style] ?? JSON.stringify)
          const sides = [edited(base, a), edited(base, b)] as const
          const wanted = mergedFields(base, [...sides])
          const texts = [two?.(sides[0]) ?? '', three?.(sides[1]) ?? '']
          const result = merged(one?.(base) ?? '', texts, { key: 'a.json' })
          if (wanted === null || result.kind === 'undecided') return
          expect(canonical(JSON.parse(textOf(result.bytes)))).toBe(canonical(wanted))
        },
      ),
      { numRuns: 2_000 },
    )
  })

  it('YAML: a field that one side changed is never lost, and no order of the sides shows', () => {
    fc.assert(
      fc.property(documents, edits, edits, layout, (base, a, b, style) => {
        const versions = [edited(base, a), edited(base, b)]
        const write = yamlLayouts[style] ?? compact
        agrees(base, versions, write, { key: 'a.yaml' }, (text) => parse(text))
        const texts = versions.map(write)
        const asked = { key: 'a.yaml' }
        expect(outcome(write(base), texts.toReversed(), asked)).toBe(
          outcome(write(base), texts, asked),
        )
      }),
      { numRuns: 1_000 },
    )
  })
})

const line = fc.constantFrom('a', 'b', 'c', '', '# d', 'e ', 'ü')
const text = fc
  .tuple(fc.array(line, { maxLength: 8 }), fc.boolean())
  .map(([lines, ended]) => lines.join('\n') + (ended ? '\n' : ''))

describe.each<[string, Asked]>([
  ['text', { key: 'notes.txt' }],
  ['lines', { key: '.gitignore' }],
  ['JSON, malformed', { key: 'a.json' }],
  ['YAML, such as it is', { key: 'a.yaml' }],
  ['CSV', { key: 'a.csv' }],
])('%s', (_, asked) => {
  it('a side like the base changes nothing; equal sides count once; order does not show', () => {
    fc.assert(
      fc.property(text, text, text, text, (base, a, b, c) => {
        expect(outcome(base, [a, base], asked)).toBe(a)
        expect(outcome(base, [a, a, base], asked)).toBe(a)
        const first = merged(base, [a, b, c], asked)
        for (const order of permutations([a, b, c])) {
          const again = merged(base, order, asked)
          expect({ ...again, message: '' }).toEqual({ ...first, message: '' })
        }
        // Merged once more with any of its sides, it stays as it is or says what is wrong.
        if (first.kind === 'merged') {
          expect(outcome(a, [textOf(first.bytes), a], asked)).toBe(textOf(first.bytes))
        }
      }),
      { numRuns: 500 },
    )
  })
})

describe('lines', () => {
  const lines = fc.uniqueArray(fc.constantFrom(...'abcdefgh'), { maxLength: 8 })
  const file = (all: string[]) => all.map((one) => `${one}\n`).join('')

  it('all that a side added is there, nothing that a side removed, and nothing twice', () => {
    fc.assert(
      fc.property(lines, lines, lines, (base, a, b) => {
        const result = outcome(file(base), [file(a), file(b)], { format: 'lines' })
        const got = result.split('\n').slice(0, -1)
        const wanted = [...new Set([...base, ...a, ...b])].filter((one) =>
          base.includes(one) ? a.includes(one) && b.includes(one) : true,
        )
        expect(got.toSorted()).toEqual(wanted.toSorted())
        const order = base.filter((one) => got.includes(one))
        if (![a, b].some((side) => file(side) === result)) {
          expect(got.filter((one) => base.includes(one))).toEqual(order)
        }
      }),
      { numRuns: 5_000 },
    )
  })
})

describe('text', () => {
  it('is merged where each side changed lines of its own, some lines apart', () => {
    const lines = Array.from({ length: 12 }, (_, index) => `line ${index}`)
    const set = (changes: [number, string][]) => {
      const copy = [...lines]
      for (const [at, value] of changes) copy[at] = value
      return `${copy.join('\n')}\n`
    }
    const own = fc.constantFrom('x', 'y', 'two\nlines')
    fc.assert(
      fc.property(own, own, own, (a, b, c) => {
        const sides = [set([[1, a]]), set([[4, b]]), set([[8, c]])]
        const all = set([
          [1, a],
          [4, b],
          [8, c],
        ])
        for (const order of permutations(sides)) expect(outcome(set([]), order)).toBe(all)
      }),
    )
  })
})
