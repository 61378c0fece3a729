/** Concurrent edits of one JSON document into one, without a conflict: what it takes. */

/** What a field of the document is, where it isn't what its JSON looks like. */
export interface CrdtField {
  // A JSON pointer; `*` stands for any name: `/tags`, `/devices/*/count`. The first match holds.
  path: string
  type: 'register' | 'multi-value' | 'set' | 'counter' | 'list' | 'map'
}

export interface CrdtOptions {
  fields: CrdtField[]
}

export interface CrdtSide {
  bytes: Uint8Array
  /** Who has it: for messages alone. */
  label: string
  /** When it was written, ms since the epoch. */
  at: number
  /** Who wrote it, but by no replica's name (I11): the content's digest. */
  actor: string
}
