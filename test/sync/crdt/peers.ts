/**
 * One and the same document, `{m: a map, l: a list of objects, n: a counter}`, held by ours, by Yjs
 * and by Automerge, each on several replicas; what is done to one is done to all.
 */
import * as automerge from '@automerge/automerge'
import * as yjs from 'yjs'
import type { Mark, Node } from '../../../src/sync/crdt/document.ts'
import * as ours from '../../../src/sync/crdt/document.ts'
import { authorOf, type Causal, type Change } from '../../../src/sync/crdt/dots.ts'
import { receive, type Stamp, startClock, tick } from '../../../src/sync/crdt/hlc.ts'
import { render } from '../../../src/sync/crdt/render.ts'
import { compactJson } from '../../../src/sync/crdt/write-json.ts'

export type Op =
  | { do: 'set'; name: string; value: number }
  | { do: 'delete'; name: string }
  /** After an item, or at the beginning; items are called by their `id`. */
  | { do: 'insert'; after: string | null; ids: string[] }
  | { do: 'remove'; id: string }
  | { do: 'edit'; id: string; name: string; value: number }
  | { do: 'count'; by: number }

export interface View {
  m: Record<string, unknown>
  l: { id: string; [name: string]: unknown }[]
  /** Yjs has no counter. */
  n?: number
}

export interface Peers {
  act(replica: number, op: Op): void
  /** `to` gets all that `from` has. */
  bring(from: number, to: number): void
  view(replica: number): View
}

const indexOf = (view: View, id: string | null) => view.l.findIndex((item) => item.id === id)

/** `is`: what the values of the map are. A multi-value register shows concurrent ones as a list. */
export function oursOf(count: number, is: 'register' | 'multi-value' = 'register'): Peers {
  const pen = (state: Causal<Node>, at: Stamp) => ({ author: authorOf(at.actor, state), at })
  const first = pen(ours.empty(), tick(startClock('base'), 0))
  const base = ours.editMap(ours.empty(), first, [
    ['m', (now) => ours.editMap(now, first)],
    ['l', (now) => ours.editList(now, first)],
    ['n', (now) => ours.count(now, first, '0')],
  ])
  const replicas = Array.from({ length: count }, (_, i) => ({
    state: base,
    // Every replica's wall clock is wrong by its own measure.
    clock: tick(startClock(`replica ${i}`), i * 1000),
  }))
  const at = (i: number) => replicas[i] as (typeof replicas)[number]
  const view = (i: number): View => JSON.parse(compactJson(render(at(i).state.store) as never))
  const write = (now: Causal<Node>, pen: ours.Pen, value: unknown, kind: Mark['is'] = 'register') =>
    ours.write(now, pen, kind as 'register', JSON.stringify(value))

  const act = (op: Op, pen: ours.Pen, seen: View): [string, Change<Node>] => {
    switch (op.do) {
      case 'set':
        return ['m', (m) => ours.editMap(m, pen, [[op.name, (v) => write(v, pen, op.value, is)]])]
      case 'delete':
        return ['m', (m) => ours.editMap(m, pen, [[op.name, null]])]
      case 'insert': {
        const run = op.ids.map(
          (id): Change<Node> =>
            (item) =>
              ours.editMap(item, pen, [['id', (v) => write(v, pen, id)]]),
        )
        return [
          'l',
          (l) => ours.editList(l, pen, { inserts: [[indexOf(seen, op.after) + 1, run]] }),
        ]
      }
      case 'remove':
        return ['l', (l) => ours.editList(l, pen, { items: [[indexOf(seen, op.id), null]] })]
      case 'edit': {
        const edit: Change<Node> = (item) =>
          ours.editMap(item, pen, [[op.name, (v) => write(v, pen, op.value)]])
        return ['l', (l) => ours.editList(l, pen, { items: [[indexOf(seen, op.id), edit]] })]
      }
      case 'count':
        return ['n', (n) => ours.count(n, pen, String(op.by))]
    }
  }

  return {
    act: (i, op) => {
      const replica = at(i)
      replica.clock = tick(replica.clock, 0)
      const now = pen(replica.state, replica.clock)
      const delta = ours.editMap(replica.state, now, [act(op, now, view(i))])
      replica.state = ours.join(replica.state, delta)
    },
    bring: (from, to) => {
      at(to).state = ours.join(at(to).state, at(from).state)
      at(to).clock = receive(at(to).clock, at(from).clock, 0)
    },
    view,
  }
}

export function yjsOf(count: number): Peers {
  const docs = Array.from({ length: count }, (_, i) => {
    const doc = new yjs.Doc()
    doc.clientID = i + 1
    return doc
  })
  const at = (i: number) => docs[i] as yjs.Doc
  const list = (i: number) => at(i).getArray<yjs.Map<unknown>>('l')
  const view = (i: number) =>
    ({ m: at(i).getMap('m').toJSON(), l: list(i).toJSON() }) as unknown as View
  return {
    act: (i, op) => {
      const seen = view(i)
      at(i).transact(() => {
        if (op.do === 'set') at(i).getMap('m').set(op.name, op.value)
        if (op.do === 'delete') at(i).getMap('m').delete(op.name)
        if (op.do === 'insert') {
          const items = op.ids.map((id) => new yjs.Map<unknown>([['id', id]]))
          list(i).insert(indexOf(seen, op.after) + 1, items)
        }
        if (op.do === 'remove') list(i).delete(indexOf(seen, op.id))
        if (op.do === 'edit') list(i).get(indexOf(seen, op.id)).set(op.name, op.value)
      })
    },
    bring: (from, to) => yjs.applyUpdate(at(to), yjs.encodeStateAsUpdate(at(from))),
    view,
  }
}

interface Held {
  m: Record<string, number>
  l: { id: string; [name: string]: unknown }[]
  n: automerge.Counter
}

export interface AutomergePeers extends Peers {
  /** All values of a name in the map that nobody has written over. */
  conflicts(replica: number, name: string): number[]
}

export function automergeOf(count: number): AutomergePeers {
  const actor = (i: number) => `${i}${i}`.repeat(16)
  const base = automerge.change(automerge.init<Held>({ actor: 'ff'.repeat(16) }), (doc) => {
    Object.assign(doc, { m: {}, l: [], n: new automerge.Counter(0) })
  })
  const docs = Array.from({ length: count }, (_, i) => automerge.clone(base, { actor: actor(i) }))
  const at = (i: number) => docs[i] as automerge.Doc<Held>
  const view = (i: number): View => {
    const { m, l, n } = at(i)
    return { ...(JSON.parse(JSON.stringify({ m, l })) as View), n: n.value }
  }
  return {
    act: (i, op) => {
      docs[i] = automerge.change(at(i), (doc) => {
        const seen = { m: {}, l: [...doc.l] }
        if (op.do === 'set') doc.m[op.name] = op.value
        if (op.do === 'delete') delete doc.m[op.name]
        if (op.do === 'insert') {
          doc.l.splice(indexOf(seen, op.after) + 1, 0, ...op.ids.map((id) => ({ id })))
        }
        if (op.do === 'remove') doc.l.splice(indexOf(seen, op.id), 1)
        if (op.do === 'edit') (doc.l[indexOf(seen, op.id)] as Held['l'][number])[op.name] = op.value
        if (op.do === 'count') doc.n.increment(op.by)
      })
    },
    bring: (from, to) => {
      docs[to] = automerge.merge(at(to), at(from))
    },
    view,
    conflicts: (i, name) => {
      const { m } = at(i)
      if (!(name in m)) return []
      return Object.values(automerge.getConflicts(m, name) ?? { one: m[name] }) as number[]
    },
  }
}
