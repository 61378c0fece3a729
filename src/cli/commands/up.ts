import { setTimeout as sleep } from 'node:timers/promises'
import { checkStateFolder, loadConfig } from '../../config/index.ts'
import { EXIT } from '../../errors.ts'
import { connect } from '../../temporal/connection.ts'
import { syncSchedules } from '../../temporal/schedules.ts'
import { startEmbedded } from '../../temporal/supervisor.ts'
import { targetOf } from '../../temporal/target.ts'
import type { CommandContext, CommandOptions } from '../command.ts'
import { wholeNumber } from '../numbers.ts'
import { openSession } from '../session.ts'

/** The embedded server: Temporal, a worker, and the Schedules of the config. Until Ctrl-C. */
export async function run(
  context: CommandContext,
  _args: string[],
  options: CommandOptions,
): Promise<number> {
  const { output, signal } = context
  const config = await loadConfig(context.config)
  await checkStateFolder(config, context.state)
  const embedded = await startEmbedded({
    stateDir: context.state,
    configPath: context.config,
    signal,
    log: output.note,
    ...numbers(options),
    onEvent: (event) => {
      if (event.kind === 'died') {
        output.note(`${event.program} ended unexpectedly; starting it again (${event.logFile})`)
      } else if (event.kind === 'restarted') output.note(`${event.program} is back`)
    },
  })
  try {
    const session = await openSession(context)
    const temporal = await connect(await targetOf(config, embedded.server.address))
    try {
      const schedules = await syncSchedules(temporal.client, session.config, context.state)
      output.line(`Temporal  ${embedded.server.address}`)
      output.line(`Web UI    ${embedded.server.ui}`)
      for (const line of schedules) output.line(line)
      output.line('up; Ctrl-C ends it')
      output.result({ ...embedded.server, schedules })
    } finally {
      await temporal.close()
      await session.close()
    }
    await Promise.race([embedded.ended, aborted(signal)])
    return EXIT.ok
  } finally {
    await embedded.stop()
  }
}

function numbers(options: CommandOptions) {
  const [port, uiPort, workers] = [
    wholeNumber(options, 'port', { max: 65_535 }),
    wholeNumber(options, 'uiPort', { max: 65_535 }),
    wholeNumber(options, 'workers', { max: 64 }),
  ]
  return {
    ...(port === undefined ? {} : { port }),
    ...(uiPort === undefined ? {} : { uiPort }),
    ...(workers === undefined ? {} : { workers }),
  }
}

async function aborted(signal: AbortSignal): Promise<void> {
  while (!signal.aborted) await sleep(1_000, undefined, { signal }).catch(() => undefined)
}
