/**
 * The catalog's versions: forward only, numbered, the same on both engines. A migration that was
 * released is never edited: the next one mends it. Each has a fixture in test/fixtures/catalog/,
 * from which a test migrates.
 */
import { randomBytes } from 'node:crypto'
import { type Kysely, sql } from 'kysely'
import { UserError } from '../errors.ts'
import type { RunCounts } from './catalog.ts'
import type { Tables } from './schema.ts'
import { type Engine, inTransaction, type Store } from './store.ts'

type Migration = (db: Kysely<Tables>, engine: Engine) => Promise<void>

const migrations: Migration[] = [first, second]

/** The version that this program makes and reads. */
export const catalogVersion = migrations.length

/** Brings the catalog to version `to`. `where` names it in errors. */
export async function migrate(store: Store, where: string, to = catalogVersion): Promise<void> {
  // Looked at without a lock first: opening must not wait for a writer when there's nothing to do.
  if ((await versionOf(store, where)) === to) return
  await inTransaction(store, async (tx) => {
    if (store.engine === 'postgres') {
      await sql`select pg_advisory_xact_lock(${migrationLock})`.execute(tx.db)
      await checkEncoding(tx, where)
    }
    const from = await versionOf(tx, where)
    if (from === 0) {
      await tx.db.schema
        .createTable('catalog_version')
        .addColumn('version', 'bigint', (column) => column.notNull())
        .execute()
      await tx.db.insertInto('catalog_version').values({ version: 0 }).execute()
    }
    for (const migration of migrations.slice(from, to)) await migration(tx.db, store.engine)
    await tx.db.updateTable('catalog_version').set({ version: to }).execute()
  })
}

/** Any number that nobody else is likely to lock by: "tide" in ASCII. */
const migrationLock = 0x74696465

async function versionOf(store: Store, where: string): Promise<number> {
  const tables = await tableNames(store)
  if (tables.includes('catalog_version')) {
    const { version } = await store.db
      .selectFrom('catalog_version')
      .select('version')
      .executeTakeFirstOrThrow()
    if (version <= catalogVersion) return version
    throw new UserError(
      'catalog-newer',
      `The catalog has version ${version}; this Tidemark knows versions up to ${catalogVersion}.`,
      { where, next: 'Use the newer Tidemark that made it: a catalog never goes back.' },
    )
  }
  if (!tables.some((name) => name === 'baseline' || name === 'runs')) return 0
  throw new UserError('catalog-foreign', 'The database has tables of something else.', {
    where,
    next: 'Give Tidemark a database of its own.',
  })
}

/** In another encoding keys would be refused, or ordered by other bytes. */
async function checkEncoding({ db }: Store, where: string): Promise<void> {
  const { rows } = await sql<{ name: string }>`select pg_encoding_to_char(encoding) as name
    from pg_database where datname = current_database()`.execute(db)
  if (rows[0]?.name === 'UTF8') return
  throw new UserError('catalog-encoding', `The database’s encoding is ${rows[0]?.name}.`, {
    where,
    next: "Make one for Tidemark: create database tidemark encoding 'UTF8' template template0;",
  })
}

async function tableNames({ db, engine }: Store): Promise<string[]> {
  const { rows } = await (engine === 'sqlite'
    ? sql<{ name: string }>`select name from sqlite_master where type = 'table'`
    : sql<{ name: string }>`select tablename as name from pg_tables
        where schemaname = current_schema()`
  ).execute(db)
  return rows.map(({ name }) => name)
}

// ── version 1 ───────────────────────────────────────────────────────────────────────────────────

async function first(db: Kysely<Tables>, engine: Engine): Promise<void> {
  await firstNames(db)
  await firstRuns(db)
  await firstBaseline(db, engine)
  await firstItems(db, engine)
  await firstConflicts(db, engine)
  const counters = (['dataset', 'run', 'conflict'] as const).map((name) => ({ name, value: 0 }))
  await db.insertInto('counters').values(counters).execute()
}

/** SQLite compares text by its UTF-8 bytes as it is; PostgreSQL by a language unless told. */
const keyType = (engine: Engine) => (engine === 'sqlite' ? sql`text` : sql`text collate "C"`)

/** Rows lie in the order of their primary key: a page of a range is read in one stretch. PostgreSQL
 *  has no such tables. */
const ordered = (engine: Engine) => (engine === 'sqlite' ? sql`without rowid` : sql``)

