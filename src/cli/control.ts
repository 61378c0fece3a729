/** `pause`, `resume` and `cancel`: what may be said to the run of a dataset that is under way. */
import type { CommandContext } from './command.ts'
import { nothingRuns, type OpenRun, openRunOf } from './open-run.ts'
import { type ServedSession, serve } from './serve.ts'
import { datasetNamed, openSession } from './session.ts'

/** `what` goes into the audit, before it is carried out. Throws `no-server`, or `nothing-runs`:
 *  then there is nothing to be told. */
export async function withOpenRun(
  context: CommandContext,
  dataset: string,
  what: 'pause-asked' | 'resume-asked' | 'cancel-asked',
  work: (open: OpenRun, session: ServedSession) => Promise<number>,
): Promise<number> {
  const session = await openSession(context)
  let close = session.close
  try {
    datasetNamed(session.config, dataset)
    const served = await serve(context, session, { start: false })
    close = served.close
    const open = await openRunOf(served.temporal, dataset)
    if (!open) throw nothingRuns(dataset)
    const recent = await served.catalog.listRuns({ dataset, limit: 20 })
    const run = recent.find(({ temporalRunId }) => temporalRunId === open.runId)?.run ?? null
    await served.catalog.record(dataset, { run, key: null, what, by: context.by, detail: {} })
    return await work(open, served)
  } finally {
    await close()
  }
}
