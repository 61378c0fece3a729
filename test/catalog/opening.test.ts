import { readdir, readFile, writeFile } from 'node:fs/promises'
import { createServer } from 'node:net'
import { DatabaseSync } from 'node:sqlite'
import { sql } from 'kysely'
import { describe, expect, it } from 'vitest'
import { catalogVersion, migrate } from '../../src/catalog/migrations.ts'
import { openCatalog, openStore } from '../../src/catalog/open.ts'
import { EXIT } from '../../src/errors.ts'
import {
  catalogs,
  dataset,
  engines,
  everything,
  onServer,
  postgresPlace,
  rowOf,
  runOf,
  versionOf,
} from './engines.ts'

const problem = (code: string, exit: number = EXIT.usage) =>
  expect.objectContaining({ name: 'UserError', code, exit, next: expect.stringMatching(/\w/) })

/** Runs a statement on the database behind a catalog. */
async function execute(url: string, statement: string): Promise<void> {
  const store = await openStore(url)
  await sql.raw(statement).execute(store.db)
  await store.db.destroy()
}

describe.each(engines)('opening a catalog on $engine', ({ make }) => {
  const { open, place } = catalogs(make)

  it('finds what was there, and changes nothing of it', async () => {
    const { url } = await place()
    const first = await openCatalog(url)
    const run = await first.createRun(runOf())
    await first.close()
    const second = await open(url)
    const third = await open(url)
    expect((await third.getRun(run))?.dataset).toBe(dataset)
    expect(await second.createRun(runOf())).toBe(run + 1)
  })

  it('makes one catalog where several open it first at the same time', async () => {
    const { url } = await place()
    const opened = await Promise.all([1, 2, 3, 4].map(() => open(url)))
    const runs = await Promise.all(opened.map((catalog) => catalog.createRun(runOf())))
    expect(runs.sort()).toEqual([1, 2, 3, 4])
  })

  it('refuses a catalog that a newer version made, and leaves it as it is', async () => {
    const { url } = await place()
    await (await openCatalog(url)).close()
    const newer = catalogVersion + 1
    await execute(url, `update catalog_version set version = ${newer}`)
    await expect(openCatalog(url)).rejects.toEqual(problem('catalog-newer'))
    await execute(url, `update catalog_version set version = ${catalogVersion}`)
    await open(url)
  })

  it('refuses a database that is something else’s', async () => {
    const { url } = await place()
    await execute(url, 'create table runs (id bigint)')
    await expect(openCatalog(url)).rejects.toEqual(problem('catalog-foreign'))
  })
})

// ── older versions ──────────────────────────────────────────────────────────────────────────────

interface Fixture {
  version: number
  /** By table: what that version stored. */
  tables: Record<string, Record<string, string | number | null>[]>
}

const fixtures = new URL('../fixtures/catalog/', import.meta.url)

describe.each(engines)('a catalog of an older version on $engine', ({ make }) => {
  const { open, place } = catalogs(make)

  it('is migrated with all that it holds, from each version that there was', async () => {
    const files = (await readdir(fixtures)).sort()
    expect(files).toEqual(Array.from({ length: catalogVersion }, (_, i) => `v${i + 1}.json`))
    for (const file of files) {
      const fixture = JSON.parse(await readFile(new URL(file, fixtures), 'utf8')) as Fixture
      const { url } = await place()
      await fillAs(url, fixture)
      const catalog = await open(url)
      expect(await catalog.readBaseline(dataset, everything, null, 9)).toEqual([
        rowOf('a'),
        rowOf('b', versionOf(1, null)),
      ])
      expect(await catalog.countLive(dataset)).toBe(1)
      const lines = await catalog.linesOfKey(dataset, 'a', { limit: 9 })
      expect(lines).toMatchObject([{ version: versionOf(1), reason: 'new', parents: [] }])
      expect(await catalog.getRun(1)).toMatchObject({ dataset, state: 'complete' })
      expect(await catalog.createRun(runOf())).toBe(2)
    }
  })
})

/** Makes the catalog as that version would, and puts its rows in. */
async function fillAs(url: string, { version, tables }: Fixture): Promise<void> {
  const store = await openStore(url)
  await migrate(store, url, version)
  await store.db.deleteFrom('counters').execute()
  for (const [table, rows] of Object.entries(tables)) {
    for (const row of rows) {
      const names = Object.keys(row).map((name) => sql.ref(name))
      const values = Object.values(row).map((value) => sql`${value}`)
      const columns = sql`${sql.table(table)} (${sql.join(names)})`
      await sql`insert into ${columns} values (${sql.join(values)})`.execute(store.db)
    }
  }
  await store.db.destroy()
}

