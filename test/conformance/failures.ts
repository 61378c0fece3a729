import { expect } from 'vitest'
import type { Connector } from '../../connectors/connector.ts'
import type { StoreCode } from '../../src/errors.ts'
import { type Cases, calling, failsWith, keysOf, put, readAll, removing, text } from './world.ts'

const token = { id: 'none' }

/** Every operation says so: none answers "empty" or "absent". */
async function allFail(codes: StoreCode[], connector: Connector): Promise<void> {
  try {
    await failsWith(codes, connector.identity({ ...calling(), create: false }))
    await failsWith(codes, connector.identity({ ...calling(), create: true }))
    await failsWith(codes, keysOf(connector))
    await failsWith(codes, keysOf(connector, { from: 'a', to: 'b' }))
    await failsWith(codes, connector.stat('k', calling()))
    await failsWith(codes, connector.stat('d/k', calling()))
    await failsWith(codes, readAll(connector, 'd/k', token))
    await failsWith(codes, put(connector, 'd/k', text('1')))
    await failsWith(codes, put(connector, 'k', text('1'), token))
    await failsWith(codes, connector.remove('d/k', token, removing()))
  } finally {
    await connector.close()
  }
}

export const failureCases: Cases = {
  'wrong credentials are never read as empty or absent': async (world, context) => {
    await put(world.connector, 'k', text('1'))
    if (!world.wrongCredentials) return context.skip('it has no credentials')
    await allFail(['unauthenticated', 'denied'], await world.wrongCredentials())
  },

  'a missing root is never read as empty or absent': async (world) => {
    await allFail(['root-missing'], await world.missingRoot())
  },

  'an outage is never read as empty or absent': async (world, context) => {
    if (!world.unreachable) return context.skip('it has no server')
    await allFail(['unavailable'], await world.unreachable())
  },

  'an identity stays the same': async ({ connector }) => {
    const first = await connector.identity({ ...calling(), create: true })
    await put(connector, 'k', text('1'))
    expect(await connector.identity({ ...calling(), create: true })).toBe(first)
    expect(await connector.identity({ ...calling(), create: false })).toBe(first)
    expect(await keysOf(connector)).toEqual(['k'])
  },

  'another prefix of the same store is another identity': async ({ connector, other }, context) => {
    if (!other) return context.skip('no other location was given')
    const mine = await connector.identity({ ...calling(), create: true })
    expect(await other.identity({ ...calling(), create: true })).not.toBe(mine)
  },

  'locations of one store do not see each other': async ({ connector, other }, context) => {
    if (!other) return context.skip('no other location was given')
    await put(connector, 'mine', text('1'))
    await put(other, 'yours', text('2'))
    expect(await keysOf(connector)).toEqual(['mine'])
    expect(await keysOf(other)).toEqual(['yours'])
  },

  'traits are plain data': async ({ connector }) => {
    expect(structuredClone(connector.traits)).toEqual(connector.traits)
    expect(connector.traits.partBytes).toBeGreaterThan(0)
    expect(connector.name).not.toBe('')
  },
}
