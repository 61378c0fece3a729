/** What buckets keep by themselves, in the vault's index: one place a content, the latest. */
import { beforeEach, describe, expect, it } from 'vitest'
import { digestsOf } from '../../connectors/digests.ts'
import { dropMemoryStores, memoryStore } from '../../connectors/memory.ts'
import { withNative } from '../../src/vault/native.ts'
import type { VaultSource } from '../../src/vault/vault.ts'
import { catalogs, engines } from '../catalog/engines.ts'
import { hour, signal, vaultWorld } from './world.ts'

const contentOf = (text: string) => ({ size: text.length, digests: digestsOf(Buffer.from(text)) })

beforeEach(() => dropMemoryStores())

describe.each(engines)('what buckets keep, indexed on $engine', ({ make }) => {
  const { open } = catalogs(make)

  async function begin() {
    const world = await vaultWorld(await open())
    const bucket = memoryStore('elsewhere')
    bucket.versioned = true
    const { connector } = world.source('first of all')
    const identity = await connector.identity({ signal, create: false })
    const asked = { datasets: [], run: null, by: 'me@here' }
    await world.catalog.setLocation(connector.name, identity, null, asked)
    const vault = withNative(world.vault, {
      catalog: world.catalog,
      names: [connector.name, 'never seen'],
      open: async () => connector,
      clock: () => world.now,
    })
    const text = async (of: string) => {
      const chunks: Uint8Array[] = []
      for await (const chunk of (await vault.get(contentOf(of), signal)).body) chunks.push(chunk)
      return Buffer.concat(chunks).toString()
    }
    const rows = () => world.catalog.vaultObjects(`native:${identity}`, null, 99)
    const drop = ({ key }: VaultSource) => {
      bucket.versions.delete(key)
      bucket.remove(key)
    }
    return { world, vault, bucket, connector, text, rows, drop, at: `native:${identity}` }
  }

  it('is found by its digests, and takes up nothing', async () => {
    const { world, vault, bucket, text, rows } = await begin()
    const source = world.source('content')
    expect(await vault.pin(source, signal)).toBe(true)
    bucket.remove(source.key)
    expect(await vault.has(contentOf('content'), signal)).toBe(true)
    const { size, digests } = contentOf('content')
    for (const name of ['sha256', 'md5', 'crc32c'] as const) {
      expect(await vault.has({ size, digests: { [name]: digests[name] } }, signal), name).toBe(true)
    }
    expect(await text('content')).toBe('content')
    expect(await rows()).toMatchObject([{ stored: 0, place: { key: source.key } }])
    expect(world.names()).toEqual([])
  })

  it('is at the place that was noted last, with all digests that were ever known', async () => {
    const { world, vault, text, drop } = await begin()
    const first = world.source('content')
    await vault.pin(first, signal)
    await vault.pin(world.source('content', 'elsewhere', ['sha256']), signal)
    drop(first)
    expect(await text('content')).toBe('content')
    const { size, digests } = contentOf('content')
    const known = { size, digests: { md5: digests.md5 as string } }
    expect(await vault.has(known, signal)).toBe(true)
  })

  it('many at once, of equal and of different content', async () => {
    const { world, vault, rows } = await begin()
    const texts = Array.from({ length: 40 }, (_, i) => `content ${i % 10}`)
    const pinned = texts.map((text) => vault.pin(world.source(text), signal))
    expect(await Promise.all(pinned)).toEqual(texts.map(() => true))
    expect(await rows()).toHaveLength(10)
  })

  it('that is claimed by a collection and noted again stays noted', async () => {
    const { world, vault, rows, text, at } = await begin()
    const source = world.source('content')
    await vault.pin(source, signal)
    const times = { usedBefore: world.now + hour, claimedBefore: 0, at: world.now }
    const names = (await rows()).map(({ name }) => name)
    const claimed = await world.catalog.claimForSweep(at, names, times)
    expect(await vault.has(source.content, signal)).toBe(false)
    await vault.pin(source, signal)
    await world.catalog.forgetSwept(at, claimed)
    expect(await text('content')).toBe('content')
  })

  it('is not noted where nothing could name it, or the bucket keeps none', async () => {
    const { world, vault, bucket, rows } = await begin()
    expect(await vault.pin(world.source('weak', 'elsewhere', ['crc32c']), signal)).toBe(false)
    bucket.versioned = false
    expect(await vault.pin(world.source('unversioned'), signal)).toBe(false)
    expect(await rows()).toEqual([])
  })

  it('is not noted of an entry that moved on', async () => {
    const { world, vault, bucket, rows } = await begin()
    const source = world.source('content')
    bucket.put(source.key, Buffer.from('moved'))
    await expect(vault.pin(source, signal)).rejects.toMatchObject({ code: 'changed-meanwhile' })
    bucket.remove(source.key)
    await expect(vault.pin(source, signal)).rejects.toMatchObject({ code: 'not-found' })
    expect(await rows()).toEqual([])
  })

  it('is had although the vault gives no answer; and the other way round', async () => {
    const { world, vault, bucket, text } = await begin()
    await vault.pin(world.source('in the bucket'), signal)
    await vault.put(world.source('in the vault'), signal)
    memoryStore('vault-store').missing = true
    expect(await text('in the bucket')).toBe('in the bucket')
    await expect(vault.has(contentOf('in the vault'), signal)).rejects.toMatchObject({
      code: 'root-missing',
    })
    memoryStore('vault-store').missing = false
    bucket.missing = true
    expect(await text('in the vault')).toBe('in the vault')
    await expect(vault.has(contentOf('in the bucket'), signal)).rejects.toMatchObject({
      code: 'root-missing',
    })
    expect(await vault.has(contentOf('nowhere'), signal)).toBe(false)
  })
})
