/** Plan items: written by the page, read by state, in the order of their keys. */
import { type RawBuilder, sql } from 'kysely'
import type { Conflict, Key, Outcome, PlanItem, RunNumber } from '../model.ts'
import type { Holder, ItemRecord, ItemState } from './catalog.ts'
import { holds } from './lanes.ts'
import type { ItemsTable } from './schema.ts'
import { checkKey, inTransaction, overRows, type Store } from './store.ts'

/** An item's seq: range × this + place in the range. */
export const placesPerRange = 2 ** 32
/** Rows that one statement goes through where a whole run is looked at: on SQLite it keeps the
 *  thread, for up to 30 µs a row where it writes them. */
const stepRows = 1_000

// ── write ───────────────────────────────────────────────────────────────────────────────────────

const columns = {
  ...({ run: 'bigint', seq: 'bigint', range_number: 'bigint', key: 'text' } as const),
  ...({ state: 'text', tries: 'bigint', rev: 'bigint', content_key: 'text' } as const),
  ...({ creates: 'bigint', item: 'text', conflict: 'text', outcomes: 'text' } as const),
}
const names = Object.keys(columns)
const selected = names.map((name) => `r.${name}`).join(', ')
const kept = ['run', 'seq', 'range_number', 'key', 'rev']
const changed = names.filter((name) => !kept.includes(name))

/** Inserts, or replaces what may change of them; their rev only where `rev` says so. */
export async function writeItems(
  tx: Store,
  records: ItemRecord[],
  write: { rev: boolean },
): Promise<void> {
  // The last word about each: a statement may not touch a row twice.
  const last = new Map(records.map((record) => [`${record.run}/${record.seq}`, record]))
  const written = write.rev ? [...changed, 'rev'] : changed
  const set = written.map((name) => `${name} = excluded.${name}`).join(', ')
  await overRows(
    tx,
    columns,
    [...last.values()].map(encode),
    (items) =>
      `insert into plan_items (${names.join(', ')}) select ${selected} from ${items} where true
       on conflict (run, seq) do update set ${set}`,
  )
}

function encode(record: ItemRecord): (string | number | null)[] {
  const { item, conflict } = record
  return [
    record.run,
    record.seq,
    record.rangeNumber,
    checkKey(record.key),
    record.state,
    record.tries,
    record.rev,
    record.contentKey,
    item?.reason === 'new' && item.head.content !== null ? 1 : 0,
    item === null ? null : JSON.stringify(item),
    conflict === null ? null : JSON.stringify(conflict),
    JSON.stringify(record.outcomes),
  ]
}

export async function updateItems(
  store: Store,
  records: ItemRecord[],
  by?: Holder,
): Promise<boolean> {
  if (records.length === 0) return true
  return await inTransaction(store, async (tx) => {
    if (by && !(await holds(tx, by.run, by.lane, by.attempt, 'lock'))) return false
    await writeItems(tx, records, { rev: false })
    return true
  })
}

// ── read ────────────────────────────────────────────────────────────────────────────────────────

export async function readItems(
  store: Store,
  filter: {
    run: RunNumber
    rangeNumber?: number
    states: ItemState[]
    after: number
    limit: number
  },
): Promise<ItemRecord[]> {
  const { run, rangeNumber, states, limit } = filter
  if (states.length === 0) return []
  const start = (rangeNumber ?? 0) * placesPerRange
  const after = Math.max(filter.after, start - 1)
  // An item that was copied lies in range 0 with the seq that it had.
  const end = sql`case when (select base from runs where run = ${run}) is null
    then cast(${start + placesPerRange} as bigint)
    else cast(${Number.MAX_SAFE_INTEGER} as bigint) end`
  // State by state, since the index has them so: `state in (…) order by seq` would sort the whole
  // run for each page.
  const before = rangeNumber === undefined ? sql`1 = 1` : sql`seq < ${end}`
  const bounds = sql`seq > ${after} and ${before}`
  const of = (columns: RawBuilder<unknown>, state: ItemState) => sql<ItemsTable>`
    select ${columns} from plan_items
    where run = ${run} and state = ${state} and ${bounds} order by seq limit ${limit}`
  const [only, ...more] = states as [ItemState, ...ItemState[]]
  if (more.length === 0) return (await of(sql`*`, only).execute(store.db)).rows.map(decode)
  const each = states.map((state) => sql`select seq from (${of(sql`seq`, state)}) as one`)
  const { rows } = await sql<ItemsTable>`select * from plan_items
    where run = ${run} and seq in
      (select seq from (${sql.join(each, sql` union all `)}) as found order by seq limit ${limit})
    order by seq`.execute(store.db)
  return rows.map(decode)
}

function decode(row: ItemsTable): ItemRecord {
  return {
    run: row.run,
    seq: row.seq,
    rangeNumber: row.range_number,
    key: row.key,
    state: row.state,
    item: row.item === null ? null : (JSON.parse(row.item) as PlanItem),
    conflict: row.conflict === null ? null : (JSON.parse(row.conflict) as Conflict),
    outcomes: JSON.parse(row.outcomes) as Record<string, Outcome>,
    tries: row.tries,
    rev: row.rev,
    contentKey: row.content_key,
  }
}

export async function countItems(
  store: Store,
  run: RunNumber,
): Promise<Partial<Record<ItemState, number>>> {
  const rows = await store.db
    .selectFrom('plan_items')
    .select(['state', (eb) => eb.fn.countAll<number>().as('items')])
    .where('run', '=', run)
    .groupBy('state')
    .execute()
  return Object.fromEntries(rows.map(({ state, items }) => [state, items]))
}

// ── a whole run, step by step ───────────────────────────────────────────────────────────────────

