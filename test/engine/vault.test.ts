/** What the engine leaves to the vault, and what becomes of a run whose vault fails. */
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { digestsOf } from '../../connectors/digests.ts'
import { dropMemoryStores, type FaultCall, memoryStore } from '../../connectors/memory-store.ts'
import type { LocationOptions } from '../../connectors/options.ts'
import type { HistoryConfig } from '../../src/config/index.ts'
import { type StoreCode, StoreError } from '../../src/errors.ts'
import { ruleOf } from '../sync/deciding.ts'
import { createEngine, type Engine } from './engine.ts'

const { signal } = new AbortController()
const open: Engine[] = []
const location = (store: string): LocationOptions => ({ type: 'memory', store, prefix: '' })

/** Two replicas; the vault in a store of its own. */
async function begin(history: Partial<HistoryConfig> = {}): Promise<Engine> {
  const kept = { content: 'vault', when: 'replaced', versions: null, keepMs: null } as const
  const engine = await createEngine([location('a'), location('b')], {
    history: { ...kept, ...history },
  })
  open.push(engine)
  await engine.moveVault(location('vault'))
  return engine
}

const put = (store: string, key: string, text: string) =>
  memoryStore(store).put(key, Buffer.from(text))
const textAt = (store: string, key: string) => memoryStore(store).get(key)?.bytes.toString()

async function inVault(engine: Engine, text: string): Promise<boolean> {
  const vault = await engine.deps.vault(engine.config)
  return vault.has({ size: text.length, digests: digestsOf(Buffer.from(text)) }, signal)
}

function failing(code: StoreCode, operation: string): () => void {
  const { faults } = memoryStore('vault')
  const fault = (call: FaultCall) => {
    if (call.when !== 'before' || call.operation !== operation) return
    throw new StoreError(code, 'the vault’s own words', { location: 'vault', operation })
  }
  faults.push(fault)
  return () => faults.splice(faults.indexOf(fault), 1)
}

beforeEach(() => dropMemoryStores())
afterEach(async () => {
  for (const one of open.splice(0)) await one.close()
})

describe('a vault that can’t take content', () => {
  it.each([
    ['is full', 'no-space', 'write'],
    ['is closed', 'denied', 'write'],
    ['is gone', 'root-missing', 'write'],
  ] as const)(
    'that %s: nothing is overwritten or deleted, the rest goes on',
    async (_, code, operation) => {
      const engine = await begin()
      for (const key of ['changed', 'deleted', 'kept']) put('a', key, `first ${key}`)
      await engine.run()
      put('a', 'changed', 'second')
      memoryStore('a').remove('deleted')
      put('a', 'new', 'new')
      const mend = failing(code, operation)
      const run = await engine.run()
      expect(run).toMatchObject({ state: 'partial', counts: { failed: 2, puts: 1, deletes: 0 } })
      const states = ['failed' as const]
      const items = await engine.catalog.readItems({ run: run.run, states, after: -1, limit: 9 })
      expect(items.map(({ key, outcomes }) => [key, outcomes.b])).toEqual([
        ['changed', { kind: 'failed', code, message: 'vault: the vault’s own words' }],
        ['deleted', { kind: 'failed', code, message: 'vault: the vault’s own words' }],
      ])
      expect(textAt('b', 'changed')).toBe('first changed')
      expect(textAt('b', 'deleted')).toBe('first deleted')
      mend()
      expect(await engine.run()).toMatchObject({ state: 'complete', counts: { failed: 0 } })
      expect(textAt('b', 'changed')).toBe('second')
      expect(await inVault(engine, 'first changed')).toBe(true)
      expect(await inVault(engine, 'first deleted')).toBe(true)
    },
  )

  it('that is gone opens no conflict before all of it is kept', async () => {
    const engine = await begin()
    await engine.configure({ rules: ruleOf({ name: 'manual' }) })
    put('a', 'k', 'of a')
    put('b', 'k', 'of b')
    memoryStore('vault').missing = true
    expect(await engine.run()).toMatchObject({ state: 'partial' })
    expect(await engine.catalog.countOpenConflicts('data')).toBe(0)
    memoryStore('vault').missing = false
    expect(await engine.run()).toMatchObject({ state: 'conflicts' })
    expect(await inVault(engine, 'of a')).toBe(true)
    expect(await inVault(engine, 'of b')).toBe(true)
  })
})

describe('history: when', () => {
  it('replaced: a first copy and an unchanged run ask nothing of the vault', async () => {
    const engine = await begin()
    const calls: string[] = []
    memoryStore('vault').faults.push(({ when, operation }) => {
      if (when === 'before') calls.push(operation)
    })
    for (let i = 0; i < 20; i++) put('a', `key-${i}`, `content ${i}`)
    await engine.run()
    await engine.run()
    expect(calls).toEqual([])
  })

  it('agreed: what users overwrite everywhere between two runs can be had back', async () => {
    const engine = await begin({ when: 'agreed' })
    put('a', 'copied', 'first')
    for (const store of ['a', 'b']) put(store, 'adopted', 'equal')
    await engine.run()
    for (const store of ['a', 'b']) for (const key of ['copied', 'adopted']) put(store, key, 'new')
    await engine.run()
    expect(await inVault(engine, 'first')).toBe(true)
    expect(await inVault(engine, 'equal')).toBe(true)
    expect(await inVault(engine, 'new')).toBe(true)
  })

  it('off: nothing is kept but a conflict’s loser', async () => {
    const engine = await begin({ content: 'off' })
    put('a', 'k', 'first')
    await engine.run()
    put('a', 'k', 'second')
    await engine.run()
    expect(await inVault(engine, 'first')).toBe(false)
    put('a', 'k', 'of a')
    put('b', 'k', 'of b')
    await engine.run()
    const kept = [await inVault(engine, 'of a'), await inVault(engine, 'of b')]
    expect(kept.filter((one) => one)).toHaveLength(1)
  })
})
