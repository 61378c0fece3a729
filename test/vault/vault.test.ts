/** What the vault promises to those who put and get. */
import { randomBytes } from 'node:crypto'
import { beforeEach, describe, expect, it } from 'vitest'
import { digestsOf } from '../../connectors/digests.ts'
import { dropMemoryStores, memoryStore } from '../../connectors/memory.ts'
import { createVault } from '../../src/vault/vault.ts'
import { catalogs, engines } from '../catalog/engines.ts'
import { hour, partBytes, signal, vaultWorld } from './world.ts'

const text = (n: number) => `line ${n} of something that repeats\n`.repeat(100)
const contentOf = (bytes: string | Buffer) => ({
  size: Buffer.byteLength(bytes),
  digests: digestsOf(Buffer.from(bytes)),
})

beforeEach(() => dropMemoryStores())

describe.each(engines)('the vault, indexed on $engine', ({ make }) => {
  const { open } = catalogs(make)
  const begin = async () => vaultWorld(await open())

  it('gives back what was put, and keeps equal content once', async () => {
    const world = await begin()
    const first = await world.vault.put(world.source('short'), signal)
    expect(first.digests).toEqual(contentOf('short').digests)
    await world.vault.put(world.source('short'), signal)
    await world.vault.putBytes(Buffer.from('short'), signal)
    expect(world.names()).toHaveLength(1)
    expect(await world.text(first)).toBe('short')
    expect(await world.vault.has(contentOf('other'), signal)).toBe(false)
    await expect(world.vault.get(contentOf('other'), signal)).rejects.toMatchObject({
      code: 'not-found',
    })
  })

  it('gives what was put twice at once, under its sha256 and its md5', async () => {
    const world = await begin()
    const known = [['md5'], ['sha256']] as const
    const twice = known.map((one) => world.source('short', 'elsewhere', [...one]))
    await Promise.all(twice.map((source) => world.vault.put(source, signal)))
    expect(await world.rows()).toHaveLength(2)
    expect(await world.text(contentOf('short'))).toBe('short')
    const [first] = world.names()
    memoryStore('vault-store').remove(first as string)
    expect(await world.text(contentOf('short'))).toBe('short')
    expect(await world.vault.has(contentOf('short'), signal)).toBe(true)
  })

  it('compresses what shrinks, and nothing else', async () => {
    const world = await begin()
    const dense = randomBytes(5_000)
    await world.vault.put(world.source(text(1)), signal)
    await world.vault.putBytes(Buffer.from(text(2)), signal)
    await world.vault.put(world.source(dense), signal)
    const rows = await world.rows()
    const sizes = rows.map(({ stored, content, place }) => {
      expect(memoryStore('vault-store').get(`vault/${place.key}`)?.bytes.length).toBe(stored)
      return (stored as number) < content.size / 10 ? 'smaller' : content.size - (stored as number)
    })
    expect(sizes.sort()).toEqual([0, 'smaller', 'smaller'])
    expect(await world.text(contentOf(text(1)))).toBe(text(1))
    expect(await world.text(contentOf(text(2)))).toBe(text(2))
  })

  it('streams what is too large for memory', async () => {
    const world = await begin()
    const large = randomBytes(3 * partBytes + 7).toString('hex')
    const content = await world.vault.put(world.source(large, 'elsewhere', ['md5']), signal)
    expect(await world.text(content)).toBe(large)
    const unknown = await world.vault.put(world.source(`${large}!`, 'elsewhere', []), signal)
    expect(unknown.digests.sha256).toBe(contentOf(`${large}!`).digests.sha256)
    expect(await world.text(unknown)).toBe(`${large}!`)
  })

  it('has the store copy by itself what is in it, pinned to its token', async () => {
    const world = await begin()
    const reads: string[] = []
    memoryStore('vault-store').faults.push(({ when, operation }) => {
      if (when === 'before' && operation === 'read') reads.push(operation)
    })
    const source = world.source(text(1), 'near', ['md5'])
    await world.vault.put(source, signal)
    expect(reads).toEqual([])
    const [row] = await world.rows()
    expect(row).toMatchObject({ stored: text(1).length, name: expect.stringMatching(/^md5\/../) })
    const moved = world.source(text(2), 'near')
    memoryStore('vault-store').put(`replica/${moved.key}`, Buffer.from('changed'))
    await expect(world.vault.put(moved, signal)).rejects.toMatchObject({
      code: 'changed-meanwhile',
    })
    expect(await world.text(source.content)).toBe(text(1))
  })

  it('says where a store may copy from; of what is compressed, nowhere', async () => {
    const world = await begin()
    await world.vault.put(world.source('as it is'), signal)
    await world.vault.put(world.source(text(1)), signal)
    expect(await world.vault.copySource(contentOf('as it is'), signal)).toMatchObject({
      key: expect.stringContaining('sha256/'),
      size: 8,
    })
    expect(await world.vault.copySource(contentOf(text(1)), signal)).toBeNull()
    expect(await world.vault.copySource(contentOf('unknown'), signal)).toBeNull()
  })

  it('finds content by any digest that is known of it', async () => {
    const world = await begin()
    const { digests, size } = contentOf('all are known')
    await world.vault.put(world.source('all are known'), signal)
    for (const name of ['sha256', 'md5', 'crc32c'] as const) {
      const content = { size, digests: { [name]: digests[name] } }
      expect(await world.text(content)).toBe('all are known')
    }
    await world.vault.put(world.source('by md5', 'near', ['md5']), signal)
    expect(await world.text(contentOf('by md5'))).toBe('by md5')
    await world.vault.put(world.source('by md5'), signal)
    expect(await world.rows()).toHaveLength(2)
  })

  it('takes a crc32c for no proof: such content is read, and kept by its sha256', async () => {
    const world = await begin()
    const put = await world.vault.put(world.source('weak', 'near', ['crc32c']), signal)
    expect(put.digests).toEqual(contentOf('weak').digests)
    const [row] = await world.rows()
    const { crc32c } = put.digests
    // Another content of the same crc32c and size, as it would be found.
    const other = { ...(row as NonNullable<typeof row>), name: `sha256/00/${'0'.repeat(64)}` }
    await world.catalog.addToVault(world.at, [other], 'kept', world.now)
    const content = { size: 4, digests: { crc32c: crc32c as string } }
    await expect(world.vault.get(content, signal)).rejects.toMatchObject({ code: 'corrupt' })
    expect(await world.text(put)).toBe('weak')
  })

  it('keeps no empty content, and gives it back', async () => {
    const world = await begin()
    const content = await world.vault.put(world.source(''), signal)
    expect(await world.rows()).toEqual([])
    expect(await world.text(content)).toBe('')
    expect(await world.vault.has({ size: 0, digests: {} }, signal)).toBe(true)
  })

  it('refuses content that isn’t what was said of it, and keeps nothing', async () => {
    const world = await begin()
    for (const bytes of ['torn', randomBytes(partBytes).toString('hex')]) {
      const source = world.source(bytes)
      const content = { ...source.content, digests: contentOf(`${bytes}?`).digests }
      const put = world.vault.put({ ...source, content }, signal)
      await expect(put).rejects.toMatchObject({ code: 'corrupt' })
    }
    expect(world.names()).toEqual([])
  })

  it('ends a body with `corrupt` where its object was damaged', async () => {
    const world = await begin()
    for (const bytes of [text(1), 'as it is']) {
      const content = await world.vault.putBytes(Buffer.from(bytes), signal)
      const name = world.names().at(-1) as string
      const damaged = Buffer.from(memoryStore('vault-store').get(name)?.bytes ?? [])
      damaged[3] = (damaged[3] as number) ^ 0xff
      memoryStore('vault-store').put(name, damaged)
      await expect(world.text(content)).rejects.toMatchObject({ code: 'corrupt' })
      memoryStore('vault-store').remove(name)
      await expect(world.vault.get(content, signal)).rejects.toMatchObject({ code: 'not-found' })
      expect(await world.vault.has(content, signal)).toBe(false)
    }
  })

  it('writes anew what is missing or cut short, under the same name', async () => {
    const world = await begin()
    for (const from of ['elsewhere', 'near'] as const) {
      const content = await world.vault.put(world.source(`of ${from}`, from), signal)
      const [name] = world.names().slice(-1) as [string]
      memoryStore('vault-store').remove(name)
      await world.vault.put(world.source(`of ${from}`, from), signal)
      expect(await world.text(content)).toBe(`of ${from}`)
      memoryStore('vault-store').put(name, Buffer.from('o'))
      await world.vault.put(world.source(`of ${from}`, from), signal)
      expect(await world.text(content)).toBe(`of ${from}`)
    }
    expect(world.names()).toHaveLength(2)
  })

  it.each([
    ['before', 'write'],
    ['commit', 'write'],
    ['after', 'write'],
  ] as const)('a put that is killed %s its %s is done by the next one', async (when, what) => {
    const world = await begin()
    const mend = world.failAt(when, what)
    const source = world.source(text(1))
    await expect(world.vault.put(source, signal)).rejects.toMatchObject({ code: 'unavailable' })
    mend()
    await world.vault.put(source, signal)
    expect(await world.text(source.content)).toBe(text(1))
    expect(world.names()).toHaveLength(1)
  })

  it('is told of many puts at once, and asks the catalog no more of each', async () => {
    const world = await begin()
    const sources = Array.from({ length: 30 }, (_, i) => world.source(text(i % 20), 'near'))
    await world.vault.put(sources[0] as never, signal)
    await world.vault.expect(
      sources.map(({ content }) => content),
      signal,
    )
    await Promise.all(sources.map((source) => world.vault.put(source, signal)))
    const unnoted = (await world.rows()).filter(({ stored }) => stored === null)
    expect(unnoted.length).toBeGreaterThan(10)
    await world.vault.flush(signal)
    expect((await world.rows()).filter(({ stored }) => stored === null)).toEqual([])
    expect(world.names()).toHaveLength(20)
    for (const { content } of sources) expect(await world.vault.has(content, signal)).toBe(true)
  })

  it('holds nothing for kept that was only expected', async () => {
    const world = await begin()
    const source = world.source('expected')
    await world.vault.expect([source.content], signal)
    expect(await world.vault.has(source.content, signal)).toBe(false)
    const other = createVault(world.parts)
    await other.put(source, signal)
    // Who expected it finds that somebody else was faster.
    await world.vault.put(source, signal)
    expect(await world.text(source.content)).toBe('expected')
    expect(world.names()).toHaveLength(1)
  })

  it('is put into by many at once, each content once', async () => {
    const world = await begin()
    const sources = Array.from({ length: 60 }, (_, i) => world.source(text(i % 20)))
    await Promise.all(sources.map((source) => world.vault.put(source, signal)))
    expect(world.names()).toHaveLength(20)
    for (const { content } of sources) {
      expect(await world.vault.has(content, signal)).toBe(true)
    }
  })

  it('notes when content was last relied on', async () => {
    const world = await begin()
    const content = await world.vault.put(world.source('x'), signal)
    const begun = world.now
    world.now += hour
    expect(await world.vault.has(content, signal)).toBe(true)
    expect(await world.rows()).toMatchObject([{ usedAt: begun + hour }])
    world.now += hour
    await world.vault.put(world.source('x'), signal)
    expect(await world.rows()).toMatchObject([{ usedAt: begun + 2 * hour }])
  })

  it('says that its place is gone, and takes nothing for kept', async () => {
    const world = await begin()
    await world.vault.put(world.source('x'), signal)
    memoryStore('vault-store').missing = true
    for (const bytes of ['x', 'y']) {
      const put = world.vault.put(world.source(bytes), signal)
      await expect(put).rejects.toMatchObject({ code: 'root-missing' })
    }
    await expect(world.vault.has(contentOf('x'), signal)).rejects.toMatchObject({
      code: 'root-missing',
    })
  })
})
