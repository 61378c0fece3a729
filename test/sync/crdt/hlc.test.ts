/** The clock, while the wall's clock jumps about. */
import { expect, it } from 'vitest'
import { compareStamps, receive, type Stamp, startClock, tick } from '../../../src/sync/crdt/hlc.ts'
import { diceOf } from '../world.ts'

it('what happens later at one place, or after word came from another, has a later stamp', () => {
  for (let story = 0; story < 20_000; story++) {
    const dice = diceOf(story)
    const clocks = ['p', 'q', 'r'].map(startClock)
    const walls = [0, 0, 0].map(() => dice.below(100))
    const given = new Set<string>()
    let latest = 0
    for (let step = 0; step < 8; step++) {
      const turn = dice.below(3)
      // Forwards, backwards, or standing still.
      walls[turn] = Math.max(0, (walls[turn] ?? 0) + dice.pick([1, 1, 0, 50, -30, -1000]))
      const now = walls[turn] ?? 0
      latest = Math.max(latest, now)
      let clock = clocks[turn] as Stamp
      if (dice.below(2) === 0) {
        const heard = dice.pick(clocks)
        clock = receive(clock, heard, now)
        expect(compareStamps(tick(clock, now), heard)).toBeGreaterThan(0)
      }
      const stamp = tick(clock, now)
      if (compareStamps(stamp, clocks[turn] as Stamp) <= 0) throw new Error('it went back')
      if (stamp.time > latest) throw new Error('it is ahead of all clocks there are')
      const text = JSON.stringify(stamp)
      if (given.has(text)) throw new Error(`given twice: ${text}`)
      given.add(text)
      clocks[turn] = stamp
    }
  }
})

it('as long as the wall’s clock goes on, it is the wall’s clock', () => {
  const late = tick(startClock('p'), 1000)
  expect(late).toEqual({ time: 1000, count: 0, actor: 'p' })
  expect(tick(late, 400)).toEqual({ time: 1000, count: 1, actor: 'p' })
  expect(tick(tick(late, 400), 1001)).toEqual({ time: 1001, count: 0, actor: 'p' })
})

it('stamps of one moment are told apart by their actors, everywhere alike', () => {
  const [p, q] = [tick(startClock('p'), 5), tick(startClock('q'), 5)] as [Stamp, Stamp]
  expect(compareStamps(p, q)).toBeLessThan(0)
  expect(compareStamps(q, p)).toBeGreaterThan(0)
  expect(compareStamps(p, { ...p })).toBe(0)
})
