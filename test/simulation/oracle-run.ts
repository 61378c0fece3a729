/** What must hold of a run as it ends: its state and its counts. */
import type { RunRecord } from '../../src/catalog/catalog.ts'
import type { Change } from './stores.ts'
import type { World } from './world.ts'

export interface RunBegun {
  /** Where its changes begin in the journal. */
  journalAt: number
  /** How often a listing had shown less than there is. */
  lies: number
}

type Fail = (promise: string, words: string) => void

export function beginRun(world: World): RunBegun {
  return { journalAt: world.journal.length, lies: liesOf(world) }
}

export const liesOf = ({ troubles: { counted } }: World): number => counted.get('listing-lies') ?? 0

/** `clean`: nobody and nothing else had a hand in it. */
export function checkRun(
  world: World,
  { journalAt }: RunBegun,
  record: RunRecord,
  { clean, fail }: { clean: boolean; fail: Fail },
): void {
  checkState(world, record, fail)
  const done = world.journal.slice(journalAt).filter(({ by }) => by === 'tidemark')
  if (clean) checkCounts(record, done, fail)
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
  const { counts, base } = record
  // What users took away between a plan and its run is gone, as it was to be.
  const gone = base === null ? counts.deletes : Math.min(counts.deletes, deletes.size)
  const same = counts.puts === puts.length && gone === deletes.size && counts.bytes === bytes
  if (same) return
  const said = `${counts.puts} puts (${counts.bytes} bytes), ${counts.deletes} deletes`
  const was = `${puts.length} puts (${bytes} bytes), ${deletes.size} deletes`
  fail('reports are true', `run ${record.run} says ${said}; at the stores: ${was}`)
}
