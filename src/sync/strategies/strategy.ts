/** How conflicts are decided, as plain data; and how one ended. Types only: part of the nouns. */
import type { Content, Key } from '../../model.ts'
import type { CrdtField } from '../crdt/merge-by-crdt.ts'
import type { MergeOptions } from '../merge/merge.ts'

/** How a conflict is decided. What one doesn't decide falls to its `otherwise`; where there is
 *  none any more, the conflict stays open. */
export type Strategy =
  /** `skewMs`: where a side's time lies further ahead of the scan, its clock isn't believed. */
  | { name: 'last-write-wins'; skewMs?: number; otherwise?: Strategy }
  | { name: 'first-write-wins' }
  | { name: 'largest' }
  | { name: 'smallest' }
  /** The first rank that takes a side wins; within a rank, the last write. */
  | { name: 'prefer'; ranks: string[][]; otherwise?: Strategy }
  | { name: 'update-wins'; otherwise?: Strategy }
  | { name: 'delete-wins'; otherwise?: Strategy }
  /** `as`: how the losers are called, by `conflictName`. */
  | { name: 'keep-both'; as: string }
  | ({ name: 'merge'; bytesMax: number; otherwise?: Strategy } & MergeOptions)
  | { name: 'crdt'; fields: CrdtField[]; bytesMax: number; otherwise?: Strategy }
  /** A module's absolute path, and the sha256 of it that was meant. */
  | { name: 'custom'; module: string; sha256: string }
  | { name: 'manual' }

export type StrategyName = Strategy['name']

/** Who decides which conflict: the first rule that matches does. */
export interface StrategyRule {
  /** Where it stands in the config, for people and for the record. */
  name: string
  /** Patterns, any of which matches the key; none: every key. */
  match: string[]
  when: Condition | null
  strategy: Strategy
  /** What it leaves open is decided by that, once it has been open for so long. */
  later: { afterMs: number; strategy: Strategy } | null
}

/** All that is given must hold. */
export interface Condition {
  /** Of every side that has content. */
  sizeMin?: number
  sizeMax?: number
  /** How long ago it was written. */
  ageMinMs?: number
  ageMaxMs?: number
  /** One of them takes a side. */
  replicas?: string[]
  /** `application/json`, `image/*`. */
  contentTypes?: string[]
  /** JSON pointers, and what every side's JSON has there. */
  fields?: { path: string; equals: string | number | boolean | null }[]
}

/** A strategy that decided nothing: a stable code, words for people, where in the content. */
export interface Undecided {
  strategy: StrategyName
  code: string
  message: string
  at?: string
}

/** How a conflict ended. What is optional is absent in what 0.1.0 recorded. */
export interface Resolution {
  strategy: string
  /** The config's rule, by its `name`; or 'a person'. */
  rule: string
  /** For people. */
  why?: string
  /** Who decided, where a person did: user@host. */
  by?: string | null
  /** null: deleted. Where it was made of the sides, `winnerReplicas` is empty. */
  winner: Content | null
  winnerReplicas: string[]
  losers: {
    content: Content | null
    replicas: string[]
    /** The key under which it stays beside the winner. */
    keptAs?: Key
  }[]
  /** What the sides were made of. */
  base?: Content | null
  merged?: boolean
  /** What was asked before, and decided nothing. */
  tried?: Undecided[]
}