async function firstNames(db: Kysely<Tables>): Promise<void> {
  await db.schema
    .createTable('counters')
    .addColumn('name', 'text', (column) => column.primaryKey())
    .addColumn('value', 'bigint', (column) => column.notNull())
    .execute()
  await db.schema
    .createTable('configs')
    .addColumn('digest', 'text', (column) => column.primaryKey())
    .addColumn('json', 'text', (column) => column.notNull())
    .execute()
  await db.schema
    .createTable('locations')
    .addColumn('name', 'text', (column) => column.primaryKey())
    .addColumn('identity', 'text', (column) => column.notNull())
    .addColumn('host', 'text')
    .execute()
  await db.schema
    .createTable('datasets')
    .addColumn('id', 'bigint', (column) => column.primaryKey())
    .addColumn('name', 'text', (column) => column.notNull().unique())
    .addColumn('live', 'bigint', (column) => column.notNull())
    .execute()
  await db.schema
    .createTable('dataset_replicas')
    .addColumn('dataset', 'bigint', (column) => column.notNull())
    .addColumn('replica', 'text', (column) => column.notNull())
    .addPrimaryKeyConstraint('dataset_replicas_pk', ['dataset', 'replica'])
    .execute()
}

async function firstRuns(db: Kysely<Tables>): Promise<void> {
  let runs = db.schema
    .createTable('runs')
    .addColumn('run', 'bigint', (column) => column.primaryKey())
    .addColumn('dataset', 'bigint', (column) => column.notNull())
    .addColumn('mode', 'text', (column) => column.notNull())
    .addColumn('trigger_kind', 'text', (column) => column.notNull())
    .addColumn('state', 'text', (column) => column.notNull())
    .addColumn('config_digest', 'text', (column) => column.notNull())
    .addColumn('base', 'bigint')
    .addColumn('started_at', 'bigint', (column) => column.notNull())
    .addColumn('ended_at', 'bigint')
    .addColumn('live_at_start', 'bigint', (column) => column.notNull())
    .addColumn('problem', 'text')
    .addColumn('workflow_id', 'text', (column) => column.notNull())
    .addColumn('temporal_run_id', 'text')
    .addColumn('range_count', 'bigint', (column) => column.notNull().defaultTo(0))
  const counts: (keyof RunCounts)[] = [
    ...(['scanned', 'planned', 'puts', 'deletes', 'adopted', 'bytes', 'stale'] as const),
    ...([
      'skipped',
      'failed',
      'held',
      'cancelled',
      'conflicts',
      'drift',
      'extra',
      'renames',
    ] as const),
  ]
  for (const name of counts) {
    runs = runs.addColumn(name, 'bigint', (column) => column.notNull().defaultTo(0))
  }
  await runs.execute()
  await db.schema.createIndex('runs_dataset').on('runs').columns(['dataset', 'run']).execute()
  await db.schema
    .createTable('run_replicas')
    .addColumn('run', 'bigint', (column) => column.notNull())
    .addColumn('replica', 'text', (column) => column.notNull())
    .addColumn('state', 'text', (column) => column.notNull())
    .addColumn('problem', 'text')
    .addColumn('seen', 'bigint', (column) => column.notNull())
    .addColumn('gone', 'bigint', (column) => column.notNull())
    .addPrimaryKeyConstraint('run_replicas_pk', ['run', 'replica'])
    .execute()
  await db.schema
    .createTable('ranges')
    .addColumn('run', 'bigint', (column) => column.notNull())
    .addColumn('number', 'bigint', (column) => column.notNull())
    .addColumn('from_key', 'text')
    .addColumn('to_key', 'text')
    .addColumn('cursor_key', 'text')
    .addColumn('resume', 'text', (column) => column.notNull())
    .addColumn('state', 'text', (column) => column.notNull())
    .addColumn('scanned', 'bigint', (column) => column.notNull())
    .addColumn('item_count', 'bigint', (column) => column.notNull())
    .addPrimaryKeyConstraint('ranges_pk', ['run', 'number'])
    .execute()
  await db.schema
    .createTable('lanes')
    .addColumn('run', 'bigint', (column) => column.notNull())
    .addColumn('lane', 'text', (column) => column.notNull())
    .addColumn('attempt', 'bigint', (column) => column.notNull())
    .addPrimaryKeyConstraint('lanes_pk', ['run', 'lane'])
    .execute()
}

