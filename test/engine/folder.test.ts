/** The engine over a real folder: what is in the way there is no delete (I3). */
import { mkdirSync, mkdtempSync, renameSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { dropMemoryStores, memoryStore } from '../../connectors/memory-store.ts'
import { createEngine, type Engine } from './engine.ts'

let home: string
let engine: Engine

beforeEach(() => {
  dropMemoryStores()
  home = mkdtempSync(join(tmpdir(), 'tidemark-engine-folder-'))
})

afterEach(async () => {
  await engine.close()
  rmSync(home, { recursive: true, force: true })
})

test('I3: a folder that became a link deletes nothing, on whatever page its keys come', async () => {
  const root = join(home, 'root')
  mkdirSync(join(root, 'sub'), { recursive: true })
  const names = ['sub-x', ...Array.from({ length: 9 }, (_, i) => `sub/${i}`)]
  for (const name of names) writeFileSync(join(root, name), name)
  const limits = { deletes: [], bandwidthBytesPerSecond: null, concurrency: null }
  engine = await createEngine(
    [
      { type: 'file', path: root },
      { type: 'memory', store: 'b', prefix: '' },
    ],
    { batchSize: 1, limits },
    { rangeKeys: 4 },
  )
  expect(await engine.run()).toMatchObject({ state: 'complete', counts: { puts: 10 } })
  renameSync(join(root, 'sub'), join(home, 'elsewhere'))
  symlinkSync(join(home, 'elsewhere'), join(root, 'sub'))
  for (const name of ['sub-x', 'sub/2', 'sub/7']) memoryStore('b').put(name, Buffer.from('edited'))
  const run = await engine.run()
  expect(run.counts).toMatchObject({ deletes: 0, puts: 1, failed: 0 })
  expect((await engine.catalog.runReplicas(run.run))[0]).toMatchObject({ gone: 0 })
  expect(memoryStore('b').names()).toEqual(names)
})

test('a folder that was copied to another place tells how much of it is read again', async () => {
  const [one, two] = [join(home, 'one'), join(home, 'two')]
  for (const root of [one, two]) {
    mkdirSync(root)
    for (let i = 0; i < 5; i++) writeFileSync(join(root, `${i}`), 'x'.repeat(100))
  }
  engine = await createEngine([one, two].map((path) => ({ type: 'file' as const, path })))
  const told: number[] = []
  const run = await engine.run({ tell: ({ hashed }) => void (hashed && told.push(hashed)) })
  expect(run.counts).toMatchObject({ puts: 0, adopted: 10 })
  expect(told).toEqual(Array.from({ length: 10 }, (_, i) => 100 * (i + 1)))
})
