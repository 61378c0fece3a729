/** Where a dataset stands: by the catalog, and by Temporal where one answers. */
import type { Progress } from '../../workflows/messages.ts'
import type { Catalog, RunRecord, RunReplica } from '../catalog/catalog.ts'
import { type DatasetConfig, nextTimes, replicasOf } from '../config/index.ts'
import type { TemporalClient } from '../temporal/connection.ts'
import { workflowIdOf } from '../temporal/start.ts'
import { openRunOf } from './open-run.ts'

export interface DatasetStatus {
  dataset: string
  enabled: boolean
  direction: DatasetConfig['direction']
  /** The run that Temporal has open. `progress` null: its worker says nothing. */
  running: { run: RunRecord | null; progress: Progress | null } | null
  /** A run that began and neither ended nor runs, as far as can be told: a sync takes it up. */
  interrupted: RunRecord | null
  /** The newest run that has ended. */
  last: RunRecord | null
  /** Keys that are there, by the tidemark. */
  live: number
  replicas: { replica: string; state: RunReplica['state'] | 'never seen'; problem: Problem }[]
  openConflicts: number
  /** Runs that wait for `approve`, newest first; those before a run that needed none are over. */
  held: { run: number; deletes: number }[]
  /** Stored plans that `apply` would carry out, newest first. */
  plans: number[]
  /** ISO 8601; null: it runs when it is asked for. */
  nextTime: string | null
}

type Problem = RunReplica['problem']

/** Runs that are looked through for what waits. */
const runsMax = 500

export async function statusOf(
  catalog: Catalog,
  dataset: DatasetConfig,
  configDigest: string,
  temporal: TemporalClient | null,
): Promise<DatasetStatus> {
  const { name, enabled, direction, schedule } = dataset
  // Runs of selected keys go on beside it, and say nothing of the dataset.
  const workflowId = workflowIdOf(name)
  const runs = await catalog.listRuns({ dataset: name, workflowId, limit: runsMax })
  const open = temporal && (await openRunOf(temporal, name))
  const current = open && (runs.find(({ temporalRunId }) => temporalRunId === open.runId) ?? null)
  const unended = runs.find(({ state }) => state === 'running') ?? null
  const [next] = schedule === null || !enabled ? [] : nextTimes(schedule, 1, new Date())
  return {
    dataset: name,
    enabled,
    direction,
    running: open && { run: current, progress: await open.progress() },
    interrupted: open ? null : unended,
    last: runs.find(hasEnded) ?? null,
    live: await catalog.countLive(name),
    replicas: await replicasSeen(catalog, dataset, runs),
    openConflicts: await catalog.countOpenConflicts(name),
    held: heldOf(runs),
    plans: await plansOf(catalog, runs, configDigest),
    nextTime: next?.toISOString() ?? null,
  }
}

function hasEnded({ state, problem }: RunRecord): boolean {
  // A scheduled run that found another one under way is a run in name only.
  return state !== 'running' && problem?.code !== 'skipped-overlap'
}

/** As the newest run that looked at them found them. */
async function replicasSeen(
  catalog: Catalog,
  dataset: DatasetConfig,
  runs: RunRecord[],
): Promise<DatasetStatus['replicas']> {
  let found: RunReplica[] = []
  for (const { run } of runs.slice(0, 5)) {
    found = await catalog.runReplicas(run)
    if (found.length > 0) break
  }
  return replicasOf(dataset).map((replica) => {
    const seen = found.find((one) => one.replica === replica)
    return { replica, state: seen?.state ?? 'never seen', problem: seen?.problem ?? null }
  })
}

/** Not those of another config, nor where nothing is to be done, or a later run changed a key. */
async function plansOf(catalog: Catalog, runs: RunRecord[], digest: string): Promise<number[]> {
  const plans: number[] = []
  for (const { run, state, configDigest, counts } of runs) {
    if (state !== 'planned' || configDigest !== digest) continue
    if (counts.planned + counts.conflicts === 0) continue
    if ((await catalog.supersededBy(run)) === null) plans.push(run)
  }
  return plans
}

/** The newest sync has looked at the same deletes again: it alone can hold any. */
function heldOf(runs: RunRecord[]): DatasetStatus['held'] {
  const last = runs.find(({ mode, state, request }) => {
    return request === null && weighs.has(mode) && settled.has(state)
  })
  return last?.state === 'held' ? [{ run: last.run, deletes: last.counts.held }] : []
}

const weighs = new Set<RunRecord['mode']>(['sync', 'apply'])
const settled = new Set<RunRecord['state']>(['held', 'applied', 'complete', 'conflicts'])
