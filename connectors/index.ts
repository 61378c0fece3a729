/** Which types of location there are, and the one function that stacks what all of them get. */
import type { Connector, ConnectorContext } from './connector.ts'
import type { LocationOptions, LocationType, OptionsOf } from './options.ts'
import { checked, limited, type OnCall, reported, throttled } from './wrap.ts'

export type { CallReport, OnCall } from './wrap.ts'

type Create<T extends LocationType> = (
  options: OptionsOf<T>,
  context: ConnectorContext,
) => Promise<Connector>

/** Lazy, so that a location costs the loading of its own vendor's SDK and no other. */
const connectors: { [T in LocationType]: () => Promise<{ create: Create<T> }> } = {
  file: () => import('./file.ts'),
  s3: () => import('./s3.ts'),
  gcs: () => import('./gcs.ts'),
  'azure-blob': () => import('./azure-blob.ts'),
  memory: () => import('./memory.ts'),
}

export interface OpenContext extends Omit<ConnectorContext, 'name'> {
  /** Content in and out together, at most. */
  bandwidthBytesPerSecond?: number
  /** Told of each call when it has ended. */
  onCall?: OnCall
}

/** Opens the location `name`. Throws StoreErrors where its options can't be used. */
export async function openConnector<T extends LocationType>(
  name: string,
  options: LocationOptions & { type: T },
  context: OpenContext,
): Promise<Connector> {
  const { bandwidthBytesPerSecond, onCall, ...own } = context
  const { create } = await connectors[options.type as T]()
  let connector = checked(await create(options as OptionsOf<T>, { ...own, name }))
  // Outside the bandwidth's wait, so that a waiting write holds its place among the calls.
  if (bandwidthBytesPerSecond) connector = throttled(connector, bandwidthBytesPerSecond)
  connector = limited(connector, context.concurrency)
  return onCall ? reported(connector, onCall) : connector
}
