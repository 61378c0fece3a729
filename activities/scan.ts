/**
 * scan → reconcile: one page of a range. The replicas' listings and the baseline are joined as
 * streams until a batch of items is found, the range ends, or it has grown long enough to be cut.
 * A run that a person asked for looks at its selected keys instead (`selected.ts`).
 */
import type { Catalog, RangeRecord } from '../src/catalog/catalog.ts'
import { RETRIED, StoreError } from '../src/errors.ts'
import { listPageKeys, listTriesMax, rangeKeysCut } from '../src/limits.ts'
import type { BaselineRow, Decision, Key, Moment, Observation, RunNumber } from '../src/model.ts'
import { compareKeys, keyProblem } from '../src/sync/keys.ts'
import { type JoinedKey, mergeJoin } from '../src/sync/merge-join.ts'
import { NOTHING, reconcile } from '../src/sync/reconcile.ts'
import { isUnchanged } from '../src/sync/unchanged.ts'
import { decidedAnew, isAsAgreed, isUndone } from '../src/sync/undone.ts'
import { type Attempt, Superseded } from './attempt.ts'
import { learn } from './learn.ts'
import { listingOf, type ResumableListing } from './listing.ts'
import { type OpenConflicts, openConflictsOf } from './open-conflicts.ts'
import { leave, restoreKeys } from './restore.ts'
import { contextOf, type Deps, type RunContext } from './run-context.ts'
import { type SelectedKey, selectedKeys } from './selected.ts'
import {
  emptyTally,
  type TalliedKey,
  type Tally,
  tally,
  tallyUnchanged,
  tallyUnnameable,
} from './tally.ts'

export interface ScanResult {
  /** The range has been scanned to its end. */
  ended: boolean
  /** It was cut: the number of the range that has the rest. */
  cut: number | null
  /** Whether the range has items to be applied, conflicts to be resolved, and deletes for later. */
  items: boolean
  conflicts: boolean
  deferred: boolean
}

/** Everything one page of a scan carries along. */
interface Scan {
  deps: Deps
  context: RunContext
  range: RangeRecord
  moment: Moment
  attempt: Attempt
  /** Of the range: one that isn't found again has ended by itself. */
  open: OpenConflicts
  /** Those of them that this page has. */
  shown: Set<Key>
  /** Bytes that were read to be compared. */
  read: number
}

export async function scanPage(
  deps: Deps,
  run: RunNumber,
  number: number,
  attempt: Attempt,
): Promise<ScanResult> {
  for (let tries = 1; ; tries++) {
    const context = await contextOf(deps, run)
    const range = await deps.catalog.getRange(run, number)
    if (range === null) throw new Error(`run ${run} has no range ${number}`)
    if (range.state !== 'open') {
      // Committed by an attempt whose answer was lost: with it went the number of what it cut off.
      const cut = await lastRange(deps, run, number)
      return { ended: true, cut, ...(await waiting(deps, run, number)) }
    }
    try {
      return await scanOnce(deps, context, range, attempt)
    } catch (error) {
      if (attempt.signal.aborted || !(error instanceof StoreError)) throw error
      if (RETRIED[error.code] && tries < listTriesMax) {
        await new Promise((wake) => setTimeout(wake, 500 * tries))
        continue
      }
      // This replica's listing is not to be had: it is unknown from here on, the others go on, and
      // no delete that it caused is carried out (I3).
      const problem = { code: error.code, message: error.message }
      await deps.catalog.loseReplica(run, error.location, problem)
      tries = 0
    }
  }
}

