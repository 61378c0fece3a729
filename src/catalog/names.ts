/** What is known by name: configs, locations, and the replicas that a dataset has had. */
import { append, type Chain } from './audit.ts'
import type { Catalog } from './catalog.ts'
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
  asked: Parameters<Catalog['setLocation']>[3],
): Promise<void> {
  const { datasets, run, by } = asked
  const chains: Chain[] = []
  for (const dataset of datasets) {
    chains.push({ id: await datasetId(store, dataset), name: dataset })
  }
  // Always in the same order, so that two transactions never wait for each other.
  chains.sort((a, b) => a.id - b.id)
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
    if (known?.identity === identity && known.host === host) return
    const what = known === null ? 'location-bound' : 'location-rebound'
    const detail = { location: name, was: known, is: { identity, host } }
    for (const chain of chains) await append(tx, chain, [{ run, key: null, what, by, detail }])
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
