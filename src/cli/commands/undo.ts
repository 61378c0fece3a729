import type { CommandContext, CommandOptions } from '../command.ts'
import { planThenApply } from '../history/carry-out.ts'
import { datasetNamed } from '../session.ts'
import { runNamed } from '../stored.ts'

/** What a run agreed on is taken back, key by key: to what was agreed before it. */
export async function run(
  context: CommandContext,
  [text]: string[],
  options: CommandOptions,
): Promise<number> {
  return await planThenApply(context, options, async (session) => {
    const { run, dataset } = await runNamed(session, text as string)
    datasetNamed(session.config, dataset)
    const prefix = typeof options.prefix === 'string' ? options.prefix : ''
    const overwriteLater = options.overwriteLater === true
    return { dataset, request: { kind: 'undo', run, prefix, overwriteLater } }
  })
}
