/**
 * resolve: the conflicts of a range by the rules of their keys, or as a person said. A decided one
 * becomes an item like any other; the others stay open, with all their contents kept and with why,
 * and hold up nobody else.
 */
import type { ItemRecord } from '../src/catalog/catalog.ts'
import { StoreError } from '../src/errors.ts'
import { transfersMax } from '../src/limits.ts'
import type { Conflict, Moment, RunNumber, Undecided } from '../src/model.ts'
import { eachLimited } from '../src/sync/each-limited.ts'
import { madeContender } from '../src/sync/resolve.ts'
import { decideByRules } from '../src/sync/strategies/rules.ts'
import type { Known } from '../src/sync/strategies/verdict.ts'
import { isKept } from '../src/sync/undone.ts'
import type { VaultSource } from '../src/vault/vault.ts'
import { type Attempt, Superseded } from './attempt.ts'
import { judgeOf, movedOn, type Refused, type Told, toldOf } from './by-person.ts'
import { conclude, endOf, identityOf, type Ruling } from './conclude.ts'
import { expectContents, keepEntry } from './keep.ts'
import { connectorOf, contextOf, type Deps, type RunContext } from './run-context.ts'
import { type Deciding, type Judged, judged } from './verdict.ts'

const pageItems = 1_000

interface Resolving {
  deps: Deps & { deciding: Deciding }
  context: RunContext
  signal: AbortSignal
  /** Of the page: those that stay open. */
  opened: ItemRecord[]
}

/** One conflict of the page. */
interface Case extends Resolving {
  record: ItemRecord
  conflict: Conflict
  moment: Moment
}

/** In a plan, nothing is written but the plan: decided conflicts become its items. */
export async function resolveConflicts(
  deps: Deps & { deciding: Deciding },
  run: RunNumber,
  rangeNumber: number,
  attempt: Attempt,
): Promise<void> {
  const context = await contextOf(deps, run)
  for (let after = -1; ; ) {
    const filter = { run, rangeNumber, states: ['conflict' as const], after, limit: pageItems }
    const page = await deps.catalog.readItems(filter)
    const keys = page.map(({ key }) => key)
    const told = await toldOf(deps, context, keys)
    const work: Resolving = { deps, context, signal: attempt.signal, opened: [] }
    const beside: ItemRecord[] = []
    await eachLimited(page, transfersMax, async (record) => {
      beside.push(...(await resolveOne(work, record, told.get(record.key))))
    })
    await keepOpened(work)
    await attempt.fence()
    await commitPage(work, [...page, ...beside], attempt)
    if (page.length < pageItems) return
    after = page[page.length - 1]?.seq ?? after
  }
}

/** In one transaction: what was opened, what ended, and the items; nothing where another attempt
 *  does this work now. In a plan, the items alone. */
async function commitPage(
  { deps, context, opened }: Resolving,
  items: ItemRecord[],
  { holder }: Attempt,
): Promise<void> {
  const { record, dataset } = context
  const { run } = record
  const planned = record.mode === 'plan'
  const change = {
    ...{ run, at: deps.clock(), items },
    opened: opened.flatMap(({ conflict }) =>
      conflict ? [{ identity: identityOf(dataset.name, conflict), conflict }] : [],
    ),
    ended: planned ? [] : items.flatMap((one) => endOf(dataset.name, one) ?? []),
  }
  const done = await deps.catalog.changeConflicts(dataset.name, change, holder)
  if (done === null) throw new Superseded(holder)
}

/** Gives the items that come beside the conflict's own: its losers under their own names. */
async function resolveOne(
  work: Resolving,
  record: ItemRecord,
  told: Told | undefined,
): Promise<ItemRecord[]> {
  const conflict = record.conflict as Conflict
  const moment: Moment = { run: work.context.record.run, from: 0, to: work.deps.clock() }
  const one: Case = { ...work, record, conflict, moment }
  try {
    return told ? await byPerson(one, told) : await byRules(one)
  } catch (error) {
    if (work.signal.aborted || !(error instanceof StoreError)) throw error
    fail(record, error)
    return []
  }
}

// ── by the rules of its key ─────────────────────────────────────────────────────────────────────

async function byRules(one: Case): Promise<ItemRecord[]> {
  const { deps, context, conflict, moment, signal } = one
  const rules = context.rulesOf(conflict.key)
  const openFor = rules.some(({ later }) => later) ? await howLongOpen(one) : 0
  const judge = (known: Known) => decideByRules(conflict, rules, known, openFor)
  const ask = { judge, now: moment.to, signal }
  return await judged(deps, context, conflict, ask, async ({ rule, verdict }) => {
    if (verdict.kind === 'open') return leaveOpen(one, verdict.tried)
    // Merged when the plan is applied, of the same contents: what it makes would be written now.
    if (verdict.kind === 'made' && context.record.mode === 'plan') return []
    const ruling = await rulingOf(one, verdict, { rule: rule?.name ?? '', by: null })
    const items = await conclude(one, one.record, ruling)
    if (!('code' in items)) return items
    if (items.code !== 'out-of-reach') return leaveOpen(one, [...verdict.tried, items])
    wait(one, items)
    return []
  })
}

