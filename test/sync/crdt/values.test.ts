/**
 * What each type says, against what it should say by the history alone: who had seen which of the
 * others' operations when it made its own.
 */
import { describe, expect, it } from 'vitest'
import * as counter from '../../../src/sync/crdt/counter.ts'
import { type Author, authorOf, type Causal, joinCausal } from '../../../src/sync/crdt/dots.ts'
import { compareStamps, type Stamp } from '../../../src/sync/crdt/hlc.ts'
import { type Items, listOf } from '../../../src/sync/crdt/list.ts'
import { mapOf } from '../../../src/sync/crdt/map.ts'
import * as values from '../../../src/sync/crdt/multi-value.ts'
import * as register from '../../../src/sync/crdt/register.ts'
import * as set from '../../../src/sync/crdt/set.ts'
import { type Dice, diceOf } from '../world.ts'
import { stampOf } from './subjects.ts'

const actors = ['p', 'q', 'r']

/** One operation, and all that its maker had seen. */
interface Made<O> {
  what: O
  seen: Set<Made<O>>
}

/** Random stories of three: acts, and states that are heard. `check` sees all states at the end. */
function stories<S, O>(
  count: number,
  type: { empty(): S; join(a: S, b: S): S },
  act: (state: S, actor: string, dice: Dice) => { delta: S; what: O },
  check: (state: S, seen: Made<O>[]) => void,
): void {
  for (let story = 0; story < count; story++) {
    const dice = diceOf(story)
    const places = actors.map((actor) => ({
      actor,
      state: type.empty(),
      seen: new Set<Made<O>>(),
    }))
    for (let step = 0; step < 8; step++) {
      const one = dice.pick(places)
      const { delta, what } = act(one.state, one.actor, dice)
      one.state = type.join(one.state, delta)
      one.seen.add({ what, seen: new Set(one.seen) })
      const [to, from] = [dice.pick(places), dice.pick(places)]
      to.state = type.join(to.state, from.state)
      for (const made of from.seen) to.seen.add(made)
    }
    for (const { state, seen } of places) check(state, [...seen])
  }
}

const isUnseen = <O>(made: Made<O>, by: Made<O>[]) => !by.some(({ seen }) => seen.has(made))

it('register: the value with the latest stamp of all that was seen', () => {
  stories<register.Register<number>, { at: Stamp; value: number }>(
    3_000,
    register as { empty(): null; join: typeof register.join },
    (_, actor, dice) => {
      const what = {
        at: { ...stampOf(actor, dice), count: dice.below(1_000_000) },
        value: dice.below(9),
      }
      return { delta: what, what }
    },
    (state, seen) => {
      const last = seen
        .map(({ what }) => what)
        .sort((a, b) => compareStamps(a.at, b.at))
        .at(-1)
      expect(register.value(state)).toBe(last?.value)
    },
  )
})

it('multi-value register: what no later writer had seen', () => {
  stories<Causal<values.Values<number>>, number>(
    3_000,
    values,
    (state, actor, dice) => {
      const what = dice.below(9)
      return { delta: values.write(state, authorOf(actor, state), what), what }
    },
    (state, seen) => {
      const left = seen.filter((made) => isUnseen(made, seen)).map(({ what }) => what)
      expect(values.value(state)).toEqual([...new Set(left)].sort((a, b) => a - b))
    },
  )
})

it('set: what was added and not removed by one who had seen that, so adding wins', () => {
  stories<Causal<set.Members>, { add: boolean; element: string }>(
    3_000,
    set,
    (state, actor, dice) => {
      const what = { add: dice.below(3) > 0, element: dice.pick(['a', 'b', '__proto__']) }
      const author = authorOf(actor, state)
      const { element } = what
      const delta = what.add ? set.add(state, author, element) : set.remove(state, element)
      return { delta, what }
    },
    (state, seen) => {
      const left = seen.filter((made) => {
        const after = seen.filter(({ what }) => what.element === made.what.element)
        const removals = after.filter(({ what }) => !what.add)
        return made.what.add && isUnseen(made, removals)
      })
      const elements = new Set(left.map(({ what }) => what.element))
      expect(set.value(state)).toEqual([...elements].sort())
    },
  )
})

