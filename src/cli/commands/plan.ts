import type { CommandContext, CommandOptions } from '../command.ts'
import { followRun } from '../follow.ts'
import { exitOfPlan, isEmpty, planOf, printPlan, shownPlan } from '../plan-report.ts'
import { printReport, reportOf, worstExit } from '../run-report.ts'
import { serve } from '../serve.ts'
import { datasetsOf, openSession } from '../session.ts'

/** A stored plan of each named dataset: deletes and conflicts first, then counts and bytes. */
export async function run(
  context: CommandContext,
  args: string[],
  options: CommandOptions,
): Promise<number> {
  const session = await openSession(context)
  let close = session.close
  try {
    const datasets = datasetsOf(session.config, args)
    const served = await serve(context, session, { start: true })
    close = served.close
    const plans = []
    const exits: number[] = []
    for (const dataset of datasets) {
      const record = await followRun(context, served, { dataset: dataset.name, mode: 'plan' })
      if (record.state === 'planned') {
        const plan = await planOf(session.catalog, record, dataset)
        exits.push(exitOfPlan(plan, options.strict === true))
        printPlan(context, plan)
        if (!isEmpty(plan)) context.output.line(`  carry it out: tidemark apply ${record.run}`)
        plans.push(shownPlan(plan))
      } else {
        const report = await reportOf(session.catalog, record, { strict: false })
        exits.push(report.exit)
        printReport(context, report)
        plans.push(report)
      }
      if (context.signal.aborted) break
    }
    context.output.result(plans)
    return worstExit(exits)
  } finally {
    await close()
  }
}
