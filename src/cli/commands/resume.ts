import { EXIT } from '../../errors.ts'
import type { CommandContext } from '../command.ts'
import { withOpenRun } from '../control.ts'

/** A paused run goes on where it was; one that isn't paused just goes on. */
export async function run(context: CommandContext, [name]: string[]): Promise<number> {
  const dataset = name as string
  return await withOpenRun(context, dataset, 'resume-asked', async (open) => {
    await open.resume()
    const progress = await open.progress()
    context.output.result({ dataset, run: progress?.run ?? null, paused: false })
    const run = progress?.run ? `run ${progress.run} of ${dataset}` : `the run of ${dataset}`
    context.output.line(`${run} goes on`)
    return EXIT.ok
  })
}
