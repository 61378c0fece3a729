/**
 * The types under test, each with what may be done to it: by dice, so that 100,000 cases of each
 * law are a matter of seconds. Few names and short lists: what collides is what is to be found.
 */
import * as counter from '../../../src/sync/crdt/counter.ts'
import * as document from '../../../src/sync/crdt/document.ts'
import {
  type Author,
  authorOf,
  type Causal,
  type Change,
  joinCausal,
  type Kind,
  readCausal,
} from '../../../src/sync/crdt/dots.ts'
import type { Stamp } from '../../../src/sync/crdt/hlc.ts'
import { listOf } from '../../../src/sync/crdt/list.ts'
import { mapOf } from '../../../src/sync/crdt/map.ts'
import * as values from '../../../src/sync/crdt/multi-value.ts'
import * as register from '../../../src/sync/crdt/register.ts'
import { render } from '../../../src/sync/crdt/render.ts'
import * as set from '../../../src/sync/crdt/set.ts'
import { compactJson } from '../../../src/sync/crdt/write-json.ts'
import type { Dice } from '../world.ts'

/** What the laws are about: states, how they join, and how an actor changes one (the delta). */
export interface Subject<S> {
  name: string
  empty(): S
  join(a: S, b: S): S
  act(state: S, actor: string, dice: Dice): S
  value(state: S): unknown
  read(json: unknown): S
}

export const names = ['a', 'b', '__proto__']
const numbers = ['1', '2', '-3', '0.5']

/** Of a kind that stands on dots, by a change of it. */
function causal<S>(
  name: string,
  kind: Kind<S>,
  act: (state: Causal<S>, author: Author, dice: Dice) => Causal<S>,
  value: (state: Causal<S>) => unknown,
): Subject<Causal<S>> {
  return {
    name,
    empty: () => ({ store: kind.empty(), seen: {} }),
    join: (a, b) => joinCausal(kind, a, b),
    act: (state, actor, dice) => act(state, authorOf(actor, state), dice),
    value,
    read: (json) => readCausal(kind, json),
  }
}

/** As late as a clock that is never right: what actors write at one time is told apart by name. */
export function stampOf(actor: string, dice: Dice): Stamp {
  return { time: dice.below(4), count: dice.below(2), actor }
}

export const registers: Subject<register.Register<unknown>> = {
  name: 'register',
  empty: register.empty,
  join: register.join,
  act: (_, actor, dice) => register.write(stampOf(actor, dice), dice.below(3)),
  value: register.value,
  read: register.read,
}

export const multiValues = causal(
  'multi-value register',
  values.kind,
  (state, author, dice) => values.write(state, author, ...[dice.below(3), 7].slice(dice.below(2))),
  values.value,
)

function actOnSet(state: Causal<set.Members>, author: Author, dice: Dice) {
  const some = names.filter(() => dice.below(2) === 0)
  return dice.below(3) === 0 ? set.remove(state, ...some) : set.add(state, author, ...some)
}

export const sets = causal('set', set.kind, actOnSet, set.value)

const count = (state: Causal<counter.Totals>, author: Author, dice: Dice) =>
  counter.add(state, author, dice.pick(numbers))

export const counters = causal('counter', counter.kind, count, counter.value)

const setMap = mapOf(set.kind)
const mapMap = mapOf(setMap)

/** A map of maps of sets. */
export const maps = causal(
  'map',
  mapMap,
  (state, author, dice) => {
    if (dice.below(5) === 0) return mapMap.edit(state, [[dice.pick(names), null]])
    const inner: Change<Record<string, set.Members>> = (now) =>
      setMap.edit(
        now,
        names.slice(dice.below(3)).map((name) => {
          const removed = dice.below(4) === 0
          return [name, removed ? null : (one) => actOnSet(one, author, dice)]
        }),
      )
    return mapMap.edit(state, [[dice.pick(names), inner]])
  },
  ({ store }) =>
    mapMap
      .value(store)
      .map(([name, one]) => [name, setMap.value(one).map(([n, s]) => [n, Object.keys(s).sort()])]),
)

export const setList = listOf(set.kind)

/** A list of sets. */
export const lists = causal(
  'list',
  setList,
  (state, author, dice) => {
    const length = setList.value(state.store).length
    const change: Change<set.Members> = (now) => set.add(now, author, dice.pick(names))
    const items = Array.from({ length }, (_, i) => i)
      .filter(() => dice.below(5) === 0)
      .map((i) => [i, dice.below(2) === 0 ? null : change] as const)
    const run = Array.from({ length: dice.below(3) }, () => change)
    return setList.edit(state, author, { items, inserts: [[dice.below(length + 1), run]] })
  },
  ({ store }) => setList.value(store).map(([, one]) => Object.keys(one).sort()),
)

export const documents = causal('document', document.kind, actOnDocument, ({ store }) => {
  const json = render(store)
  return json && compactJson(json)
})

function actOnDocument(
  state: Causal<document.Node>,
  author: Author,
  dice: Dice,
): Causal<document.Node> {
  const pen = { author, at: stampOf(author.actor, dice) }
  const deeper = (now: Causal<document.Node>) => actOnDocument(now, author, dice)
  switch (dice.below(9)) {
    case 0:
      return document.write(state, pen, 'register', dice.pick(numbers))
    case 1:
      return document.write(state, pen, 'multi-value', dice.pick(numbers), '"x"')
    case 2:
      return document.editSet(state, pen, { add: [dice.pick(numbers)], remove: ['1'] })
    case 3:
      return document.count(state, pen, dice.pick(numbers))
    case 4: {
      const length = document.listKind.value(document.partOf(state, 'list').store).length
      // Where another kind is shown, the list that it hides is empty for who makes it anew.
      const shown = document.lastMark(state.store)?.is === 'list' ? length : 0
      if (shown > 0 && dice.below(2) === 0) {
        const edit = dice.below(2) === 0 ? null : deeper
        return document.editList(state, pen, { items: [[dice.below(shown), edit]] })
      }
      return document.editList(state, pen, { inserts: [[dice.below(shown + 1), [deeper]]] })
    }
    case 5:
      return document.editMap(state, pen, [[dice.pick(names), null]])
    default:
      return document.editMap(state, pen, [[dice.pick(names), deeper]])
  }
}

export const subjects: Subject<unknown>[] = [
  ...[registers, multiValues, sets, counters, maps, lists, documents],
] as Subject<unknown>[]

/** Equal whatever the order of names: states are records. */
export function same(a: unknown, b: unknown): boolean {
  if (a === b) return true
  if (typeof a !== 'object' || typeof b !== 'object' || a === null || b === null) return false
  if (Array.isArray(a) !== Array.isArray(b)) return false
  const [x, y] = [a as Record<string, unknown>, b as Record<string, unknown>]
  const keys = Object.keys(x)
  if (keys.length !== Object.keys(y).length) return false
  return keys.every((key) => Object.hasOwn(y, key) && same(x[key], y[key]))
}
