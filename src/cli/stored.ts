/** `apply RUN` and `approve RUN`: a run whose items another run stored. */
import type { RunRecord } from '../catalog/catalog.ts'
import { UserError } from '../errors.ts'
import type { CommandContext } from './command.ts'
import { followRun } from './follow.ts'
import { printReport, reportOf } from './run-report.ts'
import { openServed, type Session } from './session.ts'

export async function carryOutStored(
  context: CommandContext,
  text: string,
  mode: 'apply' | 'approve',
  strict: boolean,
): Promise<number> {
  const session = await openServed(context, { start: true })
  try {
    const base = await runNamed(session, text)
    const record = await followRun(context, session, {
      dataset: base.dataset,
      mode,
      base: base.run,
    })
    const report = await reportOf(session.catalog, record, { strict })
    printReport(context, report)
    context.output.result(report)
    return report.exit
  } finally {
    await session.close()
  }
}

/** A run by its number, as `tidemark runs` shows it. */
export async function runNamed({ catalog }: Session, text: string): Promise<RunRecord> {
  const run = /^\d{1,15}$/.test(text) ? await catalog.getRun(Number(text)) : null
  if (run) return run
  throw new UserError('run-unknown', `there is no run "${text}"`, { next: 'See: tidemark runs' })
}
