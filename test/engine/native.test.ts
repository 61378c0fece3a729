/** `history: native`: what buckets keep by their own versions, on the engine. */
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { digestsOf } from '../../connectors/digests.ts'
import { dropMemoryStores, memoryStore } from '../../connectors/memory-store.ts'
import type { LocationOptions } from '../../connectors/options.ts'
import type { HistoryConfig } from '../../src/config/index.ts'
import { StoreError } from '../../src/errors.ts'
import type { Content } from '../../src/model.ts'
import { checkVault } from '../../src/vault/check.ts'
import { collectVault } from '../../src/vault/collect.ts'
import type { Retention } from '../../src/vault/needs.ts'
import { ruleOf } from '../sync/deciding.ts'
import { createEngine, type Engine } from './engine.ts'
import { carryOut, restoreTo, undo } from './history.ts'

const { signal } = new AbortController()
const open: Engine[] = []
const location = (store: string): LocationOptions => ({ type: 'memory', store, prefix: 'in/' })
const native: HistoryConfig = { content: 'native', when: 'replaced', versions: null, keepMs: null }

/** Three replicas, of which those named keep versions; the vault in a store of its own. */
async function begin(versioned: string[], history: Partial<HistoryConfig> = {}): Promise<Engine> {
  for (const store of versioned) memoryStore(store).versioned = true
  const places = ['a', 'b', 'c'].map(location)
  const engine = await createEngine(places, { history: { ...native, ...history } })
  open.push(engine)
  await engine.moveVault(location('vault'))
  return engine
}

const put = (store: string, key: string, text: string) =>
  memoryStore(store).put(`in/${key}`, Buffer.from(text))
const remove = (store: string, key: string) => memoryStore(store).remove(`in/${key}`)
const inVault = () => memoryStore('vault').names()
const contentOf = (text: string): Content => {
  return { size: Buffer.byteLength(text), digests: digestsOf(Buffer.from(text)) }
}

function held(store: string): Record<string, string> {
  const { names, get } = memoryStore(store)
  return Object.fromEntries(names().map((name) => [name.slice(3), String(get(name)?.bytes)]))
}

function expectEverywhere(expected: Record<string, string>): void {
  for (const store of ['a', 'b', 'c']) expect(held(store), store).toEqual(expected)
}

/** What lifecycle rules do: versions that aren't the present ones are gone. */
function expire(store: string): void {
  const { versions, get } = memoryStore(store)
  for (const [name, kept] of versions) {
    for (const version of kept.keys()) if (get(name)?.version !== version) kept.delete(version)
  }
}

async function textOf(engine: Engine, text: string): Promise<string> {
  const vault = await engine.deps.vault(engine.config)
  const chunks: Uint8Array[] = []
  for await (const chunk of (await vault.get(contentOf(text), signal)).body) chunks.push(chunk)
  return Buffer.concat(chunks).toString()
}

async function vaultOf({ catalog, config, deps }: Engine, later = 0) {
  const store = await deps.open({ ...config, locations: { vault: location('vault') } }, 'vault')
  const names = Object.keys(config.locations)
  const open = (name: string) => deps.open(config, name)
  const places = { catalog, names, open, clock: Date.now }
  return { places, parts: { store, catalog, place: null, clock: () => Date.now() + later } }
}

async function check(engine: Engine, deep = false) {
  const { parts, places } = await vaultOf(engine)
  const historyOf = () => ({ versions: null, keepMs: null, heads: false })
  return await checkVault(parts, { places, deep, historyOf, signal })
}

async function collect(engine: Engine, retention: Partial<Retention> = {}, dryRun = false) {
  const { parts } = await vaultOf(engine, 7_200_000)
  const retentionOf = () => ({ versions: null, keepMs: null, ...retention })
  return await collectVault(parts, { retentionOf, dryRun, by: 'me@here', signal })
}

/** What was agreed first, and what took its place. */
async function changed(engine: Engine): Promise<number> {
  for (const key of ['changed', 'deleted', 'kept']) put('a', key, `first ${key}`)
  await engine.run()
  put('b', 'changed', 'second')
  remove('b', 'deleted')
  const { run, state } = await engine.run()
  expect(state).toBe('complete')
  expectEverywhere({ changed: 'second', kept: 'first kept' })
  return run
}

