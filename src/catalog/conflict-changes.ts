/**
 * What becomes of conflicts in a page of a run: opened, updated, ended; and taken back by a person.
 * One is open at most of a key. What a person took back is open, too, and bears how it had ended.
 */
import type { Conflict, Key } from '../model.ts'
import { compareKeys } from '../sync/keys.ts'
import { append, type Chain } from './audit.ts'
import type { AuditEvent, Catalog, ConflictChange, ConflictEnd, Holder } from './catalog.ts'
import { holds } from './lanes.ts'
import { writeItems } from './plan.ts'
import { checkKey, datasetId, inTransaction, nextNumber, overRows, type Store } from './store.ts'

/** An open conflict, as far as changing it goes. */
interface Known {
  id: number
  key: Key
  kind: string
  identity: string
  /** A person took back how it had ended: it waits for them, whatever runs find. */
  undone: boolean
}

interface Changing {
  tx: Store
  chain: Chain
  change: ConflictChange
  /** By key, the open ones. */
  known: Map<Key, Known>
  /** In the order of what was done. */
  events: AuditEvent[]
}

export async function changeConflicts(
  store: Store,
  dataset: string,
  change: ConflictChange,
  by?: Holder,
): Promise<number[] | null> {
  const chain = { id: await datasetId(store, dataset), name: dataset }
  return await inTransaction(store, async (tx) => {
    if (by && !(await holds(tx, by.run, by.lane, by.attempt, 'lock'))) return null
    const keys = [...change.opened.map(({ conflict }) => conflict.key)]
    keys.push(...change.ended.map(({ key }) => key))
    const known = await openOf(tx, chain.id, keys)
    const changing: Changing = { tx, chain, change, known, events: [] }
    const opened = await open(changing)
    await end(changing)
    await writeItems(tx, change.items, { rev: false })
    await append(tx, chain, changing.events)
    return opened
  })
}

/** Locked in the order of their keys, so that two transactions never wait for each other. */
async function openOf(tx: Store, dataset: number, keys: Key[]): Promise<Map<Key, Known>> {
  const sorted = [...new Set(keys.map(checkKey))].sort(compareKeys)
  const lock = tx.engine === 'postgres' ? 'order by c.key for update of c' : ''
  const rows = await overRows<Omit<Known, 'undone'> & { resolution: string | null }>(
    tx,
    { dataset: 'bigint', key: 'text' },
    sorted.map((key) => [dataset, key]),
    (wanted) =>
      `select c.id, c.key, c.kind, c.identity, c.resolution from ${wanted}
       join conflicts c on c.dataset = r.dataset and c.key = r.key and c.state = 'open' ${lock}`,
  )
  return new Map(
    rows.map(({ resolution, ...row }) => [row.key, { ...row, undone: resolution !== null }]),
  )
}

// ── opening ─────────────────────────────────────────────────────────────────────────────────────

async function open(changing: Changing): Promise<number[]> {
  const { tx, chain, change, known } = changing
  const { opened, run, at } = change
  if (opened.length === 0) return []
  await putBack(
    changing,
    opened.map(({ conflict }) => conflict.key),
  )
  const isNew = ({ conflict }: (typeof opened)[number]) => !known.has(conflict.key)
  if (tx.engine === 'postgres' && opened.some(isNew)) {
    // Whoever has the counter waits for the other's end: then the other's conflicts are there.
    await tx.db
      .selectFrom('counters')
      .selectAll()
      .where('name', '=', 'conflict')
      .forUpdate()
      .execute()
    const theirs = await openOf(
      tx,
      chain.id,
      opened.filter(isNew).map(({ conflict }) => conflict.key),
    )
    for (const [key, one] of theirs) known.set(key, one)
  }
  let next = await nextNumber(tx, 'conflict', opened.filter(isNew).length)
  const added: Row[] = []
  const updated: Row[] = []
  const ids: number[] = []
  for (const { identity, conflict } of opened) {
    const { key, kind } = conflict
    const before = known.get(key)
    const id = before?.id ?? next++
    ids.push(id)
    if (before?.identity !== identity) {
      const detail = { id, kind, identity, contenders: sidesOf(conflict) }
      tell(changing, key, before ? 'conflict-changed' : 'conflict-opened', 'tidemark', detail)
    }
    const json = JSON.stringify(conflict)
    if (before) updated.push([id, identity, kind, json])
    else added.push([id, chain.id, key, identity, kind, 'open', json, run, at, null, null, null])
    known.set(key, { id, key, kind, identity, undone: false })
  }
  await insert(tx, added)
  await overRows(
    tx,
    { id: 'bigint', identity: 'text', kind: 'text', conflict: 'text' },
    updated,
    (rows) =>
      `update conflicts set identity = r.identity, kind = r.kind, conflict = r.conflict
       from ${rows} where conflicts.id = r.id`,
  )
  return ids
}

/** What was taken back ends as it had: the key's users are in conflict about something else now. */
async function putBack({ tx, known }: Changing, keys: Key[]): Promise<void> {
  const undone = keys.flatMap((key) => known.get(key) ?? []).filter((one) => one.undone)
  for (const { key } of undone) known.delete(key)
  await overRows(
    tx,
    { id: 'bigint' },
    undone.map(({ id }) => [id]),
    (rows) => `update conflicts set state = 'resolved' from ${rows} where conflicts.id = r.id`,
  )
}

// ── ending ──────────────────────────────────────────────────────────────────────────────────────

