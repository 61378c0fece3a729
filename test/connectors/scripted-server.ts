/**
 * A local HTTP server that records what it is sent and answers as a test tells it: for what an
 * emulator gets wrong, and for failures that no real server gives on demand.
 */
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { onTestFinished } from 'vitest'

export interface Recorded {
  method: string
  path: string
  query: Record<string, string>
  headers: IncomingMessage['headers']
  body: Buffer
}

export interface Answer {
  status?: number
  headers?: Record<string, string>
  /** Objects are sent as JSON. */
  body?: Uint8Array | string | object
  /** Cut the connection after so many bytes of the body, instead of ending it. */
  cutAt?: number
}

export interface ScriptedServer {
  endpoint: string
  requests: Recorded[]
}

/** Ends with the test that started it. */
export async function scriptedServer(
  answer: (request: Recorded) => Answer | Promise<Answer>,
): Promise<ScriptedServer> {
  const requests: Recorded[] = []
  const serve = async (incoming: IncomingMessage, outgoing: ServerResponse): Promise<void> => {
    const chunks: Buffer[] = []
    for await (const chunk of incoming) chunks.push(chunk)
    const url = new URL(incoming.url ?? '/', 'http://localhost')
    const request: Recorded = {
      method: incoming.method ?? '',
      path: url.pathname,
      query: Object.fromEntries(url.searchParams),
      headers: incoming.headers,
      body: Buffer.concat(chunks),
    }
    requests.push(request)
    send(outgoing, await answer(request))
  }
  // A script that throws cuts the connection: its test fails by what the client says of it.
  const server = createServer((incoming, outgoing) => {
    serve(incoming, outgoing).catch(() => outgoing.destroy())
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  onTestFinished(async () => {
    server.closeAllConnections()
    await new Promise((resolve) => server.close(resolve))
  })
  return { endpoint: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, requests }
}

function send(outgoing: ServerResponse, { status = 200, headers = {}, body = '', cutAt }: Answer) {
  const isBytes = typeof body === 'string' || body instanceof Uint8Array
  const bytes = Buffer.from(isBytes ? body : JSON.stringify(body))
  const type = isBytes ? {} : { 'content-type': 'application/json' }
  outgoing.writeHead(status, { ...type, 'content-length': bytes.length, ...headers })
  if (cutAt === undefined) {
    outgoing.end(bytes)
    return
  }
  outgoing.write(bytes.subarray(0, cutAt), () => outgoing.destroy())
}
