/** What a person is shown of two contents. */
import { describe, expect, it } from 'vitest'
import { readableDiff } from '../../../src/sync/merge/readable-diff.ts'
import { bytesOf } from './merging.ts'

const diff = (key: string, a: string, b: string) =>
  readableDiff(key, undefined, bytesOf(a), bytesOf(b), ['agreed', 'aws'])?.split('\n')

describe('a readable diff', () => {
  it('of JSON tells the fields, whatever the layout', () => {
    const a = {
      port: 1,
      name: 'x',
      tls: { on: true },
      gone: [1, { a: 2 }],
      list: [1, 2, 3],
      same: 1,
    }
    const b = { same: 1, port: '1', name: 'x', tls: { on: false, 'a/b': null }, list: [1, 5, 3, 4] }
    expect(diff('a.json', JSON.stringify(a), JSON.stringify(b, null, 2))).toEqual([
      '~ /port: 1 → "1"',
      '~ /tls/on: true → false',
      '+ /tls/a~1b: null',
      '- /gone: [1, {a: 2}]',
      '~ /list/1: 2 → 5',
      '+ /list/3: 4',
    ])
  })

  it('of YAML tells the fields, and the document where there are several', () => {
    expect(diff('a.yaml', 'a: 1 # one\nb: yes\n', "a: 1\nb: 'yes'\nc: |\n  x\n  y\n")).toEqual([
      '~ /b: yes → "yes"',
      '+ /c: "x\\ny\\n"',
    ])
    expect(diff('a.yml', 'a: 1\n---\nb: 2\n', 'a: 1\n---\nb: 3\n')).toEqual(['~ /1/b: 2 → 3'])
  })

  it('of other text is a unified diff; so it is where no field differs, or where one is malformed', () => {
    expect(diff('notes', 'a\nb\n', 'a\nc\n')).toEqual([
      ...['--- agreed', '+++ aws', '@@ -1,2 +1,2 @@', ' a', '-b', '+c'],
    ])
    expect(diff('a.json', '{"a":1}', '{ "a": 1 }')).toContain('+{ "a": 1 }')
    expect(diff('a.json', '{"a":1}', '{"a":')).toContain('+{"a":')
  })

  it('tells line endings and byte order marks, which no line shows', () => {
    expect(diff('notes', 'a\nb\n', '\ufeffa\r\nb\r\n')).toEqual([
      '+ byte order mark',
      '~ line endings: LF → CRLF',
    ])
  })

  it('is bounded: lines in number and length, and values', () => {
    const many = Array.from({ length: 1000 }, (_, index) => `line ${index}`).join('\n')
    const lines = diff('notes', '', many) ?? []
    expect(lines).toHaveLength(201)
    expect(lines.at(-1)).toBe('… and 804 more lines')
    const long = diff('notes', 'a', 'x'.repeat(100_000)) ?? []
    expect(Math.max(...long.map((line) => line.length))).toBeLessThan(210)
    const value = diff('a.json', '{}', JSON.stringify({ a: many.split('\n') })) ?? []
    expect(value[0]?.length).toBeLessThan(100)
    const others = many.replaceAll('line', 'other')
    const twice = (text: string) => Array.from({ length: 4 }, (_, n) => text + n).join('\n')
    expect(diff('notes', twice(many), twice(others))).toContain('~ nearly every line')
  })

  it('is empty for equal contents, and null where one is not text in UTF-8', () => {
    expect(diff('a.json', '{}', '{}')).toEqual([''])
    const bytes = (...values: number[]) => new Uint8Array(values)
    const labels = ['a', 'b'] as const
    expect(readableDiff('a', undefined, bytes(0x80), bytes(65), labels)).toBeNull()
    expect(readableDiff('a', undefined, bytes(65), bytes(65, 0), labels)).toBeNull()
  })
})
