/** `history: native` on real buckets that keep versions: nothing is copied, all can be had back. */
import { randomBytes } from 'node:crypto'
import {
  DeleteObjectCommand,
  ListObjectVersionsCommand,
  PutBucketVersioningCommand,
} from '@aws-sdk/client-s3'
import { Storage } from '@google-cloud/storage'
import { afterAll, beforeAll, describe, expect, inject, onTestFinished, test } from 'vitest'
import { digestsOf } from '../../connectors/digests.ts'
import { checkVault } from '../../src/vault/check.ts'
import { s3Client } from '../connectors/s3-world.ts'
import { createEngine, type Engine } from '../engine/engine.ts'
import { carryOut, undo } from '../engine/history.ts'
import { type Running, type S3Server, startS3 } from '../servers.ts'
import { expectAll, partBytes } from './datasets.ts'
import { contentOf, gcsPlace, memoryPlace, type Place, s3Place } from './places.ts'

const { signal } = new AbortController()
const history = { content: 'native', when: 'replaced', versions: null, keepMs: null } as const

let server: S3Server & Running
beforeAll(async () => {
  server = await startS3({ versions: true })
})
afterAll(() => server.stop())

/** `expire`: what a lifecycle rule does with all that isn't the present version. */
interface Keeping {
  place: Place
  expire(): Promise<void>
}

async function keepingS3(): Promise<Keeping> {
  const place = await s3Place(server)
  const { bucket: Bucket } = place.options as { bucket: string }
  const client = s3Client(server)
  onTestFinished(() => client.destroy())
  const VersioningConfiguration = { Status: 'Enabled' } as const
  await client.send(new PutBucketVersioningCommand({ Bucket, VersioningConfiguration }))
  return {
    place,
    async expire() {
      const { Versions = [] } = await client.send(new ListObjectVersionsCommand({ Bucket }))
      for (const { Key, VersionId, IsLatest } of Versions) {
        if (!IsLatest) await client.send(new DeleteObjectCommand({ Bucket, Key, VersionId }))
      }
    },
  }
}

async function keepingGcs(): Promise<Keeping> {
  const { endpoint, projectId } = inject('servers').gcs
  const place = await gcsPlace({ endpoint, projectId })
  const options = { apiEndpoint: endpoint, projectId, useAuthWithCustomEndpoint: false }
  const bucket = new Storage(options).bucket((place.options as { bucket: string }).bucket)
  await bucket.setMetadata({ versioning: { enabled: true } })
  return {
    place,
    async expire() {
      const [live] = await bucket.getFiles()
      const now = new Set(live.map(({ metadata }) => String(metadata.generation)))
      const [all] = await bucket.getFiles({ versions: true })
      for (const { name, metadata } of all) {
        const generation = String(metadata.generation)
        if (!now.has(generation)) await bucket.file(name, { generation }).delete()
      }
    },
  }
}

/** The bucket and a store without versions, kept the same; the vault in a third place. */
async function begin(keeping: Keeping) {
  const [other, vault] = [memoryPlace(), memoryPlace()]
  const places = [keeping.place, other]
  const locations = places.map(({ options }) => options)
  const engine = await createEngine(locations, { history }, { partBytes })
  onTestFinished(async () => {
    await engine.close()
    await keeping.place.close()
  })
  await engine.moveVault(vault.options)
  return { engine, places, other, vault, bucket: keeping.place }
}

async function textOf(engine: Engine, text: string): Promise<string> {
  const vault = await engine.deps.vault(engine.config)
  const content = { size: text.length, digests: digestsOf(Buffer.from(text)) }
  const chunks: Uint8Array[] = []
  for await (const chunk of (await vault.get(content, signal)).body) chunks.push(chunk)
  return Buffer.concat(chunks).toString()
}

async function check({ catalog, config, deps }: Engine, vault: Place) {
  const at = { ...config, locations: { vault: vault.options } }
  const parts = { store: await deps.open(at, 'vault'), catalog, place: null, clock: Date.now }
  const names = Object.keys(config.locations)
  const open = (name: string) => deps.open(config, name)
  const places = { catalog, names, open, clock: Date.now }
  const historyOf = () => ({ versions: null, keepMs: null, heads: false })
  return await checkVault(parts, { places, deep: true, historyOf, signal })
}

const large = randomBytes(3 * 1024 * 1024).toString('hex')
const first = { small: 'first', empty: '', large }

describe.each([
  ['S3', keepingS3],
  ['Google Cloud Storage', keepingGcs],
] as const)('a bucket of %s that keeps versions', (_, keepingOf) => {
  test('keeps what is replaced: the vault gets nothing, an undo gives exact bytes', async () => {
    const { engine, places, other, vault } = await begin(await keepingOf())
    for (const [key, text] of Object.entries(first)) await other.put(key, text)
    await other.put('gone', 'deleted later')
    await engine.run()
    for (const key of Object.keys(first)) await other.put(key, `second ${key}`)
    await other.remove('gone')
    const second = await engine.run()
    expect(second).toMatchObject({ state: 'complete', counts: { failed: 0, deletes: 1 } })
    expect(await contentOf(vault)).toEqual({})
    expect(await textOf(engine, 'deleted later')).toBe('deleted later')
    expect(await check(engine, vault)).toMatchObject({ objects: 3, bad: [], neverKept: 0 })
    for (const prefix of Object.keys(first)) {
      const undone = await carryOut(engine, undo(second.run, { prefix }))
      expect(undone, prefix).toMatchObject({ state: 'complete', counts: { puts: 2 } })
    }
    for (const place of places) {
      expect((await place.get('large')).bytes.equals(Buffer.from(large)), place.kind).toBe(true)
      expect((await place.get('small')).bytes.toString()).toBe('first')
      expect((await place.get('empty')).bytes.length).toBe(0)
    }
    expect(await contentOf(vault)).toEqual({})
  })

  test('whose rule removed a version: check and restore say so, nothing else is lost', async () => {
    const keeping = await keepingOf()
    const { engine, places, other, vault } = await begin(keeping)
    for (const key of ['one', 'two']) await other.put(key, `first ${key}`)
    await engine.run()
    await other.put('one', 'second')
    const { run } = await engine.run()
    await keeping.expire()
    const { bad } = await check(engine, vault)
    expect(bad).toMatchObject([
      { problem: 'missing', version: { location: 'a', key: 'one' }, neededBy: [{ key: 'one' }] },
    ])
    const undone = await carryOut(engine, undo(run))
    const items = await engine.catalog.readItems({
      ...{ run: undone.run, states: ['skipped'], after: -1, limit: 9 },
    })
    expect(items.map(({ key, outcomes }) => [key, outcomes[''] as { code?: string }])).toEqual([
      ['one', expect.objectContaining({ code: 'not-kept' })],
    ])
    await expectAll(places, { one: 'second', two: 'first two' })
  })
})

test('a key that was deleted comes back to a bucket that keeps versions', async () => {
  // Not to versitygw's: there a delete marker counts as an object for If-None-Match, against S3.
  const { engine, places, other } = await begin(await keepingGcs())
  await other.put('gone', 'deleted later')
  await other.put('kept', 'kept')
  await engine.run()
  await other.remove('gone')
  const { run } = await engine.run()
  await expectAll(places, { kept: 'kept' })
  expect(await carryOut(engine, undo(run))).toMatchObject({ state: 'complete' })
  await expectAll(places, { gone: 'deleted later', kept: 'kept' })
})
