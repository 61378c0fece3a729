/** The locations that a process has open: each opened once, whatever run asks for it. */
import { mkdir } from 'node:fs/promises'
import { join, resolve } from 'node:path'
import type { Connector } from '../connectors/connector.ts'
import { openConnector } from '../connectors/index.ts'
import type { LocationOptions } from '../connectors/options.ts'
import { type Config, resolveReferences } from './config/index.ts'
import { UserError } from './errors.ts'
import { partBytes, transfersMax } from './limits.ts'
import { createVault, type Vault } from './vault/vault.ts'

export interface Locations {
  /** References are resolved in this process, so that no secret crosses the catalog or Temporal. */
  open(config: Config, name: string): Promise<Connector>
  openOptions(name: string, options: LocationOptions, bandwidth: number | null): Promise<Connector>
  close(): Promise<void>
}

/** `parts`: bytes of a part, and above which content goes in parts; small in tests. */
export function createLocations(parts = partBytes): Locations {
  const opened = new Map<string, Promise<Connector>>()

  async function openOptions(
    name: string,
    options: LocationOptions,
    bandwidth: number | null,
  ): Promise<Connector> {
    const resolved = await resolveReferences(options)
    const id = JSON.stringify([name, resolved, bandwidth])
    const known = opened.get(id)
    if (known) return await known
    const opening = openConnector(name, resolved, {
      concurrency: transfersMax,
      partBytes: parts,
      ...(bandwidth === null ? {} : { bandwidthBytesPerSecond: bandwidth }),
    })
    opened.set(id, opening)
    // One that failed is opened anew the next time: a credential may be there by then.
    opening.catch(() => opened.delete(id))
    return await opening
  }

  return {
    openOptions,
    async open(config, name) {
      const options = config.locations[name]
      if (!options) {
        throw new UserError('location-unknown', `The config has no location "${name}".`, {
          where: config.file,
        })
      }
      const limits = config.datasets
        .filter(({ source, destinations }) => source === name || destinations.includes(name))
        .map(({ limits }) => limits.bandwidthBytesPerSecond)
        .filter((limit) => limit !== null)
      return await openOptions(name, options, limits.length > 0 ? Math.min(...limits) : null)
    },
    async close() {
      const connectors = await Promise.allSettled(opened.values())
      opened.clear()
      for (const one of connectors) if (one.status === 'fulfilled') await one.value.close()
    },
  }
}

/** The vault that the config names: a location, or a folder in the state folder. */
export async function openVault(
  locations: Locations,
  config: Config,
  stateDir: string,
): Promise<Vault> {
  if (config.vault) return createVault(await locations.openOptions('vault', config.vault, null))
  const path = join(resolve(stateDir), 'vault')
  await mkdir(path, { recursive: true })
  return createVault(await locations.openOptions('vault', { type: 'file', path }, null))
}
