/** What verify says of each key, without a catalog and without the command line. */
import { randomUUID } from 'node:crypto'
import { mkdirSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, inject, it } from 'vitest'
import { openConnector } from '../../connectors/index.ts'
import { type MemoryStore, memoryStore } from '../../connectors/memory.ts'
import { StoreError } from '../../src/errors.ts'
import {
  differs,
  type Finding,
  type Place,
  parseSample,
  type VerifyOptions,
  verifyReplicas,
} from '../../src/verify/verify.ts'
import { folder } from '../cli/process.ts'
import { put, text } from '../conformance/world.ts'
import { gcsWorld } from '../connectors/gcs-world.ts'
import { s3World } from '../connectors/s3-world.ts'

const context = { concurrency: 8, partBytes: 1 << 20, pageKeys: 3 }

async function memory(name: string): Promise<Place & { store: MemoryStore }> {
  const id = randomUUID()
  const store = memoryStore(id)
  const options = { type: 'memory', store: id, prefix: '' } as const
  return { name, store, connector: await openConnector(name, options, context) }
}

async function folderPlace(name: string): Promise<Place & { path: string }> {
  const path = folder()
  return { name, path, connector: await openConnector(name, { type: 'file', path }, context) }
}

async function verify(places: Place[], options: Partial<VerifyOptions> = {}) {
  const findings: Finding[] = []
  const verified = await verifyReplicas(places, {
    signal: new AbortController().signal,
    onFindings: (found) => void findings.push(...found),
    ...options,
  })
  const lines = findings.map(({ letter, replica, key }) => `${letter} ${replica} ${key}`)
  return { verified, findings, lines }
}

/** A read of this key fails, as often as it's tried. */
function unreadable(store: MemoryStore, wanted: string, code: 'denied' | 'unavailable'): void {
  store.faults.push(({ when, operation, key, location }) => {
    if (when !== 'before' || operation !== 'read' || key !== wanted) return
    throw new StoreError(code, 'a fault', { location, operation, key })
  })
}

