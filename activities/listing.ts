/** One replica's listing for a page of a scan, which goes on where the page before stopped. */
import type { Connector, Page } from '../connectors/connector.ts'
import type { Key, KeyRange } from '../src/model.ts'
import type { Listing } from '../src/sync/merge-join.ts'

export interface ResumableListing extends Listing {
  name: string
  pages: AsyncGenerator<Page> | null
  /** By which the page that was pulled last can be had again; null: from the range's start. */
  resume(): string | null
}

/**
 * `cursor`: keys up to it were scanned already; entries that a resumed page repeats are left to the
 * scan to pass over. Where the store starts anywhere, the cursor is enough; else its own token is.
 */
export function listingOf(
  { name, connector, reason }: { name: string; connector: Connector | null; reason: string },
  range: KeyRange,
  cursor: Key | null,
  token: string | undefined,
  signal: AbortSignal,
): ResumableListing {
  if (connector === null) return { name, pages: null, reason, resume: () => null }
  const from = connector.traits.listStart && cursor !== null ? cursor : range.from
  const start = connector.traits.listStart ? undefined : token
  let current = start ?? null
  async function* pages(): AsyncGenerator<Page> {
    let next = start ?? null
    for await (const page of (connector as Connector).list({ from, to: range.to }, start, {
      signal,
    })) {
      current = next
      next = page.resume ?? null
      yield page
    }
  }
  return {
    name,
    pages: pages(),
    reason,
    resume: () => (connector.traits.listStart ? null : current),
  }
}
