/** `restore` and `undo`: a plan of what was asked for, shown; a yes; then exactly that plan. */
import { requestProblem } from '../../../activities/history-runs.ts'
import { EXIT, UserError } from '../../errors.ts'
import type { Request } from '../../model.ts'
import type { CommandContext, CommandOptions } from '../command.ts'
import { confirm } from '../confirm.ts'
import { followRun } from '../follow.ts'
import { count } from '../output.ts'
import { exitOfPlan, isEmpty, type Plan, planOf, printPlan, shownPlan } from '../plan-report.ts'
import { printReport, reportOf, worstExit } from '../run-report.ts'
import { serve } from '../serve.ts'
import { datasetNamed, openSession, type Session } from '../session.ts'

/** What is asked for, and of which dataset. */
export interface Asked {
  dataset: string
  request: Request
}

export async function planThenApply(
  context: CommandContext,
  options: CommandOptions,
  askedOf: (session: Session) => Promise<Asked>,
): Promise<number> {
  const session = await openSession(context)
  let close = session.close
  try {
    const { dataset, request } = await askedOf(session)
    // Told at once, before a server is started; the run itself looks again.
    const problem = await requestProblem(session.catalog, dataset, request)
    if (problem) {
      const { code, message, next } = problem
      throw new UserError(code, message, { ...(next && { next }), exit: EXIT.unreachable })
    }
    const served = await serve(context, session, { start: true })
    close = served.close
    const id = await session.catalog.createRequest(dataset, request, context.by, Date.now())
    const planned = await followRun(context, served, { dataset, mode: 'plan', request: id })
    if (planned.state !== 'planned') return await report(context, session, planned)
    const plan = await planOf(session.catalog, planned, datasetNamed(session.config, dataset))
    printPlan(context, plan)
    adviseOnLater(context, plan, request)
    const apply = `tidemark apply ${planned.run}`
    if (isEmpty(plan) || options.plan === true) {
      if (!isEmpty(plan)) context.output.line(`  carry it out: ${apply}`)
      context.output.result({ plan: shownPlan(plan), applied: null })
      return worstExit([exitOfPlan(plan, false), exitOfLost(plan)])
    }
    await confirm(context, {
      ask: `Carry out plan ${planned.run}?`,
      yes: options.yes === true,
      wanted: `plan ${planned.run} of ${dataset} is stored, and wants a yes`,
      next: `Look at it: tidemark show ${planned.run}; carry it out: ${apply}`,
      refused: `nothing was changed; plan ${planned.run} stays stored: ${apply}`,
    })
    const applied = await followRun(context, served, { dataset, mode: 'apply', base: planned.run })
    const done = await reportOf(session.catalog, applied, { strict: false })
    printReport(context, done)
    context.output.result({ plan: shownPlan(plan), applied: done })
    return worstExit([done.exit, exitOfLost(plan)])
  } finally {
    await close()
  }
}

/** What nobody has any more was asked for, and isn't had back. */
function exitOfLost({ skipped }: Plan): number {
  return skipped.some(({ code }) => code === 'not-kept') ? EXIT.partial : EXIT.ok
}

/** What came later is left alone: a person is told, and how they get it all the same. */
function adviseOnLater({ output }: CommandContext, { counts }: Plan, request: Request): void {
  if (counts.later === 0 || request.kind === 'resolve') return
  const words = `${count(counts.later, 'key')} left alone, since something came later there`
  output.line(`  ${output.paint('yellow', words)}; to overwrite it (it is kept): --overwrite-later`)
}

async function report(
  context: CommandContext,
  { catalog }: Session,
  run: Parameters<typeof reportOf>[1],
): Promise<number> {
  const told = await reportOf(catalog, run, { strict: false })
  printReport(context, told)
  context.output.result({ plan: null, applied: null, report: told })
  return told.exit
}
