/**
 * Kysely on node:sqlite. Statements run at once, on this thread, and take well under a millisecond
 * each; what may take long is waiting for another process's lock, and that never blocks the thread.
 *
 * Two connections: one writes, in transactions, one at a time; meanwhile the other reads what is
 * committed, and waits for nobody (WAL).
 */
import { DatabaseSync, type SQLInputValue, type StatementSync } from 'node:sqlite'
import { setTimeout as sleep } from 'node:timers/promises'
import {
  type CompiledQuery,
  type DatabaseConnection,
  type Dialect,
  type Driver,
  type QueryResult,
  SqliteAdapter,
  SqliteIntrospector,
  SqliteQueryCompiler,
} from 'kysely'
import { sqliteCode } from './problems.ts'

/** A page of baseline rows spans few pages of the file; larger rows don't spill over. */
const pageBytes = 8192
/** KiB of cached pages, of each connection. With 16 MiB nothing in bench/catalog.ts took less time:
 *  a scan reads each page once, and the kernel caches the file as well. */
const cacheKib = 4 * 1024
/** The log is kept at this size between checkpoints instead of growing with the largest one. */
const logBytesMax = 64 * 1024 * 1024
/** How long another process may keep the lock before it's an error: its transactions are short, so
 *  this one hangs or is stopped. */
const busyMsMax = 60_000
/** Waits between tries, ms: the lock is held for milliseconds. */
const busyWaitMsMax = 20
/** Prepared statements kept, of each connection. */
const statementsMax = 200

/** Statements that follow each other for this long (ms) let timers and sockets have a turn. */
const turnMsMax = 5

const SQLITE_BUSY = 5

interface Opened {
  database: DatabaseSync
  /** By their text, the least recently used first. */
  statements: Map<string, Prepared>
}

interface Prepared {
  statement: StatementSync
  /** Names of the columns; empty where it gives no rows. */
  columns: string[]
}

interface Connection extends DatabaseConnection {
  /** Lets the next writer in; null outside a transaction. */
  unlock: (() => void) | null
}

export function sqliteDialect(path: string): Dialect {
  return {
    createAdapter: manyConnections,
    createDriver: () => createDriver(path),
    createIntrospector: (db) => new SqliteIntrospector(db),
    createQueryCompiler: () => new SqliteQueryCompiler(),
  }
}

/** Without this Kysely would let a read wait for a transaction that waits for another process. */
function manyConnections(): SqliteAdapter {
  const adapter = new SqliteAdapter()
  return Object.defineProperty(adapter, 'supportsMultipleConnections', { value: true })
}

function createDriver(path: string): Driver {
  let writer: Opened
  let reader: Opened
  let lastWriter: Promise<void> = Promise.resolve()
  const giveTurn = createTurns()

  /** Writers of this process, first come, first served. */
  async function lock(): Promise<() => void> {
    const before = lastWriter
    let unlock = (): void => {}
    lastWriter = new Promise((resolve) => {
      unlock = resolve
    })
    await before
    return unlock
  }

  async function begin(connection: Connection): Promise<void> {
    const unlock = await lock()
    try {
      // Not deferred: a transaction that first reads and then writes can't be retried from inside.
      await retryBusy(() => writer.database.exec('begin immediate'))
    } catch (error) {
      unlock()
      throw error
    }
    connection.unlock = unlock
  }

  function commit(connection: Connection): void {
    writer.database.exec('commit')
    leave(connection)
  }

  function rollback(connection: Connection): void {
    // Only while the lock is ours: without it the open transaction is the next writer's. And a full
    // disk may have rolled ours back already.
    if (connection.unlock && writer.database.isTransaction) writer.database.exec('rollback')
    leave(connection)
  }

  function leave(connection: Connection): void {
    connection.unlock?.()
    connection.unlock = null
  }

  /** Each commit makes the other connection forget its pages: the writer's own are still there. */
  function idle(): Opened {
    return writer.database.isTransaction ? reader : writer
  }

  async function execute<R>(connection: Connection, query: CompiledQuery): Promise<QueryResult<R>> {
    if (connection.unlock) return run(writer, query)
    if (isRead(query)) return await retryBusy(() => run<R>(idle(), query))
    await begin(connection)
    try {
      const result = run<R>(writer, query)
      commit(connection)
      return result
    } catch (error) {
      rollback(connection)
      throw error
    }
  }

  return {
    async init() {
      writer = await open(path)
      reader = await open(path)
      reader.database.exec('pragma query_only = on')
    },
    async acquireConnection() {
      await giveTurn()
      const connection: Connection = {
        unlock: null,
        executeQuery: (query) => execute(connection, query),
        streamQuery: () => {
          throw new Error('nothing is streamed: no cursor is left open between calls')
        },
      }
      return connection
    },
    beginTransaction: (connection) => begin(connection as Connection),
    commitTransaction: async (connection) => commit(connection as Connection),
    rollbackTransaction: async (connection) => rollback(connection as Connection),
    async releaseConnection() {},
    async destroy() {
      const unlock = await lock()
      reader.database.close()
      writer.database.close()
      unlock()
    },
  }
}

