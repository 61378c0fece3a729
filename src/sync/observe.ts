/** What each replica shows for one key, against what it held: the first table of the design. */
import type { BaselineRow, Content, Entry, Hold, Observation } from '../model.ts'
import { compareContent, hasDigest, sameId, sameMetadata, sameToken } from './content.ts'

/**
 * - current: token unchanged, holds the head
 * - behind: token unchanged, holds an older version (or, under a newer head, still nothing)
 * - changed: other content than it held; over a held tombstone, any content
 * - new: it never held the key and has an entry
 * - gone: it held content and is definitely absent
 * - never: it never held the key and has none
 * - drifted: the foreign content that `drift: keep` leaves alone, unchanged
 */
export interface Seen {
  replica: string
  state: 'current' | 'behind' | 'changed' | 'new' | 'gone' | 'never' | 'drifted' | 'unknown'
  entry: Entry | null
  hold: Hold | null
  /** Same content under a new token: the token is to be refreshed. */
  touched: boolean
}

/** null: this replica's digest (or metadata) must be learned before anything can be said. */
export function observe(
  replica: string,
  row: BaselineRow | null,
  observation: Observation,
): Seen | null {
  const hold = row?.holds[replica] ?? null
  const seen = (state: Seen['state'], entry: Entry | null = null, touched = false): Seen => ({
    replica,
    state,
    entry,
    hold,
    touched,
  })
  if (observation.kind === 'unknown') return seen('unknown')
  if (observation.kind === 'absent') {
    if (hold === null) return seen('never')
    if (hold.token !== null) return seen('gone')
    return seen(holdsHead(row, hold) ? 'current' : 'behind')
  }
  const entry = observation.entry
  if (hold === null) return seen('new', entry)
  if (hold.token === null) return seen('changed', entry)
  if (sameToken(hold.token, entry.token)) {
    if (hold.drift) return seen('drifted', entry)
    return seen(holdsHead(row, hold) ? 'current' : 'behind', entry)
  }
  if (hold.drift || hold.version.content === null) return seen('changed', entry)
  const verdict = compareHeld(hold, hold.version.content, entry)
  if (verdict === 'unknown') return null
  if (verdict === 'different') return seen('changed', entry)
  // The same id, still unsettled, says no more than the one that is held: nothing to refresh.
  const touched = hold.token.id !== entry.token.id || entry.token.unsettled === undefined
  return seen(holdsHead(row, hold) ? 'current' : 'behind', entry, touched)
}

/** Asks for what can still be learned; with a sha256 that is nothing, so asking ends. */
function compareHeld(hold: Hold, held: Content, entry: Entry): 'same' | 'different' | 'unknown' {
  const learned = entry.digests.sha256 !== undefined
  if (sameId(hold.token, entry.token)) {
    // The same bytes, rewritten: S3 does so when only metadata changes, and its listing has none.
    const hidden = entry.metadata === undefined && held.metadata !== undefined
    if (hidden && !learned) return 'unknown'
    return sameMetadata(held.metadata, entry.metadata) ? 'same' : 'different'
  }
  const verdict = compareContent(held, entry)
  // Agreed when nothing was known of it: it can't be proven equal, whatever is read now.
  return verdict === 'unknown' && (learned || !hasDigest(held.digests)) ? 'different' : verdict
}

/** What it holds is what it lost a conflict with (`losersOf` in settle.ts). */
export const lostWith = (hold: Hold | null): boolean =>
  hold !== null && !Number.isInteger(hold.version.run)

export function holdsHead(row: BaselineRow | null, hold: Hold): boolean {
  return row !== null && hold.version.run === row.head.run && hold.drift === undefined
}
