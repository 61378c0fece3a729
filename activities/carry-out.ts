/**
 * One item: what would be lost goes to the vault, then puts and deletes, each under the token that
 * the plan saw. Whatever happens to one replica's action is that action's outcome.
 */
import type { Connector } from '../connectors/connector.ts'
import type { ItemRecord } from '../src/catalog/catalog.ts'
import { RETRIED, StoreError } from '../src/errors.ts'
import { actionTriesMax } from '../src/limits.ts'
import type { Action, Content, Entry, Outcome, PlanItem } from '../src/model.ts'
import { compareContent, sameToken } from '../src/sync/content.ts'
import type { Attempt } from './attempt.ts'
import type { ByteBudget } from './byte-budget.ts'
import type { Committer } from './commit.ts'
import { endOf } from './conclude.ts'
import { keepAgreed, keepFromAny } from './keep.ts'
import { type Bearer, decideMetadata } from './metadata.ts'
import { connectorOf, type Deps, type RunContext } from './run-context.ts'
import { sameContent } from './same-content.ts'
import {
  type Origin,
  originAt,
  SourceError,
  type Target,
  transfer,
  type Written,
} from './transfer.ts'

export interface Work {
  deps: Deps & { budget: ByteBudget }
  context: RunContext
  attempt: Attempt
  commits: Committer
  lane: 'range' | 'deletes' | 'blocked'
  /** Replicas that refuse everything now (a wrong credential, a full disk): not asked again. */
  lost: Map<string, StoreError>
  /** `TransferContext.sending` */
  sending(bytes: number): void
}

/** After these nothing else will succeed at that replica. */
const HOPELESS = new Set(['unauthenticated', 'root-missing', 'no-space'])

/** `look`: an earlier attempt may have written already, so the targets are looked at first (I6). */
export async function carryOut(work: Work, record: ItemRecord, look: boolean): Promise<void> {
  const item = record.item as PlanItem
  const open = item.actions.filter(({ replica }) => !record.outcomes[replica])
  const outcomes: Record<string, Outcome> = {}
  if (!(await isReady(work, item))) return await putOff(work, record, open)
  if (work.context.record.mode === 'apply') await endAsPlanned(work, record)
  try {
    const left = look ? await lookFirst(work, item, open, outcomes) : open
    const todo = await rescue(work, item, left, outcomes)
    await keepAgreed(work.deps, work.context, item, work.attempt.signal)
    if (item.head.content === null) await removeAll(work, item, todo, outcomes)
    else await putAll(work, item, todo, outcomes)
    adoptAll(open, outcomes)
  } catch (error) {
    if (work.attempt.signal.aborted) throw error
    const failure = error instanceof SourceError ? error.failure : error
    if (!(failure instanceof StoreError)) throw error
    // The source or the vault failed: nothing was done, so nothing is agreed.
    const writes = open.filter(({ do: verb }) => verb !== 'adopt')
    for (const { replica } of writes.length > 0 ? writes : open) {
      outcomes[replica] ??= failureOutcome(failure)
    }
  }
  const blocked = waitsForDeletes(work, record, outcomes)
  const again = retriesOf(record, outcomes)
  if (blocked && !again) record.state = 'blocked'
  await work.commits.add(record, outcomes, again || blocked)
}

/** Decided in the plan, by its run; what it decides ends when it is done. */
async function endAsPlanned({ deps, context }: Work, record: ItemRecord): Promise<void> {
  const { record: run, dataset } = context
  const end = endOf(dataset.name, record)
  if (!end) return
  const change = { run: run.base ?? run.run, at: deps.clock(), opened: [], items: [] }
  await deps.catalog.changeConflicts(dataset.name, { ...change, ended: [end] })
}

/** What is kept beside a winner is agreed before the winner takes its place. */
async function isReady({ deps, context }: Work, { after = [] }: PlanItem): Promise<boolean> {
  if (after.length === 0) return true
  const keys = after.map(({ key }) => key)
  const rows = await deps.catalog.getBaseline(context.dataset.name, keys)
  return after.every(({ key, content }) => {
    const agreed = rows.get(key)?.head.content
    return agreed && compareContent(agreed, content) === 'same'
  })
}

