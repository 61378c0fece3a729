/** Commit: the baseline moves with the outcome, in one transaction, under each row's rev (I8). */
import { sql } from 'kysely'
import type { Content, Key, RunNumber } from '../model.ts'
import { compareKeys } from '../sync/keys.ts'
import { append } from './audit.ts'
import { type ChangedLine, endedRuns, type Line, linesChanged } from './audit-lines.ts'
import { encodeBody } from './baseline-body.ts'
import type { Holder, ItemRecord, Settlement } from './catalog.ts'
import { holds } from './lanes.ts'
import { writeItems } from './plan.ts'
import { checkKey, datasetId, inTransaction, overRows, type Store } from './store.ts'

/** A row as far as settling it goes. rev 0: there is none. */
interface RowState {
  rev: number
  live: number
  /** What is to be written; undefined: nothing; null: the key is forgotten. */
  body?: string | null
}

const noRow: RowState = { rev: 0, live: 0 }
/** Somebody else made it between our look and our insert: it has a rev that nobody expects. */
const unknownRow: RowState = { rev: -1, live: 0 }

export async function settle(
  store: Store,
  dataset: string,
  settlements: Settlement[],
  by?: Holder,
): Promise<boolean[] | null> {
  if (settlements.length === 0) return []
  const id = await datasetId(store, dataset)
  const keys = new Set<Key>()
  for (const { record, row } of settlements) if (row !== undefined) keys.add(checkKey(record.key))
  // Always in the same order, so that two transactions never wait for each other.
  const sorted = [...keys].sort(compareKeys)
  return await inTransaction(store, async (tx) => {
    if (by && !(await holds(tx, by.run, by.lane, by.attempt, 'lock'))) return null
    const runs = settlements.map(({ record, learned }) => [record.run, learned?.run ?? record.run])
    const ended = await endedRuns(tx, runs.flat())
    // The audit has the lines of a run that has ended: none is added behind it.
    const late = settlements.some(({ record }) => ended.has(record.run))
    if (late) return settlements.map(() => false)
    const before = await lockRows(tx, id, sorted)
    let plan = replay(before, settlements)
    const refused = await insertRows(tx, id, sorted, before, plan.after)
    if (refused.length > 0) {
      for (const key of refused) before.set(key, unknownRow)
      plan = replay(before, settlements)
    }
    await updateRows(tx, id, sorted, before, plan.after)
    await deleteRows(tx, id, sorted, before, plan.after)
    const accepted = settlements.filter((_, i) => plan.accepted[i])
    await addVersions(tx, id, accepted)
    const completed = await completeVersions(tx, id, accepted, ended)
    await writeItems(tx, plan.records, { rev: true })
    await countLiveRows(tx, id, before, plan.after)
    const { run } = (settlements[0] as Settlement).record
    await append(tx, { id, name: dataset }, linesChanged('history-completed', run, completed))
    return plan.accepted
  })
}

/** What becomes of each settlement, one after the other, starting from these rows. Pure. */
function replay(before: Map<Key, RowState>, settlements: Settlement[]) {
  const after = new Map<Key, RowState>()
  const records: ItemRecord[] = []
  const accepted = settlements.map(({ record, row, expectRev }) => {
    if (row === undefined) {
      records.push(record)
      return true
    }
    const { key } = record
    const present = after.get(key) ?? before.get(key) ?? noRow
    if (present.rev !== expectRev) return false
    const next =
      row === null
        ? { rev: 0, live: 0, body: null }
        : { rev: expectRev + 1, live: row.head.content === null ? 0 : 1, body: encodeBody(row) }
    after.set(key, next)
    records.push({ ...record, rev: next.rev })
    return true
  })
  return { after, records, accepted }
}

// ── the rows ────────────────────────────────────────────────────────────────────────────────────

const rowColumns = {
  dataset: 'bigint',
  key: 'text',
  rev: 'bigint',
  live: 'bigint',
  body: 'text',
} as const

async function lockRows(tx: Store, id: number, keys: Key[]): Promise<Map<Key, RowState>> {
  // On SQLite the transaction has the whole file locked already.
  const lock = tx.engine === 'postgres' ? 'order by b.key for update of b' : ''
  const rows = await overRows<{ key: string; rev: number; live: number }>(
    tx,
    { dataset: 'bigint', key: 'text' },
    keys.map((key) => [id, key]),
    (wanted) =>
      `select b.key, b.rev, b.live from ${wanted}
       join baseline b on b.dataset = r.dataset and b.key = r.key ${lock}`,
  )
  return new Map(rows.map(({ key, rev, live }) => [key, { rev, live }]))
}

/** Gives the keys that somebody else has inserted meanwhile. */
async function insertRows(
  tx: Store,
  id: number,
  keys: Key[],
  before: Map<Key, RowState>,
  after: Map<Key, RowState>,
): Promise<Key[]> {
  const rows = keys.flatMap((key) => {
    const row = before.has(key) ? undefined : after.get(key)
    return row?.body ? [[id, key, row.rev, row.live, row.body]] : []
  })
  const inserted = await overRows<{ key: string }>(
    tx,
    rowColumns,
    rows,
    (made) =>
      `insert into baseline (dataset, key, rev, live, body)
       select r.dataset, r.key, r.rev, r.live, r.body from ${made} where true
       on conflict do nothing returning key`,
  )
  if (inserted.length === rows.length) return []
  const mine = new Set(inserted.map(({ key }) => key))
  return rows.map(([, key]) => key as Key).filter((key) => !mine.has(key))
}

