/** The baseline as it is read. It is written by `settle.ts` alone, but for holds
 *  that are dropped. */
import { type RawBuilder, type SelectQueryBuilder, type SqlBool, sql } from 'kysely'
import type { BaselineRow, Key, KeyRange } from '../model.ts'
import { append } from './audit.ts'
import { decodeBody, encodeBody } from './baseline-body.ts'
import type { Catalog } from './catalog.ts'
import type { Tables } from './schema.ts'
import { checkKey, findDataset, inTransaction, overRows, type Store } from './store.ts'

const pageRows = 1_000

export async function readBaseline(
  store: Store,
  dataset: string,
  range: KeyRange,
  after: Key | null,
  limit: number,
): Promise<BaselineRow[]> {
  const id = await findDataset(store, dataset)
  if (id === undefined) return []
  const rows = await store.db
    .selectFrom('baseline')
    .select(['key', 'rev', 'body'])
    .where('dataset', '=', id)
    .where(within(range, after))
    .orderBy('key')
    .limit(limit)
    .execute()
  return rows.map(({ key, rev, body }) => decodeBody(key, rev, body))
}

/**
 * from ≤ key < to, and behind `after`. A bound may have a NUL (the one right behind a key is the
 * key and a NUL), which no stored key has and PostgreSQL can't be given. Then its part before the
 * NUL says the same: at or behind `k\0…` is behind `k`, before `k\0…` is up to `k`.
 */
export function within(range: KeyRange, after: Key | null = null): RawBuilder<SqlBool> {
  const key = sql.ref('key')
  const conditions = [sql`1 = 1`]
  if (range.from !== null) {
    const [bound, cut] = bare(range.from)
    conditions.push(cut ? sql`${key} > ${bound}` : sql`${key} >= ${bound}`)
  }
  if (after !== null) conditions.push(sql`${key} > ${bare(after)[0]}`)
  if (range.to !== null) {
    const [bound, cut] = bare(range.to)
    conditions.push(cut ? sql`${key} <= ${bound}` : sql`${key} < ${bound}`)
  }
  return sql<SqlBool>`${sql.join(conditions, sql` and `)}`
}

function bare(bound: Key): [bound: Key, cut: boolean] {
  const nul = bound.indexOf('\0')
  return nul < 0 ? [checkKey(bound), false] : [checkKey(bound.slice(0, nul)), true]
}

export async function getBaseline(
  store: Store,
  dataset: string,
  keys: Key[],
): Promise<Map<Key, BaselineRow>> {
  const id = await findDataset(store, dataset)
  if (id === undefined) return new Map()
  const rows = await overRows<{ key: string; rev: number; body: string }>(
    store,
    { dataset: 'bigint', key: 'text' },
    keys.map((key) => [id, checkKey(key)]),
    (wanted) =>
      `select b.key, b.rev, b.body from ${wanted}
       join baseline b on b.dataset = r.dataset and b.key = r.key`,
  )
  return new Map(rows.map(({ key, rev, body }) => [key, decodeBody(key, rev, body)]))
}

export async function baselineBounds(store: Store, dataset: string, every: number): Promise<Key[]> {
  const id = await findDataset(store, dataset)
  if (id === undefined) return []
  return await boundsOf(
    store.db.selectFrom('baseline').select('key').where('dataset', '=', id),
    every,
  )
}

/** Of the keys that this selects. One seek a bound: each reads `every` index entries, so the thread
 *  is never kept for long. */
export async function boundsOf(
  keys: SelectQueryBuilder<Tables, 'baseline' | 'request_keys', { key: Key }>,
  every: number,
): Promise<Key[]> {
  const bounds: Key[] = []
  for (;;) {
    const last = bounds[bounds.length - 1]
    const row = await keys
      .$if(last !== undefined, (query) => query.where('key', '>=', last as Key))
      .orderBy('key')
      .limit(1)
      .offset(every)
      .executeTakeFirst()
    if (!row) return bounds
    bounds.push(row.key)
  }
}

export async function countLive(store: Store, dataset: string): Promise<number> {
  const row = await store.db
    .selectFrom('datasets')
    .select('live')
    .where('name', '=', dataset)
    .executeTakeFirst()
  return row?.live ?? 0
}

// ── replicas of a dataset ───────────────────────────────────────────────────────────────────────

/** Page by page. The replica's name goes last, so that a call that was cut off is repeated. */
export async function dropHolds(
  store: Store,
  dataset: string,
  replica: string,
  { run, by }: Parameters<Catalog['dropHolds']>[2],
): Promise<number> {
  const id = await findDataset(store, dataset)
  if (id === undefined) return 0
  let changed = 0
  for (let after: Key | null = null; ; ) {
    const page: BaselineRow[] = await readBaseline(
      store,
      dataset,
      { from: null, to: null },
      after,
      pageRows,
    )
    changed += await dropFrom(store, dataset, id, page, replica)
    after = page.at(-1)?.key ?? null
    if (page.length < pageRows) break
  }
  await inTransaction(store, async (tx) => {
    const known = await tx.db
      .deleteFrom('dataset_replicas')
      .where('dataset', '=', id)
      .where('replica', '=', replica)
      .returning('replica')
      .executeTakeFirst()
    if (!known && changed === 0) return
    const forgotten = { run, key: null, what: 'replica-forgotten' as const, by }
    await append(tx, { id, name: dataset }, [{ ...forgotten, detail: { replica, keys: changed } }])
  })
  return changed
}

/** A row that is settled meanwhile isn't overwritten (its rev moved): it is read again. */
async function dropFrom(
  store: Store,
  dataset: string,
  id: number,
  page: BaselineRow[],
  replica: string,
): Promise<number> {
  let left = page.filter((row) => Object.hasOwn(row.holds, replica))
  let changed = 0
  while (left.length > 0) {
    const written = await writeWithout(store, id, left, replica)
    changed += written.size
    const moved = left.filter(({ key }) => !written.has(key)).map(({ key }) => key)
    if (moved.length === 0) break
    const again = await getBaseline(store, dataset, moved)
    left = [...again.values()].filter((row) => Object.hasOwn(row.holds, replica))
  }
  return changed
}

async function writeWithout(
  store: Store,
  id: number,
  rows: BaselineRow[],
  replica: string,
): Promise<Set<Key>> {
  const bodies = rows.map(({ key, rev, head, holds }) => {
    const { [replica]: _dropped, ...kept } = holds
    return [id, key, rev, encodeBody({ head, holds: kept })]
  })
  const written = await inTransaction(store, (tx) =>
    overRows<{ key: string }>(
      tx,
      { dataset: 'bigint', key: 'text', rev: 'bigint', body: 'text' },
      bodies,
      (without) =>
        `update baseline set body = r.body, rev = baseline.rev + 1 from ${without}
         where baseline.dataset = r.dataset and baseline.key = r.key and baseline.rev = r.rev
         returning baseline.key as key`,
    ),
  )
  return new Set(written.map(({ key }) => key))
}
