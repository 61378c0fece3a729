/**
 * A map of other types: an observed-remove map. A removal takes away what its remover saw of the
 * entry; what others wrote into it meanwhile stays, so an update wins over a removal.
 *
 * Lattice: entry by entry, the join of the nested kind; an empty entry and none are the same.
 */
import { type Causal, type Change, type Kind, type Seen, seenOf, unite } from './dots.ts'
import { isBare, readRecord, record } from './outside.ts'

export type Entries<S> = Record<string, S>

/** null removes it. */
export type Edit<S> = Change<S> | null

export interface MapKind<S> extends Kind<Entries<S>> {
  /** Changes entries, there or not, and removes some (null), in one delta. */
  edit(state: Causal<Entries<S>>, edits: Iterable<readonly [string, Edit<S>]>): Causal<Entries<S>>
  /** The entries that are there, by name. */
  value(store: Entries<S>): [string, S][]
}

export function mapOf<S>(child: Kind<S>): MapKind<S> {
  const joinEntries = (a: Causal<Entries<S>>, b: Causal<Entries<S>>): Entries<S> => {
    if (a.store === b.store) return a.store
    const joined = record<S>()
    for (const name in { ...a.store, ...b.store }) {
      const one = child.join(of(a.store[name], a.seen), of(b.store[name], b.seen))
      if (!child.isEmpty(one)) joined[name] = one
    }
    return joined
  }
  const nothing = child.empty()
  const of = (store: S = nothing, seen: Seen): Causal<S> => ({ store, seen })

  return {
    empty: () => record(),
    join: joinEntries,
    presence: (store) => Object.values(store).flatMap((one) => child.presence(one)),
    isEmpty: isBare,
    read: (json, where, live) =>
      readRecord(json, where, (one, below) => child.read(one, below, live)),
    edit: ({ store, seen }, edits) => {
      const changed = record<S>()
      const all: Seen[] = []
      for (const [name, edit] of edits) {
        const now = of(store[name], seen)
        if (edit === null) all.push(seenOf(child.presence(now.store)))
        else {
          const delta = edit(now)
          if (!child.isEmpty(delta.store)) changed[name] = delta.store
          all.push(delta.seen)
        }
      }
      return { store: changed, seen: unite(...all) }
    },
    value: (store) =>
      Object.entries(store)
        .filter(([, one]) => child.presence(one).length > 0)
        .sort(([a], [b]) => (a < b ? -1 : 1)),
  }
}
