/** What is known by name: configs, locations, and the replicas that a dataset has had. */
import { datasetId, findDataset, inTransaction, type Store } from './store.ts'

export async function putConfig(store: Store, digest: string, json: string): Promise<void> {
  await store.db
    .insertInto('configs')
    .values({ digest, json })
    .onConflict((conflict) => conflict.doNothing())
    .execute()
}

export async function getConfig(store: Store, digest: string): Promise<string | null> {
  const row = await store.db
    .selectFrom('configs')
    .select('json')
    .where('digest', '=', digest)
    .executeTakeFirst()
  return row?.json ?? null
}

export async function getLocation(
  store: Store,
  name: string,
): Promise<{ identity: string; host: string | null } | null> {
  const row = await store.db
    .selectFrom('locations')
    .select(['identity', 'host'])
    .where('name', '=', name)
    .executeTakeFirst()
  return row ? { identity: row.identity, host: row.host } : null
}

export async function setLocation(
  store: Store,
  name: string,
  identity: string,
  host: string | null,
): Promise<void> {
  await inTransaction(store, async (tx) => {
    const known = await getLocation(tx, name)
    if (known !== null && known.identity !== identity) {
      await tx.db.deleteFrom('uploads').where('location', '=', name).execute()
    }
    await tx.db
      .insertInto('locations')
      .values({ name, identity, host })
      .onConflict((conflict) => conflict.column('name').doUpdateSet({ identity, host }))
      .execute()
  })
}

export async function knownReplicas(store: Store, dataset: string): Promise<string[]> {
  const id = await findDataset(store, dataset)
  if (id === undefined) return []
  const rows = await store.db
    .selectFrom('dataset_replicas')
    .select('replica')
    .where('dataset', '=', id)
    .orderBy('replica')
    .execute()
  return rows.map(({ replica }) => replica)
}

export async function noteReplicas(
  store: Store,
  dataset: string,
  replicas: string[],
): Promise<void> {
  if (replicas.length === 0) return
  const id = await datasetId(store, dataset)
  await store.db
    .insertInto('dataset_replicas')
    .values(replicas.map((replica) => ({ dataset: id, replica })))
    .onConflict((conflict) => conflict.doNothing())
    .execute()
}
