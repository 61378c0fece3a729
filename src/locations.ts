/** The locations that a process has open: each opened once, whatever run asks for it. */
import { mkdir } from 'node:fs/promises'
import { join, resolve } from 'node:path'
import type { Connector } from '../connectors/connector.ts'
import { openConnector } from '../connectors/index.ts'
import type { LocationOptions } from '../connectors/options.ts'
import type { Catalog } from './catalog/catalog.ts'
import { type Config, resolveReferences } from './config/index.ts'
import { UserError } from './errors.ts'
import { partBytes, transfersMax } from './limits.ts'
import { hostId } from './temporal/host.ts'
import { type NativeParts, type NativeVault, withNative } from './vault/native.ts'
import { createVault, type Vault, type VaultParts } from './vault/vault.ts'

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
export async function vaultParts(
  locations: Locations,
  catalog: Catalog,
  config: Config,
  stateDir: string,
): Promise<VaultParts> {
  const path = join(resolve(stateDir), 'vault')
  if (config.vault === null) await mkdir(path, { recursive: true })
  const options = config.vault ?? { type: 'file', path }
  const store = await locations.openOptions('vault', options, null)
  // No location can bear such a name.
  const place = options.type === 'file' ? `vault ${hostId(stateDir)} ${options.path}` : null
  return { store, catalog, place, clock: Date.now }
}

/** The config's locations, as places whose buckets may keep content by themselves. */
export function nativeParts(locations: Locations, catalog: Catalog, config: Config): NativeParts {
  const names = Object.keys(config.locations)
  const open = (name: string) => locations.open(config, name)
  return { catalog, names, open, clock: Date.now }
}

/** One vault for all that use the same place: what they ask of the catalog goes together. */
export function createVaults(locations: Locations, catalog: Catalog, stateDir: string) {
  const vaults = new Map<Connector, Vault>()
  // Asked for with each key: an activity has one config, whose references are resolved once.
  const known = new WeakMap<Config, Promise<NativeVault>>()

  async function open(config: Config): Promise<NativeVault> {
    const parts = await vaultParts(locations, catalog, config, stateDir)
    const vault = vaults.get(parts.store) ?? createVault(parts)
    vaults.set(parts.store, vault)
    return withNative(vault, nativeParts(locations, catalog, config))
  }

  return async (config: Config): Promise<NativeVault> => {
    const asked = known.get(config)
    if (asked) return await asked
    const opening = open(config)
    known.set(config, opening)
    // A vault that fails is opened anew for the next key.
    opening.catch(() => known.delete(config))
    return await opening
  }
}