async function end(changing: Changing): Promise<void> {
  const { tx, change, known } = changing
  const others = change.ended.filter(({ key, identity, state }) => {
    const one = known.get(key)
    return one?.undone && state === 'resolved' && identity !== one.identity
  })
  await putBack(
    changing,
    others.map(({ key }) => key),
  )
  // That the replicas agree is what a person took back.
  const ended = change.ended.filter(
    ({ key, state }) => state !== 'closed' || !known.get(key)?.undone,
  )
  const updated: Row[] = []
  for (const one of ended) {
    const open = known.get(one.key)
    if (!open) continue
    updated.push([open.id, one.state, change.run, change.at, jsonOf(one)])
    tellEnd(changing, one, open)
  }
  await overRows(
    tx,
    { id: 'bigint', state: 'text', run: 'bigint', at: 'bigint', resolution: 'text' },
    updated,
    (rows) =>
      `update conflicts set state = r.state, ended_run = r.run, ended_at = r.at,
         resolution = r.resolution from ${rows} where conflicts.id = r.id`,
  )
  await recordNeverOpen(
    changing,
    ended.filter(({ key }) => !known.has(key)),
  )
  for (const { key } of ended) known.delete(key)
}

/** Once a run: a repeated call's first commit may have been made, and only its reply lost. */
async function recordNeverOpen(changing: Changing, ends: ConflictEnd[]): Promise<void> {
  const { tx, chain, change } = changing
  const { run, at } = change
  const named = ends.flatMap((one) => {
    const { conflict, identity } = one
    return conflict && identity !== null ? [{ one, conflict, identity }] : []
  })
  const there = await overRows<{ key: Key; identity: string }>(
    tx,
    { dataset: 'bigint', key: 'text', run: 'bigint', identity: 'text' },
    named.map(({ one, identity }) => [chain.id, checkKey(one.key), run, identity]),
    (wanted) =>
      `select c.key, c.identity from ${wanted} join conflicts c
       on c.dataset = r.dataset and c.key = r.key and c.ended_run = r.run
         and c.identity = r.identity`,
  )
  const recorded = new Set(there.map(({ key }) => key))
  const fresh = named.filter(({ one }) => !recorded.has(one.key))
  let next = await nextNumber(tx, 'conflict', fresh.length)
  const rows = fresh.map(({ one, conflict, identity }): Row => {
    const id = next++
    const { kind } = conflict
    tellEnd(changing, one, { id, kind, identity })
    const json = JSON.stringify(conflict)
    const opened = [id, chain.id, one.key, identity, kind, one.state, json, run, at]
    return [...opened, run, at, jsonOf(one)]
  })
  await insert(tx, rows)
}

const jsonOf = ({ resolution }: ConflictEnd) => resolution && JSON.stringify(resolution)

function tellEnd(
  changing: Changing,
  { key, state, resolution }: ConflictEnd,
  { id, kind, identity }: Pick<Known, 'id' | 'kind' | 'identity'>,
): void {
  const what = state === 'closed' ? 'conflict-closed' : 'conflict-resolved'
  const by = resolution?.by ?? (resolution ? `rule: ${resolution.rule}` : 'tidemark')
  tell(changing, key, what, by, { id, kind, identity, ...resolution })
}

// ── taking back ─────────────────────────────────────────────────────────────────────────────────

export async function reopenConflict(
  store: Store,
  id: number,
  by: string,
): ReturnType<Catalog['reopenConflict']> {
  return await inTransaction(store, async (tx) => {
    const row = await tx.db
      .selectFrom('conflicts')
      .innerJoin('datasets', 'datasets.id', 'conflicts.dataset')
      .select(['conflicts.dataset', 'datasets.name', 'conflicts.key', 'conflicts.kind'])
      .select(['conflicts.identity', 'conflicts.state'])
      .where('conflicts.id', '=', id)
      .$if(tx.engine === 'postgres', (query) => query.forUpdate('conflicts'))
      .executeTakeFirst()
    if (row?.state !== 'resolved') return 'not-resolved'
    const { key, kind, identity } = row
    if ((await openOf(tx, row.dataset, [key])).size > 0) return 'another-open'
    await tx.db.updateTable('conflicts').set({ state: 'open' }).where('id', '=', id).execute()
    const detail = { id, kind, identity }
    const chain = { id: row.dataset, name: row.name }
    await append(tx, chain, [{ run: null, key, what: 'conflict-reopened', by, detail }])
    return 'open'
  })
}

// ── rows ────────────────────────────────────────────────────────────────────────────────────────

type Row = (string | number | null)[]

const columns = {
  ...({ id: 'bigint', dataset: 'bigint', key: 'text', identity: 'text', kind: 'text' } as const),
  ...({ state: 'text', conflict: 'text', opened_run: 'bigint', opened_at: 'bigint' } as const),
  ...({ ended_run: 'bigint', ended_at: 'bigint', resolution: 'text' } as const),
}

async function insert(tx: Store, rows: Row[]): Promise<void> {
  const names = Object.keys(columns).join(', ')
  await overRows(
    tx,
    columns,
    rows,
    (added) => `insert into conflicts (${names}) select ${names} from ${added} where true`,
  )
}

function tell(
  { change, events }: Changing,
  key: Key,
  what: AuditEvent['what'],
  by: string,
  detail: AuditEvent['detail'],
): void {
  events.push({ run: change.run, key, what, by, detail })
}

/** For the audit: who has what, without the tokens. */
function sidesOf({ contenders }: Conflict) {
  return contenders.map(({ content, replicas, deletedAt, at }) => ({
    content,
    replicas: [...replicas.map(({ replica }) => replica), ...deletedAt],
    at,
  }))
}