async function scanOnce(
  deps: Deps,
  context: RunContext,
  range: RangeRecord,
  attempt: Attempt,
): Promise<ScanResult> {
  const { catalog } = deps
  const { record, dataset } = context
  const from = (await catalog.lastCompleteScan(dataset.name)) ?? 0
  const moment: Moment = { run: record.run, from, to: deps.clock() }
  const open = openConflictsOf(catalog, dataset.name, range, record.request !== null)
  const shown = new Set<Key>()
  const scan: Scan = { deps, context, range, moment, attempt, open, shown, read: 0 }
  const listings = record.request === null ? listingsOf(context, range, attempt.signal) : []
  const cut = deps.rangeKeys?.cut ?? rangeKeysCut
  const batchKeys = Math.min(listPageKeys, cut, dataset.batchSize)
  const batches: AsyncIterable<(JoinedKey & Partial<SelectedKey>)[]> =
    record.request === null
      ? mergeJoin(listings, baselinePages(catalog, dataset.name, range), batchKeys)
      : selectedKeys(deps, context, range, batchKeys, attempt.signal)
  const found = emptyTally()
  let cursor = range.cursor
  let ended = true
  let cutAt: Key | null = null
  try {
    for await (const batch of batches) {
      // A listing that is gone on with repeats what the page before had.
      const fresh = batch.find(({ key }) => cursor === null || compareKeys(key, cursor) > 0)
      if (!fresh) continue
      // A range that has grown long is cut here, so that the rest starts beside its applying.
      if (range.scanned + found.scanned >= cut) {
        cutAt = fresh.key
        break
      }
      await open.readAlong(batch)
      await decideBatch(scan, batch, found)
      cursor = batch[batch.length - 1]?.key ?? cursor
      attempt.tell({ scanned: found.scanned, items: found.items.length })
      attempt.signal.throwIfAborted()
      if (found.items.length >= dataset.batchSize) {
        ended = false
        break
      }
    }
  } finally {
    await Promise.all(listings.map(async ({ pages }) => await pages?.return(undefined)))
  }
  const resume = Object.fromEntries(
    listings.flatMap(({ name, resume: token }) => (token() ? [[name, token() as string]] : [])),
  )
  if (record.request === null && cutAt === null) await closeVanished(scan, cursor, ended)
  return await commitPage(scan, found, { cursor, ended, cutAt, resume })
}

async function commitPage(
  scan: Scan,
  found: Tally,
  at: { cursor: Key | null; ended: boolean; cutAt: Key | null; resume: Record<string, string> },
): Promise<ScanResult> {
  const { deps, context, range, attempt } = scan
  await endConflicts(scan)
  const committed = await deps.catalog.commitScan({
    dataset: context.dataset.name,
    run: range.run,
    number: range.number,
    attempt: attempt.holder.attempt,
    items: found.items,
    cursor: at.cursor,
    resume: at.resume,
    ended: at.ended,
    cutAt: at.cutAt,
    counts: found.counts,
    seen: found.seen,
  })
  if (committed === null) throw new Superseded(attempt.holder)
  const { run, number } = range
  return { ended: at.ended, cut: committed.newRange, ...(await waiting(deps, run, number)) }
}

/** The run's last range, where there are any behind this one. */
async function lastRange({ catalog }: Deps, run: RunNumber, number: number) {
  let last = number
  while ((await catalog.getRange(run, last + 1)) !== null) last++
  return last > number ? last : null
}

/** Asked of the catalog, not counted: an earlier attempt's page may be waiting, too. */
async function waiting({ catalog }: Deps, run: RunNumber, rangeNumber: number) {
  const has = async (state: 'pending' | 'conflict' | 'deferred') => {
    const filter = { run, rangeNumber, states: [state], after: -1, limit: 1 }
    return (await catalog.readItems(filter)).length > 0
  }
  return {
    items: await has('pending'),
    conflicts: await has('conflict'),
    deferred: await has('deferred'),
  }
}

// ── one batch ───────────────────────────────────────────────────────────────────────────────────

