import { describe, expect, it } from 'vitest'
import { parseMoment } from '../../src/cli/history/moment.ts'
import { nameOf, parseVersionName, shellWord } from '../../src/cli/history/version-name.ts'

const now = Date.parse('2026-03-01T12:00:00Z')

function code(act: () => unknown): string {
  try {
    act()
  } catch (error) {
    return (error as { code: string }).code
  }
  return 'none'
}

describe('a moment', () => {
  it.each([
    ['2026-01-31T09:05Z', '2026-01-31T09:05:00.000Z'],
    ['2026-01-31 09:05:06Z', '2026-01-31T09:05:06.000Z'],
    ['2026-01-31T09:05:06.789+02:00', '2026-01-31T07:05:06.789Z'],
    ['2026-01-31 09:05 -0330', '2026-01-31T12:35:00.000Z'],
    ['2026-01-31T09:05+02', '2026-01-31T07:05:00.000Z'],
    ['2h ago', '2026-03-01T10:00:00.000Z'],
    ['2 hours ago', '2026-03-01T10:00:00.000Z'],
    ['-90m', '2026-03-01T10:30:00.000Z'],
    ['1.5d ago', '2026-02-28T00:00:00.000Z'],
    ['10 min ago', '2026-03-01T11:50:00.000Z'],
    ['5 minutes ago', '2026-03-01T11:55:00.000Z'],
    ['1 second ago', '2026-03-01T11:59:59.000Z'],
  ])('written %s is %s', (text, iso) => {
    expect(new Date(parseMoment(text, now)).toISOString()).toBe(iso)
  })

  it.each([
    ['2026-01-31T09:05', 'time-without-zone'],
    ['2026-01-31 09:05:06', 'time-without-zone'],
    ['2026-01-31', 'time-invalid'],
    ['31.1.2026 09:05', 'time-invalid'],
    ['01/02/2026 09:05Z', 'time-invalid'],
    ['yesterday', 'time-invalid'],
    ['', 'time-invalid'],
    ['2026-02-30T09:05Z', 'time-invalid'],
    ['2026-01-31T25:05Z', 'time-invalid'],
    ['2026-03-01T12:00:01Z', 'time-in-future'],
  ])('written %j is refused: %s', (text, expected) => {
    expect(code(() => parseMoment(text, now))).toBe(expected)
  })
})

describe('the name of a version', () => {
  it.each([
    ['data', 'a', 1],
    ['data', 'a:b@7', 12],
    ['data', 'dir/naïve name@', 3],
    ['d-1', ':@', 999],
    ['data', 'two\nlines', 4],
  ])('is read as it is written: %j %j %j', (dataset, key, run) => {
    expect(parseVersionName(nameOf(dataset, key, run))).toEqual({ dataset, key, run })
  })

  it.each(['7', 'data:key', 'data@7', ':key@7', 'data:@7', 'data:key@x'])('%j is none', (text) => {
    expect(code(() => parseVersionName(text))).toBe('version-name')
  })

  it('is one word for a shell', () => {
    expect(shellWord('dir/a.txt')).toBe('dir/a.txt')
    expect(shellWord("it's $x")).toBe(`'it'\\''s $x'`)
  })
})
