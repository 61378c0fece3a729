// biome-ignore-all lint/suspicious/noTemplateCurlyInString: references are what is tested
/** What a config becomes: defaults, inheritance, references kept, warnings, its digest. */
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import {
  configDigest,
  type DatasetConfig,
  parseStoredConfig,
  policyOf,
  storedConfig,
} from '../../src/config/index.ts'
import { folder, load, sample, setSampleVariables, setVariable } from './written.ts'

const places = `locations:
  a: { type: memory, store: a }
  b: { type: memory, store: b }
  c: { type: memory, store: c }
`

const day = 86_400_000

async function datasetOf(keys: string, more = ''): Promise<DatasetConfig> {
  const yaml = `${places}${more}dataset: { name: d, source: a, destinations: [b, c], ${keys} }\n`
  const [dataset] = (await load(yaml)).datasets
  if (!dataset) throw new Error('no dataset')
  return dataset
}

const warningsOf = async (yaml: string) => (await load(yaml)).warnings.map(({ code }) => code)

/** A rule that holds for every conflict. */
const all = { match: [], when: null, later: null }

describe('the sample', () => {
  it('loads as it is written', async () => {
    setSampleVariables()
    const dir = folder()
    const config = await load(sample, dir)
    expect(config.warnings).toEqual([])
    expect(config.file).toBe(join(dir, 'tidemark.yaml'))
    expect(config.catalog).toBeNull()
    expect(config.vault).toBeNull()
    const embedded = { address: null, namespace: 'default', 'task-queue': 'tidemark' }
    expect(config.temporal).toEqual(embedded)
    expect(config.locations['platform-core']).toEqual({
      type: 'file',
      path: join(dir, 'data/core'),
    })
    expect(config.locations['platform-aws']).toMatchObject({
      'path-style': true,
      'secret-access-key': '${env:AWS_SECRET_ACCESS_KEY}',
    })
    expect(config.datasets).toEqual([
      {
        name: 'platform-config',
        enabled: true,
        source: 'platform-core',
        destinations: ['platform-aws', 'platform-gcp', 'platform-azure'],
        direction: 'two-way',
        mode: 'scheduled',
        schedule: '0 */6 * * *',
        rules: [
          {
            name: 'synchronization.conflict-resolution',
            ...all,
            strategy: { name: 'last-write-wins' },
          },
        ],
        drift: 'conflict',
        delete: 'propagate',
        include: [],
        exclude: [],
        batchSize: 1000,
        limits: {
          deletes: [
            { count: 100, percent: 10 },
            { count: 10, percent: 50 },
          ],
          bandwidthBytesPerSecond: null,
          concurrency: null,
        },
        history: { content: 'vault', when: 'replaced', versions: null, keepMs: 90 * day },
      },
    ])
  })

  it('holds no secret in what is stored, and is itself again when it is read back', async () => {
    setSampleVariables()
    const config = await load(sample)
    expect(storedConfig(config)).not.toContain('a-secret')
    expect(parseStoredConfig(storedConfig(config))).toEqual(config)
    expect(parseStoredConfig(JSON.stringify(config))).toEqual(config)
  })
})

describe('defaults', () => {
  it('are one-way, manual and enabled', async () => {
    const expected = { direction: 'one-way', mode: 'manual', schedule: null, enabled: true }
    expect(await datasetOf('')).toMatchObject(expected)
  })

  it('come from synchronization, and a dataset goes before them', async () => {
    const more =
      'synchronization: { enabled: false, mode: scheduled, schedule: "0 1 * * *", batch-size: 7 }\n'
    expect(await datasetOf('', more)).toMatchObject({
      enabled: false,
      mode: 'scheduled',
      schedule: '0 1 * * *',
      batchSize: 7,
    })
    const own = 'enabled: true, sync-mode: manual, batch-size: 8'
    expect(await datasetOf(own, more)).toMatchObject({
      enabled: true,
      mode: 'manual',
      schedule: null,
      batchSize: 8,
    })
  })

  it('take a dataset with a schedule as scheduled', async () => {
    expect(await datasetOf('schedule: "5 4 * * *"')).toMatchObject({ mode: 'scheduled' })
  })
})

