/** Conflicts as records: one open at most of a key, until it is resolved or agrees by itself. */
import { sql } from 'kysely'
import type { Conflict, Key, KeyRange, RunNumber } from '../model.ts'
import { append } from './audit.ts'
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
  const chain = { id: await datasetId(store, dataset), name: dataset }
  const { key, kind } = conflict
  const said = { identity, kind, conflict: JSON.stringify(conflict) }
  return await inTransaction(store, async (tx) => {
    const tell = async (what: 'conflict-opened' | 'conflict-changed', id: number) => {
      const detail = { id, kind, identity, contenders: sidesOf(conflict) }
      await append(tx, chain, [{ run, key, what, by: 'tidemark', detail }])
      return id
    }
    const update = async () => {
      const known = await openOf(tx, chain.id, key)
      if (!known) return null
      await tx.db.updateTable('conflicts').set(said).where('id', '=', known.id).execute()
      return known.identity === identity ? known.id : await tell('conflict-changed', known.id)
    }
    const updated = await update()
    if (updated !== null) return updated
    // Whoever asks for a number waits for the other's end: then the other's conflict is there.
    const id = await nextNumber(tx, 'conflict')
    const ours = tx.engine === 'postgres' ? await update() : null
    if (ours !== null) return ours
    const opened = { state: 'open' as const, opened_run: run, opened_at: at }
    const row: ConflictsTable = { id, dataset: chain.id, key, ...said, ...opened, ...notEnded }
    await tx.db.insertInto('conflicts').values(row).execute()
    return await tell('conflict-opened', id)
  })
}

const notEnded = { ended_run: null, ended_at: null, resolution: null }

async function openOf(tx: Store, dataset: number, key: Key) {
  return await tx.db
    .selectFrom('conflicts')
    .select(['id', 'kind', 'identity'])
    .where('dataset', '=', dataset)
    .where('key', '=', checkKey(key))
    .where('state', '=', open)
    .$if(tx.engine === 'postgres', (query) => query.forUpdate())
    .executeTakeFirst()
}

/** For the audit: who has what, without the tokens. */
function sidesOf({ contenders }: Conflict) {
  return contenders.map(({ content, replicas, deletedAt, at }) => ({
    content,
    replicas: [...replicas.map(({ replica }) => replica), ...deletedAt],
    at,
  }))
}

export async function endConflict(
  store: Store,
  dataset: string,
  run: RunNumber,
  key: Key,
  end: Parameters<Catalog['endConflict']>[3],
): Promise<void> {
  const chain = { id: await datasetId(store, dataset), name: dataset }
  const { state, resolution, conflict } = end
  const json = resolution && JSON.stringify(resolution)
  const ended = { state, ended_run: run, ended_at: end.at, resolution: json }
  await inTransaction(store, async (tx) => {
    const tell = async (one: { id: number; kind: string; identity: string }) => {
      const what = state === 'closed' ? 'conflict-closed' : 'conflict-resolved'
      const by = resolution?.by ?? (resolution ? `rule: ${resolution.rule}` : 'tidemark')
      await append(tx, chain, [{ run, key, what, by, detail: { ...one, ...resolution } }])
    }
    const known = await openOf(tx, chain.id, key)
    if (known) {
      await tx.db.updateTable('conflicts').set(ended).where('id', '=', known.id).execute()
      return await tell(known)
    }
    if (conflict === null || end.identity === null) return
    const { identity } = end
    if (await wasRecorded(tx, chain.id, key, run, identity)) return
    const named = { id: await nextNumber(tx, 'conflict'), identity, kind: conflict.kind }
    const stored = { dataset: chain.id, key, conflict: JSON.stringify(conflict) }
    const row: ConflictsTable = {
      ...{ ...named, ...stored, ...ended },
      ...{ opened_run: run, opened_at: end.at },
    }
    await tx.db.insertInto('conflicts').values(row).execute()
    await tell(named)
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