async function open(path: string): Promise<Opened> {
  // timeout 0: SQLite's own waiting would sleep on this thread, heartbeats and all.
  const database = new DatabaseSync(path, { timeout: 0 })
  try {
    database.exec(`pragma page_size = ${pageBytes}`)
    await retryBusy(() => database.exec('pragma journal_mode = wal'))
    // NORMAL can lose committed rows at a power cut.
    database.exec('pragma synchronous = full')
    database.exec('pragma foreign_keys = on')
    database.exec(`pragma cache_size = -${cacheKib}`)
    database.exec(`pragma journal_size_limit = ${logBytesMax}`)
    return { database, statements: new Map() }
  } catch (error) {
    database.close()
    throw error
  }
}

/**
 * Awaiting a statement that has run already doesn't return to the event loop: a loop over pages
 * would keep heartbeats waiting to its end. Never inside a transaction, which would last longer.
 */
function createTurns(): () => Promise<void> {
  let began: number | null = null
  return async () => {
    if (began === null) {
      began = performance.now()
      setImmediate(() => {
        began = null
      })
    } else if (performance.now() - began > turnMsMax) {
      await new Promise((turn) => setImmediate(turn))
    }
  }
}

/** Tries again while another process has the lock, and lets everything else go on meanwhile. */
async function retryBusy<T>(work: () => T): Promise<T> {
  const deadline = performance.now() + busyMsMax
  for (let tries = 0; ; tries++) {
    try {
      return work()
    } catch (error) {
      if (sqliteCode(error) !== SQLITE_BUSY || performance.now() > deadline) throw error
    }
    // Not all at the same moment: else the same process could win each time.
    await sleep(Math.random() * Math.min(busyWaitMsMax, 2 ** tries))
  }
}

function isRead(query: CompiledQuery): boolean {
  return query.query.kind === 'SelectQueryNode' || /^\s*select\b/i.test(query.sql)
}

function run<R>(on: Opened, query: CompiledQuery): QueryResult<R> {
  const { statement, columns } = prepare(on, query.sql)
  const parameters = query.parameters as SQLInputValue[]
  if (columns.length > 0) {
    const rows = statement.all(...parameters) as unknown as unknown[][]
    return { rows: rows.map((values) => rowOf(columns, values) as R) }
  }
  const { changes } = statement.run(...parameters)
  return { rows: [], numAffectedRows: BigInt(changes) }
}

function rowOf(columns: string[], values: unknown[]): Record<string, unknown> {
  const row: Record<string, unknown> = {}
  for (let i = 0; i < columns.length; i++) row[columns[i] as string] = values[i]
  return row
}

/** Preparing takes longer than most statements run. */
function prepare({ database, statements }: Opened, text: string): Prepared {
  const known = statements.get(text)
  const prepared = known ?? prepareNew(database, text)
  if (known) statements.delete(text)
  statements.set(text, prepared)
  if (statements.size > statementsMax) {
    for (const oldest of statements.keys()) {
      statements.delete(oldest)
      break
    }
  }
  return prepared
}

function prepareNew(database: DatabaseSync, text: string): Prepared {
  const statement = database.prepare(text)
  // node:sqlite's own row objects are hash tables without a prototype, which outlive their page as
  // old garbage: a scan of a million keys held 25 MB more, and a page took a third longer.
  statement.setReturnArrays(true)
  return { statement, columns: statement.columns().map(({ name }) => name) }
}
