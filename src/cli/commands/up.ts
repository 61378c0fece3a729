import { EXIT } from '../../errors.ts'
import { connect } from '../../temporal/connection.ts'
import { syncSchedules } from '../../temporal/schedules.ts'
import { ensureSearchAttributes } from '../../temporal/search-attributes.ts'
import { startEmbedded } from '../../temporal/supervisor.ts'
import { targetOf } from '../../temporal/target.ts'
import type { CommandContext, CommandOptions } from '../command.ts'
import { wholeNumber } from '../numbers.ts'
import { type Relayed, serveRelayed } from '../relay-server.ts'
import { openSession, type Session } from '../session.ts'

/**
 * The embedded server: Temporal, a worker, and the Schedules of the config. Where Temporal is
 * elsewhere, a worker for it and the Schedules. Until Ctrl-C.
 */
export async function run(
  context: CommandContext,
  _args: string[],
  options: CommandOptions,
): Promise<number> {
  const given = numbers(options)
  const session = await openSession(context)
  let closed = false
  const close = async () => {
    if (!closed) await session.close()
    closed = true
  }
  try {
    if (context.temporal ?? session.config.temporal.address) {
      for (const line of await schedulesOf(context, session)) context.output.line(line)
      await close()
      // Loaded only here: a server needs none of it, its workers are processes of their own.
      const { run: runWorker } = await import('./worker.ts')
      return await runWorker(context)
    }
    return await runEmbedded(context, session, given)
  } finally {
    await close()
  }
}

async function runEmbedded(
  context: CommandContext,
  session: Session,
  given: ReturnType<typeof numbers>,
): Promise<number> {
  const { output, signal } = context
  const embedded = await startEmbedded({
    stateDir: context.state,
    configPath: context.config,
    signal,
    log: output.note,
    ...given,
    onEvent: (event) => {
      if (event.kind === 'died') {
        output.note(`${event.program} ended unexpectedly; starting it again (${event.logFile})`)
      } else if (event.kind === 'restarted') output.note(`${event.program} is back`)
    },
  })
  let relayed: Relayed | null = null
  try {
    const schedules = await schedulesOf(context, session, embedded.server.address)
    output.line(`Temporal  ${embedded.server.address}`)
    output.line(`Web UI    ${embedded.server.ui}`)
    for (const line of schedules) output.line(line)
    relayed = await serveRelayed(context)
    output.line('up; Ctrl-C ends it')
    output.result({ ...embedded.server, schedules })
    await Promise.race([embedded.ended, aborted(signal)])
    return EXIT.ok
  } finally {
    await relayed?.close()
    await embedded.stop()
  }
}

/** Gives a line for each Schedule. `address`: of the embedded server. */
async function schedulesOf(
  context: CommandContext,
  { config }: Session,
  address: string | null = context.temporal,
): Promise<string[]> {
  const { client, connection, close } = await connect(await targetOf(config, address))
  try {
    await ensureSearchAttributes(connection, config.temporal.namespace)
    return await syncSchedules(client, config, context.state)
  } finally {
    await close()
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
  if (signal.aborted) return
  await new Promise((done) => signal.addEventListener('abort', done, { once: true }))
}
