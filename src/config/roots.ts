/** Which places are the same, or inside one another: two writers of one place undo each other. */
import { realpath } from 'node:fs/promises'
import { dirname, join, sep } from 'node:path'
import type { LocationOptions } from '../../connectors/options.ts'
import { UserError } from '../errors.ts'
import type { Config } from './config.ts'
import { resolveReferences } from './references.ts'

/** What lies at a location: all names in `store` that begin with `prefix`. */
export interface Root {
  store: string
  prefix: string
}

export function overlap(a: Root, b: Root): boolean {
  return a.store === b.store && (a.prefix.startsWith(b.prefix) || b.prefix.startsWith(a.prefix))
}

/** `options`: with their references resolved, and folders absolute. */
export async function rootOf(options: LocationOptions): Promise<Root> {
  switch (options.type) {
    case 'file':
      return folderRoot(options.path)
    case 's3':
      return { store: `s3 ${s3Host(options.endpoint)} ${options.bucket}`, prefix: options.prefix }
    case 'gcs': {
      const host = origin(options.endpoint ?? 'https://storage.googleapis.com')
      return { store: `gcs ${host} ${options.bucket}`, prefix: options.prefix }
    }
    case 'azure-blob':
      return { store: `azure ${azureHost(options)} ${options.container}`, prefix: options.prefix }
    case 'memory':
      return { store: `memory ${options.store}`, prefix: options.prefix }
  }
}

/** Refuses a state folder that lies inside a folder that is synced: `config-state-in-root`. */
export async function checkStateFolder(config: Config, stateDir: string): Promise<void> {
  const state = await folderRoot(stateDir)
  for (const [name, options] of Object.entries(config.locations)) {
    if (options.type !== 'file') continue
    const root = await rootOf(await resolveReferences(options))
    if (!state.prefix.startsWith(root.prefix)) continue
    throw new UserError(
      'config-state-in-root',
      `the state folder ${stateDir} lies inside the location ${name}, and would be synced`,
      { where: stateDir, next: 'Keep it elsewhere: --state DIR' },
    )
  }
}

async function folderRoot(path: string): Promise<Root> {
  const real = await realFolder(path)
  return { store: 'folder', prefix: real.endsWith(sep) ? real : real + sep }
}

/** Symlinks resolved, also where the last parts of the path aren't there yet. */
async function realFolder(path: string): Promise<string> {
  try {
    return await realpath(path)
  } catch (error) {
    const code = (error as NodeJS.ErrnoException).code
    const parent = dirname(path)
    // Where we can't look, the path as written is the best name; opening it will say why.
    if (parent === path || (code !== 'ENOENT' && code !== 'ENOTDIR')) return path
    return join(await realFolder(parent), path.slice(parent.length))
  }
}

/** Amazon's bucket names are unique over all its regions and endpoints. */
function s3Host(endpoint: string | undefined): string {
  if (endpoint === undefined) return 'aws'
  return /\.amazonaws\.com(\.cn)?$/.test(new URL(endpoint).hostname) ? 'aws' : origin(endpoint)
}

function azureHost(options: Extract<LocationOptions, { type: 'azure-blob' }>): string {
  const fields = new Map(
    (options['connection-string'] ?? '').split(';').map((field) => {
      const equals = field.indexOf('=')
      return [field.slice(0, equals).trim().toLowerCase(), field.slice(equals + 1).trim()]
    }),
  )
  const emulator = fields.get('usedevelopmentstorage')?.toLowerCase() === 'true'
  if (emulator) return origin('http://127.0.0.1:10000/devstoreaccount1')
  const endpoint = options.endpoint ?? fields.get('blobendpoint')
  if (endpoint && URL.canParse(endpoint)) return origin(endpoint)
  const account = options.account ?? fields.get('accountname') ?? ''
  return origin(`https://${account}.blob.${fields.get('endpointsuffix') ?? 'core.windows.net'}`)
}

/** Scheme left out: one server may be reached by both. */
function origin(endpoint: string): string {
  const url = new URL(endpoint)
  const host = url.hostname === 'localhost' || url.hostname === '[::1]' ? '127.0.0.1' : url.hostname
  return `${host}:${url.port}${url.pathname.replace(/\/+$/, '')}`
}
