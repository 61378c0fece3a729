/**
 * What the engine and the CLI ask of the catalog: one set of queries on two engines. Every method
 * is one short transaction, but for those that may touch a whole run or dataset (`dropHolds`,
 * `copyItems`, `countRenames`, `supersededBy`, `pruneItems`): they go page by page, and a repeated
 * call goes on where one was cut off. Lists are given by pages: no cursor is left open between
 * calls.
 *
 * Every failure is a `UserError` where a person can mend it: `catalog-unreachable`,
 * `catalog-denied`, `catalog-busy`, `catalog-full`, `catalog-damaged`, `catalog-text` (a key with a
 * NUL or half a surrogate pair, which not every engine can hold). `open.ts` adds those of opening.
 */
import type { BaselineRow, Directive, Key, KeyRange, Request, RunNumber } from '../model.ts'
import type {
  AuditEvent,
  AuditRow,
  ConflictChange,
  ConflictFilter,
  ConflictRecord,
  HistoryLine,
  HistoryPoint,
  Holder,
  ItemRecord,
  ItemState,
  KeyAtPoint,
  LinesSum,
  RangeRecord,
  RequestRecord,
  RunCounts,
  RunRecord,
  RunReplica,
  Settlement,
} from './records.ts'
import type { VaultIndex } from './vault-index.ts'

export type * from './records.ts'
export type * from './vault-index.ts'

/** The lane of a range's scan; `commitScan` checks it. */
export const scanLane = (range: number): string => `scan/${range}`

export interface Catalog extends VaultIndex {
  close(): Promise<void>

  // ── configs and locations ──
  /** Stores a config by its digest; secrets are in it only as references. */
  putConfig(digest: string, json: string): Promise<void>
  getConfig(digest: string): Promise<string | null>
  getLocation(name: string): Promise<{ identity: string; host: string | null } | null>
  /** Where it was another place, the uploads under way there are forgotten. `asked`: the datasets
   *  whose audit is told. */
  setLocation(
    name: string,
    identity: string,
    host: string | null,
    asked: { datasets: string[]; run: RunNumber | null; by: string },
  ): Promise<void>
  /** All holds of this replica become *never* (I12, `rebind`, a removed replica), and it is no
   *  longer among `knownReplicas`. Each row's rev grows: what was computed before is refused. Gives
   *  how many rows changed. */
  dropHolds(
    dataset: string,
    replica: string,
    asked: { run: RunNumber | null; by: string },
  ): Promise<number>
  /** The replicas' names that any hold of the dataset bears. Kept as a table, not by a scan. */
  knownReplicas(dataset: string): Promise<string[]>
  noteReplicas(dataset: string, replicas: string[]): Promise<void>

  // ── what a person asked for ──
  /** Gives its number. */
  createRequest(dataset: string, request: Request, by: string, at: number): Promise<number>
  getRequest(id: number): Promise<RequestRecord | null>
  /** Adds keys; one that is there already stays as it is. */
  addRequestKeys(id: number, keys: { key: Key; directive: Directive }[]): Promise<void>
  /** All keys of it are there now. */
  endSelection(id: number): Promise<void>
  /** In key order within the range, behind `after`. */
  requestKeys(filter: {
    id: number
    range: KeyRange
    after: Key | null
    limit: number
  }): Promise<{ key: Key; directive: Directive }[]>
  /** Bounds that cut the selection into ranges of `every` keys, as `baselineBounds`. */
  requestBounds(id: number, every: number): Promise<Key[]>

  // ── runs ──
  createRun(
    run: Omit<RunRecord, 'run' | 'endedAt' | 'counts' | 'problem' | 'request'> & {
      request?: number | null
    },
  ): Promise<RunNumber>
  getRun(run: RunNumber): Promise<RunRecord | null>
  /** Newest first; behind `before`, begun at `since` (ms) or later. */
  listRuns(filter: {
    dataset?: string
    workflowId?: string
    before?: RunNumber
    since?: number
    limit: number
  }): Promise<RunRecord[]>
  updateRun(
    run: RunNumber,
    patch: Partial<Pick<RunRecord, 'state' | 'endedAt' | 'problem' | 'temporalRunId'>> & {
      /** Set to these; the others stay. */
      counts?: Partial<RunCounts>
      /** The run because of which an ended one changes, as a stored plan that was applied. */
      cause?: RunNumber
    },
  ): Promise<void>
  /** Adds to the named counts, atomically. */
  addCounts(run: RunNumber, delta: Partial<RunCounts>): Promise<void>
  /** When the dataset's newest run that scanned all of its replicas and settled what it saw began,
   *  ms; null: there was none. A stored plan isn't one: what it saw is still to be decided. Nor is
   *  one that left a replica out: what was changed there was changed before. */
  lastCompleteScan(dataset: string): Promise<number | null>