async function firstBaseline(db: Kysely<Tables>, engine: Engine): Promise<void> {
  await db.schema
    .createTable('baseline')
    .addColumn('dataset', 'bigint', (column) => column.notNull())
    .addColumn('key', keyType(engine), (column) => column.notNull())
    .addColumn('rev', 'bigint', (column) => column.notNull())
    .addColumn('live', 'bigint', (column) => column.notNull())
    .addColumn('body', 'text', (column) => column.notNull())
    .addPrimaryKeyConstraint('baseline_pk', ['dataset', 'key'])
    .modifyEnd(ordered(engine))
    .execute()
  await db.schema
    .createTable('versions')
    .addColumn('dataset', 'bigint', (column) => column.notNull())
    .addColumn('key', keyType(engine), (column) => column.notNull())
    .addColumn('run', 'bigint', (column) => column.notNull())
    .addColumn('at', 'double precision', (column) => column.notNull())
    .addColumn('origin', 'text', (column) => column.notNull())
    .addColumn('reason', 'text', (column) => column.notNull())
    .addColumn('content', 'text')
    .addColumn('parents', 'text', (column) => column.notNull())
    .addPrimaryKeyConstraint('versions_pk', ['dataset', 'key', 'run'])
    .execute()
}

async function firstItems(db: Kysely<Tables>, engine: Engine): Promise<void> {
  await db.schema
    .createTable('plan_items')
    .addColumn('run', 'bigint', (column) => column.notNull())
    .addColumn('seq', 'bigint', (column) => column.notNull())
    .addColumn('range_number', 'bigint', (column) => column.notNull())
    .addColumn('key', keyType(engine), (column) => column.notNull())
    .addColumn('state', 'text', (column) => column.notNull())
    .addColumn('tries', 'bigint', (column) => column.notNull())
    .addColumn('rev', 'bigint', (column) => column.notNull())
    .addColumn('content_key', 'text')
    .addColumn('creates', 'bigint', (column) => column.notNull())
    .addColumn('item', 'text')
    .addColumn('conflict', 'text')
    .addColumn('outcomes', 'text', (column) => column.notNull())
    .addPrimaryKeyConstraint('plan_items_pk', ['run', 'seq'])
    .execute()
  // None by content_key: digests come in no order, and such an index made a page of new items cost
  // four times as much. `countRenames` reads the run instead, and only where it has deletes.
  await db.schema
    .createIndex('plan_items_state')
    .on('plan_items')
    .columns(['run', 'state', 'seq'])
    .execute()
}

async function firstConflicts(db: Kysely<Tables>, engine: Engine): Promise<void> {
  await db.schema
    .createTable('conflicts')
    .addColumn('id', 'bigint', (column) => column.primaryKey())
    .addColumn('dataset', 'bigint', (column) => column.notNull())
    .addColumn('key', keyType(engine), (column) => column.notNull())
    .addColumn('identity', 'text', (column) => column.notNull())
    .addColumn('kind', 'text', (column) => column.notNull())
    .addColumn('state', 'text', (column) => column.notNull())
    .addColumn('conflict', 'text', (column) => column.notNull())
    .addColumn('opened_run', 'bigint', (column) => column.notNull())
    .addColumn('opened_at', 'bigint', (column) => column.notNull())
    .addColumn('ended_run', 'bigint')
    .addColumn('ended_at', 'bigint')
    .addColumn('resolution', 'text')
    .execute()
  await db.schema
    .createIndex('conflicts_key')
    .on('conflicts')
    .columns(['dataset', 'key', 'id'])
    .execute()
  // A key has one open conflict at most.
  await db.schema
    .createIndex('conflicts_open')
    .unique()
    .on('conflicts')
    .columns(['dataset', 'key'])
    .where(sql.ref('state'), '=', sql.lit('open'))
    .execute()
  await db.schema
    .createTable('uploads')
    .addColumn('location', 'text', (column) => column.notNull())
    .addColumn('key', keyType(engine), (column) => column.notNull())
    .addColumn('state', 'text', (column) => column.notNull())
    .addColumn('saved_at', 'bigint', (column) => column.notNull())
    .addPrimaryKeyConstraint('uploads_pk', ['location', 'key'])
    .execute()
}

// ── version 2: history, what a person asked for, the vault, the audit ───────────────────────────

