/** init, validate, schema and doctor, as processes. */
import { randomUUID } from 'node:crypto'
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { ListObjectsV2Command } from '@aws-sdk/client-s3'
import { Storage } from '@google-cloud/storage'
import { describe, expect, inject, it } from 'vitest'
import { makeBucket, s3Client } from '../connectors/s3-world.ts'
import { folder, run } from './process.ts'

function withConfig(yaml: string): string {
  const cwd = folder()
  writeFileSync(join(cwd, 'tidemark.yaml'), yaml)
  return cwd
}

describe('init', () => {
  it('writes a config that validate takes', async () => {
    const cwd = folder()
    expect(await run(['init'], { cwd })).toMatchObject({ code: 0 })
    const { code, stdout } = await run(['validate'], { cwd })
    expect(stdout).toContain('valid: tidemark.yaml, 1 dataset, 2 locations')
    expect(stdout).not.toContain('warning')
    expect(code).toBe(0)
  })

  it('writes examples that are valid once their # is taken away', async () => {
    const cwd = folder()
    await run(['init'], { cwd })
    const file = join(cwd, 'tidemark.yaml')
    const lines = readFileSync(file, 'utf8').split('\n')
    const whole = lines.map((line) => line.replace(/^( *)# (?=( *)(\w[\w-]*:( |$)))/, '$1'))
    writeFileSync(file, whole.filter((line) => !line.startsWith('yaml-language')).join('\n'))
    const env = {
      ...{ AWS_ACCESS_KEY_ID: 'x', AWS_SECRET_ACCESS_KEY: 'x', CATALOG_URL: 'postgres://h/d' },
      AZURE_STORAGE_CONNECTION_STRING: 'UseDevelopmentStorage=true',
    }
    const { stderr, stdout } = await run(['validate'], { cwd, env })
    expect(stderr).toBe('')
    expect(stdout).toContain('valid: tidemark.yaml, 1 dataset, 5 locations')
  })

  it('never overwrites', async () => {
    const cwd = withConfig('# mine\n')
    const ended = await run(['init'], { cwd })
    expect(ended.code).toBe(2)
    expect(ended.stderr).toContain('error [init-exists]')
    expect(readFileSync(join(cwd, 'tidemark.yaml'), 'utf8')).toBe('# mine\n')
  })
})

describe('validate', () => {
  const yaml = `locations:
  a: { type: memory, store: a }
  b: { type: memory, store: b, prefix: /x }
dataset: { name: d, source: a, destinations: [b], schedule: "30 4 * * 1" }
`

  it('says schedules in words, and warns', async () => {
    const { code, stdout } = await run(['validate'], { cwd: withConfig(yaml) })
    expect(stdout).toContain('At 04:30, only on Monday (UTC); next ')
    expect(stdout).toContain('warning [config-prefix-slash]')
    expect(stdout).toContain('at:   tidemark.yaml:3:40')
    expect(code).toBe(0)
  })

  it('--json gives datasets, schedules and warnings', async () => {
    const { stdout } = await run(['validate', '--json'], { cwd: withConfig(yaml) })
    expect(JSON.parse(stdout)).toMatchObject({
      datasets: [{ name: 'd', mode: 'scheduled', scheduleInWords: 'At 04:30, only on Monday' }],
      warnings: [{ code: 'config-prefix-slash', where: 'tidemark.yaml:3:40' }],
    })
  })

  it('lists every problem with its place, and exits with 2', async () => {
    const cwd = withConfig(yaml.replace('name: d', 'nam: d').replace('"30 4 * * 1"', 'daily'))
    const { code, stderr } = await run(['validate'], { cwd })
    expect(code).toBe(2)
    expect(stderr).toContain('error [config-unknown-key]: unknown key `nam` in dataset\n')
    expect(stderr).toContain('  at:   tidemark.yaml:4:12\n  next: Did you mean `name`?\n')
    expect(stderr).toContain('error [config-bad-schedule]')
    expect(stderr).toContain('3 problems in tidemark.yaml')
    const { error } = JSON.parse((await run(['validate', '--json'], { cwd })).stderr)
    expect(error.problems).toHaveLength(3)
  })

  it('refuses a state folder inside a folder that is synced', async () => {
    const cwd = withConfig(yaml.replace('memory, store: a', 'file, path: .'))
    const { code, stderr } = await run(['validate'], { cwd })
    expect(code).toBe(2)
    expect(stderr).toContain('error [config-state-in-root]')
    expect(await run(['validate', '--state', folder()], { cwd })).toMatchObject({ code: 0 })
  })
})

describe('schema', () => {
  it('prints a JSON Schema', async () => {
    const { code, stdout } = await run(['schema'])
    expect(JSON.parse(stdout)).toMatchObject({ $schema: expect.stringContaining('draft-07') })
    expect(code).toBe(0)
  })
})

interface Answer {
  ok: boolean
  checks: { subject: string; check: string; state: string; detail: string; next?: string }[]
}

async function doctor(args: string[], cwd: string, env: NodeJS.ProcessEnv = {}) {
  const { code, stdout, stderr } = await run(['doctor', '--json', ...args], { cwd, env })
  if (stdout === '') throw new Error(stderr)
  const answer = JSON.parse(stdout) as Answer
  const states = (subject: string) =>
    Object.fromEntries(
      answer.checks
        .filter((check) => check.subject === subject)
        .map(({ check, state }) => [check, state]),
    )
  return { code, answer, states }
}

const folders = `locations:
  a: { type: file, path: a }
  b: { type: file, path: b }
dataset: { name: d, source: a, destinations: [b] }
`

describe('doctor', () => {
  it('finds no fault with two folders, and writes nothing into them', async () => {
    const cwd = withConfig(folders)
    mkdirSync(join(cwd, 'a'))
    mkdirSync(join(cwd, 'b'))
    writeFileSync(join(cwd, 'a', 'x'), 'x')
    const { code, states } = await doctor([], cwd)
    expect(code).toBe(0)
    expect(states('a')).toEqual({ connect: 'ok', list: 'ok', read: 'ok' })
    expect(states('b')).toEqual({ connect: 'ok', list: 'ok', read: 'not tried' })
    expect(readdirSync(join(cwd, 'b')).filter((name) => name !== '.tidemark')).toEqual([])
  })

  it('names a catalog that cannot be opened', async () => {
    const cwd = withConfig(folders)
    for (const name of ['a', 'b', '.tidemark']) mkdirSync(join(cwd, name))
    writeFileSync(
      join(cwd, '.tidemark', 'catalog.db'),
      'no database at all, but long enough to be one',
    )
    const { code, answer } = await doctor([], cwd)
    expect(code).toBe(6)
    const failed = answer.checks.filter(({ state }) => state === 'failed')
    expect(failed).toMatchObject([{ subject: 'catalog', check: 'open' }])
  })

  it('--probe sees what protects a destination, and leaves all as it was', async () => {
    const cwd = withConfig(folders)
    mkdirSync(join(cwd, 'a'))
    mkdirSync(join(cwd, 'b'))
    const { code, states } = await doctor(['--probe'], cwd)
    expect(code).toBe(0)
    expect(states('a')).toEqual({ connect: 'ok', list: 'ok', read: 'not tried' })
    expect(states('b')).toMatchObject({ create: 'ok', overwrite: 'ok', delete: 'ok', order: 'ok' })
    expect(states('b')).toMatchObject({ copy: 'not tried', resume: 'not kept' })
    expect(readdirSync(join(cwd, 'b')).filter((name) => name !== '.tidemark')).toEqual([])
  })

  it('names a folder that is missing, and goes on with the rest', async () => {
    const cwd = withConfig(folders)
    mkdirSync(join(cwd, 'a'))
    const { code, answer, states } = await doctor([], cwd)
    expect(code).toBe(6)
    expect(answer.ok).toBe(false)
    expect(states('a').list).toBe('ok')
    const failed = answer.checks.filter(({ state }) => state === 'failed')
    expect(failed).toMatchObject([{ subject: 'b', check: 'connect', next: expect.any(String) }])
    expect(failed[0]?.detail).toContain('root-missing')
  })

  it('names a Temporal address and a catalog that do not answer', async () => {
    const cwd = withConfig(`${folders}catalog: postgres://u@127.0.0.1:1/db\n`)
    mkdirSync(join(cwd, 'a'))
    mkdirSync(join(cwd, 'b'))
    const { code, states } = await doctor(['--temporal', '127.0.0.1:1'], cwd)
    expect(code).toBe(6)
    expect(states('temporal')).toEqual({ connect: 'failed' })
    expect(states('catalog')).toEqual({ connect: 'failed' })
  })

  it('says whether buckets keep versions, where history is to be there', async () => {
    const { endpoint, projectId } = inject('servers').gcs
    const options = { apiEndpoint: endpoint, projectId, useAuthWithCustomEndpoint: false }
    const storage = new Storage(options)
    const bucketOf = async (enabled: boolean) => {
      const bucket = storage.bucket(`t-${randomUUID()}`)
      await bucket.create({ versioning: { enabled } })
      await bucket.file('k').save('content', { resumable: false })
      return `{ type: gcs, bucket: ${bucket.name}, endpoint: "${endpoint}", anonymous: true }`
    }
    const cwd = withConfig(`locations:
  a: { type: memory, store: a }
  b: { type: file, path: b }
  kept: ${await bucketOf(true)}
  bare: ${await bucketOf(false)}
datasets:
  - { name: good, source: a, destinations: [kept], history: { content: native } }
  - { name: poor, source: b, destinations: [bare], history: { content: native } }
`)
    mkdirSync(join(cwd, 'b'))
    for (const args of [[], ['--probe']]) {
      const { code, states } = await doctor(args, cwd)
      expect(states('kept')).toMatchObject({ versions: 'ok' })
      expect(states('bare')).toMatchObject({ versions: 'not kept' })
      expect(states('b')).toMatchObject({ versions: 'not kept' })
      expect(states('poor')).toEqual({ history: 'not kept' })
      expect(states('good')).toEqual({})
      const { resume, ...others } = states('kept')
      // The emulator takes a part for the whole when it's asked how much it has.
      expect(resume).toBe(args.length > 0 ? 'failed' : undefined)
      expect(Object.values(others)).not.toContain('failed')
      expect(code).toBe(args.length > 0 ? 6 : 0)
    }
  })

  it('probes S3, and takes its keys away; wrong keys and no bucket are named', async () => {
    const { endpoint, region, accessKeyId, secretAccessKey } = inject('servers').s3
    const bucket = await makeBucket(s3Client())
    const place = (more: string) =>
      `{ type: s3, endpoint: "${endpoint}", region: ${region}, path-style: true, ${more} }`
    const good = `access-key-id: "\${env:ID}", secret-access-key: "\${env:SECRET}"`
    const cwd = withConfig(`locations:
  a: { type: file, path: a }
  b: ${place(`bucket: ${bucket}, prefix: p/, ${good}`)}
  strange: ${place(`bucket: ${bucket}, prefix: q/, access-key-id: x, secret-access-key: y`)}
  nowhere: ${place(`bucket: ${bucket}-nope, ${good}`)}
catalog: ${inject('servers').postgres.url}
dataset: { name: d, source: a, destinations: [b, strange, nowhere] }
`)
    mkdirSync(join(cwd, 'a'))
    const env = { ID: accessKeyId, SECRET: secretAccessKey }
    const { code, states, answer } = await doctor(['--probe'], cwd, env)
    expect(code).toBe(6)
    expect(states('catalog')).toEqual({ connect: 'ok' })
    expect(states('b')).toMatchObject({
      list: 'ok',
      create: 'ok',
      overwrite: 'ok',
      delete: 'ok',
      'create, in parts': 'ok',
      'overwrite, in parts': 'ok',
      ...{ digests: 'ok', 'digests, in parts': 'ok', metadata: 'ok', order: 'ok', listing: 'ok' },
      ...{ copy: 'ok', 'copy, create': 'ok', 'copy, source': 'ok', resume: 'ok' },
    })
    expect(states('strange')).toEqual({ connect: 'failed' })
    expect(answer.checks.find(({ subject }) => subject === 'nowhere')?.detail).toMatch(
      /root-missing/,
    )
    const left = await s3Client().send(new ListObjectsV2Command({ Bucket: bucket }))
    expect(left.Contents ?? []).toEqual([])
  })
})