  // ── replicas of a run ──
  /** Replaces what was said of it in this run. */
  putRunReplica(run: RunNumber, replica: RunReplica): Promise<void>
  /** Marks it unknown (the first reason stays). */
  loseReplica(run: RunNumber, replica: string, problem: RunReplica['problem']): Promise<void>
  /** Adds, atomically; of replicas that were put. */
  addSeen(run: RunNumber, delta: Record<string, { seen: number; gone: number }>): Promise<void>
  runReplicas(run: RunNumber): Promise<RunReplica[]>

  // ── ranges ──
  /** Numbers go on from the run's last range, the run's first is 0; gives the first number. */
  addRanges(run: RunNumber, ranges: KeyRange[]): Promise<number>
  getRange(run: RunNumber, number: number): Promise<RangeRecord | null>

  // ── the fence within a run ──
  /** A lane is what one activity does at a time (`scanLane(3)`, `range/3`, `deletes`). Gives this
   *  attempt's number, from 1: whoever claimed last may write. */
  claim(run: RunNumber, lane: string): Promise<number>
  /** Whether this attempt still holds the lane, and the run isn't ended. Cheap: one key read. */
  holds(run: RunNumber, lane: string, attempt: number): Promise<boolean>

  // ── baseline ──
  /** Rows in key order within the range, behind `after`. */
  readBaseline(
    dataset: string,
    range: KeyRange,
    after: Key | null,
    limit: number,
  ): Promise<BaselineRow[]>
  getBaseline(dataset: string, keys: Key[]): Promise<Map<Key, BaselineRow>>
  /** Bounds that cut the baseline into ranges of `every` keys each: the keys at the places `every`,
   *  2 × `every`, … from 0, each the first of its range. */
  baselineBounds(dataset: string, every: number): Promise<Key[]>
  /** Rows whose head isn't a tombstone. */
  countLive(dataset: string): Promise<number>

  // ── history ──
  /** Newest first; of runs before `before`. */
  linesOfKey(
    dataset: string,
    key: Key,
    page: { before?: RunNumber; limit: number },
  ): Promise<HistoryLine[]>
  /** The newest run's first, each run's in key order; behind a line, or (key null) a run. */
  linesOfDataset(
    dataset: string,
    page: { behind?: { run: RunNumber; key: Key | null }; limit: number },
  ): Promise<HistoryLine[]>
  /** In key order within the range, behind `after`; with the run of the key's newest line. */
  linesOfRun(
    dataset: string,
    run: RunNumber,
    page: { range: KeyRange; after: Key | null; limit: number },
  ): Promise<(HistoryLine & { newest: RunNumber })[]>
  /** Those that there are, in any order. */
  getLines(dataset: string, lines: { key: Key; run: RunNumber }[]): Promise<HistoryLine[]>
  /** The keys that had another version then than their newest, in key order. `limit`: lines that
   *  one call looks at, about; `after` null: it came to the end. */
  changedSince(
    dataset: string,
    point: HistoryPoint,
    page: { range: KeyRange; after: Key | null; limit: number },
  ): Promise<{ keys: KeyAtPoint[]; after: Key | null }>
  /** The run of the oldest line; null: nothing was ever agreed. */
  firstRun(dataset: string): Promise<RunNumber | null>

