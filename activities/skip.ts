/** A scheduled run that didn't start, because another run of the dataset is under way. */
import type { Deps } from './run-context.ts'

export async function skipRun(
  { catalog, clock }: Deps,
  { dataset, configDigest }: { dataset: string; configDigest: string },
): Promise<void> {
  const run = await catalog.createRun({
    dataset,
    mode: 'sync',
    trigger: 'schedule',
    // Never as running: the dataset's run that is under way is another one.
    state: 'cancelled',
    configDigest,
    base: null,
    startedAt: clock(),
    liveAtStart: 0,
    workflowId: `sync/${dataset}`,
    temporalRunId: null,
    by: 'schedule',
  })
  const message = 'Another run of this dataset was under way.'
  const problem = { code: 'skipped-overlap', message }
  await catalog.updateRun(run, { endedAt: clock(), problem })
}
