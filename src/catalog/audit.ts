/**
 * The audit: what was decided, by whom or by which rule, and in which run. A chain a dataset, hash
 * by hash: a row carries the digest of the one before. A row is appended in the transaction of what
 * it tells of: both are there, or neither is.
 */
import { hash } from 'node:crypto'
import { canonicalJson } from '../config/digest.ts'
import type { RunNumber } from '../model.ts'
import type { AuditEvent, AuditRow } from './catalog.ts'
import { checkKey, datasetId, findDataset, inTransaction, overRows, type Store } from './store.ts'

/** Whose chain it is: the name is in every digest. */
export interface Chain {
  id: number
  name: string
}

/** sha256, hex, over the JSON of these nine in this order. `detail` is the stored text. */
export function auditDigest(row: Omit<AuditRow, 'digest'>): string {
  const { dataset, seq, at, run, key, what, by, detail, prev } = row
  return hash('sha256', JSON.stringify([dataset, seq, at, run, key, what, by, detail, prev]), 'hex')
}

/** The digest before the first row's. */
export const noDigest = ''

/**
 * Inside the transaction of the decision, and last: whoever appends to a chain keeps its dataset's
 * row locked to the end, as `settle` does, and asks for no other lock behind it.
 */
export async function append(tx: Store, chain: Chain, events: AuditEvent[]): Promise<void> {
  if (events.length === 0) return
  if (tx.engine === 'postgres') {
    await tx.db.selectFrom('datasets').select('id').where('id', '=', chain.id).forUpdate().execute()
  }
  const last = await auditHeadOf(tx, chain.id)
  let seq = last?.seq ?? 0
  let prev = last?.digest ?? noDigest
  const at = Math.round(tx.clock())
  const rows = events.map(({ run, key, what, by, detail }) => {
    const said = { run, key: key === null ? null : checkKey(key), what, by }
    const row = { ...said, dataset: chain.name, seq: ++seq, at, detail: detailText(detail), prev }
    prev = auditDigest(row)
    return [chain.id, seq, at, run, row.key, what, by, row.detail, row.prev, prev]
  })
  await overRows(
    tx,
    columns,
    rows,
    (added) =>
      `insert into audit (dataset, seq, at, run, key, what, "by", detail, prev, digest)
       select r.dataset, r.seq, r.at, r.run, r.key, r.what, r.who, r.detail, r.prev, r.digest
       from ${added} where true`,
  )
}

const columns = {
  ...({ dataset: 'bigint', seq: 'bigint', at: 'bigint', run: 'bigint', key: 'text' } as const),
  ...({ what: 'text', who: 'text', detail: 'text', prev: 'text', digest: 'text' } as const),
}

/** Contents go by their digests: their metadata says nothing of what was decided. */
function detailText(detail: AuditEvent['detail']): string {
  return canonicalJson(detail, (name) => name !== 'metadata')
}

/** The chain of a run; undefined: there is no such run. */
export async function chainOf(tx: Store, run: RunNumber): Promise<Chain | undefined> {
  return await tx.db
    .selectFrom('runs')
    .innerJoin('datasets', 'datasets.id', 'runs.dataset')
    .select(['datasets.id', 'datasets.name'])
    .where('runs.run', '=', run)
    .executeTakeFirst()
}

export async function record(store: Store, dataset: string, event: AuditEvent): Promise<void> {
  const chain = { id: await datasetId(store, dataset), name: dataset }
  await inTransaction(store, async (tx) => await append(tx, chain, [event]))
}

// ── reading it ──────────────────────────────────────────────────────────────────────────────────

async function auditHeadOf(store: Store, id: number) {
  return await store.db
    .selectFrom('audit')
    .select(['seq', 'at', 'digest'])
    .where('dataset', '=', id)
    .orderBy('seq', 'desc')
    .limit(1)
    .executeTakeFirst()
}

export async function auditHead(
  store: Store,
  dataset: string,
): Promise<{ seq: number; at: number; digest: string } | null> {
  const id = await findDataset(store, dataset)
  return (id === undefined ? undefined : await auditHeadOf(store, id)) ?? null
}

export async function auditRows(
  store: Store,
  filter: { dataset: string; after: number; limit: number; key?: string; since?: number },
): Promise<AuditRow[]> {
  const { dataset, after, limit, key, since } = filter
  const id = await findDataset(store, dataset)
  if (id === undefined) return []
  let query = store.db
    .selectFrom('audit')
    .selectAll()
    .where('dataset', '=', id)
    .where('seq', '>', after)
    .orderBy('seq')
    .limit(limit)
  if (key !== undefined) query = query.where('key', '=', checkKey(key))
  if (since !== undefined) query = query.where('at', '>=', since)
  return (await query.execute()).map((row) => ({ ...row, dataset }))
}
