/** `conflict-resolution`: what may be written, and what becomes of it. */
import { createHash } from 'node:crypto'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { type DatasetConfig, namedStrategy } from '../../src/config/index.ts'
import { folder, load } from './written.ts'

const places = `locations:
  a: { type: file, path: ./a }
  b: { type: s3, bucket: b, region: eu-west-1 }
  c: { type: gcs, bucket: c, anonymous: true }
`

async function datasetOf(rules: string, more = '', dir = folder()): Promise<DatasetConfig> {
  const yaml = `${places}${more}dataset:
  name: d
  source: a
  destinations: [b, c]
  direction: two-way
${rules}`
  const [dataset] = (await load(yaml, dir)).datasets
  return dataset as DatasetConfig
}

const strategyOf = async (written: string, dir = folder()) =>
  (await datasetOf(`  conflict-resolution: ${written}\n`, '', dir)).rules[0]?.strategy

const mib2 = 2 * 1024 * 1024
const lww = { name: 'last-write-wins' }

describe('a strategy', () => {
  it.each<[string, object]>([
    ['first_write_wins', { name: 'first-write-wins' }],
    ['largest', { name: 'largest' }],
    ['smallest', { name: 'smallest' }],
    ['cloud_wins', { name: 'prefer', ranks: [['b', 'c']] }],
    ['edge-wins', { name: 'prefer', ranks: [['a']] }],
    ['update_wins', { name: 'update-wins', otherwise: lww }],
    ['delete-wins', { name: 'delete-wins', otherwise: lww }],
    ['keep_both', { name: 'keep-both', as: '{name}.conflict-{replica}-{time}{ext}' }],
    ['merge', { name: 'merge', format: 'auto', lists: 'ordered', csvKey: null, bytesMax: mib2 }],
    ['crdt', { name: 'crdt', fields: [], bytesMax: mib2 }],
    ['{ strategy: last-write-wins, max-clock-skew: 5m }', { ...lww, skewMs: 300_000 }],
    [
      '{ prefer: [b], otherwise: keep-both }',
      { name: 'prefer', ranks: [['b']], otherwise: { name: 'keep-both' } },
    ],
    ['{ strategy: keep-both, as: "{name} ({digest}){ext}" }', { as: '{name} ({digest}){ext}' }],
    [
      '{ strategy: merge, format: csv, csv-key: id, max-size: 1MiB, otherwise: { prefer: a } }',
      {
        ...{ format: 'csv', csvKey: ['id'], bytesMax: 1024 * 1024 },
        otherwise: { name: 'prefer', ranks: [['a']] },
      },
    ],
    ['{ strategy: merge, lists: { by-key: id } }', { lists: { byKey: 'id' } }],
    [
      '{ strategy: crdt, fields: { /tags: set, /n: counter } }',
      {
        fields: [
          { path: '/tags', type: 'set' },
          { path: '/n', type: 'counter' },
        ],
      },
    ],
  ])('%s', async (written, strategy) => {
    expect(await strategyOf(written)).toMatchObject(strategy)
  })

  it('custom is known by its content: a changed module is a changed config', async () => {
    const dir = folder()
    const module = join(dir, 'resolve.ts')
    const built = async (code: string) => {
      writeFileSync(module, code)
      return await strategyOf('{ strategy: custom, module: ./resolve.ts }', dir)
    }
    const first = await built('export default () => ({ keepBoth: true })\n')
    const code = 'export default () => ({ manual: "" })\n'
    const second = await built(code)
    const sha256 = createHash('sha256').update(code).digest('hex')
    expect(second).toEqual({ name: 'custom', module, sha256 })
    expect(first).not.toEqual(second)
  })
})

