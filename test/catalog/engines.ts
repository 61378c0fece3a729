/** The engines that every catalog test runs on, each test with a catalog of its own. */
import { randomUUID } from 'node:crypto'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import pg from 'pg'
import { afterEach, inject } from 'vitest'
import type { Catalog } from '../../src/catalog/catalog.ts'
import { openCatalog } from '../../src/catalog/open.ts'

export * from './stored.ts'

export interface Place {
  url: string
  remove(): Promise<void>
}

export const engines = [
  { engine: 'SQLite', make: sqlitePlace },
  { engine: 'PostgreSQL', make: postgresPlace },
]

async function sqlitePlace(): Promise<Place> {
  const folder = await mkdtemp(join(tmpdir(), 'tidemark-catalog-'))
  return {
    url: `sqlite:${join(folder, 'catalog.db')}`,
    remove: () => rm(folder, { recursive: true, force: true }),
  }
}

/** A database whose own order is a language's: key columns must not depend on it. */
export async function postgresPlace(
  options = "encoding 'UTF8' locale_provider icu icu_locale 'en-US' template template0",
): Promise<Place> {
  const { url } = inject('servers').postgres
  const name = `catalog_${randomUUID().replaceAll('-', '')}`
  await onServer(url, `create database ${name} ${options}`)
  return {
    url: url.replace(/\/[^/]*$/, `/${name}`),
    remove: () => onServer(url, `drop database ${name} with (force)`),
  }
}

export async function onServer(url: string, statement: string): Promise<void> {
  const client = new pg.Client({ connectionString: url })
  await client.connect()
  try {
    await client.query(statement)
  } finally {
    await client.end()
  }
}

/** Catalogs that are closed and removed when the test has ended. */
export function catalogs(make: () => Promise<Place>) {
  const ends: (() => Promise<void>)[] = []
  afterEach(async () => {
    for (const end of ends.splice(0).reverse()) await end()
  })
  async function place(): Promise<Place> {
    const made = await make()
    ends.push(() => made.remove())
    return made
  }
  async function open(url?: string, clock?: () => number): Promise<Catalog> {
    const catalog = await openCatalog(url ?? (await place()).url, clock)
    ends.push(() => catalog.close())
    return catalog
  }
  return { place, open }
}
