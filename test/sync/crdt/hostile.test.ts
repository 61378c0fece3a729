/** States from outside: any JSON. It is a state, or it is an error that says where. */
import { describe, expect, it } from 'vitest'
import { UserError } from '../../../src/errors.ts'
import { type Dice, diceOf } from '../world.ts'
import {
  counters,
  documents,
  lists,
  multiValues,
  registers,
  type Subject,
  sets,
  subjects,
} from './subjects.ts'

function refusal(read: () => unknown): UserError {
  try {
    read()
  } catch (error) {
    if (error instanceof UserError && error.code === 'crdt-state') return error
    throw error
  }
  throw new Error('it was taken for a state')
}

const seen = { p: [1, 9] }
const cases: [string, Subject<never>, unknown, string][] = [
  ['nothing', sets, undefined, '/'],
  ['a list', sets, [], '/'],
  ['no store', sets, { seen }, '/'],
  ['more than a state', sets, { store: {}, seen, more: 1 }, '/'],
  ['a prototype for more', sets, JSON.parse('{"store":{},"seen":{},"__proto__":{"x":1}}'), '/'],
  ['a set of texts', sets, { store: ['a'], seen }, '/store'],
  ['an addition that is none', sets, { store: { a: { '1@p': false } }, seen }, '/store/a/1@p'],
  ['a dot that is none', sets, { store: { 'a/b': { p1: true } }, seen }, '/store/a~1b'],
  ['a dot of number 0', sets, { store: { a: { '0@p': true } }, seen }, '/store/a'],
  ['a dot that nobody saw', sets, { store: { a: { '10@p': true } }, seen }, '/store/a'],
  ['spans that overlap', sets, { store: {}, seen: { p: [1, 3, 3, 5] } }, '/seen/p'],
  ['spans that touch', sets, { store: {}, seen: { p: [1, 3, 4, 5] } }, '/seen/p'],
  ['half a span', sets, { store: {}, seen: { p: [1] } }, '/seen/p'],
  ['no spans', sets, { store: {}, seen: { p: [] } }, '/seen/p'],
  ['a span of text', sets, { store: {}, seen: { p: ['1', '2'] } }, '/seen/p'],
  ['no number', counters, { store: { '1@p': 'many' }, seen }, '/store/1@p'],
  ['another spelling of a number', counters, { store: { '1@p': '1.0' }, seen }, '/store/1@p'],
  ['a stamp without its time', registers, { at: { count: 0, actor: 'p' }, value: 1 }, '/at'],
  ['a time before time', registers, { at: { time: -1, count: 0, actor: 'p' }, value: 1 }, '/at'],
  [
    'an endless time',
    registers,
    { at: { time: Number.POSITIVE_INFINITY, count: 0, actor: 'p' }, value: 1 },
    '/at/time',
  ],
  ['a function', multiValues, { store: { '1@p': () => 1 }, seen }, '/store/1@p'],
  [
    'a place on both sides',
    lists,
    { store: { places: { '1@p': { after: null, before: '2@p' } }, items: {} }, seen },
    '/store/places/1@p',
  ],
  [
    'a place nowhere',
    lists,
    { store: { places: { '1@p': {} }, items: {} }, seen },
    '/store/places/1@p',
  ],
  [
    'a mark of no kind',
    documents,
    {
      store: {
        marks: { '1@p': { at: { time: 0, count: 0, actor: 'p' }, value: { is: 'tree' } } },
      },
      seen,
    },
    '/store/marks/1@p/value',
  ],
  [
    'a mark that is no JSON',
    documents,
    {
      store: {
        marks: {
          '1@p': { at: { time: 0, count: 0, actor: 'p' }, value: { is: 'register', json: '{' } },
        },
      },
      seen,
    },
    '/store/marks/1@p/value',
  ],
  ['a part of no kind', documents, { store: { marks: {}, tree: {} }, seen }, '/store'],
] as never

describe('what is no state is refused, by its place', () => {
  it.each(cases)('%s', (_, subject, json, where) => {
    expect(refusal(() => subject.read(json))).toMatchObject({ where, next: expect.any(String) })
  })

  it('a state nested without end', () => {
    const deep = JSON.parse(`${'{"store":'.repeat(100_000)}{}${'}'.repeat(100_000)}`)
    expect(refusal(() => sets.read(deep)).message).toContain('levels')
  })

  it('places in a ring: its items aren’t shown, and nothing hangs', () => {
    const places = { '1@p': { after: '2@p' }, '2@p': { before: '1@p' } }
    const state = lists.read({ store: { places, items: {} }, seen: { p: [1, 2] } })
    expect(lists.value(state)).toEqual([])
    expect(lists.join(state, lists.empty())).toEqual(state)
  })
})

describe.each(subjects)('$name', (subject) => {
  it('damaged at any place, it is still a state, which joins, or it is refused', () => {
    for (let story = 0; story < 2_000; story++) {
      const dice = diceOf(story)
      let state = subject.empty()
      for (let i = 0; i < 4; i++) state = subject.join(state, subject.act(state, 'p', dice))
      const damaged = damage(JSON.parse(JSON.stringify(state)), dice)
      let read: unknown
      try {
        read = subject.read(damaged)
      } catch (error) {
        if (error instanceof UserError && error.code === 'crdt-state') continue
        throw error
      }
      subject.value(subject.join(read, state))
      subject.value(subject.join(state, read))
    }
    expect(Object.keys(Object.prototype)).toEqual([])
    expect('polluted' in {}).toBe(false)
  })
})

it('an actor that was there twice, with one dot for two values: all decide alike', () => {
  const twice = (json: string) => {
    const at = { time: 1, count: 0, actor: 'p' }
    const marks = { '1@p': { at, value: { is: 'register', json } } }
    return documents.read({ store: { marks }, seen: { p: [1, 1] } })
  }
  const [one, two] = [twice('1'), twice('2')]
  expect(documents.join(one, two)).toEqual(documents.join(two, one))
  const values = (value: number) =>
    multiValues.read({ store: { '1@p': value }, seen: { p: [1, 1] } })
  expect(multiValues.join(values(1), values(2))).toEqual(multiValues.join(values(2), values(1)))
})

const poisons = [
  ...[null, undefined, 0, -1, 1.5, 2 ** 60, '', '1@p', '__proto__', true, [], {}],
  ...[
    '{"__proto__":{"polluted":true}}',
    '{"constructor":{"prototype":{"polluted":1}}}',
    '[[1]]',
  ].map((text) => JSON.parse(text)),
]

/** One place of it becomes something else, goes, or gets a neighbour. */
function damage(json: unknown, dice: Dice): unknown {
  if (typeof json !== 'object' || json === null || dice.below(5) === 0) return dice.pick(poisons)
  const entries = Object.entries(json)
  if (entries.length === 0) return dice.pick(poisons)
  const at = dice.below(entries.length)
  const [name = '', value] = entries[at] ?? []
  const turn = dice.below(5)
  const rest = entries.filter((_, i) => i !== at)
  if (turn === 0) return Object.fromEntries(rest)
  if (turn === 1)
    return Object.fromEntries([...rest, [dice.pick(['__proto__', '2@q', 'x']), value]])
  const inside = damage(value, dice)
  return Array.isArray(json) ? json.with(at, inside) : Object.fromEntries([...rest, [name, inside]])
}
