import { expect } from 'vitest'
import type { UploadSession } from '../../connectors/connector.ts'
import {
  type CaseContext,
  type Cases,
  calling,
  errorOf,
  expectAbsent,
  expectContent,
  expectNothingLeft,
  noise,
  streamed,
  type World,
  writing,
} from './world.ts'

/** Keeps what a connector saves, as the catalog would. */
function sessionFrom(state?: string): UploadSession & { saved: (string | null)[] } {
  const saved: (string | null)[] = []
  return {
    state,
    saved,
    async save(next) {
      saved.push(next)
    },
  }
}

const parts = 5

function contentFor({ connector }: World, seed: string): Buffer {
  return noise(connector.traits.partBytes * (parts - 1) + 1_000, seed)
}

/** A write of five parts whose source breaks after three; gives the state that was saved. */
async function interrupted(world: World, bytes: Buffer, context: CaseContext): Promise<string> {
  const { partBytes } = world.connector.traits
  const oops = new Error('the source broke')
  // In small pieces, so that the break comes well after the third part was whole.
  const body = streamed(bytes, partBytes / 4, async (sent) => {
    if (sent > partBytes * 3.5) throw oops
  })
  const session = sessionFrom()
  const write = world.connector.write('k', body, null, writing(bytes.length, { session }))
  const error = await errorOf(write)
  expect([error, (error as Error).cause]).toContain(oops)
  await expectAbsent(world.connector, 'k')
  const state = session.saved.at(-1)
  return typeof state === 'string' ? state : context.skip('it keeps no upload sessions')
}

async function finish(world: World, bytes: Buffer, state: string): Promise<(string | null)[]> {
  const session = sessionFrom(state)
  const body = streamed(bytes, 10_000)
  await world.connector.write('k', body, null, writing(bytes.length, { session }))
  await expectContent(world.connector, 'k', bytes)
  await expectNothingLeft(world)
  return session.saved
}

export const sessionCases: Cases = {
  'an interrupted write goes on where it stopped': async (world, context) => {
    const bytes = contentFor(world, 'session')
    const state = await interrupted(world, bytes, context)
    const before = world.partsSent?.() ?? 0
    const saved = await finish(world, bytes, state)
    expect(saved.at(-1), 'the end is saved').toBeNull()
    if (world.partsSent) expect(world.partsSent() - before).toBeLessThan(parts)
  },

  'parts of other content are sent again': async (world, context) => {
    const state = await interrupted(world, contentFor(world, 'session'), context)
    await finish(world, contentFor(world, 'other content'), state)
  },

  'a session that the store forgot begins anew': async (world, context) => {
    const bytes = contentFor(world, 'session')
    const state = await interrupted(world, bytes, context)
    if (!world.connector.abortUpload) return context.skip('it has no abortUpload')
    await world.connector.abortUpload('k', state, calling())
    await expectNothingLeft(world)
    await finish(world, bytes, state)
  },

  'a session that nobody can read begins anew': async (world, context) => {
    const bytes = contentFor(world, 'session')
    const state = await interrupted(world, bytes, context)
    await world.connector.abortUpload?.('k', state, calling())
    await finish(world, bytes, '{"version":"not ours"}')
  },

  'an aborted upload leaves nothing, and may be aborted twice': async (world, context) => {
    const state = await interrupted(world, contentFor(world, 'session'), context)
    if (!world.connector.abortUpload) return context.skip('it has no abortUpload')
    await world.connector.abortUpload('k', state, calling())
    await world.connector.abortUpload('k', state, calling())
    await expectNothingLeft(world)
    await expectAbsent(world.connector, 'k')
  },

  'a write in one request saves no session': async (world) => {
    const session = sessionFrom()
    const bytes = noise(1_000, 'small')
    await world.connector.write('k', bytes, null, writing(bytes.length, { session }))
    expect(session.saved.filter((state) => state !== null)).toEqual([])
  },
}
