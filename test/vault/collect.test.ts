/** What `tidemark vault gc` may take, what it must not, and what is left where it is killed. */
import { randomBytes } from 'node:crypto'
import fc from 'fast-check'
import { beforeEach, describe, expect, it } from 'vitest'
import { dropMemoryStores, memoryStore } from '../../connectors/memory.ts'
import type { Content } from '../../src/model.ts'
import { createVault } from '../../src/vault/vault.ts'
import {
  catalogs,
  conflictOf,
  dataset,
  endOne,
  engines,
  foundOf,
  itemOf,
  openOne,
  pageOf,
  runOf,
} from '../catalog/engines.ts'
import { hour, signal, type VaultWorld, vaultWorld } from './world.ts'

const day = 24 * hour
/** For so long what was put is there, whether anything names it or not: a use isn't noted again
 *  within five minutes. */
const promised = 55 * 60_000

beforeEach(() => dropMemoryStores())

/** A version after the other of one key, a day between them; the vault has what was replaced. */
async function history(world: VaultWorld, texts: (string | null)[], key = 'k') {
  const contents: (Content | null)[] = []
  for (const [i, text] of texts.entries()) {
    const content = text === null ? null : world.source(text).content
    const before = contents.at(-1)
    if (before && i > 0) await world.vault.put(world.source(texts[i - 1] as string), signal)
    await world.agree(key, content)
    contents.push(content)
    world.now += day
  }
  return contents as Content[]
}

/** Numbers by chance, the same for the same seed. */
function diceOf(seed: number) {
  let state = seed
  return (sides: number) => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0
    return (state >>> 8) % sides
  }
}

const runsOf = async (world: VaultWorld, key = 'k') =>
  (await world.catalog.historyLines(dataset, null, 99))
    .filter((line) => line.key === key)
    .map(({ content }) => content?.size ?? null)

