/** A document through its own deltas: what is there, hidden, made anew, and brought back. */
import { expect, it } from 'vitest'
import {
  count,
  editList,
  editMap,
  editSet,
  empty,
  join,
  type Node,
  type Pen,
  write,
} from '../../../src/sync/crdt/document.ts'
import { authorOf, type Causal, type Change } from '../../../src/sync/crdt/dots.ts'
import { render } from '../../../src/sync/crdt/render.ts'
import { compactJson } from '../../../src/sync/crdt/write-json.ts'

type Doc = Causal<Node>
type Act = (now: Doc, pen: Pen) => Doc

const put =
  (json: string): Act =>
  (now, pen) =>
    write(now, pen, 'register', json)
const object: Act = (now, pen) => editMap(now, pen)
const field =
  (name: string, act: Act | null): Act =>
  (now, pen) =>
    editMap(now, pen, [[name, act && ((inner) => act(inner, pen))]])
const items =
  (...acts: Act[]): Act =>
  (now, pen) =>
    editList(now, pen, {
      inserts: [
        [
          0,
          acts.map(
            (act): Change<Node> =>
              (one) =>
                act(one, pen),
          ),
        ],
      ],
    })
const members =
  (...add: string[]): Act =>
  (now, pen) =>
    editSet(now, pen, { add })
const counted =
  (by: string): Act =>
  (now, pen) =>
    count(now, pen, by)

/** One after the other by one actor, its clock going on by 1. */
function after(doc: Doc, actor: string, ...acts: Act[]): Doc {
  return acts.reduce((now, act, i) => {
    const pen = { author: authorOf(actor, now), at: { time: i + 1, count: 0, actor } }
    return join(now, act(now, pen))
  }, doc)
}

const textOf = ({ store }: Doc) => {
  const json = render(store)
  return json && compactJson(json)
}

const start = after(empty(), 'base', object)

it('holds every kind', () => {
  const doc = after(
    start,
    'p',
    field('a', put('1.0')),
    field('b', field('c', put('null'))),
    field('l', items(put('1'), put('2'))),
    field('s', members('"x"', '"y"')),
    field('n', counted('-2.5')),
  )
  expect(textOf(doc)).toBe('{"a":1.0,"b":{"c":null},"l":[1,2],"n":-2.5,"s":["x","y"]}')
})

it.each([
  ['a map', field('x', put('1')), field('y', put('2')), '{"y":2}'],
  ['a list', items(put('1')), items(put('2')), '[2]'],
  ['a set', members('1'), members('2'), '[2]'],
  ['a counter', counted('1'), counted('2'), '2'],
])(
  '%s that was removed, or hidden by another kind, is empty when it is made anew',
  (_, old, anew, text) => {
    const removed = after(start, 'p', field('a', old), field('a', null))
    expect(textOf(removed)).toBe('{}')
    expect(textOf(after(removed, 'q', field('a', anew)))).toBe(`{"a":${text}}`)
    const hidden = after(start, 'p', field('a', old), field('a', put('0')))
    expect(textOf(hidden)).toBe('{"a":0}')
    expect(textOf(after(hidden, 'q', field('a', anew)))).toBe(`{"a":${text}}`)
  },
)

it('what is changed beside its removal is there as a whole, whoever is joined first', () => {
  const before = after(start, 'p', field('a', field('x', put('1'))))
  const removed = after(before, 'q', field('a', null))
  const changed = after(before, 'r', field('a', field('y', put('2'))))
  expect(textOf(join(removed, changed))).toBe('{"a":{"x":1,"y":2}}')
  expect(textOf(join(changed, removed))).toBe('{"a":{"x":1,"y":2}}')
})

it('of two kinds at once the later one is shown, and the other is there again when that goes', () => {
  const p = after(start, 'p', field('a', put('1')), field('a', put('2')))
  const q = after(start, 'q', field('a', field('x', put('1'))))
  const both = join(p, q)
  expect(textOf(both)).toBe('{"a":2}')
  const onlyOne = after(p, 'p', field('a', null))
  expect(textOf(join(onlyOne, q))).toBe('{"a":{"x":1}}')
})

it('fields that both made are one: objects merge, lists have both runs', () => {
  const p = after(start, 'p', field('o', field('x', put('1'))), field('l', items(put('1'))))
  const q = after(start, 'q', field('o', field('y', put('2'))), field('l', items(put('2'))))
  expect(textOf(join(p, q))).toBe('{"l":[1,2],"o":{"x":1,"y":2}}')
})
