import { expect } from 'vitest'
import type { Connector, CopyOptions, CopySource } from '../../connectors/connector.ts'
import type { Entry, Token } from '../../src/model.ts'
import {
  type CaseContext,
  type Cases,
  calling,
  entryAt,
  errorOf,
  expectAbsent,
  expectContent,
  failsWith,
  noise,
  put,
  sizes,
  text,
  type World,
} from './world.ts'

interface Pair {
  source: Connector
  copy(
    source: Omit<CopySource, 'connector'>,
    expected: Token | null,
    given?: Partial<CopyOptions>,
  ): Promise<Entry>
}

/** From `other` to `connector`, always to the key `target`. */
function pairOf({ connector, other }: World, context: CaseContext): Pair {
  if (!connector.copyWithin || !other) return context.skip('it has no server-side copy')
  expect(connector.traits.copyDomain).not.toBeNull()
  expect(other.traits.copyDomain).toBe(connector.traits.copyDomain)
  return {
    source: other,
    async copy(source, expected, given = {}) {
      const options = { ...calling(), metadata: {}, digests: {}, beforeCommit: async () => {} }
      const from = { connector: other, ...source }
      if (!connector.copyWithin) throw new Error('no copyWithin')
      return connector.copyWithin('target', from, expected, { ...options, ...given })
    },
  }
}

export const copyCases: Cases = {
  'a copy to a key of one’s own is pinned all the same, and made twice it is the same': async (
    world,
    context,
  ) => {
    const { source, copy } = pairOf(world, context)
    const { token, key, size } = await put(source, 'own', text('content'), null)
    const ownKey = { ownKey: true } as const
    await copy({ key, token, size }, null, ownKey)
    // Where the store can make it conditional, it is.
    const again = copy({ key, token, size }, null, ownKey)
    await again.catch(() => failsWith('changed-meanwhile', again))
    await expectContent(world.connector, 'target', text('content'))
    await put(source, 'own', text('changed'), token)
    await failsWith('changed-meanwhile', copy({ key, token, size }, null, ownKey))
    await expectContent(world.connector, 'target', text('content'))
  },

  'a copy has the bytes, and the metadata that it was given': async (world, context) => {
    const { source, copy } = pairOf(world, context)
    for (const { way, size } of sizes(world.connector)) {
      const bytes = noise(size, way)
      const old = { contentType: 'text/plain', user: { from: 'source' } }
      const { token, key } = await put(source, `s/${way} +%`, bytes, null, { metadata: old })
      const metadata = { contentType: 'text/csv', user: { to: 'target' } }
      const before = (await world.connector.stat('target', calling()))?.token ?? null
      const copied = await copy({ key, token, size }, before, { metadata })
      expect(copied).toMatchObject({ key: 'target', size })
      const seen = await expectContent(world.connector, 'target', bytes)
      expect(seen.token.id).toBe(copied.token.id)
      if (world.connector.traits.carriesMetadata) expect(seen.metadata).toEqual(metadata)
    }
  },

  "a copy without metadata of its own has the source's": async (world, context) => {
    const { source, connector } = { source: pairOf(world, context).source, ...world }
    if (!connector.traits.carriesMetadata) context.skip('it carries no metadata')
    const metadata = { contentType: 'text/plain', user: { from: 'source' } }
    for (const { way, size } of sizes(connector)) {
      const { key, token } = await put(source, `s/${way}`, noise(size, way), null, { metadata })
      const from = { connector: source, key, token, size }
      const options = { ...calling(), digests: {}, beforeCommit: async () => {} }
      await connector.copyWithin?.(way, from, null, options)
      expect((await entryAt(connector, way)).metadata).toEqual(metadata)
    }
  },

  'a copy of a source that changed says changed-meanwhile, and copies nothing': async (
    world,
    context,
  ) => {
    const { source, copy } = pairOf(world, context)
    const { key, token, size } = await put(source, 's', text('first'))
    await put(source, 's', text('other'), token)
    await failsWith('changed-meanwhile', copy({ key, token, size }, null))
    await expectAbsent(world.connector, 'target')
  },

  'a copy of a source that is gone copies nothing': async (world, context) => {
    const { source, copy } = pairOf(world, context)
    const { key, token, size } = await put(source, 's', text('first'))
    await source.remove(key, token, { ...calling(), beforeCommit: async () => {} })
    await failsWith(['not-found', 'changed-meanwhile'], copy({ key, token, size }, null))
    await expectAbsent(world.connector, 'target')
  },

  'a copy where a key is changes nothing': async (world, context) => {
    const { source, copy } = pairOf(world, context)
    for (const { size } of sizes(world.connector)) {
      const { key, token } = await put(source, `s/${size}`, noise(size, 's'))
      await world.putForeign('target', text('theirs'))
      await failsWith('changed-meanwhile', copy({ key, token, size }, null))
      await expectContent(world.connector, 'target', text('theirs'))
    }
  },

  'a copy over the expected state is done, over another it changes nothing': async (
    world,
    context,
  ) => {
    const { source, copy } = pairOf(world, context)
    for (const { size } of sizes(world.connector)) {
      const bytes = noise(size, 's')
      const { key, token } = await put(source, `s/${size}`, bytes)
      await world.putForeign('target', text('before'))
      const before = await entryAt(world.connector, 'target')
      await copy({ key, token, size }, before.token)
      await expectContent(world.connector, 'target', bytes)
      await world.putForeign('target', text('theirs'))
      await failsWith('changed-meanwhile', copy({ key, token, size }, before.token))
      await expectContent(world.connector, 'target', text('theirs'))
    }
  },

  'beforeCommit is called once for a copy, and can stop it': async (world, context) => {
    const { source, copy } = pairOf(world, context)
    for (const { size } of sizes(world.connector)) {
      const { key, token } = await put(source, `s/${size}`, noise(size, 's'))
      const before = (await world.connector.stat('target', calling()))?.token ?? null
      const fenced = new Error('the fence is gone')
      const stop = copy({ key, token, size }, before, {
        beforeCommit: async () => Promise.reject(fenced),
      })
      expect(await errorOf(stop)).toBe(fenced)
      expect((await world.connector.stat('target', calling()))?.token.id).toBe(before?.id)
      let calls = 0
      const beforeCommit = async () => {
        calls++
      }
      await copy({ key, token, size }, before, { beforeCommit })
      expect(calls).toBe(1)
    }
  },
}