describe('verify', () => {
  it("has rclone's letters: = same, + missing, - extra, * different, ! unreadable", async () => {
    const [a, b] = [await memory('a'), await memory('b')]
    for (const { store } of [a, b]) {
      store.put('same', text('same'))
      store.put('unreadable', text('x'), {}, {})
    }
    a.store.put('missing', text('at a alone'))
    b.store.put('extra', text('at b alone'))
    a.store.put('other', text('one'))
    b.store.put('other', text('two'))
    unreadable(b.store, 'unreadable', 'denied')
    const { lines, verified } = await verify([a, b])
    expect(lines).toEqual(['- b extra', '+ b missing', '* b other', '= b same', '! b unreadable'])
    expect(verified.replicas.b).toMatchObject({
      ...{ same: 1, missing: 1, extra: 1, different: 1, failed: 1, skipped: 0 },
    })
    expect(differs(verified)).toBe(true)
  })

  it('compares every replica with the first, and reads each at most once', async () => {
    const places = [await memory('a'), await memory('b'), await memory('c')]
    for (const { store } of places) store.put('k', text('no digest anywhere'), {}, {})
    const { lines, verified } = await verify(places)
    expect(lines).toEqual(['= b k', '= c k'])
    expect(verified.read).toBe(3)
  })

  it('reads nothing where the listings can tell', async () => {
    const [a, b] = [await memory('a'), await memory('b')]
    for (const { store } of [a, b]) store.put('k', text('digests are in the listing'))
    a.store.put('size', text('short'), {}, {})
    b.store.put('size', text('longer'), {}, {})
    const { lines, findings, verified } = await verify([a, b])
    expect(lines).toEqual(['= b k', '* b size'])
    expect(findings[1]?.reason).toBe('6 bytes, not 5')
    expect(verified.read).toBe(0)
  })

  it('reads a folder, whose listing has no digests, and says that by content', async () => {
    const [a, b] = [await folderPlace('a'), await folderPlace('b')]
    writeFileSync(join(a.path, 'k'), 'one')
    writeFileSync(join(b.path, 'k'), 'two')
    const { findings } = await verify([a, b])
    expect(findings).toMatchObject([{ letter: '*', by: 'content', reason: 'other content' }])
  })

  it('--deep reads all, and tells a listing whose digest is not that of its content', async () => {
    const [a, b] = [await memory('a'), await memory('b')]
    const right = a.store.put('k', text('content'))
    b.store.put('k', text('decayed'), {}, right.digests)
    expect((await verify([a, b])).lines).toEqual(['= b k'])
    const { lines, findings, verified } = await verify([a, b], { deep: true })
    expect(lines).toEqual(['! b k'])
    expect(findings[0]?.reason).toMatch(/^b: corrupt: the content's md5 is /)
    expect(verified.read).toBeGreaterThanOrEqual(2)
  })

  it('looks only at the keys of the filter', async () => {
    const [a, b] = [await memory('a'), await memory('b')]
    a.store.put('in', text('x'))
    a.store.put('out', text('x'))
    const { lines, verified } = await verify([a, b], { selects: (key) => key !== 'out' })
    expect(lines).toEqual(['+ b in'])
    expect(verified.keys).toBe(1)
  })

  it('compares what changes meanwhile by what it is then', async () => {
    const [a, b] = [await memory('a'), await memory('b')]
    for (const { store } of [a, b]) store.put('k', text('before'), {}, {})
    let moved = false
    b.store.faults.push(({ when, operation }) => {
      if (when !== 'before' || operation !== 'read' || moved) return
      moved = true
      for (const { store } of [a, b]) store.put('k', text('behind'), {}, {})
    })
    expect((await verify([a, b])).lines).toEqual(['= b k'])
  })

  it('a symlink, and a key that a store cannot hold, are skipped with the reason', async () => {
    const [a, b] = [await memory('a'), await folderPlace('b')]
    a.store.put('a//b', text('x'))
    a.store.put('link', text('x'))
    symlinkSync('nowhere', join(b.path, 'link'))
    const { lines, findings, verified } = await verify([a, b])
    expect(lines).toEqual(['~ b a//b', '~ b link'])
    expect(findings.map(({ reason }) => reason)).toEqual([
      'the name has an empty path segment',
      expect.stringMatching(/symlink|symbolic link/i),
    ])
    expect(differs(verified)).toBe(false)
  })

  it('a key that the first cannot hold is compared among the others', async () => {
    const [b, c] = [await memory('b'), await memory('c')]
    const places = [await folderPlace('a'), b, c]
    b.store.put('a//b', text('x'))
    c.store.put('a//b', text('y'))
    const { lines, findings } = await verify(places)
    expect(lines).toEqual(['~ a a//b', '* c a//b'])
    expect(findings[1]?.against).toBe('b')
  })
})

describe('metadata', () => {
  it('is content where both stores can carry it; a folder between them cannot', async () => {
    const [s3, gcs] = [await s3World(), await gcsWorld(inject('servers').gcs.endpoint)]
    const middle = await folderPlace('folder')
    writeFileSync(join(middle.path, 'k'), 'content')
    writeFileSync(join(middle.path, 'other'), 'content')
    const html = { contentType: 'text/html', user: { team: 'a' } }
    for (const { connector } of [s3, gcs]) {
      await put(connector, 'k', text('content'), null, { metadata: html })
    }
    await put(s3.connector, 'other', text('content'), null, { metadata: html })
    const plain = { metadata: { ...html, contentType: 'text/plain' } }
    await put(gcs.connector, 'other', text('content'), null, plain)
    const { lines, findings } = await verify([
      middle,
      { name: 's3', connector: s3.connector },
      { name: 'gcs', connector: gcs.connector },
    ])
    expect(lines).toEqual(['= s3 k', '= gcs k', '= s3 other', '* gcs other'])
    expect(findings[3]?.reason).toBe(
      'other metadata: contentType: text/plain, not text/html, compared with s3',
    )
    await Promise.all([s3.close(), gcs.close()])
  })
})

describe('a replica that cannot be listed', () => {
  it('is named and left out, and the others are compared', async () => {
    const [a, b, c] = [await memory('a'), await memory('b'), await memory('c')]
    for (const { store } of [a, b, c]) store.put('k', text('x'))
    b.store.missing = true
    const { lines, verified } = await verify([a, b, c])
    expect(lines).toEqual(['= c k'])
    expect(verified.unreachable).toMatchObject([{ replica: 'b', code: 'root-missing' }])
  })

  it('in the middle is never taken for missing keys', async () => {
    const [a, b, c] = [await memory('a'), await memory('b'), await memory('c')]
    for (let i = 0; i < 10; i++) {
      for (const { store } of [a, b, c]) store.put(`k${i}`, text('x'))
    }
    let pages = 0
    b.store.faults.push(({ when, operation, location }) => {
      if (when !== 'page' || operation !== 'list' || ++pages <= 2) return
      throw new StoreError('denied', 'a fault', { location, operation })
    })
    const { lines, verified } = await verify([a, b, c])
    expect(lines.filter((line) => line.startsWith('= c'))).toHaveLength(10)
    expect(lines.filter((line) => !line.startsWith('='))).toEqual([])
    expect(verified.unreachable).toMatchObject([{ replica: 'b', code: 'denied' }])
  })

  it('for a moment is taken up where it broke off', async () => {
    const [a, b] = [await memory('a'), await memory('b')]
    for (let i = 0; i < 10; i++) {
      for (const { store } of [a, b]) store.put(`k${i}`, text('x'))
    }
    let pages = 0
    b.store.faults.push(({ when, operation, location }) => {
      if (when !== 'page' || operation !== 'list' || ++pages !== 2) return
      throw new StoreError('unavailable', 'a fault', { location, operation })
    })
    const { lines, verified } = await verify([a, b])
    expect(lines).toHaveLength(10)
    expect(verified.unreachable).toEqual([])
  })
})

describe('a sample', () => {
  async function twoStores(keys: number) {
    const [a, b] = [await memory('a'), await memory('b')]
    for (let i = 0; i < keys; i++) {
      for (const { store } of [a, b]) store.put(`key-${i}`, text('same size'), {}, {})
    }
    return [a, b] as const
  }
  const readKeys = (findings: Finding[]) =>
    findings.flatMap(({ key, by }) => (by === 'content' ? [key] : [])).sort()

  it('of so many keys reads exactly those, the same each time; the rest by their size', async () => {
    const places = await twoStores(40)
    const first = await verify([...places], { sample: { count: 7 } })
    expect(readKeys(first.findings)).toHaveLength(7)
    expect(first.verified).toMatchObject({ keys: 40, read: 14 })
    expect(first.verified.replicas.b).toMatchObject({ same: 40, bySizeAlone: 33 })
    const second = await verify([...places], { sample: { count: 7 } })
    expect(readKeys(second.findings)).toEqual(readKeys(first.findings))
    const half = await verify([...places], { sample: { share: 0.5 } })
    expect(readKeys(half.findings)).toEqual(expect.arrayContaining(readKeys(first.findings)))
  })

  it('of a share is part of any larger share', async () => {
    const places = await twoStores(200)
    const small = await verify([...places], { sample: { share: 0.1 } })
    const large = await verify([...places], { sample: { share: 0.5 } })
    const [few, many] = [readKeys(small.findings), readKeys(large.findings)]
    expect(few.length).toBeGreaterThan(5)
    expect(many.length).toBeGreaterThan(few.length)
    expect(many).toEqual(expect.arrayContaining(few))
  })

  it.each([
    ['500', { count: 500 }],
    ['5%', { share: 0.05 }],
    ['0.5%', { share: 0.005 }],
    ['0', null],
    ['101%', null],
    ['1.5', null],
    ['many', null],
  ])('is written as a number or a share: %s', (written, sample) => {
    expect(parseSample(written)).toEqual(sample)
  })
})

describe('a cancelled verify', () => {
  it('throws, and reads nothing more', async () => {
    const [a, b] = [await folderPlace('a'), await folderPlace('b')]
    for (const { path } of [a, b]) {
      mkdirSync(join(path, 'd'))
      for (let i = 0; i < 50; i++) writeFileSync(join(path, 'd', `f${i}`), 'content')
    }
    const controller = new AbortController()
    const verifying = verify([a, b], {
      signal: controller.signal,
      onFindings: () => controller.abort(),
    })
    await expect(verifying).rejects.toThrow()
    rmSync(join(a.path, 'd'), { recursive: true })
  })
})