async function second(db: Kysely<Tables>, engine: Engine): Promise<void> {
  await secondHistory(db)
  await secondRequests(db, engine)
  await secondVault(db, engine)
  await secondAudit(db, engine)
}

/** `agreed_at`: when the run committed it. Older lines were agreed while their run went on. */
async function secondHistory(db: Kysely<Tables>): Promise<void> {
  await db.schema
    .alterTable('versions')
    .addColumn('agreed_at', 'bigint', (column) => column.notNull().defaultTo(0))
    .execute()
  await sql`update versions set agreed_at =
    coalesce((select started_at from runs where runs.run = versions.run), 0)`.execute(db)
  await db.schema
    .createIndex('versions_run')
    .on('versions')
    .columns(['dataset', 'run', 'key'])
    .execute()
}

async function secondRequests(db: Kysely<Tables>, engine: Engine): Promise<void> {
  await db.schema.alterTable('runs').addColumn('request', 'bigint').execute()
  await db.schema.alterTable('runs').addColumn('made_by', 'text').execute()
  await db.insertInto('counters').values({ name: 'request', value: 0 }).execute()
  await db.schema
    .createTable('requests')
    .addColumn('id', 'bigint', (column) => column.primaryKey())
    .addColumn('dataset', 'bigint', (column) => column.notNull())
    .addColumn('kind', 'text', (column) => column.notNull())
    .addColumn('made_by', 'text', (column) => column.notNull())
    .addColumn('made_at', 'bigint', (column) => column.notNull())
    .addColumn('body', 'text', (column) => column.notNull())
    .addColumn('selected', 'bigint', (column) => column.notNull().defaultTo(0))
    .execute()
  await db.schema
    .createTable('request_keys')
    .addColumn('request', 'bigint', (column) => column.notNull())
    .addColumn('key', keyType(engine), (column) => column.notNull())
    .addColumn('directive', 'text', (column) => column.notNull())
    .addPrimaryKeyConstraint('request_keys_pk', ['request', 'key'])
    .modifyEnd(ordered(engine))
    .execute()
}

async function secondVault(db: Kysely<Tables>, engine: Engine): Promise<void> {
  await db.schema
    .createTable('vault_objects')
    .addColumn('vault', 'text', (column) => column.notNull())
    .addColumn('name', keyType(engine), (column) => column.notNull())
    .addColumn('md5', 'text')
    .addColumn('crc32c', 'text')
    .addColumn('size', 'bigint', (column) => column.notNull())
    .addColumn('stored', 'bigint')
    .addColumn('state', 'text', (column) => column.notNull())
    .addColumn('used_at', 'bigint', (column) => column.notNull())
    .addColumn('place', 'text', (column) => column.notNull())
    .addPrimaryKeyConstraint('vault_objects_pk', ['vault', 'name'])
    .execute()
  for (const digest of ['md5', 'crc32c'] as const) {
    await db.schema
      .createIndex(`vault_objects_${digest}`)
      .on('vault_objects')
      .columns(['vault', digest])
      .execute()
  }
  // Two catalogs may share a vault's location: neither takes the other's objects for garbage.
  await db.schema.alterTable('catalog_version').addColumn('id', 'text').execute()
  const id = randomBytes(6).toString('hex')
  await db.updateTable('catalog_version').set({ id }).execute()
}

async function secondAudit(db: Kysely<Tables>, engine: Engine): Promise<void> {
  await db.schema
    .createTable('audit')
    .addColumn('dataset', 'bigint', (column) => column.notNull())
    .addColumn('seq', 'bigint', (column) => column.notNull())
    .addColumn('at', 'bigint', (column) => column.notNull())
    .addColumn('run', 'bigint')
    .addColumn('key', keyType(engine))
    .addColumn('what', 'text', (column) => column.notNull())
    .addColumn('by', 'text', (column) => column.notNull())
    .addColumn('detail', 'text', (column) => column.notNull())
    .addColumn('prev', 'text', (column) => column.notNull())
    .addColumn('digest', 'text', (column) => column.notNull())
    .addPrimaryKeyConstraint('audit_pk', ['dataset', 'seq'])
    .execute()
  await db.schema
    .createIndex('audit_key')
    .on('audit')
    .columns(['dataset', 'key', 'seq'])
    .where(sql.ref('key'), 'is not', null)
    .execute()
}
