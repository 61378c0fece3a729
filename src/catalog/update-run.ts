/** A run's record as it changes, and what of that the audit is told. */
import type { RunNumber } from '../model.ts'
import { append } from './audit.ts'
import { sizeOfRun, sumOfRun } from './audit-lines.ts'
import type { AuditEvent, AuditWhat, Catalog, LinesSum, RunRecord } from './catalog.ts'
import { countNames, findRun } from './runs.ts'
import type { RunsTable } from './schema.ts'
import { inTransaction, type Store } from './store.ts'

type Patch = Parameters<Catalog['updateRun']>[1]
/** By run. */
type Sums = Record<RunNumber, LinesSum>
type Row = RunsTable & { dataset_name: string }

export async function updateRun(store: Store, run: RunNumber, patch: Patch): Promise<void> {
  const changes = changesOf(patch)
  if (Object.keys(changes).length === 0) return
  const ends = patch.endedAt !== undefined && patch.endedAt !== null
  for (;;) {
    // Before the transaction, which would be a long one: a run may have a million lines.
    const row = await findRun(store, run)
    if (!row) return
    const runs = ends ? await runsOfItems(store, row) : [run]
    const size = ends ? await sizeOf(store, row, runs) : null
    const sums = ends ? await sumsOf(store, row, runs) : null
    const done = await inTransaction(store, async (tx) => {
      // The oldest first, so that two transactions never wait for each other.
      for (const one of runs.toReversed()) await findRun(tx, one, 'lock')
      const before = await findRun(tx, run)
      if (!before) return true
      // Lines came meanwhile: with the rows of the runs locked none comes any more (see settle).
      if (size !== null && (await sizeOf(tx, row, runs)) !== size) return false
      await tx.db.updateTable('runs').set(changes).where('run', '=', run).execute()
      const after = { ...before, ...changes }
      const by = patch.cause === undefined ? null : (await findRun(tx, patch.cause))?.made_by
      const chain = { id: before.dataset, name: before.dataset_name }
      await append(tx, chain, told(before, after, sums, { cause: patch.cause, by }))
      return true
    })
    if (done) return
  }
}

/** The run, and those whose stored items it carries out: their versions are agreed by it, too. */
async function runsOfItems(store: Store, { run, base }: Row): Promise<RunNumber[]> {
  const runs = [run]
  for (let next = base; next !== null; ) {
    runs.push(next)
    next = (await findRun(store, next))?.base ?? null
  }
  return runs
}

async function sizeOf(store: Store, { dataset }: Row, runs: RunNumber[]): Promise<string> {
  const sizes: string[] = []
  for (const run of runs) sizes.push(await sizeOfRun(store, dataset, run))
  return sizes.join()
}

async function sumsOf(store: Store, { dataset }: Row, runs: RunNumber[]): Promise<Sums> {
  const sums: Sums = {}
  for (const run of runs) sums[run] = await sumOfRun(store, dataset, run)
  return sums
}

function changesOf({ state, endedAt, problem, temporalRunId, counts }: Patch): Partial<RunsTable> {
  return {
    ...(state === undefined ? {} : { state }),
    ...(endedAt === undefined ? {} : { ended_at: endedAt }),
    ...(problem === undefined ? {} : { problem: problem && JSON.stringify(problem) }),
    ...(temporalRunId === undefined ? {} : { temporal_run_id: temporalRunId }),
    ...counts,
  }
}

/** What a repeated call says again isn't told again. */
function told(
  before: Row,
  after: Row,
  runs: Sums | null,
  { cause, by }: { cause: RunNumber | undefined; by: string | null | undefined },
): AuditEvent[] {
  const { run, state } = after
  const event = (what: AuditWhat, detail: AuditEvent['detail'], who = 'tidemark') =>
    ({ run, key: null, what, by: who, detail }) satisfies AuditEvent
  const events: AuditEvent[] = []
  const problem = problemOf(after)
  if (problem?.code === 'deletes-held' && after.problem !== before.problem) {
    events.push(event('deletes-held', { message: problem.message }, 'rule: delete limit'))
  }
  const moved = state !== before.state
  if (runs && (before.ended_at === null || moved)) {
    const counts = countNames.flatMap((name) => (after[name] > 0 ? [[name, after[name]]] : []))
    const detail = { state, problem: problem?.code ?? null, counts: Object.fromEntries(counts) }
    events.push(event('run-ended', { ...detail, runs }))
  } else if (moved && before.ended_at !== null) {
    const done = after.mode === 'plan' ? 'plan-applied' : 'deletes-approved'
    const what = state === 'superseded' ? 'plan-superseded' : done
    events.push(event(what, { from: before.state, state, run: cause ?? null }, by ?? 'tidemark'))
  }
  return events
}

function problemOf({ problem }: Row): RunRecord['problem'] {
  return problem === null ? null : (JSON.parse(problem) as RunRecord['problem'])
}
