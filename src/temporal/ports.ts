/** Loopback ports for the servers that we start. */
import { createServer } from 'node:net'

const loopback = '127.0.0.1'

/** A port that was free a moment ago: whoever starts a server on it looks whether it could. */
export function freePort(): Promise<number> {
  return listenOn(0)
}

/** Whether a server could listen there now. */
export async function isFree(port: number): Promise<boolean> {
  try {
    await listenOn(port)
    return true
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException
    if (code === 'EADDRINUSE' || code === 'EACCES') return false
    throw error
  }
}

function listenOn(port: number): Promise<number> {
  return new Promise((resolve, reject) => {
    const server = createServer()
    server.once('error', reject)
    server.listen({ port, host: loopback, exclusive: true }, () => {
      const address = server.address()
      server.close(() =>
        typeof address === 'object' && address
          ? resolve(address.port)
          : reject(new Error('no port was bound')),
      )
    })
  })
}
