import { describe, expect, it } from 'vitest'
import { withIsoTimes } from '../../src/cli/iso-times.ts'
import { bytes, count, duration, printable, tableLines, time } from '../../src/cli/output.ts'

it('what scripts read has times as ISO 8601, but for tokens and what the audit digested', () => {
  const at = Date.UTC(2026, 0, 31, 9, 5, 7, 250)
  const iso = '2026-01-31T09:05:07.250Z'
  const run = { run: 3, startedAt: at, endedAt: null, size: 17 }
  const token = { id: 'generation', at: 5 }
  const row = { seq: 1, at, detail: { contenders: [{ at }] } }
  expect(withIsoTimes([{ run, token, rows: [row], next: iso }])).toEqual([
    {
      ...{ run: { ...run, startedAt: iso }, token },
      ...{ rows: [{ ...row, at: iso }], next: iso },
    },
  ])
})

describe('what people read', () => {
  it.each([
    [0, '0 B'],
    [1023, '1023 B'],
    [1024, '1.0 KiB'],
    [1024 * 1024 - 1, '1.0 MiB'],
    [5 * 1024 ** 3, '5.0 GiB'],
  ])('%d bytes: %s', (amount, text) => {
    expect(bytes(amount)).toBe(text)
  })

  it.each([
    [0, '0 ms'],
    [999, '999 ms'],
    [999.9, '1.0 s'],
    [59_940, '59.9 s'],
    [59_990, '1 min'],
    [3_599_900, '1 h'],
    [3_725_000, '1 h 2 min'],
    [100_000_000, '1 d 4 h'],
  ])('%d ms: %s', (ms, text) => {
    expect(duration(ms)).toBe(text)
  })

  it('counts and times', () => {
    expect([count(1, 'key'), count(12_345, 'key'), count(0, 'key')]).toEqual([
      '1 key',
      '12,345 keys',
      '0 keys',
    ])
    expect(time(0)).toBe('1970-01-01 00:00:00Z')
  })

  it('a table keeps its columns, whatever a cell holds', () => {
    const rows = [
      ['a', '1', 'x'],
      ['日本', '12', 'y'],
      ['\u001b[31mred\u001b[39m', '3', ''],
    ]
    expect(tableLines(['name', 'n', 'z'], rows, ['n'])).toEqual([
      'name   n  z',
      'a      1  x',
      '日本  12  y',
      '\u001b[31mred\u001b[39m    3',
    ])
  })

  it('a key moves no cursor and turns no text around', () => {
    expect(printable('a\n\u001b[2J\u202Eb\u0085é😀')).toBe('a\\n\\x1b[2J\\u202eb\\x85é😀')
  })
})
