/** What every group of queries works on: Kysely, and the few things that differ by engine. */
import { setTimeout as sleep } from 'node:timers/promises'
import { CompiledQuery, type Kysely, type QueryResult } from 'kysely'
import { UserError } from '../errors.ts'
import type { Key } from '../model.ts'
import { hasSqlState } from './problems.ts'
import type { Tables } from './schema.ts'

export type Engine = 'sqlite' | 'postgres'

export interface Store {
  db: Kysely<Tables>
  engine: Engine
  /** Ids of the datasets that were asked for: they never change. */
  datasets: Map<string, number>
  /** ms since the epoch: when the audit was told. */
  clock(): number
}

// ── transactions ────────────────────────────────────────────────────────────────────────────────

/** PostgreSQL ends one of two transactions that wait for each other, and the loser begins again:
 *  with each that ends another has gone on, so sixty at once need sixty tries at most. */
const transactionTriesMax = 60
const againMsMax = 200

/** `work` may run more than once. On SQLite it holds the write lock from its start. */
export async function inTransaction<T>(store: Store, work: (tx: Store) => Promise<T>): Promise<T> {
  for (let tries = 1; ; tries++) {
    try {
      return await store.db.transaction().execute((db) => work({ ...store, db }))
    } catch (error) {
      const again = hasSqlState(error, '40001') || hasSqlState(error, '40P01')
      if (!again || tries >= transactionTriesMax) throw error
      // Not all at the same moment: they would meet again.
      await sleep(Math.random() * Math.min(againMsMax, 2 ** tries))
    }
  }
}

// ── names and numbers ───────────────────────────────────────────────────────────────────────────

/** The next number, the first of `many`; who asks keeps the row locked to the end of the
 *  transaction, so that numbers become visible in their order and none is left out. */
export async function nextNumber(
  tx: Store,
  name: Tables['counters']['name'],
  many = 1,
): Promise<number> {
  const { value } = await tx.db
    .updateTable('counters')
    .set((eb) => ({ value: eb('value', '+', many) }))
    .where('name', '=', name)
    .returning('value')
    .executeTakeFirstOrThrow()
  return value - many + 1
}

/** undefined: nothing was ever stored of it. */
export async function findDataset(store: Store, name: string): Promise<number | undefined> {
  const known = store.datasets.get(name)
  if (known !== undefined) return known
  const row = await store.db
    .selectFrom('datasets')
    .select('id')
    .where('name', '=', name)
    .executeTakeFirst()
  if (row) store.datasets.set(name, row.id)
  return row?.id
}

/** Not inside a transaction: what that rolls back mustn't be remembered. */
export async function datasetId(store: Store, name: string): Promise<number> {
  const known = await findDataset(store, name)
  if (known !== undefined) return known
  await inTransaction(store, async (tx) => {
    const id = await nextNumber(tx, 'dataset')
    await tx.db
      .insertInto('datasets')
      .values({ id, name, live: 0 })
      .onConflict((conflict) => conflict.doNothing())
      .execute()
  })
  return (await findDataset(store, name)) as number
}

/** Keys come checked; this is the last place where a text that an engine can't hold, or holds as
 *  another one (half a surrogate pair becomes U+FFFD), is still an error with a code. */
export function checkKey(key: Key): Key {
  if (key.includes('\0') || !key.isWellFormed()) {
    throw new UserError('catalog-text', 'The catalog can’t hold this key.', {
      where: JSON.stringify(key),
      next: 'Rename it: its name has a NUL character or is not valid Unicode.',
    })
  }
  return key
}

// ── many rows in one statement ──────────────────────────────────────────────────────────────────

export type ColumnType = 'text' | 'bigint' | 'double precision'

/** So many rows go to SQLite at a time: 2^7 of them stay far below its 32,766 parameters. */
const chunkRowsMax = 128

/**
 * Runs a statement over rows. `statement` gets a table expression named `r` with these columns, to
 * be put behind `from`; gives all that it returned. Inside a transaction, where it writes.
 *
 * PostgreSQL takes a column as an array, so that one text serves any number of rows. On SQLite rows
 * go as values (JSON through `json_each` takes twice as long), in chunks whose sizes are powers of
 * two: few distinct texts, which stay prepared.
 */
export async function overRows<R>(
  { db, engine }: Store,
  columns: Record<string, ColumnType>,
  rows: (string | number | null)[][],
  statement: (rows: string) => string,
): Promise<R[]> {
  if (rows.length === 0) return []
  const names = Object.keys(columns)
  if (engine === 'postgres') {
    const arrays = Object.values(columns).map((type, i) => `$${i + 1}::${type}[]`)
    const text = statement(`unnest(${arrays.join(', ')}) as r(${names.join(', ')})`)
    const values = names.map((_, i) => rows.map((row) => row[i]))
    return (await db.executeQuery<R>(CompiledQuery.raw(text, values) as CompiledQuery<R>)).rows
  }
  const results: QueryResult<R>[] = []
  const place = `(${names.map(() => '?').join(', ')})`
  const selected = names.map((name, i) => `column${i + 1} as ${name}`).join(', ')
  for (let at = 0; at < rows.length; ) {
    const count = Math.min(chunkRowsMax, 2 ** Math.floor(Math.log2(rows.length - at)))
    const values = `values ${Array(count).fill(place).join(', ')}`
    const text = statement(`(select ${selected} from (${values})) as r`)
    const chunk = rows.slice(at, at + count).flat()
    results.push(await db.executeQuery<R>(CompiledQuery.raw(text, chunk) as CompiledQuery<R>))
    at += count
  }
  return results.flatMap((result) => result.rows)
}