/** Until all ranges have ended; who isn't ready then is decided anew by the next run. */
async function putOff(work: Work, record: ItemRecord, open: Action[]): Promise<void> {
  const outcomes: Record<string, Outcome> = {}
  const again = work.lane === 'range'
  const message = 'the loser could not be kept beside the winner: nothing was overwritten'
  for (const { replica } of again ? [] : open) {
    outcomes[replica] = { kind: 'failed', code: 'loser-not-kept', message }
  }
  if (again) record.state = 'blocked'
  await work.commits.add(record, outcomes, again)
}

/** A put that a planned delete may block (`a` → `a/b`, a case rename) is tried again after it. */
function waitsForDeletes(
  work: Work,
  { item }: ItemRecord,
  outcomes: Record<string, Outcome>,
): boolean {
  if (work.lane !== 'range' || item?.head.content === null) return false
  const blocked = Object.keys(outcomes).filter((one) => outcomes[one]?.kind === 'skipped')
  for (const replica of blocked) delete outcomes[replica]
  return blocked.length > 0
}

/** Transient failures aren't outcomes yet: the item stays, until its tries are used up. */
function retriesOf(record: ItemRecord, outcomes: Record<string, Outcome>): boolean {
  if (record.tries + 1 >= actionTriesMax) return false
  let again = false
  for (const [replica, outcome] of Object.entries(outcomes)) {
    if (outcome.kind !== 'failed' || !RETRIED[outcome.code as keyof typeof RETRIED]) continue
    delete outcomes[replica]
    again = true
  }
  return again
}

// ── looking first ───────────────────────────────────────────────────────────────────────────────

async function lookFirst(
  work: Work,
  item: PlanItem,
  actions: Action[],
  outcomes: Record<string, Outcome>,
): Promise<Action[]> {
  const left: Action[] = []
  for (const action of actions) {
    const outcome = await lookAt(work, item, action)
    if (outcome) outcomes[action.replica] = outcome
    else left.push(action)
  }
  return left
}

/** null: it is as the plan saw it, so the action is still to be done. */
async function lookAt(work: Work, item: PlanItem, action: Action): Promise<Outcome | null> {
  const connector = action.do === 'adopt' ? null : connectorOf(work.context, action.replica)
  if (action.do === 'adopt' || connector === null) return null
  const entry = await connector.stat(item.key, { signal: work.attempt.signal })
  if (entry === null) {
    if (action.expect === null) return null
    return item.head.content === null ? done(null, null) : { kind: 'changed-meanwhile' }
  }
  if (sameToken(action.expect, entry.token)) return null
  return await alreadyThere(work, item, connector, entry)
}

/** The token moved: by us, if the content is the one that was to be written (I6). */
async function alreadyThere(
  work: Work,
  item: PlanItem,
  connector: Connector,
  entry: Entry,
): Promise<Outcome> {
  if (item.head.content === null) return { kind: 'changed-meanwhile' }
  const { context, attempt } = work
  const content = await sameContent(context, item, connector, entry, attempt.signal)
  return content ? done(entry.token, content) : { kind: 'changed-meanwhile' }
}

function done(token: Written['token'] | null, content: Content | null): Outcome {
  return { kind: 'done', token, content }
}

// ── what would be lost ──────────────────────────────────────────────────────────────────────────

/**
 * Before the first write that takes content away (I2). Throws where it can't be kept. Gives what is
 * still to be done: a replica that moved on holds what nobody has kept, and isn't touched, whether
 * its store would refuse by the token or not.
 */
