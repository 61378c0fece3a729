/** Whether a target already holds what was to be written: a reply was lost, or a worker killed. */
import type { Connector } from '../connectors/connector.ts'
import { digestsByReading } from '../connectors/digests.ts'
import { StoreError } from '../src/errors.ts'
import type { Content, Entry, Key, PlanItem, Token } from '../src/model.ts'
import { compareContent, mergeContent } from '../src/sync/content.ts'
import { connectorOf, type RunContext } from './run-context.ts'

/**
 * By what is known of both; else the item's source is read, then the target's entry, each pinned.
 * Gives the content with all that was learned, or null where it's another one.
 */
export async function sameContent(
  context: RunContext,
  item: PlanItem,
  target: Connector,
  entry: Entry,
  signal: AbortSignal,
): Promise<Content | null> {
  let wanted = item.head.content as Content
  let verdict = compareContent(wanted, entry)
  if (verdict === 'unknown') {
    wanted = (await digestedSource(context, item, signal)) ?? wanted
    verdict = compareContent(wanted, entry)
  }
  let found: Content = entry
  if (verdict === 'unknown') {
    found = await digested(target, item.key, entry, signal)
    verdict = compareContent(wanted, found)
  }
  return verdict === 'same' ? mergeContent(wanted, found) : null
}

async function digestedSource(
  context: RunContext,
  item: PlanItem,
  signal: AbortSignal,
): Promise<Content | null> {
  for (const { replica, token } of item.sources) {
    const connector = connectorOf(context, replica)
    if (!connector) continue
    try {
      const { key, sourceKey = key } = item
      const content = item.head.content as Content
      return await digested(connector, sourceKey, { ...content, token }, signal)
    } catch (error) {
      // It isn't what it was, so it can't tell; another source may.
      const moved = error instanceof StoreError && GONE.includes(error.code)
      if (!moved) throw error
    }
  }
  return null
}

const GONE = ['changed-meanwhile', 'not-found']

/** An entry's content with all digests, by reading it. Throws as `digestsByReading` does. */
export async function digested(
  connector: Connector,
  key: Key,
  entry: Content & { token: Token },
  signal: AbortSignal,
): Promise<Content> {
  const { size, metadata } = entry
  const digests = await digestsByReading(connector, key, entry, signal)
  return { size, digests, ...(metadata ? { metadata } : {}) }
}
