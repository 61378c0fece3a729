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
import type { CommandContext } from './command.ts'

export interface Session {
  config: Config
  catalog: Catalog
  close(): Promise<void>
}

/** The config in the catalog, so that runs can pin it; no Temporal: see `serve`. */
export async function openSession(context: CommandContext): Promise<Session> {
  const config = await loadConfig(context.config)
  for (const { code, where, message } of config.warnings) {
    // `validate` tells it: the audit's heads go to a location that no dataset has.
    if (code !== 'config-unused-location') context.output.note(`${where}: ${message}`)
  }
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

/** The named datasets, each once; none named: all that are enabled. */
export function datasetsOf(config: Config, names: string[]): DatasetConfig[] {
  if (names.length > 0) return [...new Set(names)].map((name) => datasetNamed(config, name))
  const enabled = config.datasets.filter((one) => one.enabled)
  if (enabled.length > 0) return enabled
  throw new UserError('no-dataset-enabled', 'the config has no dataset that is enabled', {
    where: config.file,
    next: 'Name one, or take `enabled: false` away.',
  })
}

export function datasetNamed(config: Config, name: string): DatasetConfig {
  const dataset = config.datasets.find((one) => one.name === name)
  if (dataset) return dataset
  throw new UserError('dataset-unknown', `the config has no dataset "${name}"`, {
    where: config.file,
    next: `It has: ${config.datasets.map((one) => one.name).join(', ')}`,
  })
}