/** Calls `step` with bounds `after` < seq ≤ `upTo` that together have all the run's items. */
async function eachStep(
  store: Store,
  run: RunNumber,
  step: (after: number, upTo: number) => Promise<'go on' | 'enough'>,
): Promise<void> {
  for (let after = -1; ; ) {
    const next = await store.db
      .selectFrom('plan_items')
      .select('seq')
      .where('run', '=', run)
      .where('seq', '>', after)
      .orderBy('seq')
      .limit(1)
      .offset(stepRows - 1)
      .executeTakeFirst()
    const upTo = next?.seq ?? Number.MAX_SAFE_INTEGER
    if ((await step(after, upTo)) === 'enough' || !next) return
    after = upTo
  }
}

export async function copyItems(
  store: Store,
  base: RunNumber,
  run: RunNumber,
  states: ItemState[],
  as: ItemState,
): Promise<number> {
  let copied = 0
  if (states.length === 0) return copied
  await eachStep(store, base, async (after, upTo) => {
    copied += await inTransaction(store, (tx) =>
      copyStep(tx, { base, run, states, as, after, upTo }),
    )
    return 'go on'
  })
  return copied
}

interface CopyStep {
  base: RunNumber
  run: RunNumber
  states: ItemState[]
  as: ItemState
  after: number
  upTo: number
}

/** With the seq that they had: a repeated call finds what it copied, and the order stays. */
async function copyStep(tx: Store, step: CopyStep): Promise<number> {
  const { base, run, states, as, after, upTo } = step
  const inserted = await tx.db
    .insertInto('plan_items')
    .columns([
      ...(['run', 'seq', 'range_number', 'key', 'state', 'tries', 'rev'] as const),
      ...(['content_key', 'creates', 'item', 'conflict', 'outcomes'] as const),
    ])
    .expression((eb) =>
      eb
        .selectFrom('plan_items')
        .select([
          sql<number>`cast(${run} as bigint)`.as('run'),
          'seq',
          sql<number>`0`.as('range_number'),
          'key',
          sql<ItemState>`cast(${as} as text)`.as('state'),
          sql<number>`0`.as('tries'),
          ...(['rev', 'content_key', 'creates', 'item', 'conflict', 'outcomes'] as const),
        ])
        .where('run', '=', base)
        .where('seq', '>', after)
        .where('seq', '<=', upTo)
        .where('state', 'in', states),
    )
    .onConflict((conflict) => conflict.columns(['run', 'seq']).doNothing())
    .returning(['seq', 'outcomes'])
    .execute()
  for (const { seq, outcomes } of inserted) {
    if (outcomes === '{}') continue
    const all = Object.entries(JSON.parse(outcomes) as Record<string, Outcome>)
    const ended = all.filter(([, { kind }]) => kind === 'done' || kind === 'skipped')
    if (ended.length === all.length) continue
    await tx.db
      .updateTable('plan_items')
      .set({ outcomes: JSON.stringify(Object.fromEntries(ended)) })
      .where('run', '=', run)
      .where('seq', '=', seq)
      .execute()
  }
  return inserted.length
}

export async function countRenames(
  store: Store,
  run: RunNumber,
  deletes: ReadonlyMap<string, number>,
): Promise<number> {
  const left = new Map(deletes)
  let count = 0
  await eachStep(store, run, async (after, upTo) => {
    const creates = await store.db
      .selectFrom('plan_items')
      .select('content_key')
      .where('run', '=', run)
      .where('seq', '>', after)
      .where('seq', '<=', upTo)
      .where('creates', '=', 1)
      .where('content_key', 'is not', null)
      // Skipped: at one replica; where it was made, it is.
      .where('state', 'in', ['pending', 'blocked', 'done', 'skipped'])
      .execute()
    for (const { content_key: content } of creates) {
      const unexcused = left.get(content as string) ?? 0
      if (unexcused === 0) continue
      left.set(content as string, unexcused - 1)
      count++
    }
    return 'go on'
  })
  return count
}

export async function supersededBy(store: Store, run: RunNumber): Promise<Key | null> {
  let moved: Key | null = null
  await eachStep(store, run, async (after, upTo) => {
    const row = await store.db
      .selectFrom('plan_items')
      .innerJoin('runs', 'runs.run', 'plan_items.run')
      .leftJoin('baseline', (join) =>
        join
          .onRef('baseline.dataset', '=', 'runs.dataset')
          .onRef('baseline.key', '=', 'plan_items.key'),
      )
      .select('plan_items.key')
      .where('plan_items.run', '=', run)
      .where('plan_items.seq', '>', after)
      .where('plan_items.seq', '<=', upTo)
      .where(sql<boolean>`plan_items.rev <> coalesce(baseline.rev, 0)`)
      .orderBy('plan_items.seq')
      .limit(1)
      .executeTakeFirst()
    moved = row?.key ?? null
    return moved === null ? 'go on' : 'enough'
  })
  return moved
}

export async function pruneItems(store: Store, before: number): Promise<number> {
  const runs = await store.db
    .selectFrom('runs')
    .select('run')
    .where('started_at', '<', before)
    .where('ended_at', 'is not', null)
    .where('state', 'not in', ['held', 'planned'])
    .where((eb) =>
      eb.exists(
        eb.selectFrom('plan_items').select('seq').whereRef('plan_items.run', '=', 'runs.run'),
      ),
    )
    .execute()
  let deleted = 0
  for (const { run } of runs) {
    await eachStep(store, run, async (after, upTo) => {
      const { numDeletedRows } = await store.db
        .deleteFrom('plan_items')
        .where('run', '=', run)
        .where('seq', '>', after)
        .where('seq', '<=', upTo)
        .executeTakeFirst()
      deleted += Number(numDeletedRows)
      return 'go on'
    })
  }
  return deleted
}