// ── what isn't a catalog ────────────────────────────────────────────────────────────────────────

describe('an address that is no catalog', () => {
  const sqlite = catalogs(engines[0]?.make as (typeof engines)[number]['make'])

  it('is refused by its form', async () => {
    for (const url of ['catalog.db', 'sqlite:relative.db', 'mysql://host/x', 'postgres://[', '']) {
      await expect(openCatalog(url)).rejects.toEqual(problem('catalog-url'))
    }
  })

  it('is damaged where the file isn’t a database, and the file stays as it is', async () => {
    const { url } = await sqlite.place()
    const file = url.slice('sqlite:'.length)
    await writeFile(file, 'not a database, but long enough to look at: '.repeat(100))
    const before = await readFile(file)
    await expect(openCatalog(url)).rejects.toEqual(problem('catalog-damaged', EXIT.failed))
    expect(await readFile(file)).toEqual(before)
  })

  it('is damaged where pages of the database were overwritten', async () => {
    const { url } = await sqlite.place()
    await (await openCatalog(url)).close()
    const file = url.slice('sqlite:'.length)
    const bytes = await readFile(file)
    bytes.fill(0xff, 8_192)
    await writeFile(file, bytes)
    const opened = openCatalog(url).then((catalog) => catalog.createRun(runOf()))
    await expect(opened).rejects.toEqual(problem('catalog-damaged', EXIT.failed))
  })

  it('can’t be reached where the folder doesn’t exist', async () => {
    const { url } = await sqlite.place()
    const missing = url.replace('catalog.db', 'missing/catalog.db')
    await expect(openCatalog(missing)).rejects.toEqual(
      problem('catalog-unreachable', EXIT.unreachable),
    )
  })

  it('is closed for good once it was closed', async () => {
    const { url } = await sqlite.place()
    const catalog = await openCatalog(url)
    await catalog.close()
    await expect(catalog.getRun(1)).rejects.toThrow()
    const file = url.slice('sqlite:'.length)
    const database = new DatabaseSync(file)
    expect(database.prepare('pragma journal_mode').get()).toEqual({ journal_mode: 'wal' })
    database.close()
  })
})

describe('a PostgreSQL that can’t be used', () => {
  const { place, open } = catalogs(() => postgresPlace())

  it('is unreachable where nobody answers, and the password isn’t shown', async () => {
    const server = createServer((socket) => socket.destroy())
    await new Promise<void>((listening) => server.listen(0, '127.0.0.1', listening))
    const { port } = server.address() as { port: number }
    const url = `postgres://user:hush@127.0.0.1:${port}/catalog`
    const unreachable = problem('catalog-unreachable', EXIT.unreachable)
    await expect(openCatalog(url)).rejects.toEqual(unreachable)
    await new Promise((closed) => server.close(closed))
    const refused = await openCatalog(url).catch((error: unknown) => error)
    expect(refused).toEqual(unreachable)
    expect(JSON.stringify(refused) + String(refused)).not.toContain('hush')
  })

  it('is unreachable where its connections are cut, and used again when it’s back', async () => {
    const { url } = await place()
    const catalog = await open(url)
    const run = await catalog.createRun(runOf())
    const name = new URL(url).pathname.slice(1)
    const server = url.replace(/\/[^/]*$/, '/postgres')
    await onServer(server, `alter database ${name} with allow_connections false`)
    await onServer(
      server,
      `select pg_terminate_backend(pid) from pg_stat_activity
      where datname = '${name}'`,
    )
    await expect(catalog.getRun(run)).rejects.toEqual(
      problem('catalog-unreachable', EXIT.unreachable),
    )
    await onServer(server, `alter database ${name} with allow_connections true`)
    expect((await catalog.getRun(run))?.run).toBe(run)
  })

  it('is denied where user, password or database are wrong', async () => {
    const { url } = await place()
    const wrong = new URL(url)
    wrong.password = 'wrong'
    await expect(openCatalog(wrong.href)).rejects.toEqual(problem('catalog-denied'))
    await expect(openCatalog(`${url}x`)).rejects.toEqual(problem('catalog-denied'))
  })

  it('is refused where its encoding can’t hold every key', async () => {
    const latin = await postgresPlace(
      "encoding 'LATIN1' lc_collate 'C' lc_ctype 'C' template template0",
    )
    await expect(openCatalog(latin.url)).rejects.toEqual(problem('catalog-encoding'))
    await latin.remove()
  })
})
