/**
 * The run's deletes are weighed before the first of them: taken back where their cause is doubtful,
 * held where they are too many (I3). Nothing here touches a store.
 */
import type { Catalog, ItemRecord, ItemState, RunRecord, RunState } from '../src/catalog/catalog.ts'
import type { DatasetConfig } from '../src/config/index.ts'
import { deleteWindowMs } from '../src/limits.ts'
import type { Outcome, RunNumber } from '../src/model.ts'
import { type Attempt, Superseded } from './attempt.ts'
import { contextOf, type Deps } from './run-context.ts'

export interface Weighed {
  /** Whether deletes (and the adoption of tombstones) may go on, and puts wait behind them. */
  deferred: boolean
  blocked: boolean
  deletes: number
  held: number
  cancelled: number
}

const pageItems = 1_000
/** What this step may have moved: an attempt that is repeated weighs all of them again. */
const weighedStates: ItemState[] = ['deferred', 'held', 'cancelled']

/**
 * Everything is decided before anything is written, from what no attempt changes: so a repeated
 * attempt comes to the same, and its counts are set, not added.
 */
export async function weighRunDeletes(
  deps: Deps,
  run: RunNumber,
  rangesFailed: number,
  attempt: Attempt,
): Promise<Weighed> {
  const { catalog } = deps
  const { record, dataset } = await contextOf(deps, run)
  const { verdict, weighed, renames, reason } = await weigh(deps, record, dataset, rangesFailed)
  await carryOutVerdicts(catalog, run, attempt, (one) => {
    return verdict(one) ?? (reason !== null && isDelete(one) ? { kind: 'held', reason } : null)
  })
  if (weighed.held > 0) {
    const message = `${weighed.held} deletes held: ${reason ?? verdict.words}`
    const approve = `Look at them with \`tidemark show ${run}\`; then \`tidemark approve ${run}\``
    const [emptied] = verdict.emptied
    const refill = `, or fill it again: \`tidemark rebind ${emptied} --forget\``
    const next = `${approve}${emptied === undefined ? '' : refill}.`
    await catalog.updateRun(run, { problem: { code: 'deletes-held', message, next } })
  }
  const { held, cancelled } = weighed
  // Held deletes used up no rename: what is approved later isn't weighed again.
  const counts = { held, cancelled, renames: reason === null ? renames : 0 }
  await catalog.updateRun(run, { counts })
  const has = async (state: 'deferred' | 'blocked') =>
    (await catalog.readItems({ run, states: [state], after: -1, limit: 1 })).length > 0
  return { ...weighed, deferred: await has('deferred'), blocked: await has('blocked') }
}

/** What carrying out this plan would hold, as it stands now, and why; null: nothing. */
export async function foreseeHeld(
  deps: Pick<Deps, 'catalog' | 'clock'>,
  plan: RunRecord,
  dataset: DatasetConfig,
): Promise<{ held: number; reason: string } | null> {
  if (isAskedFor(plan)) return null
  const { verdict, weighed, reason } = await weigh(deps, plan, dataset, 0)
  return weighed.held > 0 ? { held: weighed.held, reason: reason ?? verdict.words } : null
}

async function weigh(
  deps: Pick<Deps, 'catalog' | 'clock'>,
  record: RunRecord,
  dataset: DatasetConfig,
  rangesFailed: number,
) {
  const { catalog } = deps
  const { run } = record
  const verdict = verdictsOf(await doubtsOf(catalog, record), rangesFailed)
  const contents = new Map<string, number>()
  const weighed = { deletes: 0, held: 0, cancelled: 0 }
  for await (const page of itemPages(catalog, run, weighedStates)) {
    for (const one of page) {
      const outcome = verdict(one)
      if (outcome !== null) weighed[outcome.kind]++
      else if (isDelete(one)) {
        weighed.deletes++
        const { contentKey } = one
        if (contentKey !== null) contents.set(contentKey, (contents.get(contentKey) ?? 0) + 1)
      }
    }
  }
  const renames = await catalog.countRenames(run, contents)
  const reason = await overLimit(deps, record, dataset, weighed.deletes, renames)
  if (reason !== null) {
    weighed.held += weighed.deletes
    weighed.deletes = 0
  }
  return { verdict, weighed, renames, reason }
}

function isDelete({ item }: ItemRecord): boolean {
  return item?.actions.some((action) => action.do === 'delete') ?? false
}

/** A person has seen these very keys. */
function isAskedFor({ mode, request }: RunRecord): boolean {
  return mode === 'approve' || request !== null
}

interface Doubts {
  /** By replica: why nothing is known of it in this run. */
  unknown: ReadonlyMap<string, string>
  /** Replicas that were found empty although they held more than one key. */
  emptied: ReadonlySet<string>
}

async function doubtsOf(catalog: Catalog, record: RunRecord): Promise<Doubts> {
  const replicas = await catalog.runReplicas(record.run)
  const unknown = replicas.flatMap(({ replica, state, problem }) =>
    state === 'unknown' ? [[replica, problem?.message ?? 'not looked at'] as const] : [],
  )
  const emptied = new Set<string>()
  for (const { replica, seen, gone } of isAskedFor(record)
    ? []
    : await scannedBy(catalog, record)) {
    const isEmpty = seen === 0 && gone > 1
    if (isEmpty || (gone > 0 && (await wasEmptied(catalog, record, replica)))) {
      emptied.add(replica)
    }
  }
  return { unknown: new Map(unknown), emptied }
}

