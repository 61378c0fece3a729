/** What a page of a scan found, committed at once with where the scan stands. */
import { sql } from 'kysely'
import { type Catalog, scanLane } from './catalog.ts'
import { holds } from './lanes.ts'
import { placesPerRange, writeItems } from './plan.ts'
import { boundText } from './ranges.ts'
import { addSeen, increments } from './runs.ts'
import { datasetId, inTransaction, type Store } from './store.ts'

type Page = Parameters<Catalog['commitScan']>[0]

export async function commitScan(
  store: Store,
  page: Page,
): Promise<{ newRange: number | null } | null> {
  await datasetId(store, page.dataset)
  return await inTransaction(store, async (tx) => {
    if (!(await holds(tx, page.run, scanLane(page.number), page.attempt, 'lock'))) return null
    const range = await tx.db
      .selectFrom('ranges')
      .select(['to_key', 'item_count', 'state'])
      .where('run', '=', page.run)
      .where('number', '=', page.number)
      .executeTakeFirst()
    if (range?.state !== 'open') return null
    const start = page.number * placesPerRange + range.item_count
    const items = page.items.map((item, i) => ({
      ...item,
      run: page.run,
      seq: start + i,
      rangeNumber: page.number,
    }))
    await writeItems(tx, items, { rev: true })
    await moveRange(tx, page)
    await addSeen(tx, page.run, page.seen)
    // The run's row last: all its ranges meet there.
    const { range_count: next } = await tx.db
      .updateTable('runs')
      .set({
        ...increments(page.counts),
        range_count: sql`range_count + ${page.cutAt === null ? 0 : 1}`,
      })
      .where('run', '=', page.run)
      .returning('range_count')
      .executeTakeFirstOrThrow()
    if (page.cutAt === null) return { newRange: null }
    await tx.db
      .insertInto('ranges')
      .values({
        run: page.run,
        number: next - 1,
        from_key: boundText(page.cutAt),
        to_key: range.to_key,
        cursor_key: null,
        resume: '{}',
        state: 'open',
        scanned: 0,
        item_count: 0,
      })
      .execute()
    return { newRange: next - 1 }
  })
}

async function moveRange(tx: Store, page: Page): Promise<void> {
  await tx.db
    .updateTable('ranges')
    .set({
      cursor_key: boundText(page.cursor),
      resume: JSON.stringify(page.resume),
      state: page.ended ? 'scanned' : 'open',
      scanned: sql`scanned + ${page.counts.scanned ?? 0}`,
      item_count: sql`item_count + ${page.items.length}`,
      ...(page.cutAt === null ? {} : { to_key: boundText(page.cutAt) }),
    })
    .where('run', '=', page.run)
    .where('number', '=', page.number)
    .execute()
}
