/** A vault in real stores: what it keeps can be had back, and a store copies within itself. */
import { randomBytes } from 'node:crypto'
import { describe, expect, onTestFinished, test } from 'vitest'
import { digestsOf } from '../../connectors/digests.ts'
import type { Content } from '../../src/model.ts'
import { collectVault } from '../../src/vault/collect.ts'
import type { Engine } from '../engine/engine.ts'
import { countingProxy } from './counting-proxy.ts'
import { datasetOf, expectAll, expectQuiet, type Kind } from './datasets.ts'
import { contentOf, makers, type Place } from './places.ts'

const { signal } = new AbortController()

async function vaultAt(kind: Kind, engine: Engine): Promise<Place> {
  const place = await makers[kind]()
  onTestFinished(() => place.close())
  await engine.moveVault(place.options)
  return place
}

async function fromVault(engine: Engine, text: string): Promise<string> {
  const vault = await engine.deps.vault(engine.config)
  const content: Content = { size: text.length, digests: digestsOf(Buffer.from(text)) }
  const chunks: Uint8Array[] = []
  for await (const chunk of (await vault.get(content, signal)).body) chunks.push(chunk)
  return Buffer.concat(chunks).toString()
}

const long = 'what repeats is compressed '.repeat(400)
const large = randomBytes(3 * 1024 * 1024).toString('hex')

describe.each([
  ['s3', 's3'],
  ['gcs', 'gcs'],
  ['azure', 'azure'],
  ['file', 's3'],
  ['s3', 'file'],
] as const)('a dataset at %s with its vault at %s', (kind, vaultKind) => {
  test('keeps what is replaced and deleted, exactly', async () => {
    const { engine, places } = await datasetOf([kind, 'memory'], { direction: 'two-way' })
    const vault = await vaultAt(vaultKind, engine)
    const [real, other] = places as [Place, Place]
    for (const [key, text] of [...Object.entries({ small: 'first', long, large })]) {
      await real.put(key, text)
    }
    await real.put('gone', 'deleted later')
    await engine.run()
    // Replaced at the memory store: so it is the real one's content that an action takes away.
    for (const key of ['small', 'long', 'large']) await other.put(key, `second ${key}`)
    await other.remove('gone')
    expect(await engine.run()).toMatchObject({ state: 'complete', counts: { failed: 0 } })
    for (const text of ['first', long, large, 'deleted later']) {
      expect(await fromVault(engine, text)).toBe(text)
    }
    await expectQuiet(engine)
    // All is in order there, and nothing of it is garbage while history needs it.
    const store = await engine.deps.open(
      { ...engine.config, locations: { vault: vault.options } },
      'vault',
    )
    const parts = {
      store,
      catalog: engine.catalog,
      place: null,
      clock: () => Date.now() + 7_200_000,
    }
    const options = { dryRun: false, by: 'test', signal }
    const all = { versions: null, keepMs: null }
    const kept = await collectVault(parts, { retentionOf: () => all, ...options })
    expect(kept).toMatchObject({ objects: 0, adopted: 0, failed: [] })
    const none = { versions: 1, keepMs: null }
    const gone = await collectVault(parts, { retentionOf: () => none, ...options })
    expect(gone).toMatchObject({ lines: 4, objects: 4, failed: [] })
    expect(await contentOf(vault)).toEqual({})
  })
})

test('replicas and vault in one S3: the store copies into the vault by itself', async () => {
  const { engine, places } = await datasetOf(['s3', 's3'])
  const vault = await vaultAt('s3', engine)
  const [one, two] = places as [Place, Place]
  const proxy = await countingProxy((one.options as { endpoint: string }).endpoint)
  onTestFinished(() => proxy.close())
  const through = ({ options }: Place) =>
    ({ ...options, endpoint: proxy.endpoint }) as typeof options
  await engine.relocate('a', through(one))
  await engine.relocate('b', through(two))
  await engine.moveVault(through(vault))
  const vaultPath = `/${(vault.options as { bucket: string }).bucket}/`
  const keys = Array.from({ length: 20 }, (_, i) => `key-${i}`)
  const all = (text: string) => Object.fromEntries(keys.map((key, i) => [key, `${text} ${i}`]))
  for (const [key, text] of Object.entries(all('first'))) await one.put(key, text)
  await engine.run()
  for (const [key, text] of Object.entries(all('second'))) await one.put(key, text)
  const second = await engine.run()
  expect(second).toMatchObject({ state: 'complete', counts: { puts: 20, failed: 0 } })
  expect(Object.keys(await contentOf(vault))).toHaveLength(20)
  await expectAll([two], all('second'))
  const back = { kind: 'undo', run: second.run, prefix: '', overwriteLater: false } as const
  const request = await engine.catalog.createRequest('data', back, 'me', Date.now())
  // On the way back a copy must be conditional, which this store's own can't be.
  expect(proxy.contents(vaultPath)).toBe(0)
  const undone = await engine.run({ request })
  expect(undone).toMatchObject({ state: 'complete', counts: { puts: 40, failed: 0 } })
  await expectAll([one, two], all('first'))
  await expectQuiet(engine)
})

test.each(['s3', 'gcs', 'azure', 'file'] as const)(
  'a vault at %s that vanished: nothing is overwritten or deleted, the rest goes on',
  async (kind) => {
    const { engine, places } = await datasetOf(['memory', 'memory'])
    const [one, two] = places as [Place, Place]
    const vault = await vaultAt(kind, engine)
    for (const key of ['changed', 'deleted', 'vaulted']) await one.put(key, `first ${key}`)
    await engine.run()
    await one.put('vaulted', 'second vaulted')
    await engine.run()
    await one.put('changed', 'second')
    await one.remove('deleted')
    await one.put('new', 'new')
    for (const key of await vault.keys()) await vault.remove(key)
    await vault.vanish()
    expect(await engine.run()).toMatchObject({
      ...{ state: 'partial', counts: { failed: 2, puts: 1, deletes: 0 } },
    })
    await expectAll([two], {
      ...{ changed: 'first changed', deleted: 'first deleted' },
      ...{ vaulted: 'second vaulted', new: 'new' },
    })
  },
)