async function decideBatch(
  scan: Scan,
  batch: (JoinedKey & Partial<SelectedKey>)[],
  found: Tally,
): Promise<void> {
  const { context, range } = scan
  const undecided: TalliedKey[] = []
  const restored: TalliedKey[] = []
  for (const joined of batch) {
    if (range.cursor !== null && compareKeys(joined.key, range.cursor) <= 0) continue
    const { directive } = joined
    if (scan.open.get(joined.key)) scan.shown.add(joined.key)
    if (!context.selects(joined.key)) {
      found.excluded++
      if (directive) leave(found, { ...joined, unholdable: {}, unlearned: {} }, context, excluded)
      continue
    }
    if (joined.key.includes('\0') || !joined.key.isWellFormed()) {
      tallyUnnameable(found, joined, context)
      continue
    }
    const asked = directive?.do === 'restore' || directive?.do === 'leave'
    if (!asked && isUnchanged(joined.row, joined.observations, context.policy.replicas)) {
      if (directive) note(scan, found, { ...joined, unholdable: {}, unlearned: {} }, NOTHING)
      else tallyUnchanged(found, context)
      scan.open.close(joined.key)
      continue
    }
    const unholdable = holdable(context, joined)
    const one: TalliedKey = { ...joined, unholdable, unlearned: joined.unlearned ?? {} }
    if (asked) {
      restored.push(one)
      continue
    }
    const decision = decideKey(scan, one)
    if (decision.kind === 'need-digest') undecided.push(one)
    else note(scan, found, one, decision)
  }
  await decideLater(scan, undecided, found)
  const { deps, moment, attempt } = scan
  await restoreKeys({ deps, context, moment, signal: attempt.signal }, restored, found)
}

const agreed = { code: 'moved-on', reason: 'the key is not in conflict any more' } as const
const excluded = { code: 'excluded', reason: 'the dataset does not have this key now' } as const

function note(
  scan: Scan,
  found: Tally,
  one: TalliedKey,
  decided: Exclude<Decision, { kind: 'need-digest' }>,
): void {
  const decision = alone(one, anewOr(scan, one, decided))
  const conflict = decision.kind === 'nothing' ? null : decision.conflict
  const { directive } = one
  if (directive?.do === 'resolve' && !conflict) one.unlearned[''] ??= { kind: 'skipped', ...agreed }
  tally(found, one, decision, scan.context)
  closeIfAgreed(scan, one, decision)
}

/** A conflict that a person decides now is carried out to everybody: an item for those that it
 *  leaves in peace would be the same key's second. */
function alone(
  { directive }: TalliedKey,
  decision: Exclude<Decision, { kind: 'need-digest' }>,
): Exclude<Decision, { kind: 'need-digest' }> {
  if (directive?.do !== 'resolve' || decision.kind !== 'item' || !decision.conflict) return decision
  return { kind: 'conflict', conflict: decision.conflict, notes: decision.notes }
}

/** Where the replicas agree, the conflict that a person took back and decides anew. */
function anewOr(
  { open, context }: Scan,
  one: TalliedKey,
  decided: Exclude<Decision, { kind: 'need-digest' }>,
): Exclude<Decision, { kind: 'need-digest' }> {
  const { key, directive, row } = one
  const record = open.get(key)
  if (directive?.do !== 'resolve' || !record || !isUndone(record)) return decided
  if (!isAsAgreed(row, decided)) return decided
  const now = row?.head.run ?? null
  if (now !== directive.head) {
    const reason = now === null ? 'it was deleted since' : `run ${now} changed it since`
    one.unlearned[''] = { kind: 'skipped', code: 'moved-on', reason }
    return decided
  }
  const conflict = decidedAnew(record.conflict, row, observedBy(context, one.observations))
  return { kind: 'conflict', conflict, notes: decided.notes }
}

/** Absent where the store can't hold the key: that is no absence, and nothing is put there. */
function holdable(context: RunContext, joined: JoinedKey): Record<string, string> {
  const problems: Record<string, string> = {}
  context.replicas.forEach(({ name, connector }, i) => {
    if (connector === null || joined.observations[i]?.kind !== 'absent') return
    const problem = keyProblem(joined.key, connector.traits.keys)
    if (problem === null) return
    problems[name] = problem
    joined.observations[i] = { kind: 'unknown', reason: problem }
  })
  return problems
}

