/** What `tidemark vault check` finds. */
import { beforeEach, describe, expect, it } from 'vitest'
import { dropMemoryStores, memoryStore } from '../../connectors/memory.ts'
import type { Content } from '../../src/model.ts'
import { type CheckOptions, checkVault } from '../../src/vault/check.ts'
import { catalogs, conflictOf, dataset, engines, openOne, runOf } from '../catalog/engines.ts'
import { hour, signal, type VaultWorld, vaultWorld } from './world.ts'

beforeEach(() => dropMemoryStores())

const check = (world: VaultWorld, options: Partial<CheckOptions> = {}) =>
  checkVault(world.parts, {
    historyOf: () => ({ versions: null, keepMs: null, heads: false }),
    places: { catalog: world.catalog, names: [], open: async () => world.store, clock: () => 0 },
    ...{ deep: false, signal, ...options },
  })

const long = 'compressed '.repeat(200)

describe.each(engines)('checking the vault on $engine', ({ make }) => {
  const { open } = catalogs(make)

  /** Versions of `k`: two that the vault has, and the present one. */
  async function begin() {
    const world = await vaultWorld(await open())
    const runs: number[] = []
    for (const text of ['first', long, 'present']) {
      const content = await world.vault.put(world.source(text), signal)
      runs.push(await world.agree('k', content))
    }
    world.now += 2 * hour
    const [first, second] = runs
    return { world, first, second, runs }
  }
  const nameOf = async (world: VaultWorld, size: number) => {
    const rows = await world.rows()
    return `vault/${rows.find(({ content }) => content.size === size)?.place.key}`
  }

  it('finds nothing where all is there', async () => {
    const { world } = await begin()
    const bytes = 5 + 7 + long.length
    const found = await check(world)
    expect(found).toMatchObject({ objects: 3, bytes, bad: [], neverKept: 0 })
    expect(await check(world, { deep: true })).toEqual(found)
  })

  it('names what is missing, and the versions that need it', async () => {
    const { world, first } = await begin()
    memoryStore('vault-store').remove(await nameOf(world, 5))
    const neededBy = [{ dataset, key: 'k', run: first }]
    const { bad } = await check(world)
    expect(bad).toMatchObject([
      { name: expect.stringMatching(/^sha256/), problem: 'missing', size: 5, neededBy },
    ])
  })

  it('finds what was cut short; what was changed within, only by reading', async () => {
    const { world, first, second } = await begin()
    const store = memoryStore('vault-store')
    store.put(await nameOf(world, 5), Buffer.from('firs'))
    expect((await check(world)).bad).toMatchObject([
      { problem: 'damaged', neededBy: [{ run: first }] },
    ])
    store.put(await nameOf(world, 5), Buffer.from('First'))
    const packed = await nameOf(world, long.length)
    const bytes = Buffer.from(store.get(packed)?.bytes ?? [])
    store.put(packed, bytes.fill(0, 20, 24))
    expect((await check(world)).bad).toEqual([])
    const { bad } = await check(world, { deep: true })
    expect(bad.map(({ problem, neededBy }) => [problem, neededBy])).toEqual(
      expect.arrayContaining([
        ['damaged', [{ dataset, key: 'k', run: first }]],
        ['damaged', [{ dataset, key: 'k', run: second }]],
      ]),
    )
  })

  it('what was found damaged is relied on by nobody, and the next put writes it anew', async () => {
    const { world } = await begin()
    const store = memoryStore('vault-store')
    const name = await nameOf(world, 5)
    store.put(name, Buffer.from('First'))
    const again = world.source('first')
    await world.vault.put(again, signal)
    expect((await check(world, { deep: true })).bad).toMatchObject([{ problem: 'damaged' }])
    expect(await world.vault.has(again.content, signal)).toBe(false)
    expect(await check(world)).toMatchObject({ bad: [{ problem: 'damaged' }], neverKept: 0 })
    await world.collect()
    expect((await check(world)).bad).toMatchObject([{ problem: 'damaged' }])
    await world.vault.put(again, signal)
    expect(await world.text(again.content)).toBe('first')
    expect((await check(world, { deep: true })).bad).toEqual([])
    world.now += 2 * hour
    await world.collect()
    expect(store.names()).not.toContain(name)
    expect(await world.text(again.content)).toBe('first')
  })

  it('what is whole again is relied on again; what nobody needs is collected', async () => {
    const { world, runs } = await begin()
    const store = memoryStore('vault-store')
    const content = world.source('first').content
    store.put(await nameOf(world, 5), Buffer.from('First'))
    await check(world, { deep: true })
    store.put(await nameOf(world, 5), Buffer.from('first'))
    expect((await check(world, { deep: true })).bad).toEqual([])
    expect(await world.vault.has(content, signal)).toBe(true)
    store.put(await nameOf(world, 5), Buffer.from('First'))
    await check(world, { deep: true })
    world.now += 2 * hour
    await world.collect({ versions: 1 })
    expect(await world.rows()).toHaveLength(runs.length - 2)
    expect((await check(world, { deep: true })).bad).toEqual([])
  })

  it('tells what nobody needs apart, and what a conflict or a head needs', async () => {
    const { world, runs } = await begin()
    const content = await world.vault.put(world.source('a side'), signal)
    await world.vault.put(world.source('nobody’s'), signal)
    const [side] = conflictOf('c').contenders
    const conflict = conflictOf('c', { contenders: [{ ...side, content } as typeof side & object] })
    const id = await openOne(world.catalog, dataset, 1, 'identity', conflict, world.now)
    world.now += 2 * hour
    for (const name of world.names()) memoryStore('vault-store').remove(name)
    const neededBy = (await check(world)).bad.map((one) => one.neededBy)
    expect(neededBy).toHaveLength(5)
    expect(neededBy).toContainEqual([{ conflict: id, dataset, key: 'c' }])
    expect(neededBy.filter((needs) => needs.length === 0)).toHaveLength(2)
    const historyOf = () => ({ versions: null, keepMs: null, heads: true })
    const withHeads = (await check(world, { historyOf })).bad.flatMap((one) => one.neededBy)
    expect(withHeads).toContainEqual({ dataset, key: 'k', run: runs[2] })
  })

  it('waits for no run that may be writing just now', async () => {
    const { world } = await begin()
    const run = await world.catalog.createRun(runOf())
    const content = await world.vault.put(world.source('in flight'), signal)
    memoryStore('vault-store').remove(await nameOf(world, content.size))
    expect((await check(world)).bad).toEqual([])
    await world.catalog.updateRun(run, { state: 'complete', endedAt: world.now })
    expect((await check(world)).bad).toMatchObject([{ problem: 'missing' }])
  })

  it('misses nothing that was only said to be put', async () => {
    const { world } = await begin()
    const moved = world.source('moved before it was copied', 'near')
    memoryStore('vault-store').remove(`replica/${moved.key}`)
    await expect(world.vault.put(moved, signal)).rejects.toMatchObject({ code: 'not-found' })
    await world.agree('l', moved.content)
    await world.agree('l', null)
    world.now += 2 * hour
    expect(await check(world)).toMatchObject({ bad: [], neverKept: 1 })
    await world.collect()
    expect((await world.rows()).map(({ content }) => content.size)).not.toContain(
      moved.content.size,
    )
  })

  it('counts versions that never were in the vault, and that no replica holds', async () => {
    const { world } = await begin()
    const content: Content = world.source('overwritten everywhere').content
    await world.agree('other', content)
    expect((await check(world)).neverKept).toBe(0)
    await world.agree('other', world.source('by this').content)
    expect((await check(world)).neverKept).toBe(1)
    expect((await check(world, { historyOf: () => null })).neverKept).toBe(0)
  })
})