describe.each(engines)('collecting the vault on $engine', ({ make }) => {
  const { open } = catalogs(make)
  const begin = async () => vaultWorld(await open())
  const kept = async (world: VaultWorld, contents: Content[]) =>
    await Promise.all(contents.map((content) => world.vault.has(content, signal)))

  it('removes what no version needs any more, from the store and from the catalog', async () => {
    const world = await begin()
    const [one, two, three] = await history(world, ['1', '22', '333', '4444'])
    const stray = await world.vault.put(world.source('nobody’s'), signal)
    world.now += 2 * hour
    expect(await world.collect({ versions: 2 })).toMatchObject({ lines: 2, objects: 3, bytes: 13 })
    expect(await runsOf(world)).toEqual([4, 3])
    const contents = [one, two, three, stray] as Content[]
    expect(await kept(world, contents)).toEqual([false, false, true, false])
    expect(world.names()).toHaveLength(1)
    expect(await world.rows()).toHaveLength(1)
    expect(await world.collect({ versions: 2 })).toMatchObject({ lines: 0, objects: 0 })
  })

  it('counts `keep` from when a version was replaced; the present one never goes', async () => {
    const world = await begin()
    await history(world, ['1', '22', '333'])
    await history(world, ['x', null], 'gone')
    world.now += 10 * day
    // '22' was replaced 13 days ago less one day for each day of the second history.
    await world.collect({ keepMs: 13.5 * day })
    expect(await runsOf(world)).toEqual([3, 2])
    await world.collect({ keepMs: 0 })
    expect(await runsOf(world)).toEqual([3])
    expect(await runsOf(world, 'gone')).toEqual([null])
  })

  it('takes a version by the first of `versions` and `keep` that says so', async () => {
    const world = await begin()
    await history(world, ['1', '22', '333', '4444'])
    await world.collect({ versions: 3, keepMs: 100 * day })
    expect(await runsOf(world)).toEqual([4, 3, 2])
    await world.collect({ versions: 3, keepMs: 1.5 * day })
    expect(await runsOf(world)).toEqual([4, 3])
  })

  it('takes nothing of a dataset that the config doesn’t have', async () => {
    const world = await begin()
    await history(world, ['1', '22', '333'])
    world.now += 1_000 * day
    expect(await world.collect(null)).toMatchObject({ lines: 0, objects: 0 })
  })

  it('only counts, where that is asked', async () => {
    const world = await begin()
    await history(world, ['1', '22', '333'])
    world.now += 2 * hour
    const before = [world.names(), await world.rows(), await runsOf(world)]
    const dry = await world.collect({ versions: 1 }, true)
    expect([world.names(), await world.rows(), await runsOf(world)]).toEqual(before)
    expect(await world.collect({ versions: 1 })).toEqual(dry)
    expect(dry).toMatchObject({ lines: 2, objects: 2 })
  })

  it('leaves what somebody relied on within the hour', async () => {
    const world = await begin()
    const put = await world.vault.put(world.source('put'), signal)
    const asked = await world.vault.put(world.source('asked for'), signal)
    world.now += 2 * hour
    expect(await kept(world, [asked])).toEqual([true])
    await world.collect()
    expect(await kept(world, [put, asked])).toEqual([false, true])
  })

  it('goes over many pages', async () => {
    const world = await begin()
    const texts = Array.from({ length: 1_100 }, (_, i) => `${i}`)
    const contents = await Promise.all(
      texts.map((text) => world.vault.putBytes(Buffer.from(text), signal)),
    )
    for (let i = 0; i < 50; i++) await world.agree(`key-${i}`, contents[i * 20] as Content)
    world.now += 2 * hour
    expect(await world.collect()).toMatchObject({ objects: 1_050 })
    expect(world.names()).toHaveLength(50)
  })

  // ── what else needs it ────────────────────────────────────────────────────────────────────────

  it('leaves what an open conflict needs; what an ended one needed, as long as history', async () => {
    const world = await begin()
    const content = await world.vault.put(world.source('a side'), signal)
    const [side] = conflictOf('k').contenders
    const conflict = conflictOf('k', { contenders: [{ ...side, content } as typeof side & object] })
    await openOne(world.catalog, dataset, 1, 'identity', conflict, world.now)
    world.now += 100 * day
    await world.collect({ keepMs: day })
    expect(await kept(world, [content])).toEqual([true])
    const end = { resolution: null, conflict: null, identity: null, at: world.now }
    await endOne(world.catalog, dataset, 2, 'k', { state: 'closed', ...end })
    world.now += 10 * day
    await world.collect({ keepMs: 30 * day })
    expect(await kept(world, [content])).toEqual([true])
    world.now += 30 * day
    await world.collect({ keepMs: 30 * day })
    expect(await kept(world, [content])).toEqual([false])
  })

  it.each(['running', 'planned', 'held'] as const)('leaves what a %s run needs', async (state) => {
    const world = await begin()
    const { catalog, vault } = world
    const rescued = await vault.put(world.source('rescued'), signal)
    const vaulted = await vault.put(world.source('vaulted'), signal)
    const contending = await vault.put(world.source('contending'), signal)
    const run = await catalog.createRun(runOf({ state }))
    await catalog.addRanges(run, [{ from: null, to: null }])
    const attempt = await catalog.claim(run, 'scan/0')
    const [side] = conflictOf('k').contenders
    const rescues = [{ content: rescued, sources: [], loser: false }]
    const head = { ...itemOf('a').head, content: vaulted }
    const conflict = conflictOf('k', {
      contenders: [{ ...side, content: contending } as typeof side & object],
    })
    const items = [
      foundOf('a', { item: itemOf('a', { rescues, head, vaulted: true }) }),
      foundOf('k', { item: null, conflict, state: 'conflict' }),
    ]
    await catalog.commitScan(pageOf(run, attempt, { items, ended: true }))
    world.now += 100 * day
    await world.collect({ keepMs: 0 })
    expect(await kept(world, [rescued, vaulted, contending])).toEqual([true, true, true])
    await catalog.updateRun(run, { state: 'complete', endedAt: world.now })
    world.now += 2 * hour
    await world.collect({ keepMs: 0 })
    expect(await kept(world, [rescued, vaulted, contending])).toEqual([false, false, false])
  })

  it('leaves what a person asked for, until it is carried out', async () => {
    const world = await begin()
    const content = await world.vault.putBytes(Buffer.from('theirs'), signal)
    const request = await world.catalog.createRequest(dataset, { kind: 'resolve' }, 'me', world.now)
    const directive = { do: 'resolve', conflict: 1, identity: 'x', take: { content } } as const
    await world.catalog.addRequestKeys(request, [{ key: 'k', directive }])
    world.now += 20 * day
    await world.collect({ keepMs: 0 })
    expect(await kept(world, [content])).toEqual([true])
    world.now += 20 * day
    const run = await world.catalog.createRun(runOf({ request }))
    await world.collect({ keepMs: 0 })
    expect(await kept(world, [content])).toEqual([true])
    await world.catalog.updateRun(run, { state: 'complete', endedAt: world.now })
    world.now += 2 * hour
    await world.collect({ keepMs: 0 })
    expect(await kept(world, [content])).toEqual([false])
  })

  // ── killed, late, twice ───────────────────────────────────────────────────────────────────────

  it.each([
    ['before', 'stat'],
    ['before', 'remove'],
    ['commit', 'remove'],
    ['after', 'remove'],
    ['before', 'list'],
  ] as const)('killed %s its %s, it leaves nothing dangling', async (when, what) => {
    const world = await begin()
    const needed = await world.vault.put(world.source('needed'), signal)
    await world.agree('k', needed)
    const texts = ['one', 'two', 'three']
    for (const text of texts) await world.vault.put(world.source(text), signal)
    world.now += 2 * hour
    const mend = world.kill(when, what)
    await expect(world.collect()).rejects.toThrow('killed')
    mend()
    // Whoever needs one of them now has it, whatever the dead collection had claimed.
    const again = await world.vault.put(world.source('one'), signal)
    expect(await world.text(again)).toBe('one')
    world.now += 2 * hour
    await world.agree('l', again)
    await world.collect()
    expect(await kept(world, [needed, again])).toEqual([true, true])
    expect(world.names()).toHaveLength(2)
    expect(await world.rows()).toMatchObject([{ state: 'kept' }, { state: 'kept' }])
  })

  it('what is put while it is claimed lies elsewhere: a late removal takes nothing', async () => {
    const world = await begin()
    const content = await world.vault.put(world.source('wanted again'), signal)
    world.now += 2 * hour
    const { faults } = memoryStore('vault-store')
    faults.push(async ({ when, operation }) => {
      if (when !== 'commit' || operation !== 'remove') return
      faults.length = 0
      await world.vault.put(world.source('wanted again'), signal)
    })
    await world.collect()
    expect(await world.text(content)).toBe('wanted again')
    expect(world.names()).toHaveLength(1)
  })

  it('a collection takes over what a dead one claimed a minute ago, not before', async () => {
    const world = await begin()
    await world.vault.put(world.source('x'), signal)
    world.now += 2 * hour
    const mend = world.kill('before', 'remove')
    await expect(world.collect()).rejects.toThrow('killed')
    mend()
    world.now += 30_000
    expect(await world.collect()).toMatchObject({ objects: 0 })
    world.now += 31_000
    expect(await world.collect()).toMatchObject({ objects: 1 })
    expect(await world.rows()).toEqual([])
  })

  it('lists what the store won’t remove, and goes on', async () => {
    const world = await begin()
    for (const text of ['one', 'two', 'three']) await world.vault.put(world.source(text), signal)
    world.now += 2 * hour
    let refused = false
    const mend = world.failAt('before', 'remove', () => {
      const first = !refused
      refused = true
      return first
    })
    const collected = await world.collect()
    expect(collected).toMatchObject({ objects: 2, failed: [{ code: 'unavailable' }] })
    mend()
    world.now += hour
    expect(await world.collect()).toMatchObject({ objects: 1, failed: [] })
  })

  it('takes up again what history needs and no row tells of; removes the rest', async () => {
    const world = await begin()
    const long = 'compressed '.repeat(200)
    for (const text of ['raw', long, 'unneeded']) {
      await world.vault.put(world.source(text), signal)
    }
    for (const text of ['raw', long])
      await world.agree(text.slice(0, 3), world.source(text).content)
    const rows = await world.rows()
    const times = { usedBefore: Infinity, claimedBefore: Infinity, at: world.now }
    const names = rows.map(({ name }) => name)
    const all = { ...times, usedBefore: Number.MAX_SAFE_INTEGER, claimedBefore: 0 }
    await world.catalog.forgetSwept(
      world.at,
      await world.catalog.claimForSweep(world.at, names, all),
    )
    expect(await world.rows()).toEqual([])
    expect(await world.collect()).toMatchObject({ adopted: 0, objects: 0 })
    world.now += 2 * hour
    expect(await world.collect()).toMatchObject({ adopted: 2, objects: 1 })
    expect(await world.text(world.source('raw').content)).toBe('raw')
    expect(await world.text(world.source(long).content)).toBe(long)
    expect(world.names()).toHaveLength(2)
  })

  it('leaves alone what another catalog, or somebody else, has in the same place', async () => {
    const world = await begin()
    const other = await vaultWorld(await open())
    const theirs = await other.vault.put(other.source('theirs'), signal)
    memoryStore('vault-store').put('vault/notes.txt', Buffer.from('mine'))
    memoryStore('vault-store').put(`vault/${await world.catalog.catalogId()}/x`, Buffer.from('?'))
    world.now += 100 * day
    await world.collect()
    expect(await other.text(theirs)).toBe('theirs')
    expect(world.names()).toHaveLength(3)
  })

  // ── beside others ─────────────────────────────────────────────────────────────────────────────

  it('beside putters that rely on content: what was put is there, whatever was collected', async () => {
    await fc.assert(
      fc.asyncProperty(fc.integer({ min: 1 }), async (seed) => {
        dropMemoryStores()
        const world = await vaultWorld(await open())
        const dice = diceOf(seed)
        // Two processes, each with a vault of its own.
        const vaults = [world.vault, createVault(world.parts)]
        memoryStore('vault-store').faults.push(async () => {
          if (dice(3) === 0) await new Promise((turn) => setImmediate(turn))
        })
        const relied = new Map<string, number>()
        const putter = async (vault: (typeof vaults)[number]) => {
          for (let i = 0; i < 12; i++) {
            const text = `content ${dice(5)}`
            const begun = world.now
            const source = world.source(text, dice(2) ? 'near' : 'elsewhere')
            const content = await vault.put(source, signal)
            relied.set(text, Math.max(begun, relied.get(text) ?? 0))
            if (dice(2)) await new Promise((turn) => setImmediate(turn))
            const read = await world.text(content).catch((error: unknown) => error)
            if (world.now - begun < promised) expect(read).toBe(text)
          }
        }
        const collector = async () => {
          for (let i = 0; i < 4; i++) {
            await world.collect()
            // Old enough to be collected: a put that is under way relies on it from then on.
            world.now += dice(2) ? promised - 1 : 0
          }
        }
        await Promise.all([...vaults.map(putter), collector(), collector()])
        for (const [text, at] of relied) {
          if (world.now - at >= promised) continue
          expect(await world.text(world.source(text).content)).toBe(text)
        }
        // Nothing dangles: each row has its object, and each object its row.
        world.now += 2 * hour
        await world.collect()
        expect(world.names()).toEqual([])
        expect(await world.rows()).toEqual([])
      }),
      { numRuns: 10 },
    )
  })
})

it('content that was never put is in no mark', async () => {
  const { createMarks } = await import('../../src/vault/marks.ts')
  const marks = createMarks()
  const contentOf = () => ({ size: 1, digests: { sha256: randomBytes(32).toString('hex') } })
  const added = Array.from({ length: 20_000 }, contentOf)
  for (const content of added) marks.add(content)
  expect(added.every((content) => marks.has(content))).toBe(true)
  const others = Array.from({ length: 20_000 }, contentOf)
  expect(others.filter((content) => marks.has(content)).length).toBeLessThan(20)
})
