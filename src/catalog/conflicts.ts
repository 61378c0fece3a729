/** Conflicts as records: one open at most of a key, until it is resolved or agrees by itself. */
import { sql } from 'kysely'
import type { Conflict, Key, KeyRange, RunNumber } from '../model.ts'
import { within } from './baseline.ts'
import type { Catalog, ConflictFilter, ConflictRecord, Resolution } from './catalog.ts'
import type { ConflictsTable } from './schema.ts'
import { checkKey, datasetId, findDataset, inTransaction, nextNumber, type Store } from './store.ts'

/** As a literal: an index over the open ones alone isn't used where the state is a parameter. */
const open = sql.lit('open' as const)

export async function openConflict(
  store: Store,
  dataset: string,
  run: RunNumber,
  identity: string,
  conflict: Conflict,
  at: number,
): Promise<number> {
  const id = await datasetId(store, dataset)
  const said = { identity, kind: conflict.kind, conflict: JSON.stringify(conflict) }
  return await inTransaction(store, async (tx) => {
    const updated = await tx.db
      .updateTable('conflicts')
      .set(said)
      .where('dataset', '=', id)
      .where('key', '=', checkKey(conflict.key))
      .where('state', '=', open)
      .returning('id')
      .executeTakeFirst()
    if (updated) return updated.id
    const row: ConflictsTable = {
      id: await nextNumber(tx, 'conflict'),
      dataset: id,
      key: conflict.key,
      ...said,
      state: 'open',
      opened_run: run,
      opened_at: at,
      ended_run: null,
      ended_at: null,
      resolution: null,
    }
    // Whoever asks for a number waits for the other's end; the index decides who was first.
    const inserted = await tx.db
      .insertInto('conflicts')
      .values(row)
      .onConflict((target) =>
        target.columns(['dataset', 'key']).where('state', '=', open).doUpdateSet(said),
      )
      .returning('id')
      .executeTakeFirstOrThrow()
    return inserted.id
  })
}

export async function endConflict(
  store: Store,
  dataset: string,
  run: RunNumber,
  key: Key,
  end: Parameters<Catalog['endConflict']>[3],
): Promise<void> {
  const id = await datasetId(store, dataset)
  const resolution = end.resolution && JSON.stringify(end.resolution)
  const ended = { state: end.state, ended_run: run, ended_at: end.at, resolution }
  await inTransaction(store, async (tx) => {
    const updated = await tx.db
      .updateTable('conflicts')
      .set(ended)
      .where('dataset', '=', id)
      .where('key', '=', checkKey(key))
      .where('state', '=', open)
      .returning('id')
      .executeTakeFirst()
    if (updated || end.conflict === null || end.identity === null) return
    const { conflict, identity } = end
    if (await wasRecorded(tx, id, key, run, identity)) return
    const row: ConflictsTable = {
      id: await nextNumber(tx, 'conflict'),
      dataset: id,
      key,
      identity,
      kind: conflict.kind,
      conflict: JSON.stringify(conflict),
      opened_run: run,
      opened_at: end.at,
      ...ended,
    }
    await tx.db.insertInto('conflicts').values(row).execute()
  })
}

/** A repeated call: its first commit's reply was lost. */
async function wasRecorded(
  tx: Store,
  dataset: number,
  key: Key,
  run: RunNumber,
  identity: string,
): Promise<boolean> {
  const row = await tx.db
    .selectFrom('conflicts')
    .select('id')
    .where('dataset', '=', dataset)
    .where('key', '=', key)
    .where('ended_run', '=', run)
    .where('identity', '=', identity)
    .limit(1)
    .executeTakeFirst()
  return row !== undefined
}

export async function openConflicts(
  store: Store,
  filter: { dataset?: string; range?: KeyRange; after: number; limit: number },
): Promise<ConflictRecord[]> {
  const { dataset, range, after, limit } = filter
  let query = withDataset(store)
    .where('conflicts.state', '=', open)
    .where('conflicts.id', '>', after)
    .orderBy('conflicts.id')
    .limit(limit)
  if (dataset !== undefined) query = query.where('datasets.name', '=', dataset)
  if (range !== undefined) query = query.where(within(range))
  return (await query.execute()).map(decode)
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
  if (ids?.length === 0) return []
  let query = withDataset(store).orderBy('conflicts.id', 'desc').limit(limit)
  if (ids !== undefined) query = query.where('conflicts.id', 'in', ids)
  if (dataset !== undefined) query = query.where('datasets.name', '=', dataset)
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
