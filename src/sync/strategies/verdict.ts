/** What deciding a conflict takes, and what it gives. Plain data. */
import type { Conflict, Contender, Strategy, StrategyName, Undecided } from '../../model.ts'
import type { Merged, MergeTask } from './merge-task.ts'

/**
 * - wins: a side as it is. `keep`: the sides that stay beside it, under names made of `as`.
 * - made: content that no side has.
 * - open: nothing in the chain decided; for a person.
 * - needs: it can't be told without what `Known` lacks; asked again with it, it is.
 */
export type Verdict = Decided | { kind: 'open'; tried: Undecided[] } | Need

export type Decided = (Win | Make) & {
  by: StrategyName
  /** What was asked before, in order, and why that didn't decide. */
  tried: Undecided[]
}

interface Win {
  kind: 'wins'
  winner: Contender
  /** For people, and for the record. */
  why: string
  keep?: { sides: Contender[]; as: string }
}

interface Make {
  kind: 'made'
  bytes: Uint8Array
  why: string
}

export type Need =
  /** Of the base and of all sides, as far as they are no larger than this. */
  | { kind: 'needs'; what: 'contents'; bytesMax: number }
  /** What the module says of these contenders. */
  | { kind: 'needs'; what: 'answer'; strategy: CustomStrategy; conflict: Conflict }
  /** What these contents come to, which takes too long to be found out here. */
  | { kind: 'needs'; what: 'merge'; strategy: MergingStrategy; task: MergeTask }

export type CustomStrategy = Extract<Strategy, { name: 'custom' }>
export type MergingStrategy = Extract<Strategy, { name: 'merge' | 'crdt' }>

/** One strategy's word. `left`: who contends for the next in the chain; absent: all. */
export type Word =
  | Win
  | Make
  | Need
  | { kind: 'passes'; code: string; message: string; at?: string; left?: Contender[] }

/** What is known beside the conflict itself. */
export interface Known {
  /** The scan's time, ms. */
  now: number
  contents: Contents | null
  /** What each custom module said, by its path. */
  answers: ReadonlyMap<string, Answer>
  /** What came of the merges that were asked for, by the strategy that asked. */
  merges: ReadonlyMap<MergingStrategy, Merged>
}

/** `base` null: there is none, nobody has it any more, or it is larger than `bytesMax`. A side that
 *  is larger isn't in `sides`. */
export interface Contents {
  bytesMax: number
  base: Uint8Array | null
  sides: ReadonlyMap<Contender, Uint8Array>
}

/** What became of calling a module: what it returned, which nobody has looked at yet. */
export type Answer = { said: unknown } | { failed: { code: string; message: string } }