it('counter: the sum of all that was counted and heard of, each once, to the last digit', () => {
  const huge = 10n ** 30n
  stories<Causal<counter.Totals>, bigint>(
    3_000,
    counter,
    (state, actor, dice) => {
      const what = BigInt(dice.below(100) - 50) + (dice.below(2) === 0 ? huge : -huge)
      return { delta: counter.add(state, authorOf(actor, state), `${what}`), what }
    },
    (state, seen) => {
      const sum = seen.reduce((total, { what }) => total + what, 0n)
      expect(counter.value(state)).toBe(`${sum}`)
    },
  )
})

describe('map', () => {
  const map = mapOf(set.kind)
  const join = (a: Causal<Record<string, set.Members>>, b: typeof a) => joinCausal(map, a, b)
  const adding = (author: Author, element: string) => (now: Causal<set.Members>) =>
    set.add(now, author, element)

  it('an update made beside a removal stays, what the remover saw goes', () => {
    const p = { actor: 'p', last: 0 }
    const q = { actor: 'q', last: 0 }
    const start = { store: map.empty(), seen: {} }
    const before = join(start, map.edit(start, [['tags', adding(p, 'old')]]))
    const removed = join(before, map.edit(before, [['tags', null]]))
    const updated = join(before, map.edit(before, [['tags', adding(q, 'new')]]))
    expect(map.value(removed.store)).toEqual([])
    const both = join(removed, updated)
    expect(map.value(both.store).map(([name, one]) => [name, Object.keys(one)])).toEqual([
      ['tags', ['new']],
    ])
  })
})

describe('list', () => {
  const list = listOf(values.kind)
  type List = Causal<Items<values.Values<unknown>>>
  const join = (a: List, b: List) => joinCausal(list, a, b)
  const textOf = ({ store }: List) => list.value(store).flatMap(([, one]) => Object.values(one))
  const insert = (state: List, author: Author, index: number, ...run: unknown[]) => {
    const changes = run.map(
      (one) => (now: Causal<values.Values<unknown>>) => values.write(now, author, one),
    )
    return join(state, list.edit(state, author, { inserts: [[index, changes]] }))
  }
  const start: List = { store: list.empty(), seen: {} }

  it('one actor’s edits are those of an array', () => {
    for (let story = 0; story < 2_000; story++) {
      const dice = diceOf(story)
      const author = { actor: 'p', last: 0 }
      const model: unknown[] = []
      let state = start
      for (let step = 0; step < 12; step++) {
        const index = dice.below(model.length + 1)
        if (dice.below(3) > 0) {
          const run = Array.from({ length: 1 + dice.below(3) }, (_, i) => `${step}.${i}`)
          state = insert(state, author, index, ...run)
          model.splice(index, 0, ...run)
        } else if (index < model.length) {
          state = join(state, list.edit(state, author, { items: [[index, null]] }))
          model.splice(index, 1)
        }
        expect(textOf(state)).toEqual(model)
      }
    }
  })

  it('runs written at one place at the same time, forwards or backwards, never interleave', () => {
    for (let story = 0; story < 10_000; story++) {
      const dice = diceOf(story)
      let before = start
      const first = { actor: 'z', last: 0 }
      for (let i = 0; i < dice.below(4); i++) {
        before = insert(before, first, dice.below(i + 1), `base ${i}`)
      }
      const place = dice.below(textOf(before).length + 1)
      const ends = actors.map((actor) => {
        const author = { actor, last: 0 }
        const backwards = dice.below(2) === 0
        let state = before
        for (let i = 0; i < 4; i++) {
          state = insert(state, author, backwards ? place : place + i, actor)
        }
        return state
      })
      const text = textOf(dice.shuffle(ends).reduce(join))
      const runs = text
        .slice(place, place + 12)
        .join('')
        .match(/(.)\1{3}/g)
      expect(runs?.join('')).toBe('ppppqqqqrrrr')
      expect(text.toSpliced(place, 12)).toEqual(textOf(before))
    }
  })
})