describe('a dataset’s', () => {
  it.each([
    ['last-write-wins', { name: 'last-write-wins' }],
    ['last_write_wins', { name: 'last-write-wins' }],
    ['source-wins', { name: 'prefer', ranks: [['a']] }],
    ['source_wins', { name: 'prefer', ranks: [['a']] }],
    ['manual', { name: 'manual' }],
    ['{ prefer: c }', { name: 'prefer', ranks: [['c']] }],
    ['{ prefer: [c, a, c] }', { name: 'prefer', ranks: [['c'], ['a']] }],
  ])('conflict-resolution: %s', async (written, strategy) => {
    const keys = `direction: two-way, conflict-resolution: ${written}`
    expect((await datasetOf(keys)).rules).toEqual([
      { name: 'conflict-resolution', ...all, strategy },
    ])
  })

  it('inherited preference leaves out locations of others', async () => {
    const yaml = `${places}synchronization: { conflict-resolution: { prefer: [c, b] } }
dataset: { name: d, source: a, destinations: [b], direction: two_way }
`
    const [dataset] = (await load(yaml)).datasets
    expect(dataset?.rules[0]?.strategy).toEqual({ name: 'prefer', ranks: [['b']] })
  })

  it.each([
    ['5', [{ count: 5, percent: 0 }]],
    ['{ percent: 20 }', [{ count: 0, percent: 20 }]],
    ['{ count: 5, percent: 20 }', [{ count: 5, percent: 20 }]],
    [
      '[{ count: 5, percent: 20 }, { count: 50 }]',
      [
        { count: 5, percent: 20 },
        { count: 50, percent: 0 },
      ],
    ],
  ])('max-deletes: %s', async (written, deletes) => {
    const dataset = await datasetOf(`limits: { max-deletes: ${written} }`)
    expect(dataset.limits.deletes).toEqual(deletes)
  })

  it.each([
    ['10MiB/s', 10 * 1024 * 1024],
    ['1.5 MB/s', 1_500_000],
    ['100kB', 100_000],
    ['4096', 4096],
  ])('bandwidth: %s', async (written, bytes) => {
    const dataset = await datasetOf(`limits: { bandwidth: ${written} }`)
    expect(dataset.limits.bandwidthBytesPerSecond).toBe(bytes)
  })

  it.each([
    ['on', { content: 'vault', when: 'replaced', versions: null, keepMs: 90 * day }],
    ['off', { content: 'off' }],
    ['true', { content: 'vault' }],
    ['false', { content: 'off' }],
    ['{ vault: off }', { content: 'off' }],
    ['{ vault: on }', { content: 'vault' }],
    ['{ content: off, versions: 3 }', { content: 'off', versions: 3, keepMs: 90 * day }],
    ['{ content: native }', { content: 'native', when: 'replaced', keepMs: 90 * day }],
    ['{ content: vault, keep: 12h }', { content: 'vault', keepMs: day / 2 }],
    ['{ when: agreed, keep: forever }', { content: 'vault', when: 'agreed', keepMs: null }],
  ])('history: %s', async (written, history) => {
    expect(await datasetOf(`history: ${written}`)).toMatchObject({ history })
  })

  it.each(['{ versions: many }', '{ keep: 90 }', '{ keep: soon }', '{ content: all }', 'maybe'])(
    'history: %s is refused',
    async (written) => {
      await expect(datasetOf(`history: ${written}`)).rejects.toMatchObject({
        problems: [{ code: 'config-invalid-value' }],
      })
    },
  )

  it('policy names the source first', async () => {
    expect(policyOf(await datasetOf(''))).toEqual({
      direction: 'one-way',
      replicas: ['a', 'b', 'c'],
      source: 'a',
      drift: 'conflict',
      delete: 'propagate',
      rules: [{ name: 'default', ...all, strategy: { name: 'last-write-wins' } }],
      history: true,
    })
  })

  it('keys may come by an anchor and a merge', async () => {
    const yaml = `${places}datasets:
  - &first { name: d, source: a, destinations: [b], batch-size: 9 }
  - { <<: *first, name: e, destinations: [c] }
`
    const [, second] = (await load(yaml)).datasets
    expect(second).toMatchObject({ name: 'e', source: 'a', destinations: ['c'], batchSize: 9 })
  })
})

