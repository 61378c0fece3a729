/** A client of a Temporal server: our own dev server, a cluster, or Temporal Cloud. */
import { readFile } from 'node:fs/promises'
import {
  Client,
  Connection,
  type ConnectionOptions,
  defaultGrpcRetryOptions,
  makeGrpcRetryInterceptor,
} from '@temporalio/client'
import { EXIT, UserError } from '../errors.ts'

export interface TemporalTarget {
  /** host:port */
  address: string
  /** Default `default`. */
  namespace?: string
  /** true: TLS with the machine's certificate authorities. Files are PEM. */
  tls?: boolean | { caFile?: string; certFile?: string; keyFile?: string; serverName?: string }
  apiKey?: string
}

export interface TemporalClient {
  client: Client
  connection: Connection
  close(): Promise<void>
}

/** gRPC's numbers: https://grpc.io/docs/guides/status-codes/ */
const grpc = {
  ...({ cancelled: 1, deadlineExceeded: 4, notFound: 5 } as const),
  ...({ permissionDenied: 7, unavailable: 14, unauthenticated: 16 } as const),
}

const connectTimeoutMs = 5_000
/** A history of more than gRPC's default 4 MiB can be fetched (Temporal ends it at 50 MiB). */
const messageBytesMax = 128 * 1024 * 1024

/**
 * Connects, and makes sure that the namespace is there. UserError `temporal-unreachable`,
 * `temporal-denied`, `temporal-namespace`: each with exit 6, the address and the next step.
 */
export async function connect(target: TemporalTarget): Promise<TemporalClient> {
  const namespace = target.namespace ?? 'default'
  const retries = createRetries()
  const connection = await open(target, retries.interceptor)
  const close = () => retries.end(() => connection.close())
  try {
    const deadline = Date.now() + connectTimeoutMs
    await connection.withDeadline(deadline, () =>
      connection.workflowService.describeNamespace({ namespace }),
    )
  } catch (error) {
    await close()
    throw explain(error, target, namespace)
  }
  return { client: new Client({ connection, namespace }), connection, close }
}

/**
 * The SDK's retries, which can be ended: a call that waits for its next try would find the channel
 * closed, and throw out of a timer, which ends the process.
 */
function createRetries() {
  const usual = defaultGrpcRetryOptions()
  let ending = false
  /** When the last try that was promised begins (performance.now()). */
  let lastTryAt = 0
  const interceptor = makeGrpcRetryInterceptor({
    retryableDecider: (attempt, status) => !ending && usual.retryableDecider(attempt, status),
    delayFunction(attempt, status) {
      const delayMs = usual.delayFunction(attempt, status)
      lastTryAt = Math.max(lastTryAt, performance.now() + delayMs)
      return delayMs
    },
  })
  return {
    interceptor,
    /** Nobody waits for a try that is still to come: what it finds interests nobody any more. */
    async end(close: () => Promise<void>): Promise<void> {
      ending = true
      const leftMs = lastTryAt - performance.now()
      if (leftMs <= 0) await close()
      else setTimeout(() => void close(), leftMs + timerMarginMs)
    },
  }
}

/** Timers of the same moment may come in any order. */
const timerMarginMs = 50

type Interceptor = ReturnType<typeof makeGrpcRetryInterceptor>

async function open(target: TemporalTarget, interceptor: Interceptor): Promise<Connection> {
  const options: ConnectionOptions = {
    ...(await connectionOptions(target)),
    connectTimeout: connectTimeoutMs,
    interceptors: [interceptor],
    channelArgs: { 'grpc.max_receive_message_length': messageBytesMax },
  }
  try {
    return await Connection.connect(options)
  } catch (error) {
    throw explain(error, target, target.namespace ?? 'default')
  }
}

/** What `Connection` and the worker's `NativeConnection` both take. */
export async function connectionOptions(
  target: TemporalTarget,
): Promise<{ address: string; apiKey?: string; tls?: TlsOptions | true }> {
  const { address, apiKey, tls } = target
  const options = { address, ...(apiKey === undefined ? {} : { apiKey }) }
  // Temporal Cloud's API keys go over TLS only.
  if (tls === true || (tls === undefined && apiKey !== undefined)) return { ...options, tls: true }
  return tls ? { ...options, tls: await tlsOptions(tls) } : options
}

interface TlsOptions {
  serverNameOverride?: string
  serverRootCACertificate?: Buffer
  clientCertPair?: { crt: Buffer; key: Buffer }
}

async function tlsOptions(tls: Exclude<TemporalTarget['tls'], boolean | undefined>) {
  const options: TlsOptions = {}
  if (tls.serverName) options.serverNameOverride = tls.serverName
  if (tls.caFile) options.serverRootCACertificate = await readPem(tls.caFile)
  if (tls.certFile && tls.keyFile) {
    options.clientCertPair = { crt: await readPem(tls.certFile), key: await readPem(tls.keyFile) }
  }
  return options
}

async function readPem(file: string): Promise<Buffer> {
  try {
    return await readFile(file)
  } catch (cause) {
    throw new UserError('temporal-tls', `can't read ${file}: ${(cause as Error).message}`, {
      where: file,
      next: 'Correct `temporal: tls:` in the config.',
      cause,
    })
  }
}

function explain(error: unknown, target: TemporalTarget, namespace: string): unknown {
  if (error instanceof UserError) return error
  const details = { where: target.address, exit: EXIT.unreachable, cause: error }
  switch (grpcCodeOf(error)) {
    case grpc.notFound:
      return new UserError(
        'temporal-namespace',
        `Temporal at ${target.address} has no namespace ${namespace}`,
        { ...details, next: `Create it: temporal operator namespace create -n ${namespace}` },
      )
    case grpc.permissionDenied:
    case grpc.unauthenticated:
      return new UserError(
        'temporal-denied',
        `Temporal at ${target.address} refuses us in namespace ${namespace}`,
        { ...details, next: 'Correct `temporal: api-key:` or `temporal: tls:` in the config.' },
      )
    default:
      return new UserError(
        'temporal-unreachable',
        `no Temporal server answers at ${target.address}`,
        {
          ...details,
          next:
            'Start that server or correct the address (--temporal, or `temporal: address:` in' +
            ' the config; `temporal: tls:` where it wants TLS). Without an address, Tidemark' +
            ' starts its own.',
        },
      )
  }
}

/** Whether the server went away in the middle of a call: it may be back, or be elsewhere. */
export function isConnectionLost(error: unknown): boolean {
  const code = grpcCodeOf(error)
  return code === grpc.unavailable || code === grpc.deadlineExceeded || code === grpc.cancelled
}

/** gRPC's own errors carry a number; the SDK wraps some of them as a cause. */
function grpcCodeOf(error: unknown): number | null {
  if (!(error instanceof Error)) return null
  if ('code' in error && typeof error.code === 'number') return error.code
  return grpcCodeOf(error.cause)
}
