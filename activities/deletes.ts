/**
 * The run's deletes are weighed before the first of them: taken back where their cause is doubtful,
 * held where they are too many (I3). Nothing here touches a store.
 */
import type { Catalog, ItemRecord, RunRecord } from '../src/catalog/catalog.ts'
import type { DatasetConfig } from '../src/config/index.ts'
import { deleteWindowMs } from '../src/limits.ts'
import type { Outcome, RunNumber } from '../src/model.ts'
import { contextOf, type Deps } from './run-context.ts'

export interface Weighed {
  deletes: number
  held: number
  cancelled: number
}

const pageItems = 1_000

export async function weighRunDeletes(
  deps: Deps,
  run: RunNumber,
  rangesFailed: number,
): Promise<Weighed> {
  const { catalog } = deps
  const { record, dataset } = await contextOf(deps, run)
  const replicas = await catalog.runReplicas(run)
  const unknown = new Map(
    replicas.flatMap(({ replica, state, problem }) =>
      state === 'unknown' ? [[replica, problem?.message ?? 'not looked at'] as const] : [],
    ),
  )
  const emptied = new Set(
    record.mode === 'approve'
      ? []
      : replicas.filter(({ seen, gone }) => seen === 0 && gone > 1).map(({ replica }) => replica),
  )
  const weighed: Weighed = { deletes: 0, held: 0, cancelled: 0 }
  await eachDeferred(catalog, run, (one) => {
    const outcome = verdictOn(one, rangesFailed, unknown, emptied)
    if (outcome === null && isDelete(one)) weighed.deletes++
    else if (outcome?.kind === 'held') weighed.held++
    else if (outcome?.kind === 'cancelled') weighed.cancelled++
    return outcome
  })
  const reason = await overLimit(deps, record, dataset, weighed.deletes)
  if (reason !== null) {
    await eachDeferred(catalog, run, (one) => (isDelete(one) ? { kind: 'held', reason } : null))
    weighed.held += weighed.deletes
    weighed.deletes = 0
  }
  if (weighed.held > 0) {
    const words = reason ?? emptiedWords(emptied)
    const next = `Look at them with \`tidemark show ${run}\`; then \`tidemark approve ${run}\`.`
    const problem = {
      code: 'deletes-held',
      message: `${weighed.held} deletes held: ${words}`,
      next,
    }
    await catalog.updateRun(run, { problem })
  }
  await catalog.addCounts(run, { held: weighed.held, cancelled: weighed.cancelled })
  return weighed
}

function isDelete({ item }: ItemRecord): boolean {
  return item?.actions.some((action) => action.do === 'delete') ?? false
}

/** null: it may go on, as far as this item alone tells. */
function verdictOn(
  { item }: ItemRecord,
  rangesFailed: number,
  unknown: ReadonlyMap<string, string>,
  emptied: ReadonlySet<string>,
): Outcome | null {
  if (rangesFailed > 0) return { kind: 'cancelled', reason: 'a range of this run failed' }
  const doubtful = item?.goneAt.find((replica) => unknown.has(replica))
  if (doubtful !== undefined) {
    return { kind: 'cancelled', reason: `${doubtful}: ${unknown.get(doubtful)}` }
  }
  if (item?.goneAt.some((replica) => emptied.has(replica))) {
    return { kind: 'held', reason: emptiedWords(emptied) }
  }
  return null
}

function emptiedWords(emptied: ReadonlySet<string>): string {
  return `${[...emptied].join(', ')} is empty, although it held more than one key`
}

async function eachDeferred(
  catalog: Catalog,
  run: RunNumber,
  verdict: (one: ItemRecord) => Outcome | null,
): Promise<void> {
  for (let after = -1; ; ) {
    const page = await catalog.readItems({ run, states: ['deferred'], after, limit: pageItems })
    const changed = page.flatMap((one) => {
      const outcome = verdict(one)
      if (outcome?.kind !== 'held' && outcome?.kind !== 'cancelled') return []
      const replicas = one.item?.actions.map(({ replica }) => replica) ?? []
      const outcomes = Object.fromEntries(replicas.map((replica) => [replica, outcome]))
      return [{ ...one, state: outcome.kind, outcomes }]
    })
    if (changed.length > 0) await catalog.updateItems(changed)
    if (page.length < pageItems) return
    after = page[page.length - 1]?.seq ?? after
  }
}

/**
 * Counted over a rolling day across runs, approved ones excluded, against the most live heads that
 * there were at the beginning of one (the day's first run may have filled an empty dataset); every
 * create of the same content excuses one delete: it is a rename.
 */
async function overLimit(
  deps: Deps,
  record: RunRecord,
  dataset: DatasetConfig,
  deletes: number,
): Promise<string | null> {
  if (record.mode === 'approve' || deletes === 0) return null
  const since = deps.clock() - deleteWindowMs
  const runs = await deps.catalog.listRuns({ dataset: dataset.name, since, limit: 10_000 })
  const earlier = runs.filter((one) => one.run !== record.run && one.mode !== 'approve')
  const before = earlier.reduce((sum, { counts }) => sum + counts.deletes - counts.renames, 0)
  const live = Math.max(record.liveAtStart, ...earlier.map(({ liveAtStart }) => liveAtStart))
  const renames = await deps.catalog.countRenames(record.run)
  await deps.catalog.addCounts(record.run, { renames })
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
