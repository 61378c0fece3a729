/** Several contents of one key and what they were made from, into one: pure, and total. */
import type { Key } from '../../model.ts'

export interface MergeOptions {
  /** `auto`: by the key's extension, else by the content type, else `text`. */
  format: 'auto' | 'json' | 'yaml' | 'text' | 'lines' | 'csv'
  /** How lists in JSON and YAML merge. `ordered`: diff3 of their elements. `union`: as sets.
   *  `byKey`: elements that are objects are matched by this field, and merged by field. */
  lists: 'ordered' | 'union' | { byKey: string }
  /** The columns that name a row of a CSV file; null: the first column. */
  csvKey: string[] | null
}

/** One of the contents. The label is for messages alone: who has it. */
export interface MergeSide {
  bytes: Uint8Array
  label: string
}

export type UndecidedCode =
  | 'no-base'
  | 'both-changed'
  | 'malformed'
  | 'encoding'
  | 'not-text'
  | 'duplicate-key'

/** `at`: a JSON pointer, a line's number, or a row's key. */
export type Merged =
  | { kind: 'merged'; bytes: Uint8Array; format: string }
  | { kind: 'undecided'; code: UndecidedCode; message: string; at?: string }

/** The order of `sides` doesn't change the result (I11). */
export function mergeContents(
  _key: Key,
  _contentType: string | undefined,
  _base: Uint8Array | null,
  _sides: MergeSide[],
  _options: MergeOptions,
): Merged {
  return { kind: 'undecided', code: 'no-base', message: 'merging is not there yet' }
}
