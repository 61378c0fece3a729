/** Conflicts as records, read: how they come and end is in conflict-changes.ts. */
import { sql } from 'kysely'
import type { Conflict, Key, KeyRange } from '../model.ts'
import { within } from './baseline.ts'
import type { ConflictFilter, ConflictRecord, Resolution } from './catalog.ts'
import type { ConflictsTable } from './schema.ts'
import { findDataset, type Store } from './store.ts'

/** As a literal: an index over the open ones alone isn't used where the state is a parameter. */
const open = sql.lit('open' as const)

export async function openConflicts(
  store: Store,
  filter: { dataset: string; range: KeyRange; after: Key | null; limit: number },
): Promise<ConflictRecord[]> {
  const { dataset, range, after, limit } = filter
  const id = await findDataset(store, dataset)
  if (id === undefined) return []
  const rows = await store.db
    .selectFrom('conflicts')
    .selectAll()
    .where('dataset', '=', id)
    .where('state', '=', open)
    .where(within(range, after))
    .orderBy('key')
    .limit(limit)
    .execute()
  return rows.map((row) => decode({ ...row, dataset_name: dataset }))
}

const withDataset = (store: Store) =>
  store.db
    .selectFrom('conflicts')
    .innerJoin('datasets', 'datasets.id', 'conflicts.dataset')
    .selectAll('conflicts')
    .select('datasets.name as dataset_name')

export async function findConflicts(
  store: Store,
  filter: ConflictFilter,
): Promise<ConflictRecord[]> {
  const { ids, dataset, key, prefix, kind, states, since, before, limit } = filter
  const of = dataset === undefined ? null : await findDataset(store, dataset)
  if (ids?.length === 0 || of === undefined) return []
  let query = withDataset(store).orderBy('conflicts.id', 'desc').limit(limit)
  if (ids !== undefined) query = query.where('conflicts.id', 'in', ids)
  // Where a key is named, by the index of keys; else by number, page by page: that index would have
  // all of the dataset sorted by number for each page.
  const datasetOf = key === undefined ? sql<number>`conflicts.dataset + 0` : 'conflicts.dataset'
  if (of !== null) query = query.where(datasetOf, '=', of)
  if (key !== undefined) query = query.where('conflicts.key', '=', key)
  // By characters, in both engines: an upper bound by bytes would have to be made up.
  if (prefix) query = query.where(sql`substr(conflicts.key, 1, length(${prefix}))`, '=', prefix)
  if (kind !== undefined) query = query.where('conflicts.kind', '=', kind)
  if (states !== undefined) query = query.where('conflicts.state', 'in', states)
  if (before !== undefined) query = query.where('conflicts.id', '<', before)
  if (since !== undefined) {
    query = query.where(({ or, eb }) =>
      or([eb('conflicts.opened_at', '>=', since), eb('conflicts.ended_at', '>=', since)]),
    )
  }
  return (await query.execute()).map(decode)
}

function decode(row: ConflictsTable & { dataset_name: string }): ConflictRecord {
  return {
    id: row.id,
    dataset: row.dataset_name,
    key: row.key,
    identity: row.identity,
    kind: row.kind,
    state: row.state,
    conflict: JSON.parse(row.conflict) as Conflict,
    openedRun: row.opened_run,
    openedAt: row.opened_at,
    endedRun: row.ended_run,
    endedAt: row.ended_at,
    resolution: row.resolution === null ? null : (JSON.parse(row.resolution) as Resolution),
  }
}

export async function countOpenConflicts(store: Store, dataset: string): Promise<number> {
  const id = await findDataset(store, dataset)
  if (id === undefined) return 0
  const { count } = await store.db
    .selectFrom('conflicts')
    .select((eb) => eb.fn.countAll<number>().as('count'))
    .where('dataset', '=', id)
    .where('state', '=', open)
    .executeTakeFirstOrThrow()
  return count
}
