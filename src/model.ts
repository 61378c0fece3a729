/**
 * All nouns, in the order of the flow: scan → reconcile → (resolve) → apply → commit.
 * Types only: nothing here does I/O, and workflows may import it.
 */
import type { Resolution, StrategyRule, Undecided } from './sync/strategies/strategy.ts'

export type * from './sync/strategies/strategy.ts'

// ── what a replica holds ────────────────────────────────────────────────────────────────────────

/** A name inside a dataset: relative to the location's root, `/`-separated, never empty.
 *  Ordered by UTF-8 bytes everywhere (`compareKeys`), never by JavaScript's `<`. */
export type Key = string

/** A half-open interval of keys: `from` inclusive, `to` exclusive; null is open. */
export interface KeyRange {
  from: Key | null
  to: Key | null
}

/** Lowercase hex. A digest that isn't known is absent, never empty and never guessed. */
export interface Digests {
  sha256?: string
  md5?: string
  crc32c?: string
}

export type DigestAlgorithm = keyof Digests

/** What stores keep beside the bytes. `application/octet-stream` is dropped: it says nothing. */
export interface Metadata {
  contentType?: string
  contentEncoding?: string
  contentLanguage?: string
  contentDisposition?: string
  cacheControl?: string
  /** Names in lower case. */
  user?: Record<string, string>
}

/**
 * The store's own name of an entry's present state. `id` is what compare-and-swap names (S3 ETag,
 * GCS generation, Azure ETag, a file's times, size and inode). `at` tells a rewrite of equal bytes
 * apart where the id can't (S3 LastModified in ms, GCS metageneration). `unsettled`: the file
 * changed within 2 s of its stat, so the id may hide a later change; it never counts as the same.
 */
export interface Token {
  id: string
  at?: number
  unsettled?: true
}

/** Bytes of one key, as far as they are known. `metadata` undefined: not known (not: empty). */
export interface Content {
  size: number
  digests: Digests
  metadata?: Metadata
}

/** What a replica holds under a key. `modifiedAt`: ms since the epoch, by the store's clock. */
export interface Entry extends Content {
  key: Key
  token: Token
  modifiedAt: number
}

// ── what was agreed ─────────────────────────────────────────────────────────────────────────────

/** A run's number: counts up over the whole catalog, and is its fence. */
export type RunNumber = number

/** A line of history. The run that made it names it: a key gets one version a run, at most. */
export interface Version {
  run: RunNumber
  /** null: a tombstone. */
  content: Content | null
  /** The replica whose content this was; '': none's alone (merged, or given by a person). */
  origin: string
  /** ms since the epoch: when that replica was seen to have it, by the store's clock. */
  at: number
}

/**
 * What one replica held when we last agreed with it. `version` is the head itself where it's
 * current. `token` null: it holds a tombstone. `drift`: a destination's own content that the policy
 * `drift: keep` leaves alone; the token is that content's.
 */
export interface Hold {
  version: Version
  token: Token | null
  drift?: true
}

/** One key's tidemark. A replica without a hold never held the key. `rev` counts its changes. */
export interface BaselineRow {
  key: Key
  rev: number
  head: Version
  holds: Record<string, Hold>
}

// ── what is seen now ────────────────────────────────────────────────────────────────────────────

/** `absent` is said only by a listing that ended well; everything doubtful is `unknown`. */
export type Observation =
  | { kind: 'entry'; entry: Entry }
  | { kind: 'absent' }
  | { kind: 'unknown'; reason: string }

// ── what is to be done ──────────────────────────────────────────────────────────────────────────

/** An entry pinned to its token: what may be read, and from where. */
export interface Source {
  replica: string
  token: Token
}

/**
 * What to do to one replica. `expect` null: the key must not exist there. `adopt` touches the
 * catalog alone: the replica already is as agreed (token null: it has no entry).
 */
