/**
 * Against Yjs and Automerge: the same operations on the same replicas, with the same exchanges
 * between them. Where the semantics coincide, so must the documents; where they don't, the
 * difference stands here, with the reason for ours.
 */
import { describe, expect, it } from 'vitest'
import { type Dice, diceOf } from '../world.ts'
import { automergeOf, type Op, oursOf, type Peers, type View, yjsOf } from './peers.ts'

const seed = Number(process.env.TIDEMARK_SEED ?? 20_261_121)
const stories = 60 * Number(process.env.TIDEMARK_CASES ?? 1)

const idsOf = (view: View) => view.l.map(({ id }) => id)

/** What can be done where `view` is seen; only with one's own things, or with all. */
function opOf(dice: Dice, replica: number, serial: number, view: View, own: boolean): Op {
  const mine = (name: string) => !own || name.startsWith(`${replica}`)
  const ids = idsOf(view).filter(mine)
  const name = own ? `${replica}${dice.pick(['a', 'b'])}` : dice.pick(['a', 'b'])
  const made = [`${replica}.${serial}.0`, `${replica}.${serial}.1`].slice(dice.below(2))
  switch (dice.below(7)) {
    case 0:
      return { do: 'count', by: dice.below(9) - 4 }
    case 1:
      return name in view.m ? { do: 'delete', name } : { do: 'set', name, value: serial }
    case 2:
      if (ids.length > 0) return { do: 'remove', id: dice.pick(ids) }
      break
    case 3:
      if (ids.length > 0) return { do: 'edit', id: dice.pick(ids), name: 'x', value: serial }
      break
    case 4:
    case 5:
      if (own && ids.length === 0) break
      return { do: 'insert', after: dice.pick(own ? ids : [null, ...ids]), ids: made }
  }
  return { do: 'set', name, value: serial }
}

/** Acts on all implementations alike; `check` after each act or exchange. */
function play<P extends { ours: Peers }>(
  story: number,
  own: boolean,
  peersOf: (count: number) => P,
  check: (peers: P, replica: number, count: number) => void,
  done: (replica: number, op: Op) => void = () => {},
): void {
  const dice = diceOf(seed + story)
  const count = 2 + dice.below(2)
  const peers = peersOf(count)
  const all = Object.values(peers) as Peers[]
  const bring = (from: number, to: number) => {
    for (const one of all) one.bring(from, to)
    check(peers, to, count)
  }
  if (own) {
    // One item for each, to begin with; all know them.
    const ids = Array.from({ length: count }, (_, i) => `${i}.start`)
    for (const one of all) one.act(0, { do: 'insert', after: null, ids })
    for (let i = 1; i < count; i++) bring(0, i)
  }
  for (let serial = 0; serial < 14; serial++) {
    const replica = dice.below(count)
    const view = peers.ours.view(replica)
    // What not all have any more can't be changed in all alike.
    const l = view.l.filter(({ id }) => all.every((one) => idsOf(one.view(replica)).includes(id)))
    const op = opOf(dice, replica, serial, { ...view, l }, own)
    for (const one of all) one.act(replica, op)
    done(replica, op)
    check(peers, replica, count)
    const other = dice.below(count)
    if (other !== replica && dice.below(3) === 0) bring(other, replica)
  }
  for (let from = 1; from < count; from++) bring(from, 0)
  for (let to = 1; to < count; to++) bring(0, to)
}

const three = (count: number) => ({
  ours: oursOf(count),
  yjs: yjsOf(count),
  automerge: automergeOf(count),
})

describe('the documents are equal at each step', { timeout: 300_000 }, () => {
  it('while each replica changes its own fields, its own items, and places after those', () => {
    for (let story = 0; story < stories; story++) {
      play(story, true, three, ({ ours, yjs, automerge }, replica) => {
        const { n, ...rest } = ours.view(replica)
        expect(yjs.view(replica)).toEqual(rest)
        expect(automerge.view(replica)).toEqual({ n, ...rest })
      })
    }
  })

  it('while every edit is known to all before the next: a list is then an array', () => {
    for (let story = 0; story < stories; story++) {
      const dice = diceOf(seed + story)
      const all = Object.values(three(2))
      const [ours, yjs, automerge] = all as [Peers, Peers, Peers]
      for (let serial = 0; serial < 14; serial++) {
        const replica = dice.below(2)
        const op = opOf(dice, replica, serial, ours.view(replica), false)
        for (const one of all) {
          one.act(replica, op)
          one.bring(replica, 1 - replica)
        }
        const { n, ...rest } = ours.view(0)
        expect(yjs.view(1)).toEqual(rest)
        expect(automerge.view(1)).toEqual({ n, ...rest })
      }
    }
  })
})