const first = { changed: 'first changed', deleted: 'first deleted', kept: 'first kept' }

beforeEach(() => dropMemoryStores())
afterEach(async () => {
  for (const one of open.splice(0)) await one.close()
})

describe('history: native', () => {
  it.each([
    ['all buckets', ['a', 'b', 'c']],
    ['one bucket', ['c']],
  ])('where %s keep versions: nothing is copied, and all of it can be had back', async (_, at) => {
    const engine = await begin(at)
    const run = await changed(engine)
    expect(inVault()).toEqual([])
    expect(await textOf(engine, 'first changed')).toBe('first changed')
    expect(await textOf(engine, 'first deleted')).toBe('first deleted')
    expect(await carryOut(engine, undo(run))).toMatchObject({ state: 'complete' })
    expectEverywhere(first)
    const undone = (await engine.catalog.listRuns({ limit: 1 }))[0]?.run as number
    expect(await carryOut(engine, undo(undone))).toMatchObject({ state: 'complete' })
    expectEverywhere({ changed: 'second', kept: 'first kept' })
    const back = restoreTo({ beforeRun: run })
    expect(await carryOut(engine, back)).toMatchObject({ state: 'complete' })
    expectEverywhere(first)
    expect(inVault()).toEqual([])
    expect(await check(engine, true)).toMatchObject({ bad: [], neverKept: 0 })
  })

  it('where no bucket keeps versions, the vault does', async () => {
    const engine = await begin([])
    const run = await changed(engine)
    expect(inVault()).toHaveLength(2)
    expect(await carryOut(engine, undo(run))).toMatchObject({ state: 'complete' })
    expectEverywhere(first)
  })

  it('what was written before versioning was on goes to the vault', async () => {
    const engine = await begin([])
    put('a', 'old', 'written before')
    await engine.run()
    for (const store of ['a', 'b', 'c']) memoryStore(store).versioned = true
    put('a', 'old', 'second')
    const { run } = await engine.run()
    expect(inVault()).toHaveLength(1)
    put('a', 'old', 'third')
    await engine.run()
    expect(inVault()).toHaveLength(1)
    expect(await textOf(engine, 'second')).toBe('second')
    expect(await carryOut(engine, restoreTo({ beforeRun: run }))).toMatchObject({
      state: 'complete',
    })
    expectEverywhere({ old: 'written before' })
  })

  it('stays to be had when versioning is turned off, or the setting is another one', async () => {
    const engine = await begin(['a', 'b', 'c'])
    const run = await changed(engine)
    for (const store of ['a', 'b', 'c']) memoryStore(store).versioned = false
    await engine.configure({ history: { ...native, content: 'vault' } })
    expect(await carryOut(engine, undo(run))).toMatchObject({ state: 'complete' })
    expectEverywhere(first)
  })

  it('a bucket that gives no answer about its versions leaves the content to the vault', async () => {
    const engine = await begin(['a', 'b', 'c'])
    for (const store of ['a', 'c']) {
      memoryStore(store).faults.push(({ when, operation, location }) => {
        if (when !== 'before' || operation !== 'keep') return
        throw new StoreError('denied', 'no', { location, operation })
      })
    }
    await changed(engine)
    expect(inVault()).toHaveLength(2)
  })

  it('agreed: what users overwrite everywhere between two runs can be had back', async () => {
    const engine = await begin(['a'], { when: 'agreed' })
    put('a', 'k', 'agreed')
    const { run } = await engine.run()
    for (const store of ['a', 'b', 'c']) put(store, 'k', 'overwritten')
    await engine.run()
    expect(inVault()).toEqual([])
    const back = restoreTo({ version: run, key: 'k' })
    expect(await carryOut(engine, back)).toMatchObject({ state: 'complete' })
    expectEverywhere({ k: 'agreed' })
  })

  it('keeps every side of an open conflict, and the loser of one that is decided', async () => {
    const engine = await begin(['a', 'b', 'c'])
    await engine.configure({ rules: ruleOf({ name: 'manual' }) })
    put('a', 'k', 'of a')
    put('b', 'k', 'of b')
    expect(await engine.run()).toMatchObject({ state: 'conflicts' })
    remove('a', 'k')
    remove('b', 'k')
    expect(inVault()).toEqual([])
    expect(await textOf(engine, 'of a')).toBe('of a')
    expect(await textOf(engine, 'of b')).toBe('of b')
    await collect(engine, { versions: 1 })
    expect(await textOf(engine, 'of b')).toBe('of b')
  })
})

