import type { CommandContext, CommandOptions } from '../command.ts'
import { followRun } from '../follow.ts'
import { printReport, reportOf, worstExit } from '../run-report.ts'
import { datasetsOf, openServed } from '../session.ts'

/** Syncs the named datasets, or all that are enabled, one after the other. */
export async function run(
  context: CommandContext,
  args: string[],
  options: CommandOptions,
): Promise<number> {
  const session = await openServed(context, { start: true })
  try {
    const reports = []
    for (const { name } of datasetsOf(session.config, args)) {
      const record = await followRun(context, session, { dataset: name, mode: 'sync' })
      const report = await reportOf(session.catalog, record, { strict: options.strict === true })
      printReport(context, report)
      reports.push(report)
      if (context.signal.aborted) break
    }
    context.output.result(reports)
    return worstExit(reports.map(({ exit }) => exit))
  } finally {
    await session.close()
  }
}
