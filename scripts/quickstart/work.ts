/** The work folder: the config of a person who has these four places, and the way to play on. */
import { mkdir, mkdtemp, readdir, realpath, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { stringify } from 'yaml'
import { UserError } from '../../src/errors.ts'
import type { AzureServer, GcsServer, S3Server } from '../servers.ts'
import { bucket, prefix } from './places.ts'

export const dataset = 'platform-config'

export interface Servers {
  s3: S3Server
  gcs: GcsServer
  azure: AzureServer
}

/** A new temporary folder, or the given one, which must be empty. */
export async function makeWorkFolder(given: string | null): Promise<string> {
  if (given === null) return await realpath(await mkdtemp(join(tmpdir(), 'tidemark-quickstart-')))
  await mkdir(given, { recursive: true })
  if ((await readdir(given)).length === 0) return await realpath(given)
  throw new UserError('work-not-empty', `the work folder ${given} is not empty`, {
    next: 'Name another one by --work DIR, or none: then it is a temporary one.',
  })
}

/** What the config's references stand for. */
export function secretsOf({ s3, azure }: Pick<Servers, 's3' | 'azure'>): Record<string, string> {
  return {
    AWS_ACCESS_KEY_ID: s3.accessKeyId,
    AWS_SECRET_ACCESS_KEY: s3.secretAccessKey,
    AZURE_STORAGE_CONNECTION_STRING: azure.connectionString,
  }
}

/** `tidemark.yaml`, and `env` with the variables that it refers to, for a shell. */
export async function writeConfig(work: string, servers: Servers): Promise<void> {
  await mkdir(join(work, 'vault'))
  await writeFile(join(work, 'tidemark.yaml'), configOf(servers))
  const lines = Object.entries(secretsOf(servers)).map(
    ([name, value]) => `export ${name}=${quoted(value)}\n`,
  )
  await writeFile(join(work, 'env'), lines.join(''), { mode: 0o600 })
}

const fromEnvironment = (name: string) => `\${env:${name}}`

function configOf({ s3, gcs }: Servers): string {
  const locations = {
    core: { type: 'file', path: './core' },
    aws: {
      ...{ type: 's3', bucket, prefix, region: s3.region, endpoint: s3.endpoint },
      'path-style': true,
      'access-key-id': fromEnvironment('AWS_ACCESS_KEY_ID'),
      'secret-access-key': fromEnvironment('AWS_SECRET_ACCESS_KEY'),
    },
    gcp: { type: 'gcs', bucket, prefix, endpoint: gcs.endpoint, anonymous: true },
    azure: {
      ...{ type: 'azure-blob', container: bucket, prefix },
      'connection-string': fromEnvironment('AZURE_STORAGE_CONNECTION_STRING'),
    },
  }
  const config = {
    locations,
    vault: { type: 'file', path: './vault' },
    synchronization: { mode: 'manual', 'conflict-resolution': 'last-write-wins' },
    datasets: [
      {
        name: dataset,
        source: 'core',
        destinations: ['aws', 'gcp', 'azure'],
        direction: 'two-way',
      },
    ],
  }
  return stringify(config, { lineWidth: 0 })
}

/** For a shell. */
export function quoted(text: string): string {
  return /^[\w@%+=:,./-]+$/.test(text) ? text : `'${text.replaceAll("'", `'\\''`)}'`
}
