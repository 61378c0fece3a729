/** The four replicas of a chaos session: each behind its fault proxy, and its users' hands. */
import { rename } from 'node:fs/promises'
import { join } from 'node:path'
import type { LocationOptions } from '../../connectors/options.ts'
import { azurePlace, filePlace, gcsPlace, type Place, s3Place } from '../integration/places.ts'
import type { AzureServer, GcsServer, S3Server } from '../servers.ts'
import { type FaultProxy, startFaultProxy } from './fault-proxy.ts'
import type { StoreKind } from './faults.ts'
import { gcsGaps } from './gcs-gaps.ts'

export interface Servers {
  s3: S3Server
  gcs: GcsServer
  azure: AzureServer
}

export interface Replica {
  name: string
  /** Its own means, past any proxy. */
  place: Place
  /** As Tidemark's config has it: through the proxy. */
  options: LocationOptions
  /** null: a folder. */
  proxy: FaultProxy | null
  /** Users do one thing at a time here, and none between a condition and its delete. */
  alone<T>(work: () => Promise<T>): Promise<T>
  /** By the store's own means, where it has them. */
  rename?(from: string, to: string): Promise<void>
}

const freely = <T>(work: () => Promise<T>): Promise<T> => work()

export async function openReplicas(servers: Servers, seed: number): Promise<Replica[]> {
  const folder = filePlace()
  const path = folder.options.type === 'file' ? folder.options.path : ''
  const gaps = gcsGaps(servers.gcs.endpoint)
  const [s3, gcs, azure] = await Promise.all([
    behindProxy('aws', 's3', await s3Place(servers.s3), servers.s3.endpoint, seed + 1),
    behindProxy('gcp', 'gcs', await gcsPlace(servers.gcs), servers.gcs.endpoint, seed + 2, gaps),
    behindProxy(
      'azure',
      'azure',
      await azurePlace(servers.azure),
      servers.azure.endpoint,
      seed + 3,
    ),
  ])
  return [
    {
      ...{ name: 'office', place: folder, options: folder.options, proxy: null, alone: freely },
      rename: (from, to) => rename(join(path, from), join(path, to)),
    },
    s3,
    gcs,
    azure,
  ]
}

async function behindProxy(
  name: string,
  speaks: StoreKind,
  place: Place,
  endpoint: string,
  seed: number,
  gaps?: ReturnType<typeof gcsGaps>,
): Promise<Replica> {
  const { host, port } = new URL(endpoint)
  const before = gaps && { before: gaps.before }
  const proxy = await startFaultProxy({ target: Number(port), speaks, seed, ...before })
  const options = JSON.parse(
    JSON.stringify(place.options).replaceAll(host, proxy.address),
  ) as LocationOptions
  return { name, place, options, proxy, alone: gaps?.alone ?? freely }
}
