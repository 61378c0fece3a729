/** One server of each kind for the whole run; a test makes a bucket or database of its own. */
import type { TestProject } from 'vitest/node'
import {
  type AzureServer,
  type GcsServer,
  type PostgresServer,
  type Running,
  type S3Server,
  startAzure,
  startGcs,
  startPostgres,
  startS3,
} from './servers.ts'

/** What `inject('servers')` gives. Temporal is started by the files that need it. */
export interface Servers {
  s3: S3Server
  gcs: GcsServer
  azure: AzureServer
  postgres: PostgresServer
}

declare module 'vitest' {
  interface ProvidedContext {
    servers: Servers
  }
}

export default async function setup(project: TestProject): Promise<() => Promise<void>> {
  const running: Running[] = []
  const stopAll = async () => {
    await Promise.all(running.map((server) => server.stop()))
  }
  const kept = async <T extends Running>(starting: Promise<T>): Promise<Omit<T, keyof Running>> => {
    const { stop, pid, folder, ...rest } = await starting
    running.push({ stop, pid, folder })
    return rest
  }
  const starting = [
    kept(startS3()),
    kept(startGcs()),
    kept(startAzure()),
    kept(startPostgres()),
  ] as const
  try {
    const [s3, gcs, azure, postgres] = await Promise.all(starting)
    project.provide('servers', { s3, gcs, azure, postgres })
  } catch (error) {
    // Those that did start, and those that are still about to.
    await Promise.allSettled(starting)
    await stopAll()
    throw error
  }
  return stopAll
}
