import { EXIT, UserError } from '../../errors.ts'
import { awaitCatalog } from '../catalog-patience.ts'
import type { CommandContext, CommandOptions } from '../command.ts'
import { reportError } from '../failure.ts'
import { followRun } from '../follow.ts'
import { printReport, type RunReport, reportOf, worstExit } from '../run-report.ts'
import { serve } from '../serve.ts'
import { datasetsOf, openSession } from '../session.ts'

/** Syncs the named datasets, or all that are enabled, one after the other. */
export async function run(
  context: CommandContext,
  args: string[],
  options: CommandOptions,
): Promise<number> {
  const { stderr } = context.output
  const session = await openSession(context)
  let close = session.close
  try {
    const datasets = datasetsOf(session.config, args)
    const served = await serve(context, session, { start: true })
    close = served.close
    const reports: (RunReport | { dataset: string; error: string; exit: number })[] = []
    for (const { name } of datasets) {
      try {
        const record = await followRun(context, served, { dataset: name, mode: 'sync' })
        const strict = options.strict === true
        const report = await awaitCatalog(context.signal, () =>
          reportOf(session.catalog, record, { strict }),
        )
        printReport(context, report)
        reports.push(report)
      } catch (error) {
        // One dataset's failure is that dataset's; without Temporal there is none to go on with.
        const own = error instanceof UserError && error.exit === EXIT.failed
        if (!own || context.signal.aborted) throw error
        reports.push({
          dataset: name,
          error: error.code,
          exit: reportError(error, { ...context, stderr }),
        })
      }
      if (context.signal.aborted) break
    }
    context.output.result(reports)
    return worstExit(reports.map(({ exit }) => exit))
  } finally {
    await close()
  }
}
