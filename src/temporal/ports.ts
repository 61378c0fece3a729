/** Loopback ports for the servers that we start. */
import { randomInt } from 'node:crypto'
import { createServer } from 'node:net'
import { tmpdir, userInfo } from 'node:os'
import { join } from 'node:path'
import { takeLock } from './process-lock.ts'

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

/** By user: /tmp is everyone's. */
const claimsFolder = join(tmpdir(), `tidemark-ports-${userInfo().uid}`)

export interface ClaimedPort {
  port: number
  release(): void
}

/**
 * The port, if nothing listens there and no other server of ours has it, else null. It stays ours
 * while what listens there is started again, until `release` or the end of this process: clients
 * and workers know a server by its port alone, and would go on with a stranger.
 */
export async function claimPort(port: number): Promise<ClaimedPort | null> {
  const release = takeLock(join(claimsFolder, `${port}.lock`), 0)
  if (release && (await isFree(port))) return { port, release }
  release?.()
  return null
}

/** Below what systems give to outgoing connections (from 32768 on): while a server of ours is down,
 *  one of these could have its port. */
const ours = { from: 20_000, to: 32_000 }

/** A free port that no other server of ours has. */
export async function claimFreePort(): Promise<ClaimedPort> {
  for (;;) {
    const claimed = await claimPort(randomInt(ours.from, ours.to))
    if (claimed) return claimed
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
