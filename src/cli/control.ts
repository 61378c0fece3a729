/** `pause`, `resume` and `cancel`: what may be said to the run of a dataset that is under way. */
import type { CommandContext } from './command.ts'
import { nothingRuns, type OpenRun, openRunOf } from './open-run.ts'
import { type ServedSession, serve } from './serve.ts'
import { datasetNamed, openSession } from './session.ts'

/** Throws `no-server`, or `nothing-runs`: then there is nothing to be told. */
export async function withOpenRun(
  context: CommandContext,
  dataset: string,
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
    return await work(open, served)
  } finally {
    await close()
  }
}
