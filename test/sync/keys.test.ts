import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import type { KeyRules } from '../../connectors/connector.ts'
import { compareKeys, inRange, keyProblem, prefixRange } from '../../src/sync/keys.ts'

/** Any well-formed name, with many of those characters where the two orders part. */
const key = fc
  .array(
    fc.oneof(
      fc.constantFrom('a', 'b', '/', '.', '-', '0', '\0', '\x7f', '\x80', '\u07ff', '\u0800'),
      fc.constantFrom(
        '\ud7ff',
        '\ue000',
        '\uf000',
        '\uffff',
        '\u{10000}',
        '\u{1f600}',
        '\u{10ffff}',
      ),
      fc.string({ unit: 'binary', minLength: 1, maxLength: 2 }),
    ),
    { maxLength: 8 },
  )
  .map((parts) => parts.join(''))

const bytes = (a: string, b: string) => Buffer.compare(Buffer.from(a), Buffer.from(b))

describe('I9: the order of keys', () => {
  it('is the order of their UTF-8 bytes', () => {
    fc.assert(
      fc.property(key, key, key, (head, a, b) => {
        expect(Math.sign(compareKeys(head + a, head + b))).toBe(bytes(head + a, head + b))
      }),
      { numRuns: 20_000 },
    )
  })

  it('is total: sorting by it is sorting by bytes', () => {
    fc.assert(
      fc.property(fc.array(key, { maxLength: 30 }), (keys) => {
        expect([...keys].sort(compareKeys)).toEqual([...keys].sort(bytes))
      }),
      { numRuns: 2_000 },
    )
  })

  it.each([
    ['a.txt', 'a/x', 'a walk that sorts names alone puts the folder first'],
    ['\uff01', '\u{1f600}', 'UTF-16 units put the surrogate pair first'],
    ['Z', 'a', 'a locale puts them the other way round'],
    ['e\u0301', '\u00e9', 'composed and not composed are two names'],
    ['a', 'a\0', 'nothing lies between a key and the same with a NUL'],
  ])('%j comes before %j: %s', (a, b) => {
    expect(compareKeys(a, b)).toBeLessThan(0)
    expect(compareKeys(b, a)).toBeGreaterThan(0)
  })

  it('gives each key to exactly one of two ranges that meet', () => {
    fc.assert(
      fc.property(key, key, (bound, any) => {
        const below = inRange(any, { from: null, to: bound })
        expect(inRange(any, { from: bound, to: null })).toBe(!below)
      }),
      { numRuns: 2_000 },
    )
  })
})

describe('what a store can hold', () => {
  const bucket: KeyRules = { bytesMax: 1024, prefixBytes: 7, pathLike: false }
  const folder: KeyRules = {
    bytesMax: 4095,
    segmentBytesMax: 255,
    prefixBytes: 10,
    pathLike: true,
    reservedPrefix: '.tidemark/',
  }

  it('counts bytes, and the prefix with them', () => {
    expect(keyProblem('x'.repeat(1017), bucket)).toBeNull()
    expect(keyProblem('x'.repeat(1018), bucket)).toContain('1025 bytes')
    expect(keyProblem('é'.repeat(508), bucket)).toBeNull()
    expect(keyProblem('é'.repeat(509), bucket)).toContain('1025 bytes')
  })

  it('counts a path segment by itself', () => {
    expect(keyProblem(`a/${'x'.repeat(255)}/b`, folder)).toBeNull()
    expect(keyProblem(`a/${'x'.repeat(256)}/b`, folder)).toContain('255 bytes')
    expect(keyProblem(`a/${'é'.repeat(128)}/b`, folder)).toContain('255 bytes')
  })

  it.each(['a//b', '/a', 'a/', '.', '..', 'a/../b', '../a', 'a/.', 'a\0b'])(
    'refuses %j on a file system, and in a bucket does not',
    (name) => {
      expect(keyProblem(name, folder)).not.toBeNull()
      expect(keyProblem(name, bucket)).toBeNull()
    },
  )

  it.each(['...', '.hidden', 'a/..b/c', 'a b', 'a%2Fb', '.tidemarks', 'x/.tidemark/id'])(
    'takes %j on a file system',
    (name) => expect(keyProblem(name, folder)).toBeNull(),
  )

  it('refuses what is not Unicode, anywhere', () => {
    for (const name of ['\ud83d', 'a\udc00b', '\udc00\ud800']) {
      expect(keyProblem(name, bucket)).toContain('Unicode')
      expect(keyProblem(name, folder)).toContain('Unicode')
    }
  })

  it('refuses names that are ours', () => {
    expect(keyProblem('.tidemark/id', folder)).toContain('.tidemark/')
    expect(keyProblem('.tidemark', folder)).toContain('.tidemark/')
  })

  it("refuses what a store's own pattern forbids, with its reason", () => {
    const rules = { ...bucket, forbidden: { pattern: '\\.$', reason: 'ends with a dot' } }
    expect(keyProblem('a.', rules)).toBe('ends with a dot')
    expect(keyProblem('a.b', rules)).toBeNull()
  })
})

describe('the range of a prefix', () => {
  it.each([
    ['a/', 'a0'],
    ['a\ud7ff', 'a\ue000'],
    ['a\u{10ffff}', 'b'],
    ['\u{10ffff}', null],
    ['\u{1f600}', '\u{1f601}'],
  ])('of %j ends before %j', (prefix, to) => {
    expect(prefixRange(prefix)).toEqual({ from: prefix, to })
    for (const more of ['', '\0', 'z', '\u{10ffff}']) {
      expect(inRange(prefix + more, prefixRange(prefix))).toBe(true)
    }
  })

  it('of nothing is all', () => {
    expect(prefixRange('')).toEqual({ from: null, to: null })
  })
})
