import { EXIT } from '../../errors.ts'
import type { CommandContext } from '../command.ts'
import { withOpenRun } from '../control.ts'
import { printReport, reportOf } from '../run-report.ts'

const patienceMs = 10_000

/** Ends the dataset's run in order, and waits for it: what was done stays done and is known. */
export async function run(context: CommandContext, [name]: string[]): Promise<number> {
  const dataset = name as string
  return await withOpenRun(context, dataset, 'cancel-asked', async (open, { catalog }) => {
    await open.cancel()
    const patience = setTimeout(() => {
      context.output.note(`the run of ${dataset} ends as soon as its worker answers; waiting`)
    }, patienceMs)
    try {
      await Promise.race([open.ended(), aborted(context.signal)])
    } finally {
      clearTimeout(patience)
    }
    const recent = await catalog.listRuns({ dataset, limit: 5 })
    const record = recent.find(({ temporalRunId }) => temporalRunId === open.runId)
    if (!record) {
      context.output.result({ run: null })
      context.output.line(`the run of ${dataset} was cancelled before it began`)
      return EXIT.ok
    }
    const report = await reportOf(catalog, record, { strict: false })
    context.output.result(report)
    printReport(context, report)
    if (record.state === 'cancelled') return EXIT.ok
    // It came to its end before it was told: that is what its state says.
    return report.exit
  })
}

function aborted(signal: AbortSignal): Promise<never> {
  return new Promise((_resolve, reject) => {
    const stop = () => reject(signal.reason)
    if (signal.aborted) stop()
    else signal.addEventListener('abort', stop, { once: true })
  })
}
