/** `doctor --probe` at stores that don't do what they should: each defect is named. */
import { beforeEach, expect, it } from 'vitest'
import type { Connector, Page } from '../../connectors/connector.ts'
import { create } from '../../connectors/memory.ts'
import { dropMemoryStores, memoryStore } from '../../connectors/memory-store.ts'
import type { Check } from '../../src/cli/probe/check.ts'
import { probeWrites } from '../../src/cli/probe/writes.ts'
import type { Entry } from '../../src/model.ts'

const partBytes = 1 << 20

beforeEach(() => dropMemoryStores())

/** What is said of a memory store that behaves otherwise in one way. */
async function probed(other: (connector: Connector) => Partial<Connector> = () => ({})) {
  const context = { name: 'b', concurrency: 4, partBytes, pageKeys: 3 }
  const memory = await create({ type: 'memory', store: 'b', prefix: '' }, context)
  const checks: Check[] = []
  const probing = {
    connector: { ...memory, ...other(memory) },
    type: 'memory' as const,
    signal: new AbortController().signal,
    say: (check: string, state: Check['state'], detail = '') =>
      void checks.push({ subject: 'b', check, state, detail }),
  }
  await probeWrites(probing, async () => undefined)
  expect(memoryStore('b').names(), 'nothing is left').toEqual([])
  return checks
    .filter(({ state }) => state !== 'ok')
    .map(({ check, state }) => `${check}: ${state}`)
}

function listing(change: (page: Page) => Page) {
  return ({ list }: Connector): Partial<Connector> => ({
    async *list(...args) {
      for await (const page of list(...args)) yield change(page)
    },
  })
}

/** Entries as they are told by HEAD. */
function shown(change: (entry: Entry) => Entry) {
  return ({ stat }: Connector): Partial<Connector> => ({
    async stat(...args) {
      const entry = await stat(...args)
      return entry && change(entry)
    },
  })
}

it('finds nothing at a store that keeps the contract', async () => {
  expect(await probed()).toEqual([])
})

it('a listing out of order, one that swallows a key, and one that shows another state', async () => {
  const reversed = listing((page) => ({ ...page, entries: page.entries.toReversed() }))
  expect(await probed(reversed)).toContain('order: failed')
  const swallowed = listing((page) => ({ ...page, entries: page.entries.slice(1) }))
  expect(await probed(swallowed)).toContain('order: failed')
  const moved = (entry: Entry): Entry => ({ ...entry, token: { id: 'other' } })
  const other = listing((page) => ({ ...page, entries: page.entries.map(moved) }))
  expect(await probed(other)).toContain('listing: failed')
})

it('digests of other bytes, by key and in a listing', async () => {
  const wrong = (entry: Entry): Entry => ({ ...entry, digests: { md5: '0'.repeat(32) } })
  expect(await probed(shown(wrong))).toEqual(
    expect.arrayContaining(['digests: failed', 'digests, in parts: failed']),
  )
  const listed = listing((page) => ({ ...page, entries: page.entries.map(wrong) }))
  expect(await probed(listed)).toEqual(['listing: failed'])
})

it('metadata that do not come back', async () => {
  const bare = (entry: Entry): Entry => ({ ...entry, metadata: {} })
  expect(await probed(shown(bare))).toEqual(['metadata: failed'])
})

it('conditions that are ignored: of writes, deletes and copies', async () => {
  const careless = ({ write, remove, copyWithin, stat, traits }: Connector): Partial<Connector> => {
    const now = async (...[key, , options]: Parameters<Connector['remove']>) =>
      (await stat(key, options))?.token ?? null
    return {
      traits,
      write: async (key, body, expect, options) =>
        await write(key, body, await now(key, expect as never, options), options),
      remove: async (key, expect, options) =>
        await remove(key, (await now(key, expect, options)) ?? expect, options),
      copyWithin: async (key, source, expect, options) =>
        (await copyWithin?.(
          key,
          { ...source, token: (await stat(source.key, options))?.token ?? source.token },
          await now(key, expect as never, options),
          options,
        )) as Entry,
    }
  }
  expect(await probed(careless)).toEqual([
    'create: not protected',
    'overwrite: not protected',
    'delete: not protected',
    'create, in parts: not protected',
    'overwrite, in parts: not protected',
    'copy, create: not protected',
    'copy, source: not protected',
  ])
})

it('an upload that broke off and passes for a whole object, and one that is forgotten', async () => {
  const cut = ({ write }: Connector): Partial<Connector> => ({
    async write(key, body, expect, options) {
      try {
        return await write(key, body, expect, options)
      } catch (error) {
        if (options.session && !options.session.state)
          memoryStore('b').put(key, Buffer.from('part'))
        throw error
      }
    },
  })
  expect(await probed(cut)).toEqual(['resume: failed'])
  const forgetful = ({ write }: Connector): Partial<Connector> => ({
    write(key, body, expect, options) {
      const { session } = options
      const forgotten = session && { ...session, state: undefined }
      return write(key, body, expect, { ...options, ...(forgotten && { session: forgotten }) })
    },
  })
  expect(await probed(forgetful)).toEqual(['resume: not kept'])
})
