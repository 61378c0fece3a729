/** What the catalog keeps, as it is given and taken: the rows of its tables in our words. */
import type {
  BaselineRow,
  Conflict,
  Key,
  KeyRange,
  Outcome,
  PlanItem,
  Request,
  Resolution,
  RunNumber,
  Version,
} from '../model.ts'

export type { Resolution } from '../model.ts'

export type RunMode = 'sync' | 'plan' | 'apply' | 'approve'
export type RunTrigger = 'manual' | 'schedule'
/** `planned`: a stored plan waits for `apply`. `superseded`: a later run changed a key of it. */
export type RunState =
  | 'running'
  | 'planned'
  | 'superseded'
  | 'applied'
  | 'complete'
  | 'partial'
  | 'conflicts'
  | 'held'
  | 'failed'
  | 'cancelled'
  | 'abandoned'

export interface RunRecord {
  run: RunNumber
  dataset: string
  mode: RunMode
  trigger: RunTrigger
  state: RunState
  configDigest: string
  /** The run whose stored items this one carries out (`apply`, `approve`). */
  base: RunNumber | null
  /** What a person asked for: the run looks at those keys alone. null: at all of the dataset's. */
  request: number | null
  startedAt: number
  endedAt: number | null
  /** Live heads when it began: what the delete limit's percent is of. */
  liveAtStart: number
  counts: RunCounts
  /** Code and words of what failed the run as a whole, or held it. */
  problem: { code: string; message: string; next?: string } | null
  workflowId: string
  temporalRunId: string | null
  /** `user@host`, or `schedule`; null: it began under a version that didn't ask. */
  by: string | null
}

/** What a person asked for, as they wrote it; a run selects its keys and carries it out. */
export interface RequestRecord {
  id: number
  dataset: string
  kind: Request['kind']
  request: Request
  /** user@host, for the audit. */
  by: string
  at: number
  /** All of its keys are selected. */
  selected: boolean
}

/** Sums over the run's items; `bytes` are those of finished puts. */
export interface RunCounts {
  scanned: number
  planned: number
  puts: number
  deletes: number
  adopted: number
  bytes: number
  stale: number
  skipped: number
  failed: number
  held: number
  cancelled: number
  conflicts: number
  drift: number
  extra: number
  /** Deletes that a create of the same content excuses (I3). */
  renames: number
}

/** One replica's part in one run. */
export interface RunReplica {
  replica: string
  state: 'ok' | 'unknown'
  /** Why it is unknown: code and words; and what to do, where that is known. */
  problem: { code: string; message: string; next?: string } | null
  /** Entries seen, and keys found gone, over all ranges. */
  seen: number
  gone: number
}

export type RangeState = 'open' | 'scanned'

export interface RangeRecord {
  run: RunNumber
  number: number
  range: KeyRange
  state: RangeState
  /** Scanned up to and including this key; null: nothing yet. */
  cursor: Key | null
  /** By replica: its listing's own token for the cursor, where a key alone can't resume it. */
  resume: Record<string, string>
  /** Keys scanned in it so far. */
  scanned: number
}

/**
 * pending: to do now. deferred: a delete, waits for the end of all ranges. blocked: a put that
 * waits for the deletes. conflict: waits for resolve. The others are ends.
 */
export type ItemState =
  | 'pending'
  | 'deferred'
  | 'blocked'
  | 'conflict'
  | 'done'
  | 'stale'
  | 'skipped'
  | 'failed'
  | 'held'
  | 'cancelled'
  | 'open'

export interface ItemRecord {
  run: RunNumber
  /** Order within the run: range × 2^32 + place in the range. */
  seq: number
  rangeNumber: number
  key: Key
  state: ItemState
  item: PlanItem | null
  conflict: Conflict | null
  /** By replica, for the actions that have ended; '' where it is the key's, whatever replica. */
  outcomes: Record<string, Outcome>
  tries: number
  /** The row's rev after this item's own last commit; equals item.rev before. 0: no row. */
  rev: number
  /** The item's content, or what a delete takes away, by `renameKey`. Renames are found by it. */
  contentKey: string | null
}

/** An attempt of a lane: whoever claimed last holds it. */
export interface Holder {
  run: RunNumber
  lane: string
  attempt: number
}