describe('whatever is done to whatever', { timeout: 300_000 }, () => {
  it('multi-value: Automerge’s conflicts are our values, removals included; counters are equal', () => {
    const peersOf = (count: number) => ({
      ours: oursOf(count, 'multi-value'),
      automerge: automergeOf(count),
    })
    for (let story = 0; story < stories; story++) {
      play(story, false, peersOf, ({ ours, automerge }, replica) => {
        const { m, n } = ours.view(replica)
        expect(automerge.view(replica).n).toBe(n)
        expect(Object.keys(m).sort()).toEqual(Object.keys(automerge.view(replica).m).sort())
        for (const [name, value] of Object.entries(m)) {
          const conflicts = automerge.conflicts(replica, name)
          expect([value].flat().sort()).toEqual(conflicts.sort())
        }
      })
    }
  })

  it('no insertion is lost, and what was written after an item stands after it', () => {
    for (let story = 0; story < stories; story++) {
      const edited = new Set<string>()
      const after: [string, string][] = []
      const note = (_: number, op: Op) => {
        if (op.do === 'edit') edited.add(op.id)
        if (op.do !== 'insert') return
        const [first = '', second] = op.ids
        if (op.after !== null) after.push([op.after, first])
        if (second !== undefined) after.push([first, second])
      }
      const check = ({ ours, yjs, automerge }: ReturnType<typeof three>, replica: number) => {
        const views = [ours, yjs, automerge].map((one) => one.view(replica))
        for (const ids of views.map(idsOf)) {
          for (const [x, y] of after) {
            if (ids.includes(x) && ids.includes(y))
              expect(ids.indexOf(x)).toBeLessThan(ids.indexOf(y))
          }
        }
        const [mine = [], ...others] = views.map(idsOf)
        for (const theirs of others) {
          expect(theirs.filter((id) => !mine.includes(id))).toEqual([])
          // Ours has more where an item was changed beside its removal: see below.
          expect(mine.filter((id) => !theirs.includes(id) && !edited.has(id))).toEqual([])
        }
      }
      play(story, false, three, check, note)
    }
  })
})

/** Two replicas that both know what `before` made act at the same time, and then know all. */
function atOnce(before: Op[], first: Op[], second: Op[]) {
  const all = three(2)
  const told = (one: Peers) => {
    for (const op of before) one.act(0, op)
    one.bring(0, 1)
    for (const op of first) one.act(0, op)
    for (const op of second) one.act(1, op)
    one.bring(0, 1)
    one.bring(1, 0)
    expect(one.view(1)).toEqual(one.view(0))
    return one.view(0)
  }
  return { ours: told(all.ours), yjs: told(all.yjs), automerge: told(all.automerge) }
}

describe('known differences, and why ours is as it is', () => {
  it('an item that is changed beside its removal: theirs lose the change, ours keeps it whole', () => {
    // A sync must not lose what somebody wrote a moment ago: update wins over delete, as between
    // files; and whole, because half an object is no object to the program that reads it.
    const { ours, yjs, automerge } = atOnce(
      [
        { do: 'insert', after: null, ids: ['one'] },
        { do: 'edit', id: 'one', name: 'x', value: 1 },
      ],
      [{ do: 'remove', id: 'one' }],
      [{ do: 'edit', id: 'one', name: 'y', value: 2 }],
    )
    expect(ours.l).toEqual([{ id: 'one', x: 1, y: 2 }])
    expect([yjs.l, automerge.l]).toEqual([[], []])
  })

  it('runs written backwards at one place: Automerge’s interleave, ours and Yjs’s don’t', () => {
    // Whoever puts each new line on top means one block.
    const run = (name: string): Op[] =>
      [1, 2, 3].map((i) => ({ do: 'insert', after: null, ids: [`${name}${i}`] }))
    const { ours, yjs, automerge } = atOnce([], run('p'), run('q'))
    const blocks = ['p3p2p1q3q2q1', 'q3q2q1p3p2p1']
    expect(blocks).toContain(idsOf(ours).join(''))
    expect(blocks).toContain(idsOf(yjs).join(''))
    expect(blocks).not.toContain(idsOf(automerge).join(''))
  })

  it('one field written at once: the later by the clock, where theirs go by names and counts', () => {
    // Replica 1 in `oursOf` has the later clock, although replica 0 wrote more often.
    const { ours, yjs, automerge } = atOnce(
      [],
      [1, 2, 3].map((value) => ({ do: 'set', name: 'a', value })),
      [{ do: 'set', name: 'a', value: 9 }],
    )
    expect(ours.m).toEqual({ a: 9 })
    expect(automerge.m).toEqual({ a: 3 })
    expect([3, 9]).toContain(yjs.m.a)
  })
})
