import { describe, expect, it } from 'vitest'
import { nextTimes, scheduleInWords } from '../../src/config/index.ts'
import { scheduleProblem } from '../../src/config/schedule.ts'

describe('a schedule', () => {
  it.each([
    '0 */6 * * *',
    '0,30 9-17/2 * JAN-MAR mon-fri',
    '0 0 * * 7',
    '0 0 1-7 * 1',
    '0 0 29 2 *',
  ])('is %s', (text) => {
    expect(scheduleProblem(text)).toBeNull()
  })

  it.each([
    ['nothing', ''],
    ['four fields', '0 0 * *'],
    ['six fields, the sixth of which Temporal takes as the year', '0 0 * * * *'],
    ['seven fields', '0 0 0 * * * 2030'],
    ['L', '0 0 L * *'],
    ['L behind a number', '0 0 * * 5L'],
    ['W', '0 0 15W * *'],
    ['?', '0 0 ? * *'],
    ['#', '0 0 * * MON#2'],
    ['a nickname', '@hourly'],
    ['a minute that no hour has', '60 * * * *'],
    ['a step of nothing', '*/0 * * * *'],
    ['a day that its month never has', '0 0 31 2 *'],
    ['words', 'every six hours at noon'],
    ['an empty part', '1,,2 * * * *'],
  ])('is not %s', (_what, text) => {
    expect(scheduleProblem(text)).toMatchObject({
      message: expect.any(String),
      next: expect.any(String),
    })
  })

  it('reads in words', () => {
    expect(scheduleInWords('30 4 * * 1')).toBe('At 04:30, only on Monday')
  })

  it('has its next times by UTC; with both days given, on days that are both', () => {
    const from = new Date('2026-01-01T00:00:00Z')
    const days = nextTimes('0 0 13 * 5', 2, from).map((at) => at.toISOString().slice(0, 10))
    expect(days).toEqual(['2026-02-13', '2026-03-13'])
  })
})