  // ── plan ──
  /**
   * One page of a scan, in one transaction: the items, the range's cursor (and state, and bound,
   * where it is cut: then [cutAt, to) becomes a new open range, whose number is given), the counts.
   * Nothing is written, and null given, where `attempt` no longer holds `scanLane(number)`, the run
   * is ended, or the range isn't open any more.
   */
  commitScan(page: {
    dataset: string
    run: RunNumber
    number: number
    attempt: number
    items: Omit<ItemRecord, 'run' | 'seq' | 'rangeNumber'>[]
    cursor: Key | null
    resume: Record<string, string>
    ended: boolean
    cutAt: Key | null
    counts: Partial<RunCounts>
    seen: Record<string, { seen: number; gone: number }>
  }): Promise<{ newRange: number | null } | null>
  /** Items of the run in these states, by seq, behind `after` (-1: from the first); of one range
   *  where it's named. */
  readItems(filter: {
    run: RunNumber
    rangeNumber?: number
    states: ItemState[]
    after: number
    limit: number
  }): Promise<ItemRecord[]>
  countItems(run: RunNumber): Promise<Partial<Record<ItemState, number>>>
  /** Writes state, item, conflict, outcomes and tries of these records (no baseline, no rev). With
   *  `by` nothing is written, and false given, where that attempt no longer holds its lane. */
  updateItems(records: ItemRecord[], by?: Holder): Promise<boolean>
  /**
   * Commits outcomes: per settlement the baseline row under its `expectRev`, the history line and
   * the item, all settlements in one transaction (I8). A settlement whose row has another rev is
   * left out whole, and its place in the answer is false; so are all where the run has ended. The
   * stored item's rev becomes the row's (0 where it was forgotten) where the row was written, else
   * it is the record's. A version that is there already stays as it is. With `by` nothing is
   * written, and null given, where that attempt no longer holds its lane.
   */
  settle(dataset: string, settlements: Settlement[], by?: Holder): Promise<boolean[] | null>
  /** Copies the items of `base` in these states into `run` as range 0 (the range itself is the
   *  caller's to add), in their order, with `as` for their state and no tries. Outcomes that ended
   *  something (`done`, `skipped`) come along; what is to be tried again has none. What was copied
   *  before stays as it is. Gives how many were copied by this call. */
  copyItems(base: RunNumber, run: RunNumber, states: ItemState[], as: ItemState): Promise<number>
  /** How many of these deletes (by contentKey, how many there are of it) have a created key of the
   *  run with the same content, each create excusing one (I3). Creates that ended undone excuse
   *  nothing. */
  countRenames(run: RunNumber, deletes: ReadonlyMap<string, number>): Promise<number>
  /** Whether a later run than `run` changed a baseline row of one of its items (its rev isn't the
   *  item's): the first such key, or null. */
  supersededBy(run: RunNumber): Promise<Key | null>
  /** Deletes items of ended runs that began before `before`, except of runs that are `held` or
   *  `planned`: those wait for a person. Gives how many. */
  pruneItems(before: number): Promise<number>

  // ── conflicts ──
  /**
   * A page's conflicts, and the items that they are, in one transaction. An opened one updates
   * its key's open one, which stays the conflict that it was: id, run and time. An end is that of
   * the key's open one; where there is none, its `conflict` and `identity` record one that was
   * never open, once a run. What a person took back goes back to how it had ended where its key
   * is in another conflict now. Gives the numbers of the opened ones, in their order. With `by`
   * nothing is written, and null given, where that attempt no longer holds its lane.
   */
  changeConflicts(dataset: string, change: ConflictChange, by?: Holder): Promise<number[] | null>
  /** A resolved one is open again, bears its resolution still, and waits for a person. */
  reopenConflict(id: number, by: string): Promise<'open' | 'not-resolved' | 'another-open'>
  /** The open ones in key order within the range, behind `after`. */
  openConflicts(filter: {
    dataset: string
    range: KeyRange
    after: Key | null
    limit: number
  }): Promise<ConflictRecord[]>
  /** Newest first, before `before`; open or ended at `since` (ms) or later. */
  findConflicts(filter: ConflictFilter): Promise<ConflictRecord[]>
  countOpenConflicts(dataset: string): Promise<number>

  // ── the audit ──
  /** Appends to the dataset's chain what no other method tells of. */
  record(dataset: string, event: AuditEvent): Promise<void>
  /** The last row; null: the chain is empty. */
  auditHead(dataset: string): Promise<Pick<AuditRow, 'seq' | 'at' | 'digest'> | null>
  /** In order, behind `after` (0: from the first); of one key, told at `since` (ms) or later. */
  auditRows(filter: {
    dataset: string
    after: number
    limit: number
    key?: Key
    since?: number
  }): Promise<AuditRow[]>
  /** A run's lines of history as they are now: `run-ended` has what they were. */
  runLines(dataset: string, run: RunNumber): Promise<LinesSum>
  /** The runs that the dataset's lines of history bear, ascending. */
  runsOfLines(dataset: string): Promise<RunNumber[]>

  // ── uploads ──
  getUpload(location: string, key: Key): Promise<string | null>
  /** `state` null: it ended. */
  putUpload(location: string, key: Key, state: string | null, at: number): Promise<void>
  /** Uploads last saved before `before`, oldest first: what a killed run left, to be aborted. */
  staleUploads(
    location: string,
    before: number,
    limit: number,
  ): Promise<{ key: Key; state: string }[]>
}
