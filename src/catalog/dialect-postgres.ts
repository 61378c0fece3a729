/**
 * Kysely on pg. Kysely's own driver isn't used: a connection that pg lost fails without a code
 * there, and what has no code can't be acted on.
 */
import {
  type CompiledQuery,
  type DatabaseConnection,
  type Dialect,
  type Driver,
  PostgresAdapter,
  PostgresIntrospector,
  PostgresQueryCompiler,
  type QueryResult,
} from 'kysely'
import pg from 'pg'
import { connectionLost } from './problems.ts'

/** Connections of one process: statements are short, and a server has about a hundred for all. */
const connectionsMax = 8
/** A server that is there answers sooner; a firewall that drops packets never does (ms). */
const connectMsMax = 10_000
/** Until a statement is answered (ms): a network that fell silent must not hold a run for ever. The
 *  longest take seconds. */
const queryMsMax = 600_000
/** A worker whose machine was frozen mustn't keep its rows locked for ever (ms). */
const idleTransactionMsMax = 60_000

interface Connection extends DatabaseConnection {
  client: pg.PoolClient
  /** Its state isn't known any more: it is closed instead of given to the next. */
  broken: boolean
}

export function postgresDialect(url: string, queryMs = queryMsMax): Dialect {
  return {
    createAdapter: () => new PostgresAdapter(),
    createDriver: () => createDriver(url, queryMs),
    createIntrospector: (db) => new PostgresIntrospector(db),
    createQueryCompiler: () => new PostgresQueryCompiler(),
  }
}

function createDriver(url: string, queryMs: number): Driver {
  const pool = new pg.Pool({
    connectionString: url,
    application_name: 'tidemark',
    max: connectionsMax,
    connectionTimeoutMillis: connectMsMax,
    query_timeout: queryMs,
    idle_in_transaction_session_timeout: idleTransactionMsMax,
    keepAlive: true,
    types: { getTypeParser: numberParser },
  })
  // Without listeners a lost connection would end the process. Nothing is hidden: whoever uses the
  // connection gets the error, and an idle one is replaced.
  pool.on('error', () => {})
  pool.on('connect', (client) => client.on('error', () => {}))

  async function control(connection: Connection, statement: string): Promise<void> {
    try {
      const { command } = await coded(() => connection.client.query(statement))
      // PostgreSQL answers so, without an error, where a statement had failed before.
      if (statement === 'commit' && command === 'ROLLBACK') throw new Error('nothing was committed')
    } catch (error) {
      connection.broken = true
      throw error
    }
  }

  return {
    async init() {},
    async acquireConnection() {
      const client = await coded(() => pool.connect())
      const connection: Connection = {
        client,
        broken: false,
        executeQuery: (query) => execute(connection, query),
        streamQuery: () => {
          throw new Error('nothing is streamed: no cursor is left open between calls')
        },
      }
      return connection
    },
    async beginTransaction(connection) {
      await control(connection as Connection, 'begin')
    },
    async commitTransaction(connection) {
      await control(connection as Connection, 'commit')
    },
    async rollbackTransaction(connection) {
      await control(connection as Connection, 'rollback')
    },
    async releaseConnection(connection) {
      const { client, broken } = connection as Connection
      client.release(broken)
    },
    async destroy() {
      await pool.end()
    },
  }
}

async function execute<R>(connection: Connection, query: CompiledQuery): Promise<QueryResult<R>> {
  const result = await coded(async () => {
    try {
      return await connection.client.query(query.sql, query.parameters as unknown[])
    } catch (error) {
      // pg's own: the answer to this statement may still come, and would be taken for the next's.
      if (!hasCode(error)) connection.broken = true
      throw error
    }
  })
  return { rows: (result.rows ?? []) as R[], numAffectedRows: BigInt(result.rowCount ?? 0) }
}

/** The server's errors have an SQLSTATE, the network's a code; only pg's own, when a connection was
 *  lost or couldn't be made in time, have none. */
async function coded<T>(work: () => Promise<T>): Promise<T> {
  try {
    return await work()
  } catch (error) {
    throw error instanceof Error && !hasCode(error) ? connectionLost(error) : error
  }
}

const hasCode = (error: unknown) => error instanceof Error && 'code' in error && !!error.code

/** pg gives int8 as text because it may pass 2^53; ours don't. */
function numberParser(...[oid, format]: Parameters<typeof pg.types.getTypeParser>) {
  return oid === pg.types.builtins.INT8 ? Number : pg.types.getTypeParser(oid, format)
}