/** ms; 0 where it isn't open yet. */
async function howLongOpen({ deps, context, conflict, moment }: Case): Promise<number> {
  const states = ['open' as const]
  const filter = { dataset: context.dataset.name, key: conflict.key, states, limit: 1 }
  const [open] = await deps.catalog.findConflicts(filter)
  return open ? moment.to - open.openedAt : 0
}

async function rulingOf(
  one: Case,
  verdict: Exclude<Judged['verdict'], { kind: 'open' }>,
  said: Pick<Ruling, 'rule' | 'by'>,
): Promise<Ruling> {
  const { by: strategy, why, tried } = verdict
  const ruling = { ...said, strategy, why, tried }
  if (verdict.kind === 'wins') {
    const { winner, keep } = verdict
    return { ...ruling, winner, vaulted: isKept(winner), keep }
  }
  return { ...ruling, winner: await madeOf(one, verdict.bytes), vaulted: true }
}

/** What was made is in the vault before anything says that it is. */
async function madeOf({ deps, context, conflict, signal }: Case, bytes: Uint8Array) {
  const vault = await deps.vault(context.config)
  return madeContender(conflict, await vault.putBytes(bytes, signal))
}

/** The winner's content is on a replica that is unknown now: the key waits for it. */
function wait({ record, conflict }: Case, { message: reason }: Undecided): void {
  record.state = 'skipped'
  for (const { replica } of conflict.bystanders) {
    record.outcomes[replica] = { kind: 'skipped', reason }
  }
}

// ── as a person said ────────────────────────────────────────────────────────────────────────────

async function byPerson(one: Case, told: Told): Promise<ItemRecord[]> {
  const { deps, context, conflict, moment, signal } = one
  const moved = await movedOn(deps, conflict, told)
  if (moved) return await refuse(one, moved)
  const answer = await judgeOf(deps, context, conflict, told, signal)
  if ('code' in answer) return await refuse(one, answer)
  const said = { rule: 'a person', by: told.by }
  if ('winner' in answer) {
    return await concludeOrRefuse(one, { ...answer, ...said, strategy: 'manual', tried: [] })
  }
  const ask = { judge: answer, now: moment.to, signal }
  return await judged(deps, context, conflict, ask, async ({ verdict }) => {
    if (verdict.kind !== 'open') {
      return await concludeOrRefuse(one, await rulingOf(one, verdict, said))
    }
    const reason = verdict.tried.map(({ message }) => message).join('; ')
    return await refuse(one, { code: 'undecided', reason }, verdict.tried)
  })
}

async function concludeOrRefuse(one: Case, ruling: Ruling): Promise<ItemRecord[]> {
  const items = await conclude(one, one.record, ruling)
  if (!('code' in items)) return items
  return await refuse(one, { code: 'undecided', reason: items.message }, [items])
}

/** It stays open, as it is now; and whoever asked is told why. */
async function refuse(
  one: Case,
  { code, reason }: Refused,
  tried: Undecided[] = [],
): Promise<ItemRecord[]> {
  // What is decided anew stays as it was looked at: its sides are no replica's any more.
  if (!one.conflict.contenders.some(({ was }) => was)) leaveOpen(one, tried)
  one.record.state = 'skipped'
  one.record.outcomes[''] = { kind: 'skipped', code, reason }
  return []
}

// ── what stays open ─────────────────────────────────────────────────────────────────────────────

function leaveOpen({ context, record, conflict, opened }: Case, tried: Undecided[]): [] {
  record.conflict = { ...conflict, undecided: tried }
  if (context.record.mode === 'plan') return []
  record.state = 'open'
  opened.push(record)
  return []
}

/** All that the sides of the page's open conflicts have. What can't be kept isn't open, but
 *  failed. */
async function keepOpened({ deps, context, signal, opened }: Resolving): Promise<void> {
  const wanted = opened.map((record) => ({ record, sources: sourcesOf(context, record) }))
  const contents = wanted.flatMap(({ sources }) => sources.map(({ content }) => content))
  const noteKept = await expectContents(deps, context, contents, signal)
  const kept: ItemRecord[] = []
  await eachLimited(wanted, transfersMax, async ({ record, sources }) => {
    try {
      for (const source of sources) await keepEntry(deps, context, source, signal)
      kept.push(record)
    } catch (error) {
      if (signal.aborted || !(error instanceof StoreError)) throw error
      fail(record, error)
    }
  })
  await noteKept()
  opened.splice(0, opened.length, ...kept)
}

function sourcesOf(context: RunContext, { key, conflict }: ItemRecord): VaultSource[] {
  return (conflict as Conflict).contenders.flatMap(({ content, replicas }) => {
    const source = replicas[0]
    const connector = source ? connectorOf(context, source.replica) : null
    if (content === null || !source || !connector) return []
    return [{ connector, key, token: source.token, content }]
  })
}

/** A content could not be read, or not be kept. Nothing is overwritten, so nothing is lost; the
 *  next run looks again. */
function fail(record: ItemRecord, error: StoreError): void {
  const moved = error.code === 'changed-meanwhile' || error.code === 'not-found'
  record.state = moved ? 'stale' : 'failed'
  const message = `${error.location}: ${error.message}`
  for (const { replicas } of (record.conflict as Conflict).contenders) {
    for (const { replica } of replicas) {
      record.outcomes[replica] = moved
        ? { kind: 'changed-meanwhile' }
        : { kind: 'failed', code: error.code, message }
    }
  }
}
