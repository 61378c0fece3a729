/**
 * The laws of each type, at 100,000 cases each and more. TIDEMARK_SEED looks elsewhere,
 * TIDEMARK_CASES=20 looks longer.
 */
import { describe, expect, it } from 'vitest'
import { type Dice, diceOf } from '../world.ts'
import { type Subject, same, subjects } from './subjects.ts'

const seed = Number(process.env.TIDEMARK_SEED ?? 20_261_121)
const factor = Number(process.env.TIDEMARK_CASES ?? 1)
const cases = 100_000 * factor
const stepsMax = 5

const actors = ['p', 'q', 'r']

/** What one replica knows: its state, and the deltas it is made of. */
interface Replica<S> {
  state: S
  deltas: S[]
}

/** Calls `check` after each step of many short stories, until there were enough cases. */
function tell<S>(subject: Subject<S>, check: (replicas: Replica<S>[], dice: Dice) => void): void {
  for (let done = 0, story = 0; done < cases; story++) {
    const dice = diceOf(seed + story)
    const replicas = played(subject, 0, dice)
    for (let step = 0; step < stepsMax; step++, done++) {
      takeStep(subject, replicas, dice)
      check(replicas, dice)
    }
  }
}

function played<S>(subject: Subject<S>, steps: number, dice: Dice): Replica<S>[] {
  const replicas = actors.map((): Replica<S> => ({ state: subject.empty(), deltas: [] }))
  for (let step = 0; step < steps; step++) takeStep(subject, replicas, dice)
  return replicas
}

/** One acts; and at times one hears from another, all of it or a delta, which may be old. */
function takeStep<S>(subject: Subject<S>, replicas: Replica<S>[], dice: Dice): void {
  const turn = dice.below(actors.length)
  const own = replicas[turn] as Replica<S>
  const delta = subject.act(own.state, actors[turn] as string, dice)
  own.state = subject.join(own.state, delta)
  own.deltas.push(delta)
  const [to, from] = [dice.pick(replicas), dice.pick(replicas)]
  if (to === from || from.deltas.length === 0) return
  const heard = dice.below(2) === 0 ? from.deltas : [dice.pick(from.deltas)]
  const states = heard === from.deltas ? [from.state] : heard
  to.state = states.reduce(subject.join, to.state)
  to.deltas.push(...heard.filter((one) => !to.deltas.includes(one)))
}

/** A state or a delta that somebody has. */
function pickOne<S>(replicas: Replica<S>[], dice: Dice): S {
  const { state, deltas } = dice.pick(replicas)
  return deltas.length > 0 && dice.below(3) === 0 ? dice.pick(deltas) : state
}

function must(holds: boolean, ...told: unknown[]): void {
  if (!holds) throw new Error(told.map((one) => JSON.stringify(one, null, 1)).join('\n'))
}

describe.each(subjects)('$name', { timeout: 600_000 }, (subject) => {
  const { join } = subject

  it('join is commutative, associative and idempotent', () => {
    tell(subject, (replicas, dice) => {
      const [a, b, c] = [0, 1, 2].map(() => pickOne(replicas, dice))
      const ab = join(a, b)
      must(same(ab, join(b, a)), 'not commutative', a, b)
      must(same(join(ab, c), join(a, join(b, c))), 'not associative', a, b, c)
      must(same(join(ab, ab), ab) && same(join(ab, b), ab), 'not idempotent', a, b)
    })
  })

  it('deltas, in any order and some twice, are as good as the state', () => {
    tell(subject, (replicas, dice) => {
      const { state, deltas } = dice.pick(replicas)
      const twice = deltas.filter(() => dice.below(4) === 0)
      const arrived = dice.shuffle([...deltas, ...twice]).reduce(join, subject.empty())
      must(same(arrived, state), 'not the same', state, deltas)
    })
  })

  it('replicas converge, whatever was lost on the way, when whole states come at last', () => {
    for (let story = 0; story < 2_000 * factor; story++) {
      const dice = diceOf(seed + story)
      const replicas = played(subject, 12, dice)
      const all = dice.shuffle(replicas).map(({ state }) => state)
      const ends = replicas.map(({ state }) => dice.shuffle(all).reduce(join, state))
      for (const end of ends) {
        must(same(end, ends[0]), 'they differ', ...ends)
        must(same(subject.value(end), subject.value(ends[0])), 'their values differ', ...ends)
      }
    }
  })

  it('an empty state changes nothing', () => {
    for (let story = 0; story < 2_000 * factor; story++) {
      const dice = diceOf(seed + story)
      const one = pickOne(played(subject, 6, dice), dice)
      must(same(join(one, subject.empty()), one), 'it is changed', one)
    }
  })

  it('states survive being JSON, and read back are states as before', () => {
    for (let story = 0; story < 2_000 * factor; story++) {
      const dice = diceOf(seed + story)
      const replicas = played(subject, 6, dice)
      const [a, b] = [pickOne(replicas, dice), pickOne(replicas, dice)]
      const read = subject.read(JSON.parse(JSON.stringify(a)))
      must(same(read, a) && same(join(read, b), join(a, b)), 'it is changed', a)
      expect(Object.prototype).not.toHaveProperty('a')
    }
  })
})
