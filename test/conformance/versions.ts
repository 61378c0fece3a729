import { expect } from 'vitest'
import type { Connector, Versions } from '../../connectors/connector.ts'
import {
  bytesOf,
  type CaseContext,
  type Cases,
  calling,
  expectAbsent,
  expectContent,
  failsWith,
  noise,
  put,
  removing,
  sizes,
  text,
  type World,
} from './world.ts'

const none = 'it keeps no versions'

async function keeping(world: World, context: CaseContext) {
  if (!world.keepingVersions) return context.skip(none)
  const { connector, removeVersion } = await world.keepingVersions()
  return { connector, versions: connector.versions as Versions, removeVersion }
}

async function contentIs(connector: Connector, key: string, version: string, bytes: Buffer) {
  const versions = connector.versions as Versions
  const seen = await versions.stat(key, version, calling())
  expect(seen).toMatchObject({ key, size: bytes.length })
  const { entry, body } = await versions.read(key, version, calling())
  expect(entry).toMatchObject({ key, size: bytes.length })
  expect((await bytesOf(body)).equals(bytes), 'the version has its own bytes').toBe(true)
}

export const versionCases: Cases = {
  'a bucket that keeps no versions names none': async ({ connector }, context) => {
    if (!connector.versions) return context.skip(none)
    const { token } = await put(connector, 'k', text('content'))
    expect(await connector.versions.keep('k', token, calling())).toBeNull()
  },

  'a version that was named is there when its key is overwritten': async (world, context) => {
    const { connector, versions } = await keeping(world, context)
    for (const { way, size } of sizes(connector)) {
      const [key, bytes] = [`k ${way} +%`, noise(size, way)]
      const { token } = await put(connector, key, bytes)
      const version = (await versions.keep(key, token, calling())) as string
      expect(version, way).not.toBeNull()
      await put(connector, key, text('second'), token)
      await contentIs(connector, key, version, bytes)
      await expectContent(connector, key, text('second'))
    }
  },

  'a version that was named is there when its key is removed': async (world, context) => {
    const { connector, versions } = await keeping(world, context)
    const bytes = text('removed')
    const { token } = await put(connector, 'k', bytes)
    const version = (await versions.keep('k', token, calling())) as string
    await connector.remove('k', token, removing())
    await expectAbsent(connector, 'k')
    await contentIs(connector, 'k', version, bytes)
  },

  'an empty version is one': async (world, context) => {
    const { connector, versions } = await keeping(world, context)
    const { token } = await put(connector, 'k', Buffer.alloc(0))
    const version = (await versions.keep('k', token, calling())) as string
    await put(connector, 'k', text('second'), token)
    await contentIs(connector, 'k', version, Buffer.alloc(0))
  },

  'what is no longer the present state is not named': async (world, context) => {
    const { connector, versions } = await keeping(world, context)
    const first = await put(connector, 'k', text('first'))
    const second = await put(connector, 'k', text('second'), first.token)
    await failsWith('changed-meanwhile', versions.keep('k', first.token, calling()))
    await connector.remove('k', second.token, removing())
    await failsWith('not-found', versions.keep('k', second.token, calling()))
  },

  'a version that was removed is gone, and its key is not': async (world, context) => {
    const { connector, versions, removeVersion } = await keeping(world, context)
    const { token } = await put(connector, 'k', text('first'))
    const version = (await versions.keep('k', token, calling())) as string
    await put(connector, 'k', text('second'), token)
    await removeVersion('k', version)
    expect(await versions.stat('k', version, calling())).toBeNull()
    await failsWith('not-found', versions.read('k', version, calling()))
    await expectContent(connector, 'k', text('second'))
  },

  'a store that gives no answer is not one without the version': async (world, context) => {
    if (!world.connector.versions) return context.skip(none)
    if (!world.unreachable) return context.skip('no such location')
    const { token } = await put(world.connector, 'k', text('content'))
    const connector = await world.unreachable()
    const versions = connector.versions as Versions
    try {
      await failsWith('unavailable', versions.keep('k', token, calling()))
      await failsWith('unavailable', versions.stat('k', '7', calling()))
      await failsWith('unavailable', versions.read('k', '7', calling()))
    } finally {
      await connector.close()
    }
  },
}
