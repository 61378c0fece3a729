/**
 * A list of other types: a tree whose in-order walk is the list (Weidner, Kleppmann: "The art of
 * the fugue", 2023). An item is inserted after its left neighbour, or before its right one where
 * others already stand after the left; so a run that one actor writes, forwards or backwards, is
 * one branch, and runs written at the same place at the same time never interleave.
 *
 * Lattice: the places of all items that ever were, which only grow, and a map of the items that are
 * there (map.ts): what is written into an item wins over its removal.
 */
import {
  type Author,
  type Causal,
  type Change,
  compareDots,
  type Dot,
  type Kind,
  type Live,
  largerJson,
  nextDot,
  readDot,
  seenOf,
  unite,
} from './dots.ts'
import { type Edit, type Entries, mapOf } from './map.ts'
import { fail, isBare, readFields, readRecord, record } from './outside.ts'

/** `after: null`: at the beginning of all. */
export type Place = { after: Dot | null } | { before: Dot }

/** Items are called by the dots of their insertions. */
export interface Items<S> {
  places: Record<Dot, Place>
  items: Entries<S>
}

/** Indexes count what is there before the edit. */
export interface ListEdit<S> {
  items?: (readonly [index: number, edit: Edit<S>])[]
  /** Runs, each before what is at its index; an index at most once. */
  inserts?: (readonly [index: number, run: Change<S>[]])[]
}

export interface ListKind<S> extends Kind<Items<S>> {
  edit(state: Causal<Items<S>>, author: Author, edit: ListEdit<S>): Causal<Items<S>>
  /** The items that are there, in order. */
  value(store: Items<S>): [Dot, S][]
}

export function listOf<S>(child: Kind<S>): ListKind<S> {
  const map = mapOf(child)
  const itemsOf = ({ store, seen }: Causal<Items<S>>) => ({ store: store.items, seen })
  const isThere = (store: Items<S>, dot: Dot) => {
    const one = store.items[dot]
    return one !== undefined && child.presence(one).length > 0
  }

  /** The edits by the dots of their items, and the places of the new ones. */
  const placed = (store: Items<S>, author: Author, { items = [], inserts = [] }: ListEdit<S>) => {
    const order = orderOf(store.places)
    const shown = order.filter((dot) => isThere(store, dot))
    const places = record<Place>()
    const edits = items.map(([index, edit]): [Dot, Edit<S>] => [dotAt(shown, index), edit])
    const placeAfter = placesIn(store.places, order)
    for (const [index, run] of inserts) {
      let place = placeAfter(index === 0 ? null : dotAt(shown, index - 1))
      for (const change of run) {
        const dot = nextDot(author)
        places[dot] = place
        place = { after: dot }
        edits.push([dot, change])
      }
    }
    return { places, edits }
  }

  return {
    empty: () => ({ places: record(), items: record() }),
    join: (a, b) => ({
      places: joinPlaces(a.store.places, b.store.places),
      items: map.join(itemsOf(a), itemsOf(b)),
    }),
    presence: ({ items }) => map.presence(items),
    isEmpty: ({ places, items }) => isBare(places) && isBare(items),
    read: (json, where, live) => {
      const { places, items } = readFields(json, where, ['places', 'items'])
      return {
        places: readPlaces(places, `${where}/places`, live),
        items: map.read(items, `${where}/items`, live),
      }
    },
    edit: (state, author, edit) => {
      const { places, edits } = placed(state.store, author, edit)
      const { store, seen } = map.edit(itemsOf(state), edits)
      return { store: { places, items: store }, seen: unite(seenOf(Object.keys(places)), seen) }
    },
    value: (store) =>
      orderOf(store.places)
        .filter((dot) => isThere(store, dot))
        .map((dot) => [dot, store.items[dot] as S]),
  }
}

function dotAt(dots: Dot[], index: number): Dot {
  const dot = dots[index]
  if (dot === undefined) throw new RangeError(`there is no item ${index}`)
  return dot
}

/** Where an item goes that is to follow `left` (null: to be the first). */
function placesIn(places: Record<Dot, Place>, order: Dot[]): (left: Dot | null) => Place {
  const taken = new Set<Dot | null>()
  for (const place of Object.values(places)) if ('after' in place) taken.add(place.after)
  const next = new Map<Dot | null, Dot>(order.map((dot, i) => [order[i - 1] ?? null, dot]))
  return (left) => {
    const right = taken.has(left) ? next.get(left) : undefined
    return right === undefined ? { after: left } : { before: right }
  }
}

/** All that have a place, there or removed. What hangs on a place that isn't known yet waits. */
export function orderOf(places: Record<Dot, Place>): Dot[] {
  const before = new Map<Dot | null, Dot[]>()
  const after = new Map<Dot | null, Dot[]>()
  for (const [dot, place] of Object.entries(places)) {
    const [side, of] = 'after' in place ? [after, place.after] : [before, place.before]
    const siblings = side.get(of)
    if (siblings) siblings.push(dot)
    else side.set(of, [dot])
  }
  const order: Dot[] = []
  // A run is a branch as deep as it is long: no recursion.
  const stack: { dot: Dot; walked: boolean }[] = []
  const push = (dots: Dot[] = []) => {
    for (const dot of dots.sort(compareDots).reverse()) stack.push({ dot, walked: false })
  }
  push(after.get(null))
  for (let next = stack.pop(); next; next = stack.pop()) {
    if (next.walked) order.push(next.dot)
    else {
      push(after.get(next.dot))
      stack.push({ dot: next.dot, walked: true })
      push(before.get(next.dot))
    }
  }
  return order
}

function joinPlaces(a: Record<Dot, Place>, b: Record<Dot, Place>): Record<Dot, Place> {
  if (a === b) return a
  const joined = record<Place>()
  for (const dot in a) joined[dot] = a[dot] as Place
  for (const dot in b) {
    const place = b[dot] as Place
    joined[dot] = dot in a ? largerJson(joined[dot] as Place, place) : place
  }
  return joined
}

function readPlaces(json: unknown, where: string, live: Live): Record<Dot, Place> {
  const places = readRecord(json, where, (place, at): Place => {
    const { after, before } = readFields(place, at, [], ['after', 'before'])
    if (before === undefined && after === null) return { after }
    if (before === undefined && typeof after === 'string') return { after: readDot(after, at) }
    if (after === undefined && typeof before === 'string') return { before: readDot(before, at) }
    return fail(at, 'after or before a dot')
  })
  for (const dot of Object.keys(places)) live(readDot(dot, where), where)
  return places
}
