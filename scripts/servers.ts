/**
 * The three clouds that the quickstart, the tests and the benchmarks talk to: real servers, each on
 * a free loopback port, with a folder of its own that goes when it stops. Whoever starts one stops
 * it; where that fails, its watchdog does.
 */
import { mkdirSync } from 'node:fs'
import { chmod, mkdir, mkdtemp, rm } from 'node:fs/promises'
import { createRequire } from 'node:module'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type GetOptions, getTool } from '../src/temporal/binaries.ts'
import { type ClaimedPort, claimFreePort, claimPort } from '../src/temporal/ports.ts'
import { accepts, type Program, startProgram, untilReady } from '../src/temporal/program.ts'
import { fakeGcsTool, versitygwTool } from './tools.ts'

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

export interface ServerOptions {
  /** A fixed port instead of a free one, to start a server again where it was. */
  port?: number
  /** A fixed folder that stays after `stop`, instead of a temporary one. */
  folder?: string
}

export const report: GetOptions['report'] = (line) => void process.stderr.write(`${line}\n`)

export interface Start {
  name: string
  options: ServerOptions
  command: string
  args: (port: number, data: string) => string[]
  environment?: NodeJS.ProcessEnv
  /** Where accepting a connection doesn't yet mean answering. */
  answers?: (port: number) => Promise<boolean>
}

export async function start(what: Start): Promise<Running & { port: number; data: string }> {
  const folder = what.options.folder ?? (await mkdtemp(join(tmpdir(), `tidemark-${what.name}-`)))
  const data = join(folder, 'data')
  await mkdir(data, { recursive: true })
  // PostgreSQL runs as another user where we are root, and must get through to its data.
  await chmod(folder, 0o711)
  const { port, release } = await portFor(what.options.port)
  const logFile = join(folder, 'server.log')
  const program: Program = await startProgram({
    command: what.command,
    args: what.args(port, data),
    logFile,
    ...(what.environment ? { environment: { ...process.env, ...what.environment } } : {}),
  })
  const stop = async () => {
    await program.stop()
    release()
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

/** Ours until it is released: servers that start side by side could be given the same free one, and
 *  each would take the other's answers for its own. */
async function portFor(wanted: number | undefined): Promise<ClaimedPort> {
  if (wanted === undefined) return await claimFreePort()
  return (await claimPort(wanted)) ?? { port: wanted, release: () => undefined }
}

/** `versions`: a bucket's versioning can be turned on. */
export async function startS3(
  options: ServerOptions & { versions?: boolean } = {},
): Promise<S3Server & Running> {
  const accessKeyId = 'tidemark'
  const secretAccessKey = 'tidemark-secret'
  const { port, ...running } = await start({
    name: 'versitygw',
    options,
    command: await getTool(versitygwTool, { report }),
    args: (port, data) => {
      const versions = `${data}-versions`
      if (options.versions) mkdirSync(versions, { recursive: true })
      const kept = options.versions ? ['--versioning-dir', versions] : []
      return [
        ...['--port', `127.0.0.1:${port}`, '--quiet', '--keep-alive'],
        ...['posix', ...kept, data],
      ]
    },
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
