/** A config's name: equal configs have equal digests, however their YAML is laid out. */
import { createHash } from 'node:crypto'
import { EXIT, UserError } from '../errors.ts'
import type { Config } from './config.ts'

/** sha256, hex, of the canonical JSON of all but `file`, `digest` and `warnings`. */
export function configDigest(config: Omit<Config, 'digest'>): string {
  const { locations, catalog, vault, temporal, datasets } = config
  const json = canonicalJson({ locations, catalog, vault, temporal, datasets })
  return createHash('sha256').update(json).digest('hex')
}

/** What the catalog keeps under the digest. Holds references, never what they stand for. */
export function storedConfig(config: Config): string {
  return canonicalJson({ ...config, warnings: [] })
}

/** A config from what `storedConfig` gave. Throws `config-stored-damaged`. */
export function parseStoredConfig(json: string): Config {
  let config: Config
  let digest: string
  try {
    config = JSON.parse(json) as Config
    digest = configDigest(config)
  } catch (cause) {
    throw damaged('it is not the JSON of a config', cause)
  }
  if (digest !== config.digest) throw damaged('its content is not what its digest says')
  return { ...config, warnings: [] }
}

function damaged(why: string, cause?: unknown): UserError {
  return new UserError('config-stored-damaged', `a config in the catalog cannot be used: ${why}`, {
    next: 'It is of another version of Tidemark, or damaged: start the run anew.',
    exit: EXIT.unreachable,
    cause,
  })
}

/** JSON with keys in one order and without undefined values. `keeps`: which names stay. */
export function canonicalJson(value: unknown, keeps = (_name: string) => true): string {
  return JSON.stringify(value, (_key, inner: unknown) => {
    if (typeof inner !== 'object' || inner === null || Array.isArray(inner)) return inner
    const names = Object.keys(inner)
      .filter(keeps)
      .sort((a, b) => (a < b ? -1 : 1))
    return Object.fromEntries(names.map((name) => [name, (inner as Record<string, unknown>)[name]]))
  })
}
