/**
 * resolve: the conflicts of a range by the rules of their keys, or as a person said. A decided one
 * becomes an item like any other; the others stay open, with all their contents kept and with why,
 * and hold up nobody else.
 */

import { createHash } from 'node:crypto'
import type { ItemRecord, Resolution } from '../src/catalog/catalog.ts'
import { StoreError } from '../src/errors.ts'
import { transfersMax } from '../src/limits.ts'
import type { Conflict, Contender, Moment, RunNumber, Undecided } from '../src/model.ts'
import { renameKey } from '../src/sync/content.ts'
import { orderText } from '../src/sync/contents.ts'
import { compareKeys } from '../src/sync/keys.ts'
import { itemOf, madeContender } from '../src/sync/resolve.ts'
import { sideOf } from '../src/sync/strategies/choose.ts'
import { decideByRules } from '../src/sync/strategies/rules.ts'
import type { Attempt } from './attempt.ts'
import { type KeptBeside, keepBeside } from './kept-beside.ts'
import { type ByteBudget, eachLimited } from './lanes.ts'
import { connectorOf, contextOf, type Deps, type RunContext } from './run-context.ts'
import { type Judged, judged } from './verdict.ts'

const pageItems = 1_000

interface Resolving {
  deps: Deps & { budget: ByteBudget }
  context: RunContext
  attempt: Attempt
  /** Of a plan: nothing is written but the plan. */
  preview: boolean
}

/** In a plan, nothing is written but the plan: decided conflicts become its items. */
export async function resolveConflicts(
  deps: Deps & { budget: ByteBudget },
  run: RunNumber,
  rangeNumber: number,
  attempt: Attempt,
): Promise<void> {
  const context = await contextOf(deps, run)
  const work: Resolving = { deps, context, attempt, preview: context.record.mode === 'plan' }
  for (let after = -1; ; ) {
    const filter = { run, rangeNumber, states: ['conflict' as const], after, limit: pageItems }
    const page = await deps.catalog.readItems(filter)
    const beside: ItemRecord[] = []
    await eachLimited(page, transfersMax, async (record) => {
      beside.push(...(await resolveOne(work, record)))
    })
    await attempt.fence('fresh')
    await deps.catalog.updateItems([...page, ...beside])
    if (page.length < pageItems) return
    after = page[page.length - 1]?.seq ?? after
  }
}

/** Gives the items that come beside the conflict's own: its losers under their own names. */
async function resolveOne(work: Resolving, record: ItemRecord): Promise<ItemRecord[]> {
  const { deps, context, attempt } = work
  const conflict = record.conflict as Conflict
  const moment: Moment = { run: context.record.run, from: 0, to: deps.clock() }
  try {
    const rules = context.rulesOf(conflict.key)
    const openFor = rules.some(({ later }) => later) ? await openSince(work, conflict, moment) : 0
    const ask = {
      judge: (known: Parameters<typeof decideByRules>[2]) =>
        decideByRules(conflict, rules, known, openFor),
      ...{ now: moment.to, signal: attempt.signal },
    }
    return await judged(deps, context, conflict, ask, (said) =>
      conclude(work, record, moment, said),
    )
  } catch (error) {
    if (attempt.signal.aborted || !(error instanceof StoreError)) throw error
    fail(record, error)
    return []
  }
}

/** ms; 0 where it isn't open yet. */
async function openSince(
  { deps, context }: Resolving,
  { key }: Conflict,
  { to }: Moment,
): Promise<number> {
  const filter = { dataset: context.dataset.name, key, states: ['open' as const], limit: 1 }
  const [open] = await deps.catalog.findConflicts(filter)
  return open ? to - open.openedAt : 0
}

