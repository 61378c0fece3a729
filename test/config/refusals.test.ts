/** Every refusal: its code, its place (the mark «), and a next step. */
// biome-ignore-all lint/suspicious/noTemplateCurlyInString: references are what is tested
import { describe, expect, it } from 'vitest'
import { folder, marked, refusals } from './written.ts'

const two = `locations:
  a: { type: memory, store: a }
  b: { type: memory, store: b }
  c: { type: memory, store: c }
`

/** A dataset with these keys beside name, source and destinations. */
const dataset = (keys: string) => `${two}datasets:
  - name: d
    source: a
    destinations: [b]
    ${keys}
`

const one = (location: string) => `locations:
  a: { type: memory, store: a }
  b: ${location}
dataset: { name: d, source: a, destinations: [b] }
`

const cases: [what: string, code: string, yaml: string][] = [
  ['an empty file', 'config-empty', '«'],
  ['a file of comments alone', 'config-empty', '«# nothing\n'],
  ['a list', 'config-not-a-map', '«- locations\n'],
  ['a word', 'config-not-a-map', '«locations\n'],
  ['broken YAML', 'config-syntax', 'locations: {«'],
  ['an alias without its anchor', 'config-syntax', '«locations: *nowhere\n'],
  ['several documents', 'config-syntax', `${dataset('')}«---\na: 1\n`],
  ['a tab as indentation', 'config-tab', 'locations:\n«\ta: 1\n'],
  ['a key that stands twice', 'config-duplicate-key', `${two}«locations: {}\n`],
  ['an unknown key at the top', 'config-unknown-key', `${dataset('')}«sincronization: {}\n`],
  ['an unknown key in a dataset', 'config-unknown-key', dataset('«destination: [b]')],
  ['an unknown key in limits', 'config-unknown-key', dataset('limits: { «max-delete: 1 }')],
  ['an unknown key in a location', 'config-unknown-key', one('{ type: s3, bucket: x, «buket: y }')],
  ['no locations', 'config-missing-key', '«dataset: { name: d, source: a, destinations: [b] }\n'],
  ['a location without its bucket', 'config-missing-key', one('«{ type: s3 }')],
  ['a location without a type', 'config-missing-key', one('«{ bucket: x }')],
  ['a location of an unknown type', 'config-unknown-type', one('{ type: «fiel, path: x }')],
  ['a location without anything', 'config-invalid-value', two.replace('  c:', '  «c:\n  e:')],
  [
    'a name with a slash',
    'config-bad-name',
    one('{ type: memory, store: b }\n  «b/c: { type: file }'),
  ],
  ['a dataset’s name with a space', 'config-bad-name', dataset('').replace(': d', ': «d d')],
  ['no dataset', 'config-no-datasets', `«${two}`],
  ['an empty list of datasets', 'config-no-datasets', `${two}datasets: «[]\n`],
  ['datasets with nothing behind it', 'config-no-datasets', `${two}«datasets:\n`],
  [
    'dataset and datasets',
    'config-both-datasets',
    `${dataset('')}«dataset: { name: e, source: c, destinations: [a] }\n`,
  ],
  [
    'two datasets with one name',
    'config-duplicate-dataset',
    `${dataset('')}  - { name: «d, source: a, destinations: [c] }\n`,
  ],
  [
    'a source that is no location',
    'config-unknown-location',
    dataset('').replace(': a\n', ': «e\n'),
  ],
  ['a destination that is none', 'config-unknown-location', dataset('').replace('[b', '[b, «e')],
  [
    'a name that every object has',
    'config-unknown-location',
    dataset('').replace('[b', '[«toString'),
  ],
  [
    'a destination that is the source',
    'config-destination-is-source',
    dataset('').replace('[b', '[b, «a'),
  ],
  ['one location twice', 'config-location-twice', dataset('').replace('[b', '[b, «b')],
  ['no destination', 'config-invalid-value', dataset('').replace('[b]', '«[]')],
  [
    'real-time as the default',
    'config-mode-unsupported',
    `${dataset('')}synchronization: { mode: «real-time }\n`,
  ],
  ['real-time in a dataset', 'config-mode-unsupported', dataset('sync-mode: «real_time')],
  ['an unknown mode', 'config-invalid-value', dataset('sync-mode: «sometimes')],
  ['scheduled without a schedule', 'config-schedule-missing', dataset('sync-mode: «scheduled')],
  ['a schedule with seconds or a year', 'config-bad-schedule', dataset('schedule: «"0 0 * * * *"')],
  ['a schedule with L', 'config-bad-schedule', dataset('schedule: «0 0 L * *')],
  ['a nickname as schedule', 'config-bad-schedule', dataset('schedule: «"@daily"')],
  ['a schedule that is no text', 'config-invalid-value', dataset('schedule: «5')],
  [
    'two-way with delete: never',
    'config-two-way-delete-never',
    dataset('direction: two-way\n    delete: «never'),
  ],
  ['an unknown strategy', 'config-invalid-value', dataset('conflict-resolution: «newest')],
  [
    'a preference for nobody',
    'config-invalid-value',
    dataset('conflict-resolution: { prefer: «[] }'),
  ],
  [
    'a preference for another dataset’s location',
    'config-prefer-not-a-replica',
    dataset('conflict-resolution: { prefer: «[a, c] }'),
  ],
  [
    'an inherited preference for none of its locations',
    'config-prefer-not-a-replica',
    `${dataset('')}synchronization: { conflict-resolution: { prefer: «c } }\n`,
  ],
  [
    'more than 100 percent',
    'config-out-of-range',
    dataset('limits: { max-deletes: { percent: «101 } }'),
  ],
  ['a negative count', 'config-out-of-range', dataset('limits: { max-deletes: «-1 }')],
  ['a delete limit of nothing', 'config-invalid-value', dataset('limits: { max-deletes: «{} }')],
  ['a negative concurrency', 'config-out-of-range', dataset('limits: { concurrency: «-4 }')],
  ['no bandwidth', 'config-out-of-range', dataset('limits: { bandwidth: «0 }')],
  ['a bandwidth without a unit', 'config-invalid-value', dataset('limits: { bandwidth: «10M }')],
  ['a batch of none', 'config-out-of-range', dataset('batch-size: «0')],
  ['half a key in a batch', 'config-invalid-value', dataset('batch-size: «1.5')],
  ['a glob that isn’t closed', 'config-bad-glob', dataset('include: ["*.md", «"a[b"]')],
  ['a negated glob', 'config-bad-glob', dataset('exclude: [«"!*.md"]')],
  ['a pattern that is no text', 'config-invalid-value', dataset('exclude: [«7]')],
  ['history of an unknown kind', 'config-invalid-value', dataset('history: «maybe')],
  [
    'an unset variable',
    'config-unset-variable',
    one('{ type: s3, bucket: "x«${env:TIDEMARK_NOPE}" }'),
  ],
  [
    'an unset variable in the catalog',
    'config-unset-variable',
    `${dataset('')}catalog: «\${env:TIDEMARK_NOPE}\n`,
  ],
  [
    'a file that is missing',
    'config-reference-file',
    one('{ type: s3, bucket: "«${file:./nope}" }'),
  ],
  [
    'a reference of an unknown kind',
    'config-bad-reference',
    one('{ type: s3, bucket: "«${HOME}" }'),
  ],
  [
    'a reference that isn’t closed',
    'config-bad-reference',
    one('{ type: s3, bucket: "«${env:HOME" }'),
  ],
  [
    'an endpoint that is no URL',
    'config-invalid-value',
    one('{ type: s3, bucket: x, endpoint: «minio:9000 }'),
  ],
  [
    'half a pair of S3 keys',
    'config-credentials',
    one('«{ type: s3, bucket: x, access-key-id: y }'),
  ],
  [
    'an Azure container of no account',
    'config-credentials',
    one('«{ type: azure-blob, container: x }'),
  ],
  [
    'a catalog that isn’t PostgreSQL',
    'config-invalid-value',
    `${dataset('')}catalog: «mysql://x/y\n`,
  ],
  [
    'a Temporal address with a scheme',
    'config-invalid-value',
    `${dataset('')}temporal: { address: «"http://x:1" }\n`,
  ],
]

