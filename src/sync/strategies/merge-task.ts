/** A merge as plain data, since it may be made in another thread than where it is asked for. */
import type { Key } from '../../model.ts'
import { type CrdtOptions, type CrdtSide, mergeByCrdt } from '../crdt/merge-by-crdt.ts'
import { type MergeOptions, type MergeSide, mergeContents } from '../merge/merge.ts'

export type MergeTask =
  | {
      by: 'merge'
      key: Key
      contentType: string | undefined
      base: Uint8Array | null
      sides: MergeSide[]
      options: MergeOptions
    }
  | { by: 'crdt'; base: Uint8Array | null; sides: CrdtSide[]; options: CrdtOptions }

/** What came of it; also that it took too long, or too much. */
export type Merged =
  | { kind: 'merged'; bytes: Uint8Array; format: string }
  | { kind: 'undecided'; code: string; message: string; at?: string }

export function runMerge(task: MergeTask): Merged {
  if (task.by === 'crdt') return mergeByCrdt(task.base, task.sides, task.options)
  return mergeContents(task.key, task.contentType, task.base, task.sides, task.options)
}
