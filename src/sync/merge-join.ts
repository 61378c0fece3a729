/**
 * One walk over the sorted listings of all replicas and the sorted baseline, key by key, as
 * streams: memory holds one page of each, whatever the number of keys (safety.md, pain 7).
 */
import type { Page } from '../../connectors/connector.ts'
import type { BaselineRow, Entry, Key, Observation } from '../model.ts'
import { compareKeys } from './keys.ts'

export interface JoinedKey {
  key: Key
  row: BaselineRow | null
  /** In the order of the replicas: what each shows. */
  observations: Observation[]
}

/** A replica's listing; null where it's unknown in this run: then it is never pulled. */
export interface Listing {
  pages: AsyncIterator<Page> | null
  /** Why it is unknown, where `pages` is null. */
  reason: string
}

interface Lane {
  listing: Listing
  items: LaneItem[]
  at: number
  ended: boolean
  /** Folders that were skipped as a whole (a symlink): what was below them is unknown, not gone. */
  hidden: { prefix: Key; reason: string }[]
}

type LaneItem =
  | { key: Key; entry: Entry; reason?: never }
  | { key: Key; reason: string; alone?: true }

/**
 * Yields batches of joined keys in key order: every key that a listing or the baseline has. Throws
 * where a stream goes back: what it hadn't shown by then was taken for absent.
 */
export async function* mergeJoin(
  listings: Listing[],
  baseline: AsyncIterator<BaselineRow[]>,
  batchKeys: number,
): AsyncGenerator<JoinedKey[]> {
  const lanes: Lane[] = listings.map((listing) => ({
    listing,
    items: [],
    at: 0,
    ended: listing.pages === null,
    hidden: [],
  }))
  const rows = { items: [] as BaselineRow[], at: 0, ended: false }
  let batch: JoinedKey[] = []
  let last: Key | null = null
  for (;;) {
    // All lanes that ran dry are filled at once, so that the stores answer in parallel.
    if (lanes.some(isDry) || isDry(rows)) await refill(lanes, rows, baseline)
    const key = leastKey(lanes, rows)
    if (key === null) break
    if (last !== null && compareKeys(last, key) >= 0) {
      throw new Error(`a listing or the baseline is out of order: ${key} came behind ${last}`)
    }
    last = key
    batch.push(takeKey(key, lanes, rows))
    if (batch.length >= batchKeys) {
      yield batch
      batch = []
    }
  }
  if (batch.length > 0) yield batch
}

function isDry(lane: { items: unknown[]; at: number; ended: boolean }): boolean {
  return lane.at >= lane.items.length && !lane.ended
}

async function refill(
  lanes: Lane[],
  rows: { items: BaselineRow[]; at: number; ended: boolean },
  baseline: AsyncIterator<BaselineRow[]>,
): Promise<void> {
  const fills = lanes.filter(isDry).map(fillLane)
  if (isDry(rows)) fills.push(fillRows(rows, baseline))
  await Promise.all(fills)
}

async function fillLane(lane: Lane): Promise<void> {
  while (isDry(lane)) {
    const next = await (lane.listing.pages as AsyncIterator<Page>).next()
    if (next.done) lane.ended = true
    else {
      lane.items = itemsOf(next.value)
      lane.at = 0
      lane.hidden.push(...(next.value.hidden ?? []))
    }
  }
}

async function fillRows(
  rows: { items: BaselineRow[]; at: number; ended: boolean },
  baseline: AsyncIterator<BaselineRow[]>,
): Promise<void> {
  while (isDry(rows)) {
    const next = await baseline.next()
    if (next.done) rows.ended = true
    else {
      rows.items = next.value
      rows.at = 0
    }
  }
}

function itemsOf(page: Page): LaneItem[] {
  const entries: LaneItem[] = page.entries.map((entry) => ({ key: entry.key, entry }))
  if (page.skipped.length === 0) return entries
  return [...entries, ...page.skipped].sort((a, b) => compareKeys(a.key, b.key))
}

function leastKey(lanes: Lane[], rows: { items: BaselineRow[]; at: number }): Key | null {
  let least: Key | null = rows.items[rows.at]?.key ?? null
  for (const lane of lanes) {
    const key = lane.items[lane.at]?.key
    if (key !== undefined && (least === null || compareKeys(key, least) < 0)) least = key
  }
  return least
}

function takeKey(key: Key, lanes: Lane[], rows: { items: BaselineRow[]; at: number }): JoinedKey {
  const row = rows.items[rows.at]?.key === key ? (rows.items[rows.at] as BaselineRow) : null
  if (row) rows.at++
  return { key, row, observations: lanes.map((lane) => takeFrom(lane, key)) }
}

function takeFrom(lane: Lane, key: Key): Observation {
  if (lane.listing.pages === null) return { kind: 'unknown', reason: lane.listing.reason }
  const item = lane.items[lane.at]
  if (item?.key === key) {
    lane.at++
    if (item.reason === undefined) return { kind: 'entry', entry: item.entry }
    if (item.alone) return { kind: 'unknown', reason: item.reason }
    lane.hidden = [
      // Not yet passed: `dir-x` comes between `dir` and `dir/x`.
      ...lane.hidden.filter((h) => key.startsWith(h.prefix) || compareKeys(key, h.prefix) < 0),
      { prefix: key.endsWith('/') ? key : `${key}/`, reason: item.reason },
    ]
    return { kind: 'unknown', reason: item.reason }
  }
  const hidden = lane.hidden.find(({ prefix }) => key.startsWith(prefix))
  return hidden ? { kind: 'unknown', reason: hidden.reason } : { kind: 'absent' }
}
