/** The catalog that a config names: its PostgreSQL, or SQLite in the state folder. */
import { mkdir } from 'node:fs/promises'
import { join, resolve } from 'node:path'
import { type Config, resolveReferences } from '../config/index.ts'
import type { Catalog } from './catalog.ts'
import { openCatalog } from './open.ts'

/** Where SQLite has it. */
export const catalogFile = (stateDir: string): string => join(resolve(stateDir), 'catalog.db')

export async function openCatalogOf(config: Config, stateDir: string): Promise<Catalog> {
  if (config.catalog !== null) return await openCatalog(await resolveReferences(config.catalog))
  await mkdir(stateDir, { recursive: true })
  return await openCatalog(`sqlite:${catalogFile(stateDir)}`)
}
