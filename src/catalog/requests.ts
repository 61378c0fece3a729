/** What a person asked for, and the keys that it selects: the runs that carry it out read them. */
import type { Directive, Key, KeyRange, Request } from '../model.ts'
import { append } from './audit.ts'
import { boundsOf, within } from './baseline.ts'
import type { RequestRecord } from './catalog.ts'
import type { RequestsTable } from './schema.ts'
import { checkKey, datasetId, inTransaction, nextNumber, overRows, type Store } from './store.ts'

export async function createRequest(
  store: Store,
  dataset: string,
  request: Request,
  by: string,
  at: number,
): Promise<number> {
  const of = await datasetId(store, dataset)
  return await inTransaction(store, async (tx) => {
    const id = await nextNumber(tx, 'request')
    const body = JSON.stringify(request)
    const made = { kind: request.kind, made_by: by, made_at: at }
    const row: RequestsTable = { id, dataset: of, ...made, body, selected: 0 }
    await tx.db.insertInto('requests').values(row).execute()
    const asked = { run: null, key: null, what: 'request-made' as const, by }
    await append(tx, { id: of, name: dataset }, [{ ...asked, detail: { id, request } }])
    return id
  })
}

export async function getRequest(store: Store, id: number): Promise<RequestRecord | null> {
  const row = await store.db
    .selectFrom('requests')
    .innerJoin('datasets', 'datasets.id', 'requests.dataset')
    .selectAll('requests')
    .select('datasets.name as dataset_name')
    .where('requests.id', '=', id)
    .executeTakeFirst()
  if (!row) return null
  return {
    id,
    dataset: row.dataset_name,
    kind: row.kind,
    request: JSON.parse(row.body) as Request,
    by: row.made_by,
    at: row.made_at,
    selected: row.selected === 1,
  }
}

export async function addRequestKeys(
  store: Store,
  id: number,
  keys: { key: Key; directive: Directive }[],
): Promise<void> {
  const rows = keys.map(({ key, directive }) => [id, checkKey(key), JSON.stringify(directive)])
  const columns = { request: 'bigint', key: 'text', directive: 'text' } as const
  await inTransaction(store, async (tx) => {
    await overRows(
      tx,
      columns,
      rows,
      (added) =>
        `insert into request_keys (request, key, directive)
         select r.request, r.key, r.directive from ${added} where true on conflict do nothing`,
    )
  })
}

export async function endSelection(store: Store, id: number): Promise<void> {
  await store.db.updateTable('requests').set({ selected: 1 }).where('id', '=', id).execute()
}

export async function requestKeys(
  store: Store,
  filter: { id: number; range: KeyRange; after: Key | null; limit: number },
): Promise<{ key: Key; directive: Directive }[]> {
  const { id, range, after, limit } = filter
  const rows = await store.db
    .selectFrom('request_keys')
    .select(['key', 'directive'])
    .where('request', '=', id)
    .where(within(range, after))
    .orderBy('key')
    .limit(limit)
    .execute()
  return rows.map(({ key, directive }) => ({ key, directive: JSON.parse(directive) as Directive }))
}

export async function requestBounds(store: Store, id: number, every: number): Promise<Key[]> {
  return await boundsOf(
    store.db.selectFrom('request_keys').select('key').where('request', '=', id),
    every,
  )
}
