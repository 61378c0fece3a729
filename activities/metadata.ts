/** The metadata of content that comes from where none is kept: a folder, or the vault. */
import type { Connector } from '../connectors/connector.ts'
import { StoreError } from '../src/errors.ts'
import type { Content, Key, Metadata, PlanItem } from '../src/model.ts'

/** A replica that has the content under `key`, or has what it is to replace. */
export interface Bearer {
  replica: string
  connector: Connector
  key: Key
}

/**
 * Where the plan doesn't say it: that of the first, by name, who has the content and can carry any;
 * else of the first who is to get it. So all get the same, and an edit in a folder takes nobody's
 * type away. Noted in the item, for what is tried again later. One who gives no answer isn't waited
 * for.
 */
export async function decideMetadata(
  item: PlanItem,
  holders: Bearer[],
  targets: Bearer[],
  signal: AbortSignal,
): Promise<void> {
  const content = item.head.content as Content
  if (content.metadata) return
  for (const { connector, key } of [...carriers(holders), ...carriers(targets)]) {
    const metadata = await metadataAt(connector, key, signal)
    if (metadata === undefined) continue
    item.head = { ...item.head, content: { ...content, metadata } }
    return
  }
}

const carriers = (some: Bearer[]): Bearer[] =>
  some
    .filter(({ connector }) => connector.traits.carriesMetadata)
    .toSorted((a, b) => (a.replica < b.replica ? -1 : 1))

async function metadataAt(
  connector: Connector,
  key: Key,
  signal: AbortSignal,
): Promise<Metadata | undefined> {
  try {
    return (await connector.stat(key, { signal }))?.metadata
  } catch (error) {
    if (!(error instanceof StoreError) || error.code === 'cancelled') throw error
    return undefined
  }
}
