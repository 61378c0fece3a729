/** In front of an S3 server: counts the writes that the server confirmed, per key. */
import { Agent, createServer, request } from 'node:http'
import type { AddressInfo } from 'node:net'

export interface CountingProxy {
  endpoint: string
  /** By the request's path: how many PUTs were answered with 200. */
  written: Map<string, number>
  /** Requests below this path that sent content, or asked for it: neither listings nor the store's
   *  own copies. */
  contents(path: string): number
  close(): Promise<void>
}

export async function countingProxy(target: string): Promise<CountingProxy> {
  const { hostname, port } = new URL(target)
  const agent = new Agent({ keepAlive: true })
  const written = new Map<string, number>()
  const contents: string[] = []
  const server = createServer((incoming, outgoing) => {
    const { method, headers } = incoming
    const path = incoming.url ?? '/'
    const sends = method === 'PUT' && !headers['x-amz-copy-source']
    if (sends || (method === 'GET' && !path.includes('?'))) contents.push(path)
    const onward = request({ hostname, port, method, headers, path, agent }, (reply) => {
      if (method === 'PUT' && reply.statusCode === 200) {
        written.set(path, (written.get(path) ?? 0) + 1)
      }
      outgoing.writeHead(reply.statusCode ?? 502, reply.headers)
      reply.pipe(outgoing)
    })
    // A killed worker takes its connections along: the server must not see half a body as whole,
    // and what it had whole is answered, and counted, though nobody listens any more.
    onward.on('error', () => outgoing.destroy())
    incoming.on('error', () => onward.destroy())
    incoming.pipe(onward)
  })
  await new Promise<void>((done) => server.listen(0, '127.0.0.1', done))
  return {
    endpoint: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    written,
    contents: (below) => contents.filter((path) => path.startsWith(below)).length,
    async close() {
      server.closeAllConnections()
      agent.destroy()
      await new Promise((done) => server.close(done))
    },
  }
}
