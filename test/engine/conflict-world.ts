/** Replicas in memory whose users disagree; the vault in a store of its own, too. */
import { afterEach, beforeEach } from 'vitest'
import { digestsOf } from '../../connectors/digests.ts'
import { dropMemoryStores, memoryStore } from '../../connectors/memory-store.ts'
import type { LocationOptions } from '../../connectors/options.ts'
import type { ConflictRecord } from '../../src/catalog/catalog.ts'
import { type StoreCode, StoreError } from '../../src/errors.ts'
import type { Strategy, StrategyRule, Take } from '../../src/model.ts'
import { ruleOf } from '../sync/deciding.ts'
import { createEngine, type Engine, type EngineOptions } from './engine.ts'

const { signal } = new AbortController()
const location = (store: string): LocationOptions => ({ type: 'memory', store, prefix: '' })

export const merge = (more: Partial<Extract<Strategy, { name: 'merge' }>> = {}): Strategy => ({
  ...{ name: 'merge', format: 'auto', lists: 'ordered', csvKey: null, bytesMax: 1 << 20 },
  ...more,
})

export const keepBoth: Strategy = {
  name: 'keep-both',
  as: '{name}.conflict-{replica}-{time}{ext}',
}

export interface ConflictWorld {
  engine: Engine
  /** Time goes on by a second with each: the store's clock, and Tidemark's. */
  put(store: string, key: string, text: string): void
  remove(store: string, key: string): void
  /** What every store has, where they all have the same. */
  everywhere(): Record<string, string>
  at(store: string): Record<string, string>
  later(ms: number): void
  conflicts(state?: ConflictRecord['state']): Promise<ConflictRecord[]>
  inVault(text: string): Promise<boolean>
  /** A person's decision of the key's open conflict; gives the request. */
  decide(key: string, take: Take): Promise<number>
}

let open: Engine[] = []

/** In a test file, once. */
export function conflictWorlds(): void {
  beforeEach(() => dropMemoryStores())
  afterEach(async () => {
    for (const one of open) await one.close()
    open = []
  })
}

export async function conflictWorld(
  stores: string[],
  rules: Strategy | StrategyRule[],
  options: EngineOptions = {},
): Promise<ConflictWorld> {
  let now = Date.UTC(2026, 0, 1)
  const clock = () => now
  for (const store of [...stores, 'vault']) memoryStore(store).clock = clock
  const list = Array.isArray(rules) ? rules : ruleOf(rules)
  const engine = await createEngine(stores.map(location), { rules: list }, { ...options, clock })
  open.push(engine)
  await engine.moveVault(location('vault'))
  const at = (store: string) => {
    const { names, get } = memoryStore(store)
    return Object.fromEntries(names().map((name) => [name, String(get(name)?.bytes)]))
  }
  const conflicts = (state: ConflictRecord['state'] = 'open') =>
    engine.catalog.findConflicts({ dataset: 'data', states: [state], limit: 100 })
  return {
    engine,
    ...{ at, conflicts },
    put(store, key, text) {
      now += 1_000
      memoryStore(store).put(key, Buffer.from(text))
    },
    remove(store, key) {
      now += 1_000
      memoryStore(store).remove(key)
    },
    everywhere() {
      const [first = {}, ...rest] = stores.map(at)
      for (const other of rest) {
        if (JSON.stringify(other) === JSON.stringify(first)) continue
        throw new Error(`they differ: ${JSON.stringify([first, other])}`)
      }
      return first
    },
    later(ms) {
      now += ms
    },
    async inVault(text) {
      const vault = await engine.deps.vault(engine.config)
      const bytes = Buffer.from(text)
      return await vault.has({ size: bytes.length, digests: digestsOf(bytes) }, signal)
    },
    async decide(key, take) {
      const [conflict] = (await conflicts()).filter((one) => one.key === key)
      const { id = 0, identity = '' } = conflict ?? {}
      const row = (await engine.catalog.getBaseline('data', [key])).get(key)
      const anew = conflict?.resolution ? { head: row?.head.run ?? null } : {}
      const request = await engine.catalog.createRequest('data', { kind: 'resolve' }, 'me@here', 1)
      const directive = { do: 'resolve', conflict: id, identity, take, ...anew } as const
      await engine.catalog.addRequestKeys(request, [{ key, directive }])
      await engine.catalog.endSelection(request)
      return request
    },
  }
}

/** Every such call of that store fails; until the function given is called. */
export function failing(store: string, operation: string, code: StoreCode, key?: RegExp) {
  const { faults } = memoryStore(store)
  const fault: (typeof faults)[number] = (call) => {
    // A copy by the store itself is a write, too.
    const made = call.operation === 'copyWithin' ? 'write' : call.operation
    if (call.when !== 'before' || made !== operation) return
    if (key && !key.test(call.key ?? '')) return
    throw new StoreError(code, 'as the test says', { location: call.location, operation })
  }
  faults.push(fault)
  return () => {
    faults.splice(faults.indexOf(fault), 1)
  }
}