export type Action =
  | { do: 'put'; replica: string; expect: Token | null }
  | { do: 'delete'; replica: string; expect: Token }
  | { do: 'adopt'; replica: string; token: Token | null; drift?: Content }

/** Content that no replica would hold after the actions: it goes to the vault first (I2). */
export interface Rescue {
  content: Content
  /** Where it can be read, all equal. */
  sources: Source[]
  /** A conflict's loser is kept whatever `history` says. */
  loser: boolean
}

/** Why an item is there, for people: shown by `plan` and `show`. */
export type Reason =
  | 'new'
  | 'changed'
  | 'deleted'
  | 'behind'
  | 'restored'
  | 'touched'
  | 'equal'
  | 'drift'
  | 'resolved'
  /** Made of several contents by a strategy; or a loser that was kept beside the winner. */
  | 'merged'
  | 'kept-both'

/** One key's part of a plan: all its actions, against the row's `rev`. */
export interface PlanItem {
  key: Key
  /** The baseline row's `rev` that this was decided on; 0 where there was no row. */
  rev: number
  reason: Reason
  /** The head after the actions: a new version, or the one there was. */
  head: Version
  actions: Action[]
  /** Where the head's content can be read, all equal; empty for a tombstone. */
  sources: Source[]
  /** The key under which the sources have it, where it is another: a loser that is kept. */
  sourceKey?: Key
  /** What must be agreed on before: losers that are kept beside the winner, under their keys. */
  after?: { key: Key; content: Content }[]
  /** The vault has the head's content, too: merged, given by a person, or of an older version. */
  vaulted?: true
  rescues: Rescue[]
  /** How it decides its key's conflict; in a plan, which is recorded when it is applied. */
  resolution?: Resolution
  /** The replicas from which the key went: they cause the deletes. */
  goneAt: string[]
  /** Of a restore that a person wants all the same: what came later. `run`: it agreed on another
   *  version since; `replicas` have work that isn't in history (it goes to the vault). */
  overwrites?: { run: RunNumber | null; replicas: string[] }
}

/** A side of a conflict: one distinct content and who has it. `content` null: deleted there. */
export interface Contender {
  content: Content | null
  replicas: Source[]
  /** The replicas that deleted it, where `content` is null. */
  deletedAt: string[]
  /** ms since the epoch, at the latest the scan's; null for a delete, which has no time. */
  at: number | null
  /** When it was written first, where several replicas have it; absent: as `at`. */
  since?: number
  /** How far its store's time lies ahead of the scan, ms; absent: it doesn't. */
  ahead?: number
  /** It is the agreed head. */
  head: boolean
  /** Of a conflict that is decided anew: who took this side, whoever has its content now. */
  was?: string[]
}

export type ConflictKind = 'update/update' | 'create/create' | 'update/delete' | 'drift'

/** A value with a reason, never an exception. Contenders are in an order that replicas' names and
 *  places in the config don't change (I11). */
export interface Conflict {
  key: Key
  rev: number
  kind: ConflictKind
  contenders: Contender[]
  /** The agreed head so far; null: there was none. */
  head: Version | null
  /** The latest version that all sides with content were made out of: the head, or an older one
   *  where a side was made behind it. null: one was made of nothing. */
  base: Version | null
  /** Replicas that don't contend and get the outcome: what is expected there, and its content.
   *  `lost`: what it lost an earlier conflict with, which is kept whatever `history` says. */
  bystanders: { replica: string; expect: Token | null; content: Content | null; lost?: true }[]
  /** Why it is open: what was tried, in order, and why that decided nothing. */
  undecided?: Undecided[]
}

/** Something a person should know although nothing is done about it. */
export interface Note {
  kind: 'drift-kept' | 'extra' | 'delete-ignored'
  replica: string
}

/** reconcile's answer for one key. */
export type Decision =
  | { kind: 'nothing'; notes: Note[] }
  /** Contents can't be compared yet: learn these replicas' digests (and metadata), ask again. */
  | { kind: 'need-digest'; replicas: string[] }
  | { kind: 'item'; item: PlanItem; conflict: Conflict | null; notes: Note[] }
  | { kind: 'conflict'; conflict: Conflict; notes: Note[] }

