/** What must hold of a run as it ends: its state, its counts, and the limits of its deletes. */
import type { RunRecord } from '../../src/catalog/catalog.ts'
import type { Change } from './stores.ts'
import type { World } from './world.ts'

export interface RunBegun {
  /** Where its changes begin in the journal. */
  journalAt: number
  /** Keys that any replica had. */
  live: Set<string>
}

type Fail = (promise: string, words: string) => void

export function beginRun({ journal, replicas }: World): RunBegun {
  const live = new Set(replicas.flatMap(({ store }) => [...store.names()]))
  return { journalAt: journal.length, live }
}

/** `clean`: nobody and nothing else had a hand in it. */
export function checkRun(
  world: World,
  { journalAt, live }: RunBegun,
  record: RunRecord,
  { clean, fail }: { clean: boolean; fail: Fail },
): void {
  checkState(world, record, fail)
  const done = world.journal.slice(journalAt).filter(({ by }) => by === 'tidemark')
  if (clean) checkCounts(record, done, fail)
  const asked = record.request !== null || record.mode === 'approve'
  if (clean && !asked) checkLimits(world, record, done, live, fail)
}

/** What happens to workers, stores and the catalog fails no run; nor does a pause. */
function checkState(world: World, { run, state, problem }: RunRecord, fail: Fail): void {
  if (state === 'running') fail('no run stays open', `run ${run} has ended, and is running`)
  // Where it was told too late, it is something else.
  if (state === 'cancelled' && !world.cancelled) {
    fail('runs end as they are told', `run ${run} is cancelled, and nobody said so`)
  }
  if (state === 'cancelled') return
  if (problem?.code === 'run-failed' || problem?.code === 'ranges-failed') {
    fail('runs survive', `run ${run}: ${problem.code}`)
  }
}

function checkCounts(record: RunRecord, done: Change[], fail: Fail): void {
  const puts = done.filter(({ to }) => to !== null)
  const deletes = new Set(done.filter(({ to }) => to === null).map(({ key }) => key))
  const bytes = puts.reduce((sum, { to }) => sum + (to?.bytes.length ?? 0), 0)
  const { counts } = record
  const same =
    counts.puts === puts.length && counts.deletes === deletes.size && counts.bytes === bytes
  if (same) return
  const said = `${counts.puts} puts (${counts.bytes} bytes), ${counts.deletes} deletes`
  const was = `${puts.length} puts (${bytes} bytes), ${deletes.size} deletes`
  fail('reports are true', `run ${record.run} says ${said}; at the stores: ${was}`)
}

/** Deletes beyond the limit wait for a person (I3). Each key that is new may be a rename. */
function checkLimits(
  { scenario }: World,
  { run }: RunRecord,
  done: Change[],
  live: Set<string>,
  fail: Fail,
): void {
  const deleted = new Set(done.filter(({ to }) => to === null).map(({ key }) => key))
  const made = new Set(done.filter(({ to, before }) => to && !before).map(({ key }) => key))
  const counted = deleted.size - made.size
  const percent = (100 * counted) / Math.max(1, live.size)
  for (const limit of scenario.dataset.deletes) {
    if (counted <= limit.count || percent <= limit.percent) continue
    fail('I3 limits hold deletes', `run ${run} deleted ${deleted.size} of ${live.size} keys`)
  }
}
