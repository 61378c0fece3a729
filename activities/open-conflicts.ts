/**
 * A range's open conflicts, read along with its keys: of a hundred thousand that are open no more
 * are held than the page looks at. Those whose replicas agree again end with the page.
 */
import type { Catalog, ConflictEnd, ConflictRecord, RangeRecord } from '../src/catalog/catalog.ts'
import { listPageKeys } from '../src/limits.ts'
import type { Key } from '../src/model.ts'
import { compareKeys } from '../src/sync/keys.ts'
import { isUndone } from '../src/sync/undone.ts'

export interface OpenConflicts {
  /** Reads on, up to the last of these keys; where they are all that is looked at, from the first
   *  of them on. */
  readAlong(keys: { key: Key }[]): Promise<void>
  /** Up to this key; null: to the range's end. */
  readTo(key: Key | null): Promise<void>
  /** Of what was read. */
  get(key: Key): ConflictRecord | undefined
  all(): Iterable<ConflictRecord>
  /** It ends with the page: the replicas agreed by themselves. */
  close(key: Key): void
  closed(): ConflictEnd[]
}

export function openConflictsOf(
  catalog: Catalog,
  dataset: string,
  { range, cursor }: RangeRecord,
  selected: boolean,
): OpenConflicts {
  const open = new Map<Key, ConflictRecord>()
  const closing = new Set<Key>()
  let { from } = range
  let after = cursor
  let ended = false

  async function readTo(last: Key | null): Promise<void> {
    const isPast = () => last !== null && after !== null && compareKeys(after, last) >= 0
    while (!ended && !isPast()) {
      const filter = { dataset, range: { from, to: range.to }, after, limit: listPageKeys }
      const page = await catalog.openConflicts(filter)
      for (const one of page) open.set(one.key, one)
      after = page.at(-1)?.key ?? after
      ended = page.length < listPageKeys
    }
  }

  return {
    readTo,
    async readAlong(keys) {
      const [first, last] = [keys[0], keys.at(-1)]
      if (!first || !last) return
      if (selected) from = first.key
      await readTo(last.key)
    },
    get: (key) => open.get(key),
    all: () => open.values(),
    close: (key) => {
      const one = open.get(key)
      // That the replicas agree is what a person took back: it waits for them.
      if (one && !isUndone(one)) closing.add(key)
    },
    closed: () => {
      const end = { state: 'closed', resolution: null, conflict: null, identity: null } as const
      return [...closing].map((key) => ({ key, ...end }))
    },
  }
}
