/** The fence within a run: of the attempts of a lane, whoever claimed last may write. */
import type { RunNumber } from '../model.ts'
import type { Store } from './store.ts'

export async function claim(store: Store, run: RunNumber, lane: string): Promise<number> {
  const { attempt } = await store.db
    .insertInto('lanes')
    .values({ run, lane, attempt: 1 })
    .onConflict((conflict) =>
      conflict
        .columns(['run', 'lane'])
        .doUpdateSet((eb) => ({ attempt: eb('lanes.attempt', '+', 1) })),
    )
    .returning('attempt')
    .executeTakeFirstOrThrow()
  return attempt
}

/** `lock`: inside a transaction, so that nobody claims the lane before it has ended. */
export async function holds(
  store: Store,
  run: RunNumber,
  lane: string,
  attempt: number,
  lock?: 'lock',
): Promise<boolean> {
  const row = await store.db
    .selectFrom('lanes')
    .innerJoin('runs', 'runs.run', 'lanes.run')
    .select(['lanes.attempt', 'runs.ended_at'])
    .where('lanes.run', '=', run)
    .where('lanes.lane', '=', lane)
    .$if(lock !== undefined && store.engine === 'postgres', (query) => query.forShare('lanes'))
    .executeTakeFirst()
  return row?.attempt === attempt && row.ended_at === null
}