describe('rules', () => {
  it('are asked in order; behind them come those of synchronization, then the last write', async () => {
    const more = `synchronization:
  conflict-resolution:
    - { match: "*.csv", strategy: merge, format: csv }
`
    const { rules } = await datasetOf(
      `  conflict-resolution:
    - match: ["*.json", conf/]
      when:
        size: { at-most: 1MiB }
        age: { at-least: 24h }
        replica: a
        content-type: [Application/JSON, text/*]
        field: { /status: draft, /n: 3 }
      strategy: keep_both
    - strategy: manual
      match: secrets/
      auto-resolve-after: { after: 24h, strategy: { prefer: a } }
`,
      more,
    )
    expect(rules).toMatchObject([
      {
        name: 'conflict-resolution 1',
        match: ['*.json', 'conf/'],
        when: {
          ...{ sizeMax: 1024 * 1024, ageMinMs: 86_400_000, replicas: ['a'] },
          contentTypes: ['application/json', 'text/*'],
          fields: [
            { path: '/status', equals: 'draft' },
            { path: '/n', equals: 3 },
          ],
        },
        ...{ strategy: { name: 'keep-both' }, later: null },
      },
      {
        name: 'conflict-resolution 2',
        ...{ when: null, strategy: { name: 'manual' } },
        later: { afterMs: 86_400_000, strategy: { name: 'prefer', ranks: [['a']] } },
      },
      { name: 'synchronization.conflict-resolution 1', strategy: { name: 'merge' } },
      { name: 'default', match: [], when: null, strategy: lww },
    ])
  })

  it('behind one that holds for all are not there, and a warning says so', async () => {
    const yaml = `${places}dataset:
  name: d
  source: a
  destinations: [b, c]
  direction: two-way
  conflict-resolution: [{ strategy: manual }, { match: "*.json", strategy: merge }]
`
    const { datasets, warnings } = await load(yaml)
    expect(datasets[0]?.rules).toMatchObject([{ name: 'conflict-resolution 1' }])
    expect(warnings).toMatchObject([{ code: 'config-rule-unreached' }])
  })
})

describe('what cannot be meant is refused', () => {
  it.each([
    ['a rule without a strategy', '{ match: "*.json" }', 'config-invalid-value'],
    ['an unknown one', '{ strategy: newest }', 'config-invalid-value'],
    [
      'an option of another',
      '{ strategy: largest, as: "{name}.{time}{ext}" }',
      'config-invalid-value',
    ],
    ['prefer without a location', '{ strategy: prefer }', 'config-invalid-value'],
    ['prefer beside another', '{ strategy: merge, prefer: a }', 'config-invalid-value'],
    [
      'a location of nobody',
      '{ strategy: merge, otherwise: { prefer: z } }',
      'config-prefer-not-a-replica',
    ],
    ['custom without a module', '{ strategy: custom }', 'config-invalid-value'],
    ['a module that is not there', '{ strategy: custom, module: ./no.ts }', 'config-module'],
    ['no duration', '{ strategy: last-write-wins, max-clock-skew: 5 }', 'config-invalid-value'],
    ['a name without {name}', '{ strategy: keep-both, as: "x{time}{ext}" }', 'config-bad-name'],
    ['a name of nothing else', '{ strategy: keep-both, as: "{name}{ext}" }', 'config-bad-name'],
    ['a name of something else', '{ strategy: keep-both, as: "{name}{day}" }', 'config-bad-name'],
    ['a bad pattern', '[{ match: "!x", strategy: merge }]', 'config-bad-glob'],
    [
      'a condition without bounds',
      '[{ when: { size: {} }, strategy: merge }]',
      'config-invalid-value',
    ],
    ['an unknown condition', '[{ when: { colour: red }, strategy: merge }]', 'config-unknown-key'],
    ['an unknown option', '{ strategy: merge, foramt: json }', 'config-unknown-key'],
    ['one below', '{ strategy: merge, otherwise: { strategy: nope } }', 'config-invalid-value'],
    ['no rules', '[]', 'config-invalid-value'],
  ])('%s', async (_, written, code) => {
    await expect(strategyOf(written)).rejects.toMatchObject({ problems: [{ code }] })
  })
})

describe('a strategy that a person names', () => {
  const config = async (written: string) => {
    const loaded = await load(`${places}dataset:
  { name: d, source: a, destinations: [b, c], direction: two-way, conflict-resolution: ${written} }
`)
    const [dataset] = loaded.datasets as [DatasetConfig]
    return (name: string) => namedStrategy(name, dataset.rules, dataset, loaded)
  }

  it('is as its name says, or with the options of a rule, and falls back on nothing', async () => {
    const named = await config('{ strategy: merge, format: csv, otherwise: manual }')
    expect(named('source_wins')).toEqual({ name: 'prefer', ranks: [['a']] })
    expect(named('cloud-wins')).toEqual({ name: 'prefer', ranks: [['b', 'c']] })
    expect(named('merge')).toMatchObject({ name: 'merge', format: 'csv' })
    expect(named('merge')).not.toHaveProperty('otherwise')
    for (const name of ['custom', 'prefer', 'newest', '']) expect(named(name)).toBeNull()
  })
})
