import type { Progress } from '../../../workflows/messages.ts'
import { EXIT } from '../../errors.ts'
import type { CommandContext } from '../command.ts'
import { withOpenRun } from '../control.ts'
import { nothingRuns } from '../open-run.ts'

/** The dataset's run stops until `resume`; what is under way is cut off, and begun again then. */
export async function run(context: CommandContext, [name]: string[]): Promise<number> {
  const dataset = name as string
  return await withOpenRun(context, dataset, 'pause-asked', async (open) => {
    await open.pause()
    const progress = await open.progress()
    if (progress && isOver(progress)) throw nothingRuns(dataset)
    context.output.result({ dataset, run: progress?.run ?? null, paused: true })
    const run = progress?.run ? `run ${progress.run} of ${dataset}` : `the run of ${dataset}`
    context.output.line(`${run} is paused`)
    context.output.line(`  go on: tidemark resume ${dataset}`)
    return EXIT.ok
  })
}

/** It was at its end when it was told. */
const isOver = ({ phase }: Progress): boolean => phase === 'finishing' || phase === 'ended'
