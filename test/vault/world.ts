/** A vault on a memory store, and replicas to put from: one elsewhere, one in the vault's store. */
import type { Connector } from '../../connectors/connector.ts'
import { openConnector } from '../../connectors/index.ts'
import { type FaultCall, memoryStore } from '../../connectors/memory.ts'
import type { Catalog } from '../../src/catalog/catalog.ts'
import { StoreError } from '../../src/errors.ts'
import type { Content, Digests, Key, Version } from '../../src/model.ts'
import { collectVault } from '../../src/vault/collect.ts'
import type { Retention } from '../../src/vault/needs.ts'
import { createVault, type VaultSource } from '../../src/vault/vault.ts'
import { dataset, itemOf, recordOf } from '../catalog/stored.ts'

export const { signal } = new AbortController()
export const hour = 3_600_000
export const partBytes = 64 * 1024

export function memoryConnector(store: string, prefix = ''): Promise<Connector> {
  const context = { concurrency: 32, partBytes, pageKeys: 7 }
  return openConnector('vault', { type: 'memory', store, prefix }, context)
}

export async function vaultWorld(catalog: Catalog) {
  const store = await memoryConnector('vault-store', 'vault/')
  const elsewhere = await memoryConnector('elsewhere')
  const near = await memoryConnector('vault-store', 'replica/')
  const world = {
    now: 1_700_000_000_000,
    store,
    catalog,
    parts: { store, catalog, place: null, clock: () => world.now },
  }
  memoryStore('vault-store').clock = () => world.now
  const vault = createVault(world.parts)
  const { vault: at } = { vault: await store.identity({ signal, create: true }) }

  return Object.assign(world, {
    vault,
    at,
    /** A key of a replica with this content; `knowing`: only these digests of it are known. */
    source(bytes: string | Buffer, from: 'elsewhere' | 'near' = 'elsewhere', knowing?: Knowing) {
      const [name, prefix, connector] =
        from === 'near' ? ['vault-store', 'replica/', near] : ['elsewhere', '', elsewhere]
      const key = `key-${++keys}`
      const { token, digests } = memoryStore(name as string).put(
        `${prefix}${key}`,
        Buffer.from(bytes),
      )
      const content = { size: Buffer.byteLength(bytes), digests: pick(digests, knowing) }
      return { connector, key, token, content } as VaultSource
    },
    /** Names of what lies in the vault's location. */
    names: () =>
      memoryStore('vault-store')
        .names()
        .filter((name) => name.startsWith('vault/')),
    rows: () => catalog.vaultObjects(at, null, 1_000),
    async text(content: Content): Promise<string> {
      const chunks: Uint8Array[] = []
      for await (const chunk of (await vault.get(content, signal)).body) chunks.push(chunk)
      return Buffer.concat(chunks).toString()
    },
    /** `key` is agreed on, now, by the next run; held by two replicas. null: it is gone. */
    async agree(key: Key, content: Content | null): Promise<number> {
      const run = ++agreed
      const version: Version = { run, content, origin: 'here', at: world.now }
      const row = (await catalog.getBaseline(dataset, [key])).get(key)
      const token = content && { id: `token ${run}` }
      const holds = { here: { version, token }, there: { version, token } }
      const line = { key, version, parents: [], reason: 'changed', agreedAt: world.now }
      await catalog.settle(dataset, [
        {
          record: recordOf(run, 0, key, { state: 'done', item: itemOf(key) }),
          row: { key, rev: 0, head: version, holds },
          expectRev: row?.rev ?? 0,
          version: line,
        },
      ])
      return run
    },
    /** What `tidemark vault gc` does. */
    collect: (retention: Partial<Retention> | null = {}, dryRun = false) =>
      collectVault(world.parts, {
        retentionOf: () => retention && { versions: null, keepMs: null, ...retention },
        ...{ dryRun, by: 'me@here', signal },
      }),
    /** The vault's store refuses; gives what mends it. */
    failAt(when: FaultCall['when'], operation: string, now: () => boolean = () => true) {
      return breakAt(when, operation, () => {
        const details = { location: 'vault', operation }
        if (now()) throw new StoreError('unavailable', 'out of order', details)
      })
    },
    /** The process dies there: whatever follows is never done. Gives what ends it. */
    kill: (when: FaultCall['when'], operation: string) =>
      breakAt(when, operation, () => {
        throw new Error('killed')
      }),
  })
}

function breakAt(when: FaultCall['when'], operation: string, act: () => void): () => void {
  const { faults } = memoryStore('vault-store')
  const fault = (call: FaultCall) => {
    if (call.when === when && call.operation === operation) act()
  }
  faults.push(fault)
  return () => faults.splice(faults.indexOf(fault), 1)
}

export type VaultWorld = Awaited<ReturnType<typeof vaultWorld>>
type Knowing = (keyof Digests)[]

let keys = 0
let agreed = 0

function pick(digests: Digests, knowing: Knowing = ['sha256', 'md5', 'crc32c']): Digests {
  const chosen = knowing.flatMap((name) => (digests[name] ? [[name, digests[name]]] : []))
  return Object.fromEntries(chosen)
}
