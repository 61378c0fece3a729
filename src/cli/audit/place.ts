/** Where signed heads lie, and the keys that they are signed with. */
import { createPrivateKey, createPublicKey, type KeyObject } from 'node:crypto'
import { readFile } from 'node:fs/promises'
import type { Connector } from '../../../connectors/connector.ts'
import { headKey, headsFolder } from '../../audit/heads.ts'
import { type Config, replicasOf, resolveReferences } from '../../config/index.ts'
import { overlap, rootOf } from '../../config/roots.ts'
import { EXIT, UserError } from '../../errors.ts'
import type { Locations } from '../../locations.ts'
import { keyProblem } from '../../sync/keys.ts'
import type { CommandOptions } from '../command.ts'

export interface HeadsPlace {
  connector: Connector
  /** Ends with a slash, or is empty. */
  prefix: string
}

/** `--heads` and `--key` of `verify`: both, or neither. */
export function signedWith({
  heads,
  key,
}: CommandOptions): { location: string; key: string } | null {
  if (heads === undefined && key === undefined) return null
  if (typeof heads === 'string' && typeof key === 'string') return { location: heads, key }
  throw new UserError('usage-invalid', 'signed heads need both: where they are, and the key', {
    next: 'Write: tidemark audit verify --heads LOCATION[/PREFIX] --key PUBLIC.pem',
  })
}

/** `where`: LOCATION[/PREFIX]. Refused where a dataset, or the vault, would take the heads for its
 *  own: `audit-place-synced`. */
export async function openHeads(
  config: Config,
  locations: Locations,
  where: string,
): Promise<HeadsPlace> {
  const [name = '', ...rest] = where.split('/')
  const path = rest.join('/').replace(/\/+$/, '')
  const prefix = path === '' ? '' : `${path}/`
  const options = config.locations[name]
  if (!options) {
    throw new UserError('location-unknown', `the config has no location "${name}"`, {
      where: config.file,
      next: `It has: ${Object.keys(config.locations).join(', ')}`,
    })
  }
  const root = await rootOf(await resolveReferences(options))
  const place = { ...root, prefix: `${root.prefix}${prefix}${headsFolder}` }
  for (const [used, taken] of await takenRoots(config)) {
    if (!overlap(place, taken)) continue
    throw new UserError('audit-place-synced', `signed heads at ${where} would lie in ${used}`, {
      next: 'Name a location for them that no dataset has, with a root of its own.',
    })
  }
  const connector = await locations.open(config, name)
  const problem = keyProblem(headKey(prefix, 'dataset', 1), connector.traits.keys)
  if (problem === null) return { connector, prefix }
  throw new UserError(
    'audit-place-invalid',
    `${name} can’t hold heads below "${path}": ${problem}`,
    {
      next: 'Name another prefix: LOCATION/PREFIX.',
    },
  )
}

async function takenRoots(config: Config) {
  const names = new Set(config.datasets.flatMap((dataset) => replicasOf(dataset)))
  const taken = [...names].map((name) => [name, config.locations[name] ?? null] as const)
  const roots = [...taken, ['the vault', config.vault] as const].flatMap(([name, options]) =>
    options === null ? [] : [{ name, options }],
  )
  return await Promise.all(
    roots.map(async ({ name, options }) => {
      return [name, await rootOf(await resolveReferences(options))] as const
    }),
  )
}

// ── keys ────────────────────────────────────────────────────────────────────────────────────────

const makeOne = 'openssl genpkey -algorithm ed25519 -out private.pem'
const makeOther = 'openssl pkey -in private.pem -pubout -out public.pem'

export async function privateKeyOf(file: string): Promise<KeyObject> {
  return await keyOf(file, createPrivateKey, 'private', `Make one: ${makeOne}`)
}

export async function publicKeyOf(file: string): Promise<KeyObject> {
  return await keyOf(file, createPublicKey, 'public', `Make it of the private one: ${makeOther}`)
}

async function keyOf(
  file: string,
  create: (pem: Buffer) => KeyObject,
  kind: string,
  next: string,
): Promise<KeyObject> {
  const bad = (why: string, cause?: unknown) =>
    new UserError('audit-key', `${file} can’t be used as the ${kind} key: ${why}`, {
      ...{ next, exit: EXIT.usage, cause },
    })
  let pem: Buffer
  try {
    pem = await readFile(file)
  } catch (error) {
    throw bad(error instanceof Error ? error.message : String(error), error)
  }
  let key: KeyObject
  try {
    key = create(pem)
  } catch (error) {
    // OpenSSL's words, which say no more than that.
    throw bad('it is no PEM of such a key, or it has a passphrase', error)
  }
  if (key.asymmetricKeyType === 'ed25519') return key
  throw bad(`it is ${key.asymmetricKeyType}, not Ed25519`)
}
