/** A PostgreSQL that is killed, and started again where it was; reached through a fault proxy. */
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { startPostgres } from '../servers.ts'
import { type FaultProxy, startFaultProxy } from './fault-proxy.ts'

export interface KilledPostgres {
  /** Of the catalog, through the proxy. */
  url: string
  proxy: FaultProxy
  /** SIGKILL; resolves when another one answers. */
  kill(): Promise<void>
  stop(): Promise<void>
}

/** How long a server stays away that was killed (ms): as long as a service manager takes. */
const awayMs = 1_000

export async function startKilledPostgres(seed: number): Promise<KilledPostgres> {
  const folder = mkdtempSync(join(tmpdir(), 'tidemark-killed-postgres-'))
  let server = await startPostgres({ folder })
  const { port } = server
  const proxy = await startFaultProxy({ target: port, speaks: 'raw', seed })
  return {
    url: server.url.replace(`127.0.0.1:${port}`, proxy.address),
    proxy,
    async kill() {
      const pidFile = join(folder, 'data', 'postmaster.pid')
      process.kill(Number(readFileSync(pidFile, 'utf8').split('\n')[0]), 'SIGKILL')
      await server.stop()
      await sleep(awayMs)
      server = await startPostgres({ folder, port })
    },
    async stop() {
      await proxy.close()
      await server.stop()
      rmSync(folder, { recursive: true, force: true })
    },
  }
}
