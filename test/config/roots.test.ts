/** Two writers of one place would undo each other: refused, however the place is written. */
// biome-ignore-all lint/suspicious/noTemplateCurlyInString: references are what is tested
import { mkdirSync, symlinkSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { checkStateFolder } from '../../src/config/index.ts'
import { folder, load, refusals, setVariable } from './written.ts'

/** Locations `a` and `b` as these YAML maps, in one dataset. */
const pair = (a: string, b: string) =>
  `locations: { a: ${a}, b: ${b} }\ndataset: { name: d, source: a, destinations: [b] }\n`

const s3 = (keys: string) => `{ type: s3, bucket: x, ${keys} }`
const azure = (keys: string) => `{ type: azure-blob, container: x, ${keys} }`
const gcs = (keys: string) => `{ type: gcs, bucket: x, ${keys} }`

describe('roots overlap', () => {
  it.each([
    ['one bucket without prefixes', s3(''), s3('region: eu-west-1')],
    ['a prefix inside another', s3('prefix: conf/'), s3('prefix: conf/app/')],
    ['a prefix that another begins with', s3('prefix: conf'), s3('prefix: config/')],
    ['AWS by its endpoint', s3(''), s3('endpoint: "https://s3.us-east-1.amazonaws.com"')],
    ['an endpoint with a slash', s3('endpoint: "http://h:1"'), s3('endpoint: "http://h:1/"')],
    ['localhost', s3('endpoint: "http://localhost:1"'), s3('endpoint: "http://127.0.0.1:1"')],
    ['Google’s own endpoint', gcs(''), gcs('endpoint: "https://storage.googleapis.com"')],
    [
      'an account and its connection string',
      azure('account: acme'),
      azure('connection-string: "AccountName=acme;AccountKey=x;EndpointSuffix=core.windows.net"'),
    ],
    [
      'the emulator by both its names',
      azure('connection-string: "UseDevelopmentStorage=true"'),
      azure('endpoint: "http://127.0.0.1:10000/devstoreaccount1"'),
    ],
    ['a folder in another', '{ type: file, path: data }', '{ type: file, path: data/core }'],
    ['a folder by a detour', '{ type: file, path: data }', '{ type: file, path: x/../data }'],
  ])('%s', async (_what, a, b) => {
    const [problem] = await refusals(pair(a, b))
    expect(problem?.code).toBe('config-overlapping-roots')
    expect(problem?.where).toMatch(/:2:47$/)
  })

  it('behind a symlink, although the last folders are not there yet', async () => {
    const dir = folder()
    mkdirSync(join(dir, 'real'))
    symlinkSync('real', join(dir, 'link'))
    const yaml = pair('{ type: file, path: link/x }', '{ type: file, path: real/x/y }')
    expect((await refusals(yaml, dir)).map(({ code }) => code)).toEqual([
      'config-overlapping-roots',
    ])
  })

  it('by what references stand for', async () => {
    setVariable('TIDEMARK_TEST_PREFIX', 'conf/app/')
    const yaml = pair(s3('prefix: "${env:TIDEMARK_TEST_PREFIX}"'), s3('prefix: conf/'))
    expect((await refusals(yaml)).map(({ code }) => code)).toEqual(['config-overlapping-roots'])
  })

  it('with the vault', async () => {
    const yaml = `vault: ${s3('prefix: conf/vault/')}\n${pair(s3('prefix: conf/'), gcs(''))}`
    const [problem] = await refusals(yaml)
    expect(problem).toMatchObject({ code: 'config-overlapping-roots' })
    expect(problem?.where).toMatch(/:1:1$/)
  })

  it.each([
    ['equal to a replica’s folder', 'd'],
    ['inside it', 'd/vault'],
    ['around it', '.'],
  ])('with the vault: %s', async (_what, path) => {
    const yaml = `vault: { type: file, path: ${path} }\n${pair('{ type: file, path: d }', gcs(''))}`
    expect((await refusals(yaml)).map(({ code }) => code)).toEqual(['config-overlapping-roots'])
  })
})

describe('roots are apart', () => {
  it.each([
    ['other prefixes', s3('prefix: conf/'), s3('prefix: config/')],
    ['other servers', s3('endpoint: "http://h:1"'), s3('endpoint: "http://h:2"')],
    ['other kinds of store', s3(''), gcs('')],
    ['folders that only begin alike', '{ type: file, path: d }', '{ type: file, path: d2 }'],
  ])('%s', async (_what, a, b) => {
    await expect(load(pair(a, b))).resolves.toMatchObject({ warnings: [] })
  })
})

describe('two datasets', () => {
  const locations = `locations:
  a: { type: memory, store: a }
  b: { type: memory, store: b }
  c: { type: memory, store: c }
  inside: { type: memory, store: b, prefix: x/ }
`
  const datasets = (first: string, second: string) =>
    `${locations}datasets:\n  - { name: first, ${first} }\n  - { name: second, ${second} }\n`

  it('may not write to one location', async () => {
    const yaml = datasets('source: a, destinations: [b]', 'source: c, destinations: [b]')
    const [problem] = await refusals(yaml)
    expect(problem?.code).toBe('config-overlapping-roots')
    expect(problem?.message).toContain('first and second both write b')
  })

  it('may not write into one another’s roots', async () => {
    const yaml = datasets(
      'source: a, destinations: [b]',
      'source: inside, destinations: [c], direction: two-way',
    )
    expect((await refusals(yaml)).map(({ code }) => code)).toEqual(['config-overlapping-roots'])
  })

  it('may read one source', async () => {
    const yaml = datasets('source: a, destinations: [b]', 'source: a, destinations: [c]')
    await expect(load(yaml)).resolves.toBeTruthy()
  })

  it('may be a chain: one reads what the other writes', async () => {
    const yaml = datasets('source: a, destinations: [b]', 'source: inside, destinations: [c]')
    await expect(load(yaml)).resolves.toBeTruthy()
  })
})

describe('the state folder', () => {
  const yaml = pair('{ type: file, path: data }', '{ type: memory, store: m }')

  it('is refused inside a folder that is synced, behind symlinks too', async () => {
    const dir = folder()
    mkdirSync(join(dir, 'data'))
    symlinkSync('data', join(dir, 'link'))
    const config = await load(yaml, dir)
    for (const state of ['data', 'data/.tidemark', 'link/deep/state']) {
      await expect(checkStateFolder(config, join(dir, state))).rejects.toMatchObject({
        code: 'config-state-in-root',
      })
    }
  })

  it('may lie beside it', async () => {
    const dir = folder()
    const config = await load(yaml, dir)
    await expect(checkStateFolder(config, join(dir, '.tidemark'))).resolves.toBeUndefined()
    await expect(checkStateFolder(config, join(dir, 'data2'))).resolves.toBeUndefined()
  })
})
