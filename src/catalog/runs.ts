/** Runs, their counts, and what their replicas were found to be. */

import { sql } from 'kysely'
import type { RunNumber } from '../model.ts'
import { compareKeys } from '../sync/keys.ts'
import { append, chainOf } from './audit.ts'
import type { AuditEvent, Catalog, RunCounts, RunRecord, RunReplica } from './catalog.ts'
import type { RunsTable } from './schema.ts'
import { datasetId, inTransaction, nextNumber, type Store } from './store.ts'

export const countNames = [
  ...(['scanned', 'planned', 'puts', 'deletes', 'adopted', 'bytes', 'stale'] as const),
  ...([
    'skipped',
    'failed',
    'held',
    'cancelled',
    'conflicts',
    'drift',
    'extra',
    'renames',
  ] as const),
] satisfies (keyof RunCounts)[]

type NewRun = Parameters<Catalog['createRun']>[0]

export async function createRun(store: Store, run: NewRun): Promise<RunNumber> {
  const dataset = await datasetId(store, run.dataset)
  return await inTransaction(store, async (tx) => {
    const number = await nextNumber(tx, 'run')
    const counts = Object.fromEntries(countNames.map((name) => [name, 0])) as unknown as RunCounts
    const row: RunsTable = {
      run: number,
      dataset,
      mode: run.mode,
      trigger_kind: run.trigger,
      state: run.state,
      config_digest: run.configDigest,
      base: run.base,
      request: run.request ?? null,
      started_at: run.startedAt,
      ended_at: null,
      live_at_start: run.liveAtStart,
      problem: null,
      workflow_id: run.workflowId,
      temporal_run_id: run.temporalRunId,
      made_by: run.by,
      range_count: 0,
      ...counts,
    }
    await tx.db.insertInto('runs').values(row).execute()
    await append(tx, { id: dataset, name: run.dataset }, [begun(row)])
    return number
  })
}

function begun(row: RunsTable): AuditEvent {
  const { run, mode, trigger_kind: trigger, base, request, config_digest: config } = row
  const detail = { mode, trigger, base, request, config }
  return { run, key: null, what: 'run-begun', by: row.made_by ?? 'tidemark', detail }
}

export async function getRun(store: Store, run: RunNumber): Promise<RunRecord | null> {
  const row = await findRun(store, run)
  return row ? decode(row) : null
}

/** `lock`: inside a transaction, so that nobody changes it before that has ended. */
export async function findRun(store: Store, run: RunNumber, lock?: 'lock') {
  return await runsWithDataset(store)
    .where('runs.run', '=', run)
    .$if(lock !== undefined && store.engine === 'postgres', (query) => query.forUpdate('runs'))
    .executeTakeFirst()
}

export async function listRuns(
  store: Store,
  filter: Parameters<Catalog['listRuns']>[0],
): Promise<RunRecord[]> {
  const { dataset, workflowId, before, since, limit } = filter
  let query = runsWithDataset(store).orderBy('runs.run', 'desc').limit(limit)
  if (dataset !== undefined) query = query.where('datasets.name', '=', dataset)
  if (workflowId !== undefined) query = query.where('runs.workflow_id', '=', workflowId)
  if (before !== undefined) query = query.where('runs.run', '<', before)
  if (since !== undefined) query = query.where('runs.started_at', '>=', since)
  return (await query.execute()).map(decode)
}

const runsWithDataset = (store: Store) =>
  store.db
    .selectFrom('runs')
    .innerJoin('datasets', 'datasets.id', 'runs.dataset')
    .selectAll('runs')
    .select('datasets.name as dataset_name')

function decode(row: RunsTable & { dataset_name: string }): RunRecord {
  return {
    run: row.run,
    dataset: row.dataset_name,
    mode: row.mode,
    trigger: row.trigger_kind,
    state: row.state,
    configDigest: row.config_digest,
    base: row.base,
    request: row.request,
    startedAt: row.started_at,
    endedAt: row.ended_at,
    liveAtStart: row.live_at_start,
    counts: Object.fromEntries(countNames.map((name) => [name, row[name]])) as unknown as RunCounts,
    problem: row.problem === null ? null : (JSON.parse(row.problem) as RunRecord['problem']),
    workflowId: row.workflow_id,
    temporalRunId: row.temporal_run_id,
    by: row.made_by,
  }
}

