import { expect } from 'vitest'
import type { StoreError } from '../../src/errors.ts'
import { sameToken } from '../../src/sync/content.ts'
import {
  type Cases,
  entriesOf,
  expectAbsent,
  expectContent,
  expectNothingLeft,
  failsWith,
  noise,
  put,
  removing,
  sizes,
  streamed,
  text,
  type World,
  writing,
} from './world.ts'

type WayCase = (world: World, size: number) => Promise<void>

/** The same promise holds for a write in one request and for one in parts. */
function bothWays(name: string, run: WayCase): Cases {
  return Object.fromEntries(
    [0, 1].map((index) => [
      `${name} (${index === 0 ? 'whole' : 'in parts'})`,
      (world: World) => run(world, sizes(world.connector)[index]?.size ?? 0),
    ]),
  )
}

function stream(world: World, bytes: Uint8Array, between: (sent: number) => Promise<void>) {
  return streamed(bytes, Math.min(world.connector.traits.partBytes, 400), between)
}

async function race(writes: Promise<unknown>[]): Promise<number[]> {
  const ends = await Promise.allSettled(writes)
  for (const end of ends) {
    if (end.status === 'rejected') {
      expect((end.reason as StoreError).code, String(end.reason)).toBe('changed-meanwhile')
    }
  }
  return ends.flatMap((end, index) => (end.status === 'fulfilled' ? [index] : []))
}

export const conditionCases: Cases = {
  ...bothWays('a create makes the entry that a listing then shows', async (world, size) => {
    const bytes = noise(size, 'create')
    const written = await put(world.connector, 'k', bytes)
    await expectContent(world.connector, 'k', bytes)
    const [listed] = await entriesOf(world.connector)
    expect(listed).toMatchObject({ key: 'k', size })
    if (!listed) return
    expect(listed.token.id).toBe(written.token.id)
    // A file just written is unsettled, which by design is never the same as anything.
    if (!written.token.unsettled) expect(sameToken(written.token, listed.token)).toBe(true)
  }),

  ...bothWays('a create where a key is changes nothing', async (world, size) => {
    await world.putForeign('k', text('theirs'))
    await failsWith('changed-meanwhile', put(world.connector, 'k', noise(size, 'mine')))
    await expectContent(world.connector, 'k', text('theirs'))
    await expectNothingLeft(world)
  }),

  ...bothWays('an overwrite of the expected state is done', async (world, size) => {
    const first = await put(world.connector, 'k', text('first'))
    const bytes = noise(size, 'second')
    const second = await put(world.connector, 'k', bytes, first.token)
    expect(second.token.id).not.toBe(first.token.id)
    await expectContent(world.connector, 'k', bytes)
  }),

  ...bothWays('an overwrite of another state changes nothing', async (world, size) => {
    const first = await put(world.connector, 'k', text('first'))
    await world.putForeign('k', text('theirs'))
    const write = put(world.connector, 'k', noise(size, 'mine'), first.token)
    await failsWith('changed-meanwhile', write)
    await expectContent(world.connector, 'k', text('theirs'))
    await expectNothingLeft(world)
  }),

  ...bothWays('an overwrite of a key that is gone brings nothing back', async (world, size) => {
    const first = await put(world.connector, 'k', text('first'))
    await world.removeForeign('k')
    const write = put(world.connector, 'k', noise(size, 'mine'), first.token)
    await failsWith('changed-meanwhile', write)
    await expectAbsent(world.connector, 'k')
    await expectNothingLeft(world)
  }),

  ...bothWays('a key that appears while a create sends is not overwritten', async (world, size) => {
    const bytes = noise(size, 'mine')
    let done = false
    const body = stream(world, bytes, async () => {
      if (!done) await world.putForeign('k', text('theirs'))
      done = true
    })
    await failsWith('changed-meanwhile', world.connector.write('k', body, null, writing(size)))
    await expectContent(world.connector, 'k', text('theirs'))
    await expectNothingLeft(world)
  }),

  ...bothWays('a change while an overwrite sends is not overwritten', async (world, size) => {
    const first = await put(world.connector, 'k', text('first'))
    let done = false
    const body = stream(world, noise(size, 'mine'), async () => {
      if (!done) await world.putForeign('k', text('theirs'))
      done = true
    })
    const write = world.connector.write('k', body, first.token, writing(size))
    await failsWith('changed-meanwhile', write)
    await expectContent(world.connector, 'k', text('theirs'))
    await expectNothingLeft(world)
  }),

  ...bothWays('a create is conditional at its very end', async (world, size) => {
    const beforeCommit = () => world.putForeign('k', text('theirs'))
    const write = put(world.connector, 'k', noise(size, 'mine'), null, { beforeCommit })
    await failsWith('changed-meanwhile', write)
    await expectContent(world.connector, 'k', text('theirs'))
  }),

  ...bothWays('an overwrite is conditional at its very end', async (world, size) => {
    const first = await put(world.connector, 'k', text('first'))
    const beforeCommit = () => world.putForeign('k', text('theirs'))
    const write = put(world.connector, 'k', noise(size, 'mine'), first.token, { beforeCommit })
    await failsWith('changed-meanwhile', write)
    await expectContent(world.connector, 'k', text('theirs'))
  }),

  ...bothWays('of several creators at once exactly one wins', async (world, size) => {
    const contents = ['0', '1', '2', '3'].map((seed) => noise(size, seed))
    const winners = await race(contents.map((bytes) => put(world.connector, 'k', bytes)))
    expect(winners.length).toBe(1)
    await expectContent(world.connector, 'k', contents[winners[0] ?? 0] ?? text(''))
  }),

  ...bothWays('of several writers over one state exactly one wins', async (world, size) => {
    const { token } = await put(world.connector, 'k', text('first'))
    const contents = ['0', '1', '2', '3'].map((seed) => noise(size, seed))
    const winners = await race(contents.map((bytes) => put(world.connector, 'k', bytes, token)))
    expect(winners.length).toBe(1)
    await expectContent(world.connector, 'k', contents[winners[0] ?? 0] ?? text(''))
  }),

  'a remove of the expected state is done': async (world) => {
    const { token } = await put(world.connector, 'd/k', text('first'))
    await put(world.connector, 'd/other', text('stays'))
    await world.connector.remove('d/k', token, removing())
    await expectAbsent(world.connector, 'd/k')
    await expectContent(world.connector, 'd/other', text('stays'))
  },

  'a remove of another state changes nothing': async (world) => {
    const { token } = await put(world.connector, 'k', text('first'))
    await world.putForeign('k', text('theirs'))
    await failsWith('changed-meanwhile', world.connector.remove('k', token, removing()))
    await expectContent(world.connector, 'k', text('theirs'))
  },

  'a remove is conditional at its very end': async (world) => {
    const { token } = await put(world.connector, 'k', text('first'))
    const late = removing(() => world.putForeign('k', text('theirs')))
    await failsWith('changed-meanwhile', world.connector.remove('k', token, late))
    await expectContent(world.connector, 'k', text('theirs'))
  },

  'a remove of a key that is gone says not-found': async (world) => {
    const { token } = await put(world.connector, 'k', text('first'))
    await world.removeForeign('k')
    await failsWith('not-found', world.connector.remove('k', token, removing()))
  },

  'a key can be made again after its remove': async (world) => {
    const { token } = await put(world.connector, 'd/k', text('first'))
    await world.connector.remove('d/k', token, removing())
    await put(world.connector, 'd/k', text('again'))
    await expectContent(world.connector, 'd/k', text('again'))
  },
}