/** A stored plan was scanned by the run that made it. */
async function scannedBy(catalog: Catalog, { mode, run, base }: RunRecord) {
  return await catalog.runReplicas(mode === 'apply' && base !== null ? base : run)
}

/**
 * A run that held its deletes has put other keys there meanwhile: it isn't empty any more, but
 * nobody has said that it was meant. That ends when a person approves, or the keys are back.
 */
async function wasEmptied(catalog: Catalog, record: RunRecord, replica: string): Promise<boolean> {
  const { dataset } = record
  for (let before = record.run; ; ) {
    const page = await catalog.listRuns({ dataset, before, limit: pageItems })
    for (const one of page) {
      if (one.mode === 'plan' || isAskedFor(one) || !weighing.has(one.state)) continue
      const scanned = await scannedBy(catalog, one)
      const then = scanned.find((each) => each.replica === replica && each.state === 'ok')
      if (then === undefined) continue
      // A partial one may have taken its deletes back for another reason.
      if ((one.state !== 'held' && one.state !== 'partial') || then.gone === 0) return false
      if (one.state === 'held' && then.seen === 0 && then.gone > 1) return true
    }
    if (page.length < pageItems) return false
    before = page.at(-1)?.run ?? 0
  }
}

/** How runs end that have scanned everything; `applied`: what it held was approved. */
const weighing: ReadonlySet<RunState> = new Set([
  ...(['held', 'applied', 'complete', 'partial', 'conflicts'] as const),
])

type Verdict = Extract<Outcome, { kind: 'held' | 'cancelled' }>

/** null: it may go on, as far as this item alone tells. */
function verdictsOf({ unknown, emptied }: Doubts, rangesFailed: number) {
  const words = `${[...emptied].join(', ')} was found empty, although it held more than one key`
  function verdict({ item }: ItemRecord): Verdict | null {
    if (rangesFailed > 0) return { kind: 'cancelled', reason: 'a range of this run failed' }
    const doubtful = item?.goneAt.find((replica) => unknown.has(replica))
    if (doubtful !== undefined) {
      return { kind: 'cancelled', reason: `${doubtful}: ${unknown.get(doubtful)}` }
    }
    const held = item?.goneAt.some((replica) => emptied.has(replica))
    return held ? { kind: 'held', reason: words } : null
  }
  return Object.assign(verdict, { emptied, words })
}

async function* itemPages(
  catalog: Catalog,
  run: RunNumber,
  states: ItemState[],
): AsyncGenerator<ItemRecord[]> {
  for (let after = -1; ; ) {
    const page = await catalog.readItems({ run, states, after, limit: pageItems })
    if (page.length > 0) yield page
    if (page.length < pageItems) return
    after = page[page.length - 1]?.seq ?? after
  }
}

/** An attempt that was given up must not write over what its successor's deletes did. */
async function carryOutVerdicts(
  catalog: Catalog,
  run: RunNumber,
  { holder, fence }: Attempt,
  verdict: (one: ItemRecord) => Verdict | null,
): Promise<void> {
  for await (const page of itemPages(catalog, run, ['deferred'])) {
    const changed = page.flatMap((one) => {
      const outcome = verdict(one)
      if (outcome === null) return []
      const replicas = one.item?.actions.map(({ replica }) => replica) ?? []
      const outcomes = Object.fromEntries(replicas.map((replica) => [replica, outcome]))
      return [{ ...one, state: outcome.kind, outcomes }]
    })
    if (changed.length === 0) continue
    await fence()
    if (!(await catalog.updateItems(changed, holder))) throw new Superseded(holder)
  }
}

/**
 * Counted over a rolling day across runs, without what a person asked for, against the most live
 * heads that there were at the beginning of one (the day's first run may have filled an empty
 * dataset); every create of the same content excuses one delete: it is a rename.
 */
async function overLimit(
  deps: Pick<Deps, 'catalog' | 'clock'>,
  record: RunRecord,
  dataset: DatasetConfig,
  deletes: number,
  renames: number,
): Promise<string | null> {
  if (isAskedFor(record) || deletes === 0) return null
  const since = deps.clock() - deleteWindowMs
  const runs = await deps.catalog.listRuns({ dataset: dataset.name, since, limit: 10_000 })
  const earlier = runs.filter((one) => one.run !== record.run && !isAskedFor(one))
  // A run whose deletes failed excused more than it carried out.
  const carriedOut = earlier.map(({ counts }) => Math.max(0, counts.deletes - counts.renames))
  const before = carriedOut.reduce((sum, more) => sum + more, 0)
  const live = Math.max(record.liveAtStart, ...earlier.map(({ liveAtStart }) => liveAtStart))
  const counted = before + deletes - renames
  const percent = live === 0 ? 100 : (100 * counted) / live
  const broken = dataset.limits.deletes.find(
    (limit) => counted > limit.count && percent > limit.percent,
  )
  if (!broken) return null
  const day = before > 0 ? ` within 24 hours, ${before} of them in earlier runs` : ''
  return (
    `${counted} of ${live} keys${day} (${percent.toFixed(0)} %) is more than ` +
    `${broken.count} and ${broken.percent} %`
  )
}