export async function addCounts(
  store: Store,
  run: RunNumber,
  delta: Partial<RunCounts>,
): Promise<void> {
  const changes = increments(delta)
  if (Object.keys(changes).length === 0) return
  await store.db.updateTable('runs').set(changes).where('run', '=', run).execute()
}

/** For a `set`: each named count grows by so much. */
export function increments(delta: Partial<RunCounts>) {
  const named = countNames.filter((name) => delta[name])
  return Object.fromEntries(
    named.map((name) => [name, sql<number>`${sql.ref(name)} + ${delta[name]}`]),
  )
}

export async function lastCompleteScan(store: Store, dataset: string): Promise<number | null> {
  const row = await store.db
    .selectFrom('runs')
    .innerJoin('datasets', 'datasets.id', 'runs.dataset')
    .select('runs.started_at')
    .where('datasets.name', '=', dataset)
    .where('runs.mode', 'in', ['sync', 'plan'])
    .where('runs.state', 'in', ['complete', 'conflicts', 'held'])
    .where('runs.request', 'is', null)
    // Held comes before partial in a run's state: a replica may have been away all the same.
    .where(({ not, exists, selectFrom }) =>
      not(
        exists(
          selectFrom('run_replicas')
            .select('run_replicas.run')
            .whereRef('run_replicas.run', '=', 'runs.run')
            .where('run_replicas.state', '=', 'unknown'),
        ),
      ),
    )
    .orderBy('runs.run', 'desc')
    .limit(1)
    .executeTakeFirst()
  return row?.started_at ?? null
}

// ── replicas of a run ───────────────────────────────────────────────────────────────────────────

export async function putRunReplica(
  store: Store,
  run: RunNumber,
  { replica, state, problem, seen, gone }: RunReplica,
): Promise<void> {
  const said = { state, problem: problem && JSON.stringify(problem), seen, gone }
  await inTransaction(store, async (tx) => {
    await tx.db
      .insertInto('run_replicas')
      .values({ run, replica, ...said })
      .onConflict((conflict) => conflict.columns(['run', 'replica']).doUpdateSet(said))
      .execute()
    if (state === 'unknown') await tellLost(tx, run, replica, problem)
  })
}

export async function loseReplica(
  store: Store,
  run: RunNumber,
  replica: string,
  problem: RunReplica['problem'],
): Promise<void> {
  const lost = { state: 'unknown' as const, problem: problem && JSON.stringify(problem) }
  await inTransaction(store, async (tx) => {
    const changed = await tx.db
      .insertInto('run_replicas')
      .values({ run, replica, ...lost, seen: 0, gone: 0 })
      .onConflict((conflict) =>
        conflict
          .columns(['run', 'replica'])
          .doUpdateSet(lost)
          .where('run_replicas.state', '<>', 'unknown'),
      )
      .returning('replica')
      .executeTakeFirst()
    if (changed) await tellLost(tx, run, replica, problem)
  })
}

async function tellLost(
  tx: Store,
  run: RunNumber,
  replica: string,
  problem: RunReplica['problem'],
): Promise<void> {
  const chain = await chainOf(tx, run)
  if (!chain) return
  const detail = { replica, problem }
  await append(tx, chain, [{ run, key: null, what: 'replica-lost', by: 'tidemark', detail }])
}

export async function addSeen(
  store: Store,
  run: RunNumber,
  delta: Record<string, { seen: number; gone: number }>,
): Promise<void> {
  // Always in the same order, so that two transactions never wait for each other.
  for (const replica of Object.keys(delta).sort(compareKeys)) {
    const { seen, gone } = delta[replica] as { seen: number; gone: number }
    await store.db
      .updateTable('run_replicas')
      .set({ seen: sql`seen + ${seen}`, gone: sql`gone + ${gone}` })
      .where('run', '=', run)
      .where('replica', '=', replica)
      .execute()
  }
}

export async function runReplicas(store: Store, run: RunNumber): Promise<RunReplica[]> {
  const rows = await store.db
    .selectFrom('run_replicas')
    .select(['replica', 'state', 'problem', 'seen', 'gone'])
    .where('run', '=', run)
    .orderBy('replica')
    .execute()
  return rows.map(({ problem, ...row }) => ({
    ...row,
    problem: problem === null ? null : (JSON.parse(problem) as RunReplica['problem']),
  }))
}
