/** A location that is another place from now on, because a person says so (I12). */
import type { Connector } from '../connectors/connector.ts'
import type { Catalog } from './catalog/catalog.ts'

export interface Rebinding {
  location: string
  /** Of a folder: whose it is. */
  host: string | null
  /** Those that have it as a replica. */
  datasets: string[]
  by: string
}

/** Gives who it is now, and of how many keys it is forgotten that it held them. */
export async function rebind(
  catalog: Catalog,
  connector: Connector,
  { location, host, datasets, by }: Rebinding,
  signal: AbortSignal,
): Promise<{ is: string; forgotten: number }> {
  const asked = { datasets, run: null, by }
  let forgotten = 0
  // Holds first: with the new identity and the old holds, what it lacks would count as deleted.
  for (const name of datasets) forgotten += await catalog.dropHolds(name, location, asked)
  const is = await connector.identity({ signal, create: true })
  await catalog.setLocation(location, is, host, asked)
  return { is, forgotten }
}
