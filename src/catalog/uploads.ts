/** Uploads under way: what an interrupted write needs to go on, or to be aborted. */
import type { Key } from '../model.ts'
import { checkKey, type Store } from './store.ts'

export async function getUpload(store: Store, location: string, key: Key): Promise<string | null> {
  const row = await store.db
    .selectFrom('uploads')
    .select('state')
    .where('location', '=', location)
    .where('key', '=', checkKey(key))
    .executeTakeFirst()
  return row?.state ?? null
}

export async function putUpload(
  store: Store,
  location: string,
  key: Key,
  state: string | null,
  at: number,
): Promise<void> {
  checkKey(key)
  if (state === null) {
    await store.db
      .deleteFrom('uploads')
      .where('location', '=', location)
      .where('key', '=', key)
      .execute()
    return
  }
  await store.db
    .insertInto('uploads')
    .values({ location, key, state, saved_at: at })
    .onConflict((conflict) =>
      conflict.columns(['location', 'key']).doUpdateSet({ state, saved_at: at }),
    )
    .execute()
}

export async function staleUploads(
  store: Store,
  location: string,
  before: number,
  limit: number,
): Promise<{ key: Key; state: string }[]> {
  return await store.db
    .selectFrom('uploads')
    .select(['key', 'state'])
    .where('location', '=', location)
    .where('saved_at', '<', before)
    .orderBy('saved_at')
    .orderBy('key')
    .limit(limit)
    .execute()
}
