/** Ranges: bounds and cursors live here, so that Temporal carries their numbers alone (I10). */
import { sql } from 'kysely'
import type { Key, KeyRange, RunNumber } from '../model.ts'
import type { RangeRecord } from './catalog.ts'
import type { RangesTable } from './schema.ts'
import { inTransaction, type Store } from './store.ts'

export const boundText = (bound: Key | null): string | null =>
  bound === null ? null : JSON.stringify(bound)

const bound = (text: string | null): Key | null => (text === null ? null : JSON.parse(text))

/** Rows of one insert: far below every engine's limit of parameters. */
const insertRowsMax = 1_000

export async function addRanges(store: Store, run: RunNumber, ranges: KeyRange[]): Promise<number> {
  return await inTransaction(store, async (tx) => {
    const { range_count: count } = await tx.db
      .updateTable('runs')
      .set({ range_count: sql`range_count + ${ranges.length}` })
      .where('run', '=', run)
      .returning('range_count')
      .executeTakeFirstOrThrow()
    const first = count - ranges.length
    const rows = ranges.map(
      ({ from, to }, i): RangesTable => ({
        run,
        number: first + i,
        from_key: boundText(from),
        to_key: boundText(to),
        cursor_key: null,
        resume: '{}',
        state: 'open',
        scanned: 0,
        item_count: 0,
      }),
    )
    for (let at = 0; at < rows.length; at += insertRowsMax) {
      await tx.db
        .insertInto('ranges')
        .values(rows.slice(at, at + insertRowsMax))
        .execute()
    }
    return first
  })
}

export async function getRange(
  store: Store,
  run: RunNumber,
  number: number,
): Promise<RangeRecord | null> {
  const row = await store.db
    .selectFrom('ranges')
    .selectAll()
    .where('run', '=', run)
    .where('number', '=', number)
    .executeTakeFirst()
  if (!row) return null
  return {
    run,
    number,
    range: { from: bound(row.from_key), to: bound(row.to_key) },
    state: row.state,
    cursor: bound(row.cursor_key),
    resume: JSON.parse(row.resume) as Record<string, string>,
    scanned: row.scanned,
  }
}
