import { EXIT, UserError } from '../../errors.ts'
import { connect } from '../../temporal/connection.ts'
import { targetOf } from '../../temporal/target.ts'
import { becomeWorkerProcess, workerFlags } from '../../temporal/worker-process.ts'
import { runWorker } from '../../worker.ts'
import type { CommandContext } from '../command.ts'
import { openSession } from '../session.ts'

/** A worker for a Temporal that is elsewhere; until SIGTERM or Ctrl-C. */
export async function run(context: CommandContext): Promise<number> {
  if (!becomeWorkerProcess()) {
    context.output.note(
      `start it with: node ${workerFlags.join(' ')}, and no heap limit in NODE_OPTIONS; ` +
        'else it takes more memory, and the limits of custom modules may not hold',
    )
  }
  const session = await openSession(context)
  try {
    if (!(context.temporal ?? session.config.temporal.address)) {
      throw new UserError('no-temporal-address', 'no Temporal is named for this worker', {
        where: session.config.file,
        next:
          'Name it: --temporal HOST:PORT, or `temporal: address:`. The embedded server has its' +
          ' own workers: tidemark up --workers N',
      })
    }
    // The worker's own connection says less of what is wrong.
    const { close } = await connect(await targetOf(session.config, context.temporal))
    await close()
  } finally {
    await session.close()
  }
  await runWorker({
    stateDir: context.state,
    address: context.temporal,
    configPath: context.config,
    onReady: (line) => context.output.line(line),
  })
  return EXIT.ok
}
