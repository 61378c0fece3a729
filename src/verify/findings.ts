/** What verify says of a key at a replica, in the letters of `rclone check --combined`. */
import type { Key } from '../model.ts'

/**
 * By what is at the first replica: `=` the same, `+` missing here, `-` only here, `*` different,
 * `!` it couldn't be read. Ours: `~` skipped, because this store can't hold the key, or what lies
 * there is no object.
 */
export type Letter = '=' | '+' | '-' | '*' | '!' | '~'

export interface Finding {
  key: Key
  letter: Letter
  replica: string
  /** The replica that it was compared with: the first that can tell anything of this key. */
  against: string
  /** For people; empty where nothing is to be said. */
  reason: string
  /** `size`: digests that can be compared are missing, and a sample spared this key the reading. */
  by: 'listing' | 'content' | 'size'
}

export interface ReplicaCounts {
  same: number
  missing: number
  extra: number
  different: number
  failed: number
  skipped: number
  /** Of `same`: those of which no more than the size was compared. */
  bySizeAlone: number
}

export interface Verified {
  /** Keys that any replica has and the filter lets through. */
  keys: number
  /** Objects that were read, over all replicas, and their bytes. */
  read: number
  readBytes: number
  /** What was found at each replica; at the first, only what it skips. */
  replicas: Record<string, ReplicaCounts>
  /** Replicas that were left out, or whose listing broke off: what they lack wasn't told. */
  unreachable: { replica: string; code: string; message: string }[]
}

const counter = {
  '=': 'same',
  '+': 'missing',
  '-': 'extra',
  '*': 'different',
  '!': 'failed',
  '~': 'skipped',
} as const satisfies Record<Letter, keyof ReplicaCounts>

export function noCounts(): ReplicaCounts {
  return { same: 0, missing: 0, extra: 0, different: 0, failed: 0, skipped: 0, bySizeAlone: 0 }
}

export function count(into: Verified, { letter, replica, by }: Finding): void {
  const counts = into.replicas[replica]
  if (!counts) return
  counts[counter[letter]]++
  if (letter === '=' && by === 'size') counts.bySizeAlone++
}

/** Over all replicas. */
export function total(verified: Verified, name: keyof ReplicaCounts): number {
  return Object.values(verified.replicas).reduce((sum, counts) => sum + counts[name], 0)
}

/** Whether any replica has anything else than the first: extras count, whatever the direction. */
export function differs(verified: Verified): boolean {
  return (['missing', 'extra', 'different'] as const).some((name) => total(verified, name) > 0)
}
