import { EXIT } from '../../errors.ts'
import { runWorker } from '../../worker.ts'
import type { CommandContext } from '../command.ts'

/** A worker for a Temporal that is elsewhere; until SIGTERM or Ctrl-C. */
export async function run(context: CommandContext): Promise<number> {
  await runWorker({
    stateDir: context.state,
    address: context.temporal,
    configPath: context.config,
    onReady: (line) => context.output.line(line),
  })
  return EXIT.ok
}
