/** Keys from hell: a place takes one and gives it back as it was, or says that it can't hold it. */
import { mkdirSync, readdirSync, symlinkSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import fc from 'fast-check'
import { describe, expect, it, onTestFinished } from 'vitest'
import type { Connector } from '../../connectors/connector.ts'
import { openConnector } from '../../connectors/index.ts'
import type { LocationOptions } from '../../connectors/options.ts'
import { encodePath } from '../../connectors/s3-lean.ts'
import { StoreError } from '../../src/errors.ts'
import { keyProblem } from '../../src/sync/keys.ts'
import { folder } from '../config/written.ts'
import { calling, entriesOf, put, readAll, removing, text } from '../conformance/world.ts'

const piece = fc.oneof(
  fc.constantFrom(
    'a',
    'A',
    'b',
    '/',
    '//',
    '.',
    '..',
    '../',
    './',
    '/.',
    '.tidemark/',
    '.tidemark',
  ),
  fc.constantFrom(' ', '\t', '\r\n', '\0', '\x01', '\x7f', '\u0085', '\ufffe', '\uffff', '\ufeff'),
  fc.constantFrom(
    '?',
    '#',
    '&',
    '%',
    '%2F',
    '%2e%2e',
    '+',
    '\\',
    ':',
    '*',
    '"',
    "'",
    '<',
    '|',
    '~',
  ),
  fc.constantFrom(
    '\u00e9',
    'e\u0301',
    '\u0130',
    'i\u0307',
    '\u{1f600}',
    '\ud83d',
    '\ude00',
    '\uff0f',
  ),
  fc.constantFrom(
    '__proto__',
    'CON',
    'x'.repeat(255),
    'x'.repeat(256),
    'x'.repeat(1_024),
    '\u00e9'.repeat(128),
  ),
)
const key = fc.array(piece, { minLength: 1, maxLength: 5 }).map((all) => all.join(''))

/** What was asked throws StoreErrors alone; null where it did. */
async function answered<T>(asked: Promise<T>): Promise<T | StoreError> {
  try {
    return await asked
  } catch (error) {
    if (error instanceof StoreError) return error
    throw error
  }
}

describe('a folder', () => {
  async function place() {
    const around = folder()
    const root = join(around, 'root')
    mkdirSync(root)
    writeFileSync(join(around, 'outside'), 'mine')
    symlinkSync(around, join(root, 'link'))
    const options = { type: 'file' as const, path: root }
    const connector = await openConnector('folder', options, { concurrency: 8, partBytes: 1_000 })
    onTestFinished(() => connector.close())
    await connector.identity({ ...calling(), create: true })
    return { around, connector }
  }

  it('takes a key and gives it back, or refuses it; nothing goes out of the root', async () => {
    const { around, connector } = await place()
    const hostile = fc.oneof(
      key,
      key.map((inner) => `link/${inner}`),
    )
    const ends = { held: 0, refused: 0 }
    const any = fc.asyncProperty(hostile, async (name) => {
      const problem = keyProblem(name, connector.traits.keys)
      const made = await answered(put(connector, name, text(name)))
      expect(readdirSync(around).sort()).toEqual(['outside', 'root'])
      if (problem !== null) expect((made as StoreError).code).toBe('cannot-hold')
      if (made instanceof StoreError) {
        expect(await answered(connector.stat(name, calling()))).not.toMatchObject({
          key: name,
          size: 0,
        })
        ends.refused++
        return
      }
      ends.held++
      const shown = await entriesOf(connector)
      expect(shown.map((entry) => entry.key)).toEqual([name])
      expect((await readAll(connector, name, made.token)).equals(text(name))).toBe(true)
      await connector.remove(name, made.token, removing())
    })
    await fc.assert(any, { numRuns: 1_000 })
    expect(Math.min(ends.held, ends.refused)).toBeGreaterThan(50)
  })
})

// ── what goes over the wire ─────────────────────────────────────────────────────────────────────

/** Answers nothing of use; keeps each request's path as it was sent. */
async function listener() {
  const paths: string[] = []
  const server = createServer((request, response) => {
    paths.push(request.url ?? '')
    request.resume().on('end', () => response.writeHead(500).end())
  })
  await new Promise<void>((done) => server.listen(0, '127.0.0.1', done))
  onTestFinished(() => {
    server.closeAllConnections()
    server.close()
  })
  return { endpoint: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, paths }
}

const places: [string, (endpoint: string) => LocationOptions, string][] = [
  [
    's3',
    (endpoint) => ({
      ...{ type: 's3', bucket: 'b', prefix: 'p/', endpoint, region: 'us-east-1' },
      ...{ 'access-key-id': 'id', 'secret-access-key': 'secret' },
    }),
    '/b/',
  ],
  [
    'gcs',
    (endpoint) => ({ type: 'gcs', bucket: 'b', prefix: 'p/', endpoint, anonymous: true }),
    '/storage/v1/b/b/o/',
  ],
  [
    'azure-blob',
    (endpoint) => ({
      ...{ type: 'azure-blob', container: 'b', prefix: 'p/', hierarchical: false, endpoint },
      ...{ account: 'me', 'account-key': 'a2V5' },
    }),
    '/b/',
  ],
]

describe.each(places)('%s', (_, optionsAt, root) => {
  async function world(): Promise<{ connector: Connector; paths: string[] }> {
    const { endpoint, paths } = await listener()
    const context = { concurrency: 8, partBytes: 1_000 }
    const connector = await openConnector('place', optionsAt(endpoint), context)
    onTestFinished(() => connector.close())
    return { connector, paths }
  }

  it('is asked for exactly the key, or for nothing; whatever fails says so by a code', async () => {
    const { connector, paths } = await world()
    const token = { id: '1.2' }
    const any = fc.asyncProperty(key, async (name) => {
      paths.length = 0
      await answered(connector.stat(name, calling()))
      await answered(connector.read(name, token, undefined, calling()))
      await answered(connector.remove(name, token, removing()))
      const problem = keyProblem(name, connector.traits.keys)
      const made = await answered(put(connector, name, text('x')))
      if (problem !== null) expect((made as StoreError).code).toBe('cannot-hold')
      // An upload's path is not the object's, at GCS.
      const asked = paths
        .map((path) => path.split('?')[0] ?? '')
        .filter((path) => path.startsWith(root))
      for (const path of asked)
        expect(decodeURIComponent(path.slice(root.length))).toBe(`p/${name}`)
    })
    await fc.assert(any, { numRuns: 300 })
  })
})

it('two names are never one path', () => {
  const any = fc.property(key, (name) => {
    fc.pre(name.isWellFormed())
    const path = encodePath(name)
    expect(path).toMatch(/^[\w.~%/-]*$/)
    expect(decodeURIComponent(path)).toBe(name)
  })
  fc.assert(any, { numRuns: 10_000 })
})
