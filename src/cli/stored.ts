/** `apply RUN` and `approve RUN`: a run whose items another run stored. */
import type { RunRecord } from '../catalog/catalog.ts'
import { EXIT, UserError } from '../errors.ts'
import type { CommandContext } from './command.ts'
import { followRun } from './follow.ts'
import { printReport, reportOf } from './run-report.ts'
import { serve } from './serve.ts'
import { datasetNamed, openSession, type Session } from './session.ts'

export async function carryOutStored(
  context: CommandContext,
  text: string,
  mode: 'apply' | 'approve',
  strict: boolean,
): Promise<number> {
  const session = await openSession(context)
  let close = session.close
  try {
    // Told at once, before a server is started; the run itself looks again.
    const base = await runNamed(session, text)
    datasetNamed(session.config, base.dataset)
    refuse(base, mode)
    const served = await serve(context, session, { start: true })
    close = served.close
    const request = { dataset: base.dataset, mode, base: base.run }
    const record = await followRun(context, served, request)
    const report = await reportOf(session.catalog, record, { strict })
    printReport(context, report)
    context.output.result(report)
    return report.exit
  } finally {
    await close()
  }
}

/** A run by its number, as `tidemark runs` shows it. */
export async function runNamed({ catalog }: Session, text: string): Promise<RunRecord> {
  const run = /^\d{1,15}$/.test(text) ? await catalog.getRun(Number(text)) : null
  if (run) return run
  throw new UserError('run-unknown', `there is no run "${text}"`, { next: 'See: tidemark runs' })
}

function refuse(base: RunRecord, mode: 'apply' | 'approve'): void {
  const wanted = mode === 'apply' ? 'planned' : 'held'
  if (base.state === wanted) return
  const { run, dataset, state } = base
  const [message, next] =
    mode === 'approve'
      ? [`run ${run} of ${dataset} holds nothing: it is ${state}`, 'See: tidemark status']
      : base.mode === 'plan'
        ? [`the plan ${run} of ${dataset} is ${state}`, `Make a new one: tidemark plan ${dataset}`]
        : [`run ${run} of ${dataset} is no plan`, `Make one: tidemark plan ${dataset}`]
  throw new UserError(`run-not-${wanted}`, message, { next, exit: EXIT.unreachable })
}