function decideKey(scan: Scan, { key, row, observations }: JoinedKey): Decision {
  const { context, moment } = scan
  return reconcile(key, row, observedBy(context, observations), context.policy, moment)
}

function observedBy({ policy }: RunContext, observations: Observation[]) {
  return new Map(policy.replicas.map((name, i) => [name, observations[i] as Observation]))
}

/** Keys whose contents can't be compared yet: what is asked for is learned, then asked again. */
async function decideLater(scan: Scan, undecided: TalliedKey[], found: Tally): Promise<void> {
  let left = undecided
  // Stat, then read, per replica: after so many rounds nothing more can be learned.
  for (let round = 0; left.length > 0; round++) {
    const asked = left.map((one) => ({ one, decision: decideKey(scan, one) }))
    left = []
    const needs = asked.filter(({ decision }) => decision.kind === 'need-digest')
    for (const { one, decision } of asked) {
      if (decision.kind !== 'need-digest') note(scan, found, one, decision)
      else left.push(one)
    }
    const final = round >= 2 * scan.context.replicas.length
    const onRead = (bytes: number) => {
      scan.read += bytes
      scan.attempt.tell({ hashed: scan.read })
    }
    await learn(scan.context, needs, { final, signal: scan.attempt.signal, onRead })
  }
}

// ── around it ───────────────────────────────────────────────────────────────────────────────────

function listingsOf(
  context: RunContext,
  { range, cursor, resume }: RangeRecord,
  signal: AbortSignal,
): ResumableListing[] {
  return context.replicas.map((replica) =>
    listingOf(replica, range, cursor, resume[replica.name], signal),
  )
}

async function* baselinePages(
  catalog: Catalog,
  dataset: string,
  range: RangeRecord,
): AsyncGenerator<BaselineRow[]> {
  let after = range.cursor
  for (;;) {
    const rows = await catalog.readBaseline(dataset, range.range, after, listPageKeys)
    if (rows.length > 0) yield rows
    if (rows.length < listPageKeys) return
    after = rows[rows.length - 1]?.key ?? null
  }
}

/** The replicas agree again by themselves: everyone was looked at, and nothing conflicts. */
function closeIfAgreed({ open }: Scan, one: TalliedKey, decision: Decision): void {
  const agreed = decision.kind === 'nothing' || (decision.kind === 'item' && !decision.conflict)
  if (agreed && !one.observations.some(({ kind }) => kind === 'unknown')) open.close(one.key)
}

/** Of a key that nobody has any more, the baseline neither, no stream tells: the page went by its
 *  place without it. */
async function closeVanished(scan: Scan, cursor: Key | null, ended: boolean): Promise<void> {
  const { open, range, context } = scan
  if (context.replicas.some(({ connector }) => connector === null)) return
  if (ended || cursor !== null) await open.readTo(ended ? null : cursor)
  for (const { key } of open.all()) {
    const before = range.cursor !== null && compareKeys(key, range.cursor) <= 0
    const behind = !ended && (cursor === null || compareKeys(key, cursor) > 0)
    if (before || behind || scan.shown.has(key)) continue
    open.close(key)
  }
}

/** A plan leaves the inbox as it is: the next run sees the same. */
async function endConflicts({ deps, context, range, moment, attempt, open }: Scan): Promise<void> {
  const ended = open.closed()
  if (ended.length === 0 || context.record.mode === 'plan') return
  const change = { run: range.run, at: moment.to, opened: [], ended, items: [] }
  const done = await deps.catalog.changeConflicts(context.dataset.name, change, attempt.holder)
  if (done === null) throw new Superseded(attempt.holder)
}