// ── what a person asked for ─────────────────────────────────────────────────────────────────────

/** `prefix`: only keys that begin so; '' for all. `overwriteLater`: also where it would overwrite
 *  work that isn't in history yet, or that a later run agreed on (the vault has it first). */
export type Request =
  | { kind: 'restore'; to: RestorePoint; prefix: Key; overwriteLater: boolean }
  | { kind: 'undo'; run: RunNumber; prefix: Key; overwriteLater: boolean }
  /** Decisions of open conflicts: one directive a key. */
  | { kind: 'resolve' }

/** To what was agreed at `at` (ms); before a run; or, of one key, in that run's version. */
export type RestorePoint =
  | { at: number }
  | { beforeRun: RunNumber }
  | { version: RunNumber; key: Key }

/** What is to be done with one selected key. */
export type Directive =
  /** Back to this content (null: it wasn't there), as run `from` had agreed on it. `head`: the run
   *  of the head that this was decided on; null: the key had no row. `later`: what is to be undone
   *  is no longer the newest version, that run's is. */
  | {
      do: 'restore'
      content: Content | null
      from: RunNumber | null
      head: RunNumber | null
      later?: RunNumber
    }
  /** It can't be had back: listed with the reason, and left as it is. */
  | { do: 'leave'; code: SkipCode; reason: string }
  /** An open conflict, if it is still the one that was looked at. `head`: of one that is decided
   *  anew, the run of the head that this was decided on; null: the key had no row. */
  | {
      do: 'resolve'
      conflict: number
      identity: string
      take: Take
      head?: RunNumber | null
    }

/** How a person decides: a side (by a replica on it), content of their own, or a strategy. */
export type Take = { replica: string } | { content: Content } | { strategy: string }

/** Why a selected key is left as it is: work that came later and would be overwritten; another
 *  version than the one that was looked at; content that nobody keeps; not in the dataset now;
 *  a strategy that decides nothing. */
export type SkipCode = 'later-work' | 'moved-on' | 'not-kept' | 'excluded' | 'undecided'

// ── what became of it ───────────────────────────────────────────────────────────────────────────

/** What became of one action. A stale one is an outcome, not an error: the next scan looks again.
 * */
export type Outcome =
  | { kind: 'done'; token: Token | null; content: Content | null }
  | { kind: 'changed-meanwhile' }
  | { kind: 'skipped'; reason: string; code?: SkipCode }
  | { kind: 'failed'; code: string; message: string }
  /** Above the delete limit, or from a suspect replica: waits for `approve`. */
  | { kind: 'held'; reason: string }
  /** A delete whose cause was taken back: a listing failed after it was planned. */
  | { kind: 'cancelled'; reason: string }

// ── policy ──────────────────────────────────────────────────────────────────────────────────────

export type Direction = 'one-way' | 'two-way'
export type DriftPolicy = 'conflict' | 'overwrite' | 'keep'

/** What a decision needs beside the config: which run decides, and between which two moments (ms)
 *  the changes that it sees were made: from the last complete scan to this one. */
export interface Moment {
  run: RunNumber
  from: number
  to: number
}

/** What reconcile and resolve need of a dataset's config. */
export interface Policy {
  direction: Direction
  /** The replicas' names; the source is first where the direction is one-way. */
  replicas: string[]
  source: string
  drift: DriftPolicy
  /** `never`: a delete at a one-way source isn't carried on. */
  delete: 'propagate' | 'never'
  /** In order; behind the last, conflicts stay open. For two-way alone. */
  rules: StrategyRule[]
  /** Keep what would be lost in the vault. */
  history: boolean
  /** Replicas whose store carries no metadata (folders): their silence about it says nothing. */
  withoutMetadata?: string[]
}
