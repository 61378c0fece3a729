/**
 * The same bytes made at two places, one of them away while the other became the head: they differ
 * in metadata alone, and whose are new is told by what was agreed before.
 */
import type { Content, Hold, Metadata } from '../model.ts'
import { compareBytes, sameMetadata } from './content.ts'
import type { SeenEntry } from './contents.ts'

/** The entry's are new, for the head's are those that it held before. */
export function changedMetadataAlone({ hold, entry }: SeenEntry, head: Content): boolean {
  return compareBytes(head, entry) === 'same' && heldBefore(hold, head.metadata)
}

/** The head's are new, for the entry's are those that it held before: it is only behind. */
export function keptMetadata({ hold, entry }: SeenEntry, head: Content | null = null): boolean {
  return head !== null && compareBytes(head, entry) === 'same' && heldBefore(hold, entry.metadata)
}

function heldBefore(hold: Hold | null, metadata: Metadata | undefined): boolean {
  const before = hold && !hold.drift ? hold.version.content?.metadata : undefined
  return before !== undefined && metadata !== undefined && sameMetadata(before, metadata)
}