async function conclude(
  work: Resolving,
  record: ItemRecord,
  moment: Moment,
  said: Judged,
): Promise<ItemRecord[]> {
  const conflict = record.conflict as Conflict
  const { verdict } = said
  if (verdict.kind === 'open') {
    await leaveOpen(work, record, moment, verdict.tried)
    return []
  }
  // Merged when the plan is applied, of the same contents: what it makes would have to be written.
  if (verdict.kind === 'made' && work.preview) return []
  const winner = verdict.kind === 'made' ? await vaulted(work, conflict, verdict) : verdict.winner
  const made = verdict.kind === 'made' ? 'vaulted' : undefined
  const item = itemOf(conflict, winner, work.context.policy, moment, made)
  if (item === null) {
    wait(record)
    return []
  }
  const keep = verdict.kind === 'wins' ? verdict.keep : undefined
  const beside = keep ? await keepBeside({ ...work, ...around(work, record, moment) }, keep) : none
  if ('code' in beside) {
    await leaveOpen(work, record, moment, [...verdict.tried, beside])
    return []
  }
  record.item = { ...item, ...afterOf(beside) }
  record.state = item.head.content === null ? 'deferred' : 'pending'
  record.contentKey = renameKey(item.head.content ?? conflict.head?.content ?? null)
  if (work.preview) return beside.records
  const { name } = work.context.dataset
  await work.deps.catalog.endConflict(name, moment.run, conflict.key, {
    state: 'resolved',
    resolution: resolutionOf(conflict, said.rule?.name ?? '', verdict, winner, beside),
    conflict,
    identity: identityOf(name, conflict),
    at: moment.to,
  })
  return beside.records
}

const none: KeptBeside = { records: [], names: new Map() }

function around({ attempt }: Resolving, record: ItemRecord, moment: Moment) {
  return { record, moment, signal: attempt.signal }
}

function afterOf({ records }: KeptBeside): { after?: string[] } {
  return records.length > 0 ? { after: records.map(({ key }) => key) } : {}
}

/** What was made is in the vault before anything says that it is. */
async function vaulted(
  { deps, context, attempt }: Resolving,
  conflict: Conflict,
  { bytes }: { bytes: Uint8Array },
): Promise<Contender> {
  const vault = await deps.vault(context.config)
  return madeContender(conflict, await vault.putBytes(bytes, attempt.signal))
}

/** The winner's content is on a replica that is unknown now: the key waits for it. */
function wait(record: ItemRecord): void {
  record.state = 'skipped'
  for (const { replica } of record.conflict?.bystanders ?? []) {
    record.outcomes[replica] = { kind: 'skipped', reason: 'the winning content is out of reach' }
  }
}

function resolutionOf(
  { contenders, base }: Conflict,
  rule: string,
  verdict: Exclude<Judged['verdict'], { kind: 'open' }>,
  winner: Contender,
  { names }: KeptBeside,
): Resolution {
  return {
    strategy: verdict.by,
    ...{ rule, why: verdict.why, by: null },
    winner: winner.content,
    winnerReplicas: sideOf(winner),
    losers: contenders
      .filter((one) => one !== winner)
      .map((one) => {
        const keptAs = names.get(one)
        return { content: one.content, replicas: sideOf(one), ...(keptAs ? { keptAs } : {}) }
      }),
    base: base?.content ?? null,
    merged: verdict.kind === 'made',
    tried: verdict.tried,
  }
}

// ── what stays open ─────────────────────────────────────────────────────────────────────────────

async function leaveOpen(
  { deps, context, attempt, preview }: Resolving,
  record: ItemRecord,
  { run, to }: Moment,
  tried: Undecided[],
): Promise<void> {
  const conflict: Conflict = { ...(record.conflict as Conflict), undecided: tried }
  record.conflict = conflict
  if (preview) return
  const vault = await deps.vault(context.config)
  for (const { content, replicas } of conflict.contenders) {
    const source = replicas[0]
    const connector = source ? connectorOf(context, source.replica) : null
    if (content === null || !source || !connector) continue
    await vault.put({ connector, key: conflict.key, token: source.token, content }, attempt.signal)
  }
  const identity = identityOf(context.dataset.name, conflict)
  await deps.catalog.openConflict(context.dataset.name, run, identity, conflict, to)
  record.state = 'open'
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

/** Dataset, key and the sorted contender digests: the same contenders are the same conflict. */
export function identityOf(dataset: string, { key, contenders }: Conflict): string {
  const digests = contenders.map(({ content }) => orderText(content)).sort(compareKeys)
  return createHash('sha256')
    .update(JSON.stringify([dataset, key, digests]))
    .digest('hex')
}
