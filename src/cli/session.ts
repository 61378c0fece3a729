/** What a command works with: the config, the catalog, and Temporal where it's needed. */
import type { Catalog } from '../catalog/catalog.ts'
import { openCatalogOf } from '../catalog/of-config.ts'
import {
  type Config,
  checkStateFolder,
  type DatasetConfig,
  loadConfig,
  storedConfig,
} from '../config/index.ts'
import { UserError } from '../errors.ts'
import type { TemporalClient } from '../temporal/connection.ts'
import type { ServerInfo } from '../temporal/lock.ts'
import type { CommandContext } from './command.ts'

export interface Session {
  config: Config
  catalog: Catalog
  close(): Promise<void>
}

/** A session with a Temporal server that has workers. */
export interface ServedSession extends Session {
  temporal: TemporalClient
  /** Of the embedded server; null: Temporal is somebody else's. */
  server: ServerInfo | null
}

/** The config in the catalog, so that runs can pin it; no Temporal. */
export async function openSession(context: CommandContext): Promise<Session> {
  const config = await loadConfig(context.config)
  for (const { where, message } of config.warnings) context.output.note(`${where}: ${message}`)
  await checkStateFolder(config, context.state)
  const catalog = await openCatalogOf(config, context.state)
  try {
    await catalog.putConfig(config.digest, storedConfig(config))
  } catch (error) {
    await catalog.close()
    throw error
  }
  return { config, catalog, close: () => catalog.close() }
}

/**
 * Connects to the server that is up: the one named by --temporal or the config, else the embedded
 * one of this state folder; `start`: where none is up, it is brought up for as long as the session
 * is open. Without `start`, UserError `no-server`.
 */
export async function openServed(
  context: CommandContext,
  { start }: { start: boolean },
): Promise<ServedSession> {
  const session = await openSession(context)
  let stop = async () => {}
  try {
    const { readServer } = await import('../temporal/lock.ts')
    const { connect } = await import('../temporal/connection.ts')
    const { targetOf } = await import('../temporal/target.ts')
    const elsewhere = context.temporal ?? session.config.temporal.address
    let server = elsewhere ? null : await readServer(context.state)
    if (!elsewhere && !server) {
      if (!start) throw noServer(context.state)
      const embedded = await startOwn(context)
      stop = embedded.stop
      server = embedded.server
    }
    const address = elsewhere ?? (server as ServerInfo).address
    const temporal = await connect(await targetOf(session.config, address))
    return {
      ...session,
      temporal,
      server,
      async close() {
        await temporal.close()
        await stop()
        await session.close()
      },
    }
  } catch (error) {
    await stop()
    await session.close()
    throw error
  }
}

async function startOwn(context: CommandContext) {
  const { startEmbedded } = await import('../temporal/supervisor.ts')
  return await startEmbedded({
    stateDir: context.state,
    configPath: context.config,
    signal: context.signal,
    log: context.output.note,
    onEvent: (event) => {
      if (event.kind !== 'died') return
      context.output.note(`${event.program} ended unexpectedly; started again (${event.logFile})`)
    },
  })
}

function noServer(state: string): UserError {
  return new UserError('no-server', 'no server is up on this state folder', {
    where: state,
    next: 'Start one: tidemark up',
  })
}

/** The named datasets; none named: all that are enabled. */
export function datasetsOf(config: Config, names: string[]): DatasetConfig[] {
  if (names.length === 0) return config.datasets.filter(({ enabled }) => enabled)
  return names.map((name) => {
    const dataset = config.datasets.find((one) => one.name === name)
    if (dataset) return dataset
    throw new UserError('dataset-unknown', `the config has no dataset "${name}"`, {
      where: config.file,
      next: `It has: ${config.datasets.map((one) => one.name).join(', ')}`,
    })
  })
}