async function rescue(
  work: Work,
  item: PlanItem,
  todo: Action[],
  outcomes: Record<string, Outcome>,
): Promise<Action[]> {
  const taken = new Map(todo.map((action) => [action.replica, action]))
  for (const { content, sources } of item.rescues) {
    const what = {
      key: item.key,
      content,
      sources: sources.filter((one) => taken.has(one.replica)),
    }
    for (const replica of await keepFromAny(work.deps, work.context, what, work.attempt.signal)) {
      // Done, where a killed worker's request arrived after it was looked for (I6).
      const outcome = await lookAt(work, item, taken.get(replica) as Action)
      outcomes[replica] = outcome ?? { kind: 'changed-meanwhile' }
    }
  }
  return todo.filter(({ replica }) => !outcomes[replica])
}

// ── puts ────────────────────────────────────────────────────────────────────────────────────────

async function putAll(
  work: Work,
  item: PlanItem,
  todo: Action[],
  outcomes: Record<string, Outcome>,
): Promise<void> {
  const targets: (Target & { replica: string })[] = []
  for (const action of todo) {
    if (action.do !== 'put') continue
    const connector = connectorOf(work.context, action.replica)
    const lost = work.lost.get(action.replica)
    if (lost) outcomes[action.replica] = failureOutcome(lost)
    else if (connector) targets.push({ connector, expect: action.expect, replica: action.replica })
    else outcomes[action.replica] = unreachable(work, action.replica)
  }
  if (targets.length === 0) return
  const results = await fromAnySource(work, item, targets)
  await Promise.all(
    results.map(async (result, i) => {
      const target = targets[i] as Target & { replica: string }
      outcomes[target.replica] = await outcomeOfPut(work, item, target, result)
    }),
  )
}

async function outcomeOfPut(
  work: Work,
  item: PlanItem,
  { connector, replica }: Target & { replica: string },
  result: Written | StoreError,
): Promise<Outcome> {
  if (!(result instanceof StoreError)) return done(result.token, result.content)
  if (result.code !== 'changed-meanwhile') return refused(work, replica, result)
  // A killed worker's request may have arrived after it was looked for.
  const entry = await connector.stat(item.key, { signal: work.attempt.signal })
  return entry ? await alreadyThere(work, item, connector, entry) : { kind: 'changed-meanwhile' }
}

/** The first source that can be read; a key that is gone or changed there is the item's end. */
async function fromAnySource(
  work: Work,
  item: PlanItem,
  targets: (Target & { replica: string })[],
): Promise<(Written | StoreError)[]> {
  const { deps, attempt } = work
  const transferContext = {
    catalog: deps.catalog,
    budget: deps.budget,
    clock: deps.clock,
    signal: attempt.signal,
    fence: attempt.fence,
    sending: work.sending,
  }
  let failure: SourceError | null = null
  for await (const origin of originsOf(work, item, targets)) {
    try {
      if (!origin.carriesMetadata)
        await decideMetadata(item, ...bearersOf(work, item, targets), attempt.signal)
      return await transfer(item, origin, targets, transferContext)
    } catch (error) {
      if (!(error instanceof SourceError)) throw error
      failure = error
    }
  }
  const words = 'No replica that has the content can be read now.'
  const location = item.sources[0]?.replica ?? item.head.origin
  const none = new StoreError('unavailable', words, { location, operation: 'read', key: item.key })
  throw failure ?? new SourceError(none)
}

/** Who has the content, and who has what it is to replace. */
function bearersOf(
  { context }: Work,
  { key, sourceKey = key, sources }: PlanItem,
  targets: (Target & { replica: string })[],
): [holders: Bearer[], targets: Bearer[]] {
  const holders = sources.flatMap(({ replica }) => {
    const connector = connectorOf(context, replica)
    return connector ? [{ replica, connector, key: sourceKey }] : []
  })
  const replaced = targets.filter(({ expect }) => expect !== null)
  return [holders, replaced.map(({ replica, connector }) => ({ replica, connector, key }))]
}