async function updateRows(
  tx: Store,
  id: number,
  keys: Key[],
  before: Map<Key, RowState>,
  after: Map<Key, RowState>,
): Promise<void> {
  const rows = keys.flatMap((key) => {
    const row = before.has(key) ? after.get(key) : undefined
    return row?.body ? [[id, key, row.rev, row.live, row.body]] : []
  })
  await overRows(
    tx,
    rowColumns,
    rows,
    (changed) =>
      `update baseline set rev = r.rev, live = r.live, body = r.body from ${changed}
       where baseline.dataset = r.dataset and baseline.key = r.key`,
  )
}

async function deleteRows(
  tx: Store,
  id: number,
  keys: Key[],
  before: Map<Key, RowState>,
  after: Map<Key, RowState>,
): Promise<void> {
  const gone = keys.filter((key) => before.has(key) && after.get(key)?.body === null)
  await overRows(
    tx,
    { dataset: 'bigint', key: 'text' },
    gone.map((key) => [id, key]),
    (forgotten) =>
      `delete from baseline
       where (dataset, key) in (select r.dataset, r.key from ${forgotten})`,
  )
}

// ── beside them ─────────────────────────────────────────────────────────────────────────────────

/** What was made again after its tombstone was forgotten has that for its parent. */
const parents = `case when r.parents <> '[]' then r.parents else coalesce(
  (select '[' || max(older.run) || ']' from versions older
   where older.dataset = r.dataset and older.key = r.key and older.run < r.run), '[]') end`

async function addVersions(tx: Store, id: number, settlements: Settlement[]): Promise<void> {
  const rows = settlements.flatMap(({ version: line }) => {
    if (line === null) return []
    const { run, at, origin, content } = line.version
    const json = content === null ? null : JSON.stringify(bareContent(content))
    const parents = JSON.stringify(line.parents)
    return [[id, checkKey(line.key), run, at, origin, line.reason, json, parents, line.agreedAt]]
  })
  const columns = {
    ...({ dataset: 'bigint', key: 'text', run: 'bigint', at: 'double precision' } as const),
    ...({ origin: 'text', reason: 'text', content: 'text', parents: 'text' } as const),
    agreed_at: 'bigint' as const,
  }
  await overRows(
    tx,
    columns,
    rows,
    (lines) =>
      `insert into versions (dataset, key, run, at, origin, reason, content, parents, agreed_at)
       select r.dataset, r.key, r.run, r.at, r.origin, r.reason, r.content, ${parents}, r.agreed_at
       from ${lines} where true on conflict do nothing`,
  )
}

/** Digests of what passed through after the version was first agreed. Gives the lines of ended runs
 *  that say more now. */
async function completeVersions(
  tx: Store,
  id: number,
  settlements: Settlement[],
  ended: Set<RunNumber>,
): Promise<ChangedLine[]> {
  const last = new Map<Key, [number, Key, RunNumber, string]>()
  for (const { record, learned } of settlements) {
    if (!learned?.content) continue
    const content = JSON.stringify(bareContent(learned.content))
    last.set(record.key, [id, record.key, learned.run, content])
  }
  const rows = [...last.values()]
  const columns = { dataset: 'bigint', key: 'text', run: 'bigint', content: 'text' } as const
  const before = await overRows<Line & { next: string }>(
    tx,
    columns,
    rows.filter(([, , run]) => ended.has(run)),
    (lines) =>
      `select v.key, v.run, v.at, v.origin, v.reason, v.content, v.parents, v.agreed_at,
         r.content as next
       from ${lines}
       join versions v on v.dataset = r.dataset and v.key = r.key and v.run = r.run`,
  )
  await overRows(
    tx,
    columns,
    rows,
    (lines) =>
      `update versions set content = r.content from ${lines}
       where versions.dataset = r.dataset and versions.key = r.key and versions.run = r.run`,
  )
  return before.map((line) => ({ before: line, after: { ...line, content: line.next } }))
}

/** An entry is a content too; its token and key are no part of history. */
function bareContent({ size, digests, metadata }: Content): Content {
  return metadata === undefined ? { size, digests } : { size, digests, metadata }
}

/** Last: all settlements of the dataset meet at this row. */
async function countLiveRows(
  tx: Store,
  id: number,
  before: Map<Key, RowState>,
  after: Map<Key, RowState>,
): Promise<void> {
  let more = 0
  for (const [key, row] of after) more += row.live - (before.get(key)?.live ?? 0)
  if (more === 0) return
  await tx.db
    .updateTable('datasets')
    .set({ live: sql`live + ${more}` })
    .where('id', '=', id)
    .execute()
}