describe('what is kept of paths and references', () => {
  it('means the same from any folder', async () => {
    const dir = folder()
    setVariable('TIDEMARK_TEST_DIR', 'deep')
    const yaml = `locations:
  a: { type: file, path: ./x }
  b: { type: file, path: "\${env:TIDEMARK_TEST_DIR}/y" }
  c: { type: gcs, bucket: x, key-file: key.json }
vault: { type: file, path: /vault }
catalog: "postgres://u:\${env:TIDEMARK_TEST_DIR}@h/db"
temporal: { address: "h:7233", tls: { ca-file: ca.pem } }
dataset: { name: d, source: a, destinations: [b, c] }
`
    const config = await load(yaml, dir)
    expect(config.locations.a).toEqual({ type: 'file', path: join(dir, 'x') })
    const path = `${dir}/\${env:TIDEMARK_TEST_DIR}/y`
    expect(config.locations.b).toEqual({ type: 'file', path })
    expect(config.locations.c).toMatchObject({ 'key-file': join(dir, 'key.json') })
    expect(config.vault).toEqual({ type: 'file', path: '/vault' })
    expect(config.catalog).toBe('postgres://u:${env:TIDEMARK_TEST_DIR}@h/db')
    expect(config.temporal.tls).toEqual({ 'ca-file': join(dir, 'ca.pem') })
  })
})

describe('a warning is given for', () => {
  const data = 'dataset: { name: d, source: a, destinations: [b, c]'
  it.each([
    ['a prefix with a leading slash', 'config-prefix-slash', `${data} }`, 'prefix: /x'],
    ['a location that nobody names', 'config-unused-location', `${data.replace(', c', '')} }`, ''],
    [
      'a schedule of a manual one',
      'config-schedule-ignored',
      `${data}, sync-mode: manual, schedule: "0 0 * * *" }`,
      '',
    ],
    [
      'day of month and of week',
      'config-schedule-both-days',
      `${data}, schedule: "0 0 1 * 1" }`,
      '',
    ],
    ['drift, two-way', 'config-drift-ignored', `${data}, direction: two-way, drift: keep }`, ''],
    [
      'conflicts, one-way',
      'config-conflict-resolution-ignored',
      `${data}, conflict-resolution: manual }`,
      '',
    ],
  ])('%s', async (_what, code, dataset, keys) => {
    const yaml = `${places.replace('store: c', `store: c, ${keys}`)}${dataset}\n`
    expect(await warningsOf(yaml)).toEqual([code])
  })

  it.each([
    ['folders alone', 'file, path: ./b', ['config-native-without-buckets']],
    ['a bucket among them', 's3, bucket: b', []],
  ])('history: native with %s', async (_what, place, codes) => {
    const yaml = `locations:
  a: { type: file, path: ./a }
  b: { type: ${place} }
dataset: { name: d, source: a, destinations: [b], history: { content: native } }
`
    expect(await warningsOf(yaml)).toEqual(codes)
  })

  it('a secret in plain text, which is not shown', async () => {
    const yaml = `locations:
  a: { type: memory, store: a }
  b: { type: s3, bucket: x, access-key-id: id, secret-access-key: hunter2 }
dataset: { name: d, source: a, destinations: [b] }
`
    const { warnings } = await load(yaml)
    expect(warnings.map(({ code }) => code)).toEqual(['config-plain-secret'])
    expect(warnings[0]?.where).toMatch(/:3:67$/)
    expect(JSON.stringify(warnings)).not.toContain('hunter2')
  })
})

describe('the digest', () => {
  const yaml = `${places}dataset: { name: d, source: a, destinations: [b, c] }\n`
  const digestOf = async (text: string) => (await load(text)).digest

  it('is that of the content: not of layout, order of keys or folder', async () => {
    const other = `# a comment
dataset:
  destinations: [b, c]
  source: a
  name: d
  enabled: true
${places}`
    expect(await digestOf(yaml)).toBe(await digestOf(other))
  })

  it('changes with the content, the order of destinations too', async () => {
    expect(await digestOf(yaml)).not.toBe(await digestOf(yaml.replace('b, c', 'c, b')))
  })

  it('does not change with what a reference stands for', async () => {
    const secret = yaml.replace('store: a', 'store: "${env:TIDEMARK_TEST_STORE}"')
    setVariable('TIDEMARK_TEST_STORE', 'one')
    const before = await digestOf(secret)
    setVariable('TIDEMARK_TEST_STORE', 'two')
    expect(await digestOf(secret)).toBe(before)
  })

  it('finds a stored config that was damaged', async () => {
    const config = await load(yaml)
    expect(configDigest(config)).toBe(config.digest)
    const stored = storedConfig(config).replace('"batchSize":1000', '"batchSize":1')
    for (const json of [stored, '{', 'null', '{}']) {
      expect(() => parseStoredConfig(json)).toThrow(
        expect.objectContaining({ code: 'config-stored-damaged' }),
      )
    }
  })
})
