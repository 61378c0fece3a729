/** The history as it is asked: of a key, of a dataset, of a run, and what was at some time. */
import { type SqlBool, sql } from 'kysely'
import type { Content, Key, KeyRange, RunNumber } from '../model.ts'
import { within } from './baseline.ts'
import type { HistoryLine, HistoryPoint, KeyAtPoint } from './catalog.ts'
import type { VersionsTable } from './schema.ts'
import { checkKey, findDataset, overRows, type Store } from './store.ts'

type Row = Omit<VersionsTable, 'dataset'>

function decode(row: Row): HistoryLine {
  const content = row.content === null ? null : (JSON.parse(row.content) as Content)
  return {
    key: row.key,
    version: { run: row.run, content, origin: row.origin, at: row.at },
    parents: JSON.parse(row.parents) as RunNumber[],
    reason: row.reason,
    agreedAt: row.agreed_at,
  }
}

const linesIn = (store: Store, dataset: number) =>
  store.db.selectFrom('versions').selectAll().where('dataset', '=', dataset)

export async function linesOfKey(
  store: Store,
  dataset: string,
  key: Key,
  { before, limit }: { before?: RunNumber; limit: number },
): Promise<HistoryLine[]> {
  const id = await findDataset(store, dataset)
  if (id === undefined) return []
  const rows = await linesIn(store, id)
    .where('key', '=', checkKey(key))
    .$if(before !== undefined, (query) => query.where('run', '<', before as RunNumber))
    .orderBy('run', 'desc')
    .limit(limit)
    .execute()
  return rows.map(decode)
}

/** Run by run: within one, the index has them by key, and a sort would go through all of it. */
export async function linesOfDataset(
  store: Store,
  dataset: string,
  { behind, limit }: { behind?: { run: RunNumber; key: Key | null }; limit: number },
): Promise<HistoryLine[]> {
  const id = await findDataset(store, dataset)
  if (id === undefined) return []
  const lines: HistoryLine[] = []
  let run = behind?.key == null ? await newestRun(store, id, behind?.run ?? null) : behind.run
  let after = behind?.key ?? null
  while (run !== null) {
    const rows = await linesIn(store, id)
      .where('run', '=', run)
      .where(within({ from: null, to: null }, after))
      .orderBy('key')
      .limit(limit - lines.length)
      .execute()
    lines.push(...rows.map(decode))
    if (lines.length >= limit) break
    run = await newestRun(store, id, run)
    after = null
  }
  return lines
}

async function newestRun(
  { db }: Store,
  dataset: number,
  before: RunNumber | null,
): Promise<RunNumber | null> {
  const row = await db
    .selectFrom('versions')
    .select('run')
    .where('dataset', '=', dataset)
    .$if(before !== null, (query) => query.where('run', '<', before as RunNumber))
    .orderBy('run', 'desc')
    .limit(1)
    .executeTakeFirst()
  return row?.run ?? null
}

export async function firstRun(store: Store, dataset: string): Promise<RunNumber | null> {
  const id = await findDataset(store, dataset)
  if (id === undefined) return null
  const row = await store.db
    .selectFrom('versions')
    .select('run')
    .where('dataset', '=', id)
    .orderBy('run')
    .limit(1)
    .executeTakeFirst()
  return row?.run ?? null
}

export async function linesOfRun(
  store: Store,
  dataset: string,
  run: RunNumber,
  { range, after, limit }: { range: KeyRange; after: Key | null; limit: number },
): Promise<(HistoryLine & { newest: RunNumber })[]> {
  const id = await findDataset(store, dataset)
  if (id === undefined) return []
  const rows = await linesIn(store, id)
    .select(
      sql<number>`(select max(later.run) from versions later
        where later.dataset = versions.dataset and later.key = versions.key)`.as('newest'),
    )
    .where('run', '=', run)
    .where(within(range, after))
    .orderBy('key')
    .limit(limit)
    .execute()
  return rows.map((row) => ({ ...decode(row), newest: row.newest }))
}

export async function getLines(
  store: Store,
  dataset: string,
  lines: { key: Key; run: RunNumber }[],
): Promise<HistoryLine[]> {
  const id = await findDataset(store, dataset)
  if (id === undefined) return []
  const rows = await overRows<Row>(
    store,
    { dataset: 'bigint', key: 'text', run: 'bigint' },
    lines.map(({ key, run }) => [id, checkKey(key), run]),
    (wanted) =>
      `select v.key, v.run, v.at, v.origin, v.reason, v.content, v.parents, v.agreed_at
       from ${wanted}
       join versions v on v.dataset = r.dataset and v.key = r.key and v.run = r.run`,
  )
  return rows.map(decode)
}

export async function changedSince(
  store: Store,
  dataset: string,
  point: HistoryPoint,
  { range, after, limit }: { range: KeyRange; after: Key | null; limit: number },
): Promise<{ keys: KeyAtPoint[]; after: Key | null }> {
  const id = await findDataset(store, dataset)
  if (id === undefined) return { keys: [], after: null }
  const next = await store.db
    .selectFrom('versions')
    .select('key')
    .where('dataset', '=', id)
    .where(within(range, after))
    .orderBy('key')
    .limit(1)
    .offset(limit)
    .executeTakeFirst()
  const upTo = next === undefined ? sql<SqlBool>`1 = 1` : sql<SqlBool>`key <= ${next.key}`
  const keys = await store.db
    .selectFrom('versions')
    .select('key')
    .select(sql<number | null>`max(case when ${isBefore(point)} then run end)`.as('then'))
    .select((eb) => [eb.fn.min<number>('run').as('oldest'), eb.fn.max<number>('run').as('newest')])
    .where('dataset', '=', id)
    .where(within(range, after))
    .where(upTo)
    .groupBy('key')
    .having(sql<SqlBool>`coalesce(max(case when ${isBefore(point)} then run end), 0) <> max(run)`)
    .orderBy('key')
    .execute()
  return { keys, after: next?.key ?? null }
}

function isBefore(point: HistoryPoint) {
  if ('at' in point) return sql`agreed_at <= ${point.at}`
  const { run, carriedOutLater, beganAt } = point
  if (carriedOutLater.length === 0) return sql`run < ${run}`
  const later = sql.join(carriedOutLater)
  return sql`(run < ${run} and (run not in (${later}) or agreed_at < ${beganAt}))`
}