/** One item's ended actions, to be committed together with the row they change. */
export interface Settlement {
  record: ItemRecord
  /** The row as it should be, whose `rev` isn't read: it becomes `expectRev` + 1. null: forget the
   *  key. undefined: the row doesn't change, and no rev is compared. */
  row: BaselineRow | null | undefined
  /** The row's rev that this was computed from (0: there was none). Of two settlements of one key
   *  in one call the second is computed from what the first makes. */
  expectRev: number
  /** A line of history to add, where the head moved. */
  version: HistoryLine | null
  /** A version whose line is to say what is known of its content by now; where there is one. */
  learned?: Version | null
}

export interface ConflictRecord {
  id: number
  dataset: string
  key: Key
  /** Digest of dataset, key and the sorted contender digests. */
  identity: string
  kind: Conflict['kind']
  state: 'open' | 'resolved' | 'closed'
  conflict: Conflict
  openedRun: RunNumber
  openedAt: number
  endedRun: RunNumber | null
  endedAt: number | null
  /** Strategy, rule, winner and the digests it was decided on. null while open; where a person took
   *  back how it had ended, that. */
  resolution: Resolution | null
}

/** What becomes of conflicts in a page of a run; `items`: what they are there. */
export interface ConflictChange {
  run: RunNumber
  /** ms since the epoch. */
  at: number
  opened: { identity: string; conflict: Conflict }[]
  ended: ConflictEnd[]
  items: ItemRecord[]
}

export interface ConflictEnd {
  key: Key
  state: 'resolved' | 'closed'
  resolution: Resolution | null
  /** To be recorded where none was open. */
  conflict: Conflict | null
  identity: string | null
}

/** All that are given must hold. */
export interface ConflictFilter {
  ids?: number[]
  dataset?: string
  key?: Key
  prefix?: Key
  kind?: Conflict['kind']
  states?: ConflictRecord['state'][]
  since?: number
  before?: number
  limit: number
}

// ── the audit ───────────────────────────────────────────────────────────────────────────────────

export type AuditWhat =
  | 'run-begun'
  | 'run-ended'
  | 'replica-lost'
  | 'deletes-held'
  | 'deletes-approved'
  | 'plan-applied'
  | 'plan-superseded'
  | 'conflict-opened'
  /** Other contenders than it had. */
  | 'conflict-changed'
  | 'conflict-resolved'
  /** The replicas agreed by themselves. */
  | 'conflict-closed'
  /** A person took back how it was resolved. */
  | 'conflict-reopened'
  /** A person asked for a restore, an undo, or decided conflicts. */
  | 'request-made'
  | 'location-bound'
  | 'location-rebound'
  | 'replica-forgotten'
  | 'pause-asked'
  | 'resume-asked'
  | 'cancel-asked'
  /** Lines of ended runs: more digests are known of their contents. */
  | 'history-completed'
  | 'history-pruned'
  /** Contents that nothing needs any more are gone from the vault. */
  | 'vault-swept'

/** What was decided; `by`: `user@host`, `rule: …`, `schedule`, or `tidemark` itself. */
export interface AuditEvent {
  run: RunNumber | null
  key: Key | null
  what: AuditWhat
  by: string
  /** Plain data; what is called `metadata` is left out. */
  detail: Record<string, unknown>
}

/** A link of the dataset's chain. */
export interface AuditRow extends Omit<AuditEvent, 'detail'> {
  dataset: string
  /** From 1, without a gap. */
  seq: number
  /** ms since the epoch: when it was told, by our clock. */
  at: number
  /** JSON as it was digested. */
  detail: string
  /** The digest of the row before; empty for the first. */
  prev: string
  digest: string
}

/** Lines of history as one number: of their hashes, modulo 2^2048, in hex. */
export interface LinesSum {
  lines: number
  sum: string
}

/** A line of history as it is stored. */
export interface HistoryLine {
  key: Key
  version: Version
  /** The runs of the versions that it was made of. */
  parents: RunNumber[]
  reason: string
  /** ms since the epoch, by our clock: when it was agreed. */
  agreedAt: number
}

/** A moment of history (ms); or that at which a run began. A version bears the number of the run
 *  that planned it: those of `carriedOutLater` may have been agreed after that. */
export type HistoryPoint =
  | { at: number }
  | { run: RunNumber; carriedOutLater: RunNumber[]; beganAt: number }

/** A key whose newest line isn't what it was at some point. */
export interface KeyAtPoint {
  key: Key
  /** The run of its version then; null: no line is as old as that. */
  then: RunNumber | null
  oldest: RunNumber
  newest: RunNumber
}