/** The replicas that have it; then the vault, which is asked only where none can be read. */
async function* originsOf(work: Work, item: PlanItem, targets: Target[]): AsyncGenerator<Origin> {
  const { context, deps, attempt } = work
  for (const { replica, token } of nearestFirst(work, item, targets)) {
    const connector = connectorOf(context, replica)
    if (connector) yield originAt(connector, item.sourceKey ?? item.key, token)
  }
  if (!item.vaulted) return
  const vault = await deps.vault(context.config)
  const content = item.head.content as Content
  const open = (signal: AbortSignal) => vault.get(content, signal)
  const entry = await vault.copySource(content, attempt.signal)
  yield { name: 'vault', carriesMetadata: false, open, entry }
}

/** A source in the targets' own store first: it copies there by itself. */
function nearestFirst({ context }: Work, item: PlanItem, targets: Target[]): PlanItem['sources'] {
  const domains = new Set(targets.map(({ connector }) => connector.traits.copyDomain))
  const near = ({ replica }: { replica: string }): number => {
    const domain = connectorOf(context, replica)?.traits.copyDomain ?? null
    return domain !== null && domains.has(domain) ? 0 : 1
  }
  return item.sources.toSorted((a, b) => near(a) - near(b))
}

// ── deletes ─────────────────────────────────────────────────────────────────────────────────────

async function removeAll(
  work: Work,
  item: PlanItem,
  todo: Action[],
  outcomes: Record<string, Outcome>,
): Promise<void> {
  if (!(await stillGone(work, item))) {
    for (const { replica } of todo) outcomes[replica] = { kind: 'changed-meanwhile' }
    return
  }
  await Promise.all(
    todo.map(async (action) => {
      if (action.do !== 'delete') return
      outcomes[action.replica] = await removeOne(work, item, action)
    }),
  )
}

/** Absence is looked at once more, key by key: a listing alone never causes a delete (I3). */
async function stillGone({ context, attempt }: Work, item: PlanItem): Promise<boolean> {
  for (const replica of item.goneAt) {
    const connector: Connector | null = connectorOf(context, replica)
    if (!connector) return false
    if ((await connector.stat(item.key, { signal: attempt.signal })) !== null) return false
  }
  return true
}

async function removeOne(
  work: Work,
  item: PlanItem,
  action: Extract<Action, { do: 'delete' }>,
): Promise<Outcome> {
  const connector = connectorOf(work.context, action.replica)
  if (!connector) return unreachable(work, action.replica)
  try {
    const { signal, fence } = work.attempt
    await connector.remove(item.key, action.expect, { signal, beforeCommit: fence })
    return { kind: 'done', token: null, content: null }
  } catch (error) {
    if (!(error instanceof StoreError) || error.code === 'cancelled') throw error
    // Gone already: the user, or a reply of ours that was lost.
    if (error.code === 'not-found') return { kind: 'done', token: null, content: null }
    return refused(work, action.replica, error)
  }
}

// ── outcomes ────────────────────────────────────────────────────────────────────────────────────

function adoptAll(open: Action[], outcomes: Record<string, Outcome>): void {
  for (const action of open) {
    if (action.do !== 'adopt' || outcomes[action.replica]) continue
    outcomes[action.replica] = { kind: 'done', token: action.token, content: null }
  }
}

function refused(work: Work, replica: string, error: StoreError): Outcome {
  if (HOPELESS.has(error.code)) work.lost.set(replica, error)
  return failureOutcome(error)
}

function failureOutcome(error: StoreError): Outcome {
  if (error.code === 'changed-meanwhile' || error.code === 'not-found') {
    return { kind: 'changed-meanwhile' }
  }
  if (error.code === 'cannot-hold') return { kind: 'skipped', reason: error.message }
  return { kind: 'failed', code: error.code, message: `${error.location}: ${error.message}` }
}

function unreachable({ context }: Work, replica: string): Outcome {
  const reason = context.replicas.find(({ name }) => name === replica)?.reason ?? 'not known'
  return { kind: 'failed', code: 'replica-unknown', message: `${replica}: ${reason}` }
}