describe('a version that was removed behind our back', () => {
  it('is reported by check, and by a restore as not-kept; nothing else is lost', async () => {
    const engine = await begin(['a'])
    const run = await changed(engine)
    expire('a')
    const { bad } = await check(engine)
    expect(bad.map(({ problem, version }) => [problem, version?.location, version?.key])).toEqual(
      expect.arrayContaining([
        ['missing', 'a', 'changed'],
        ['missing', 'a', 'deleted'],
      ]),
    )
    expect(bad.flatMap(({ neededBy }) => neededBy)).toHaveLength(2)
    const plan = await carryOut(engine, undo(run))
    const states = ['skipped' as const]
    const items = await engine.catalog.readItems({ run: plan.run, states, after: -1, limit: 9 })
    expect(items.map(({ key, outcomes }) => [key, outcomes['']])).toEqual([
      ['changed', expect.objectContaining({ kind: 'skipped', code: 'not-kept' })],
      ['deleted', expect.objectContaining({ kind: 'skipped', code: 'not-kept' })],
    ])
    expectEverywhere({ changed: 'second', kept: 'first kept' })
  })

  it('is missed by nobody where the vault has the content, too', async () => {
    const engine = await begin(['a'])
    await changed(engine)
    const vault = await engine.deps.vault(engine.config)
    for (const text of ['first changed', 'first deleted']) {
      await vault.putBytes(Buffer.from(text), signal)
    }
    expire('a')
    expect((await check(engine)).bad).toEqual([])
    expect(await textOf(engine, 'first changed')).toBe('first changed')
  })

  it('is noted anew when the content is replaced again', async () => {
    const engine = await begin(['a'])
    await changed(engine)
    expire('a')
    put('a', 'changed', 'first changed')
    await engine.run()
    put('a', 'changed', 'third')
    await engine.run()
    expect(await textOf(engine, 'first changed')).toBe('first changed')
  })

  it('has other bytes now: check says damaged, and nobody is given them', async () => {
    const engine = await begin(['a'])
    await changed(engine)
    for (const kept of memoryStore('a').versions.values()) {
      for (const entry of kept.values()) entry.bytes = Buffer.from(entry.bytes).fill(120)
    }
    await expect(textOf(engine, 'first changed')).rejects.toMatchObject({ code: 'corrupt' })
    expect((await check(engine)).bad).toEqual([])
    for (const deep of [true, false]) {
      const { bad } = await check(engine, deep)
      expect(bad.map(({ problem }) => problem)).toEqual(['damaged', 'damaged'])
    }
    // Who has it again notes it anew.
    await expect(textOf(engine, 'first changed')).rejects.toMatchObject({ code: 'not-found' })
    put('a', 'changed', 'first changed')
    await engine.run()
    put('a', 'changed', 'third')
    await engine.run()
    expect(await textOf(engine, 'first changed')).toBe('first changed')
  })
})

describe('a collection', () => {
  it('forgets versions that nothing needs any more, and removes none', async () => {
    const engine = await begin(['a'])
    await changed(engine)
    const had = [...memoryStore('a').versions.values()].map(({ size }) => size)
    expect(await collect(engine)).toMatchObject({ versions: 0, objects: 0 })
    expect(await collect(engine, { versions: 1 }, true)).toMatchObject({ versions: 2 })
    expect(await collect(engine, { versions: 1 })).toMatchObject({ versions: 2, objects: 0 })
    const vault = await engine.deps.vault(engine.config)
    expect(await vault.has(contentOf('first changed'), signal)).toBe(false)
    expect([...memoryStore('a').versions.values()].map(({ size }) => size)).toEqual(had)
  })
})