describe('a config is refused for', () => {
  it.each(cases)('%s: %s', async (_what, code, yaml) => {
    const { text, place } = marked(yaml)
    const [problem, ...others] = await refusals(text)
    expect(problem?.code).toBe(code)
    expect(problem?.where).toMatch(new RegExp(`tidemark\\.yaml:${place}$`))
    expect(problem?.next).toBeTruthy()
    expect(others).toEqual([])
  })
})

describe('a refusal', () => {
  const next = async (yaml: string) => (await refusals(yaml))[0]?.next

  it('guesses what was meant', async () => {
    expect(await next(dataset('destinatoins: [b]'))).toContain('`destinations`')
    expect(await next(dataset('mode: manual'))).toContain('`sync-mode`')
    expect(await next(dataset('conflict_resolution: manual'))).toContain('`conflict-resolution`')
    expect(await next(dataset('conflict-resolution: last-writer-wins'))).toContain(
      'last-write-wins',
    )
    expect(await next(one('{ type: s4, bucket: x }'))).toContain('s3')
    expect(await next(one('{ type: s3, bucket: "${HOME}" }'))).toContain('${env:HOME}')
    expect(
      await next(`${dataset('').replace('a: {', 'platform: {').replace(': a\n', ': platfrom\n')}`),
    ).toContain('platform')
  })

  it('comes with all others, in the order of the file', async () => {
    const found = await refusals(`locations:
  a: { type: s3, buket: "\${env:TIDEMARK_NOPE}" }
synchronization: { mode: real-time }
datasets: [{ name: d, source: a }]
`)
    expect(found.map(({ code }) => code)).toEqual([
      'config-missing-key',
      'config-unknown-key',
      'config-unset-variable',
      'config-mode-unsupported',
      'config-missing-key',
    ])
  })

  it('shows no value that a reference stands for', async () => {
    process.env.TIDEMARK_TEST_SECRET = 'hunter2'
    const found = await refusals(
      one('{ type: s3, bucket: x, endpoint: "${env:TIDEMARK_TEST_SECRET}" }'),
    )
    delete process.env.TIDEMARK_TEST_SECRET
    expect(found.map(({ code }) => code)).toEqual(['config-invalid-value'])
    expect(JSON.stringify(found)).not.toContain('hunter2')
  })

  it('names a file that is missing, unreadable or not UTF-8', async () => {
    const { loadConfig } = await import('../../src/config/index.ts')
    const { write } = await import('./written.ts')
    await expect(loadConfig('/nowhere/tidemark.yaml')).rejects.toMatchObject({
      code: 'config-missing',
    })
    await expect(loadConfig(folder())).rejects.toMatchObject({ code: 'config-unreadable' })
    const latin = write(Buffer.from('# caf\xe9\n', 'latin1'))
    await expect(loadConfig(latin)).rejects.toMatchObject({ code: 'config-not-utf8' })
  })
})
