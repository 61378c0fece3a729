/**
 * A network in front of a server on this machine: what is said arrives so many milliseconds later,
 * each way. A process of its own; prints its port.
 *
 *     node bench/latency.ts PORT MS
 */
import { type AddressInfo, connect, createServer, type Socket } from 'node:net'

const [port, ms] = process.argv.slice(2).map(Number) as [number, number]

/** Timers of one length end in the order in which they began. */
function carry(from: Socket, to: Socket): void {
  from.on('data', (bytes) => setTimeout(() => to.writable && to.write(bytes), ms))
  from.on('end', () => setTimeout(() => to.end(), ms))
  from.on('error', () => to.destroy())
}

const server = createServer({ noDelay: true }, (client) => {
  const behind = connect({ port, host: '127.0.0.1', noDelay: true })
  carry(client, behind)
  carry(behind, client)
})
server.listen(0, '127.0.0.1', () => {
  process.stdout.write(`${(server.address() as AddressInfo).port}\n`)
})
