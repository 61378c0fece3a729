/** What decides conflicts, given garbage: contents to be merged, and the answers of modules. */
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { mergeInlineBytesMax } from '../../src/limits.ts'
import type { MergeOptions } from '../../src/sync/merge/merge.ts'
import { runMerge } from '../../src/sync/strategies/merge-task.ts'
import { conflictOf, decided } from '../sync/strategies/situations.ts'
import { mutate, mutations } from './mutations.ts'

const documents: Record<string, string> = {
  json: '{"a": 1, "b": [1, 2, {"c": null}], "d": {"e": "\\u00e9", "f": -1.50e3}, "g": true}\n',
  yaml: 'a: 1\nb:\n  - x\n  - {c: "d"}\nanchor: &a [1, 2]\nalias: *a\ntext: |\n  one\n  two\n',
  csv: 'id,name\n1,"a ""b"", c"\n2,\n3,z\n',
  text: 'one\ntwo\r\nthree\n\nfour',
  lines: 'a\nb\nc\n',
  crdt: '{"a": 1, "b": [1, 2, {"c": null}], "d": {"e": "\\u00e9", "f": 2}, "g": true}\n',
}

const merge: MergeOptions = { format: 'auto', lists: 'ordered', csvKey: null }

function expectAnswer(format: string, base: Buffer | null, sides: Buffer[]): string {
  const labelled = sides.map((bytes, i) => ({ bytes, label: `side${i}` }))
  const options = { ...merge, format: format as MergeOptions['format'] }
  const task = {
    by: 'merge' as const,
    key: 'k',
    contentType: undefined,
    base,
    sides: labelled,
    options,
  }
  const fields = [{ path: '/b', type: 'list' as const }]
  const dated = labelled.map((side, i) => ({ ...side, at: i * 1_000, actor: String(i) }))
  const crdt = { by: 'crdt' as const, base, sides: dated, options: { fields } }
  const answer = runMerge(format === 'crdt' ? crdt : task)
  if (answer.kind === 'merged') return 'merged'
  expect(answer.code).toMatch(/^[a-z-]+$/)
  expect(answer.message).not.toContain('call stack')
  return answer.code
}

describe.each(Object.entries(documents))('merging %s', (format, text) => {
  it('that is mangled is a merge, or undecided by a code', () => {
    const base = Buffer.from(text)
    const any = fc.property(mutations, mutations, fc.boolean(), (one, two, mangled) => {
      const sides = [mutate(base, one), mutate(base, two)]
      expectAnswer(format, mangled ? mutate(base, [...one, ...two]) : base, sides)
    })
    fc.assert(any, { numRuns: 2_000 })
  })
})

const fill = (piece: string) => piece.repeat(mergeInlineBytesMax / 4 / piece.length)

describe('merging a bomb ends', () => {
  it.each([
    ['brackets', '[', ''],
    ['maps', '{"a":', ''],
    ['brackets that end', '[', ']'],
    ['quotes', '"', ''],
    ['anchors', '- &a\n', ''],
    ['aliases', '- *a\n', ''],
    ['one anchor for many', 'x: &a [*a]\n', ''],
    ['tags', '!!binary ', ''],
    ['merge keys', '<<: ', ''],
    ['complex keys', '? ', ''],
    ['documents', '---\n', ''],
    ['blocks', '- ', ''],
    ['comments', '#\n', ''],
    ['comment signs', '/*', ''],
    ['equal lines', 'a\n', ''],
    ['empty rows', ',\n', ''],
    ['columns', ',', ''],
    ['line ends', '\r', ''],
    ['marks', '\ufeff', ''],
    ['escapes', '\\', ''],
    ['zeros', '0', ''],
  ])('of %s', (_, open, close) => {
    const bomb = fill(open) + (close && fill(close))
    for (const format of Object.keys(documents)) {
      const base = Buffer.from(`${bomb}0`)
      expectAnswer(format, base, [Buffer.from(`1${bomb}0`), Buffer.from(`${bomb}02`)])
      expectAnswer(format, null, [Buffer.from(bomb), base])
    }
  })
})

describe('what a module returns', () => {
  const conflict = conflictOf(
    { A: 'changed x', B: 'changed y' },
    { x: 'one', y: 'two', head: 'base' },
  )
  const strategy = { name: 'custom' as const, module: '/resolve.ts', sha256: '' }

  it('is one of the four answers, or nonsense that leaves the conflict open', () => {
    if (!conflict) throw new Error('no conflict')
    const part = fc.oneof(
      fc.anything({ withBigInt: true, withMap: true, withDate: true }),
      fc.string(),
    )
    const said = fc.oneof(
      part,
      fc.bigInt(),
      fc.record({ take: part }),
      fc.record({ content: part }),
      fc.record({ keepBoth: part }),
      fc.record({ manual: part }),
      fc.constantFrom(
        { take: '__proto__' },
        { __proto__: { take: 'A' } },
        { take: 'x'.repeat(1e6) },
      ),
    )
    const any = fc.property(said, (value) => {
      const verdict = decided(conflict, strategy, { x: 'one', y: 'two', head: 'base' }, value)
      if (verdict.kind !== 'open') return
      for (const { code, message } of verdict.tried) {
        expect(code).toMatch(/^custom-(nonsense|manual)$/)
        if (code === 'custom-nonsense') expect(message.length).toBeLessThan(400)
      }
    })
    fc.assert(any, { numRuns: 5_000 })
  })
})
