/** Where content lies that no replica shows any more. */
import { createHash } from 'node:crypto'
import type { MemoryEntry } from '../../connectors/memory-store.ts'
import { shaOf } from './stores.ts'
import type { World } from './world.ts'

/** In the vault, by whatever name; or in a bucket, as a version of its own that the vault notes. */
export function isKept({ shared, replicas, vault: { names } }: World, entry: MemoryEntry): boolean {
  const sha = shaOf(entry) as string
  const md5 = md5Of(entry)
  const noted = shared.noted(sha, md5).some(({ vault, key, version }) => {
    const at = replicas.find(({ name }) => vault.startsWith(`native:memory:${name}/`))
    return shaOf(at?.store.versions.get(key)?.get(version) ?? null) === sha
  })
  return (
    noted ||
    names().some((name) => isNamed(name, sha) || isNamed(name, `md5/${md5.slice(0, 2)}/${md5}`))
  )
}

const isNamed = (name: string, content: string) => name.includes(`/${content}-`)

const md5Of = ({ bytes }: MemoryEntry) => createHash('md5').update(bytes).digest('hex')
