/** `tidemark audit`, as processes against a catalog that has something to tell. */
import { generateKeyPairSync } from 'node:crypto'
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { hostname, userInfo } from 'node:os'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { parse } from 'csv-parse/sync'
import { describe, expect, it } from 'vitest'
import type { AuditRow } from '../../src/catalog/catalog.ts'
import { openCatalog } from '../../src/catalog/open.ts'
import {
  conflictOf,
  endOne,
  lineOf,
  openOne,
  recordOf,
  rowOf,
  runOf,
  versionOf,
} from '../catalog/stored.ts'
import { folder, run } from './process.ts'

const dataset = 'photos'
const ed25519 = generateKeyPairSync('ed25519')
const pkcs8 = { type: 'pkcs8', format: 'pem' } as const
const keys = ['plain', 'a,"b"', 'two\nlines', '🌊', '=HYPERLINK("x")', '+1', '-1', '@x', '\t=1']
const resolution = {
  ...{ strategy: 'prefer', rule: 'prefer: here', winner: versionOf(2).content },
  ...{ winnerReplicas: ['here'], losers: [{ content: null, replicas: ['there'] }] },
}

/** A config with a place for signed heads, and a catalog with a run and its conflicts. */
async function filled() {
  const cwd = folder()
  for (const name of ['a', 'b', 'safe', 'state']) mkdirSync(join(cwd, name))
  const place = (name: string) => ({ type: 'file', path: join(cwd, name) })
  const config = {
    locations: { a: place('a'), b: place('b'), safe: place('safe'), inside: place('b/inside') },
    datasets: [{ name: dataset, source: 'a', destinations: ['b'] }],
  }
  writeFileSync(join(cwd, 'tidemark.yaml'), JSON.stringify(config))
  const state = join(cwd, 'state')
  const catalog = await openCatalog(`sqlite:${join(state, 'catalog.db')}`)
  const number = await catalog.createRun(runOf())
  for (const [i, key] of keys.entries()) {
    await openOne(catalog, dataset, number, 'one', conflictOf(key), 1_000 * i)
  }
  const end = { state: 'resolved' as const, conflict: null, identity: null, at: 9_000 }
  await endOne(catalog, dataset, number, 'plain', { ...end, resolution })
  const record = recordOf(number, 0, 'k', { state: 'done' })
  const version = lineOf('k', versionOf(number))
  await catalog.settle(dataset, [{ record, row: rowOf('k'), expectRev: 0, version }])
  await catalog.updateRun(number, { state: 'conflicts', endedAt: 10_000 })
  await catalog.close()
  const tidemark = (...args: string[]) => run(['--state', state, ...args], { cwd })
  const audit = (...args: string[]) => tidemark('audit', ...args)
  const history = (...args: string[]) => tidemark('conflicts', 'history', ...args)
  const tamper = (statement: string) => {
    const database = new DatabaseSync(join(state, 'catalog.db'))
    database.exec(statement)
    database.close()
  }
  writeFileSync(join(cwd, 'private.pem'), ed25519.privateKey.export(pkcs8))
  writeFileSync(join(cwd, 'public.pem'), ed25519.publicKey.export({ type: 'spki', format: 'pem' }))
  return { cwd, audit, history, tamper }
}

const error = ({ stderr }: { stderr: string }) => /error \[([\w-]+)\]/.exec(stderr)?.[1]

describe('audit log', () => {
  it('tells each decision in a line; of one key, or since a time', async () => {
    const { audit } = await filled()
    const all = await audit('log')
    expect(all.code).toBe(0)
    expect(all.stdout).toMatch(
      /^photos\n {7}1 {2}20\d\d.*Z {2}run-begun {8} {2}run 1 {2}by ada@host: /,
    )
    expect(all.stdout).toMatch(/conflict-resolved {2}run 1 {2}"plain" {2}by rule: prefer: here: /)
    expect(all.stdout.trimEnd().split('\n')).toHaveLength(1 + 1 + keys.length + 1 + 1)
    const one = await audit('log', dataset, '--key', 'plain')
    expect(one.stdout.trimEnd().split('\n')).toHaveLength(3)
    expect((await audit('log', '--since', '1h ago')).stdout).toBe(all.stdout)
    expect((await audit('log', '--since', '-0s')).stdout).toBe('photos\n')
    const { rows } = JSON.parse((await audit('log', '--json', '--key', '🌊')).stdout) as {
      rows: (AuditRow & { detail: object })[]
    }
    expect(rows).toMatchObject([
      { key: '🌊', what: 'conflict-opened', detail: { kind: 'update/update' } },
    ])
  })

  it('as CSV quotes what has to be quoted, and gives a spreadsheet no formula to run', async () => {
    const { audit } = await filled()
    const { stdout } = await audit('log', '--csv')
    const rows = parse(stdout, { columns: true }) as { key: string; detail: string; seq: string }[]
    expect(rows.map(({ seq }) => Number(seq))).toEqual(rows.map((_, i) => i + 1))
    const opened = rows.slice(1, 1 + keys.length).map(({ key }) => key)
    expect(opened).toEqual(keys.map((key) => (/^[=+\-@\t]/.test(key) ? `'${key}` : key)))
    expect(JSON.parse(rows[0]?.detail ?? '')).toMatchObject({ mode: 'sync' })
  })

  it('refuses what is no time, no action and no dataset', async () => {
    const { audit } = await filled()
    expect(error(await audit('log', '--since', 'yesterday'))).toBe('time-invalid')
    expect(error(await audit('show'))).toBe('usage-invalid')
    expect(await audit('log', 'nope')).toMatchObject({
      code: 2,
      stderr: expect.stringContaining('[dataset-unknown]'),
    })
  })
})

describe('conflicts history', () => {
  it('is the history of all conflicts, or of one key with what was told of it', async () => {
    const { history } = await filled()
    const { stdout } = await history(dataset)
    expect(stdout.split('\n')).toHaveLength(keys.length + 1)
    expect(stdout).toMatch(/ 1 {2}photos:plain {2}update\/update {2}opened 1970-.* \(run 1\) {2}/)
    expect(stdout).toMatch(
      / resolved 1970-.* \(run 1\) {2}prefer, by rule: prefer: here: here won\n$/,
    )
    const one = await history('--key', 'plain')
    expect(one.stdout.match(/conflict-(opened|resolved)/g)).toEqual([
      ...['conflict-opened', 'conflict-resolved'],
    ])
    const json = JSON.parse((await history('--key', 'plain', '--json')).stdout)
    expect(json.conflicts).toMatchObject([
      { id: 1, resolution, events: [{ what: 'conflict-opened' }, { what: 'conflict-resolved' }] },
    ])
    expect((await history('--key', 'none')).stdout).toBe('no conflicts\n')
    const late = await history('--since', '1970-01-01T00:00:08.500Z', '--csv')
    const rows = parse(late.stdout, { columns: true }) as Record<string, string>[]
    expect(rows).toMatchObject([
      {
        ...{ id: '1', key: 'plain', state: 'resolved', strategy: 'prefer', 'winner at': 'here' },
        ...{ by: 'rule: prefer: here', losers: 'deleted at there' },
        winner: `sha256:${'ab'.repeat(32)}`,
      },
    ])
  })
})

describe('audit verify and sign', () => {
  it('verify says what was compared, and that a cut end is only found against a signed head', async () => {
    const { audit, tamper } = await filled()
    const well = await audit('verify')
    expect(well.code).toBe(0)
    expect(well.stdout).toMatch(
      /^photos: as written\n {2}12 rows, 1 line of history of 1 run compared\n/,
    )
    expect(well.stdout).toContain('rows cut off from the end would not be noticed')
    tamper(`update audit set "by" = 'eve@host' where seq = 2`)
    const found = await audit('verify', dataset)
    expect(found.code).toBe(5)
    expect(found.stdout).toMatch(/^! audit-row-changed {2}photos #2, 20.*Z: row 2 is not what/)
    const json = await audit('verify', '--json')
    expect(JSON.parse(json.stdout)).toMatchObject([
      { dataset, faults: [{ code: 'audit-row-changed', seq: 2 }], rows: 12, faultCount: 1 },
    ])
    expect(json.code).toBe(5)
  })

  it('sign writes heads that verify reads: then a cut end is found, and a head that was lost', async () => {
    const { cwd, audit, tamper } = await filled()
    const sign = ['sign', '--key', 'private.pem', '--to', 'safe/heads']
    const verify = ['verify', '--heads', 'safe/heads', '--key', 'public.pem']
    expect(await audit(...verify)).toMatchObject({
      code: 5,
      stdout: expect.stringContaining('! audit-head-missing'),
    })
    expect((await audit(...sign)).stdout).toMatch(
      /^photos: row 12 signed: safe heads\/tidemark-audit/,
    )
    expect((await audit(...sign)).stdout).toContain('row 12 was signed before')
    const heads = join(cwd, 'safe', 'heads', 'tidemark-audit', dataset)
    expect(readdirSync(heads)).toEqual(['000000000000012.json'])
    const head = JSON.parse(readFileSync(join(heads, '000000000000012.json'), 'utf8'))
    expect(head).toMatchObject({ dataset, seq: 12, by: `${userInfo().username}@${hostname()}` })
    expect(await audit(...verify)).toMatchObject({
      code: 0,
      stdout: expect.stringContaining('held against 1 signed head\n'),
    })
    tamper('delete from audit where seq = 12')
    const cut = await audit(...verify)
    expect(cut.code).toBe(5)
    expect(cut.stdout).toContain('! audit-truncated  photos #12, ')
    writeFileSync(join(heads, '000000000000012.json'), JSON.stringify({ ...head, digest: 'ff' }))
    const forged = await audit(...verify)
    expect(forged.stdout).toContain('! audit-head-invalid')
    expect(forged.code).toBe(5)
  })

  it('sign refuses where the heads would be synced, or taken for the vault', async () => {
    const { cwd, audit } = await filled()
    mkdirSync(join(cwd, 'b', 'inside'))
    for (const to of ['a', 'b/x', 'inside']) {
      const refused = await audit('sign', '--key', 'private.pem', '--to', to)
      expect(error(refused), to).toBe('audit-place-synced')
      expect(refused.code).toBe(2)
    }
    const to = (place: string) => audit('sign', '--key', 'private.pem', '--to', place)
    expect(error(await to('nowhere'))).toBe('location-unknown')
    expect(error(await to('safe/../b'))).toBe('audit-place-invalid')
    expect(readdirSync(join(cwd, 'safe'))).toEqual([])
  })

  it('names a key that can’t be used', async () => {
    const { cwd, audit } = await filled()
    writeFileSync(join(cwd, 'junk.pem'), 'junk')
    const rsa = generateKeyPairSync('rsa', { modulusLength: 2_048 }).privateKey
    writeFileSync(join(cwd, 'rsa.pem'), rsa.export(pkcs8))
    const locked = { ...pkcs8, cipher: 'aes-256-cbc', passphrase: 'x' }
    writeFileSync(join(cwd, 'locked.pem'), ed25519.privateKey.export(locked))
    for (const key of ['missing.pem', 'junk.pem', 'rsa.pem', 'locked.pem', 'public.pem']) {
      const refused = await audit('sign', '--key', key, '--to', 'safe')
      expect([error(refused), refused.code], key).toEqual(['audit-key', 2])
    }
    expect(error(await audit('verify', '--heads', 'safe', '--key', 'junk.pem'))).toBe('audit-key')
    for (const half of [
      ['verify', '--heads', 'safe'],
      ['sign', '--to', 'safe'],
      ['sign', '--key', 'x'],
    ]) {
      expect(error(await audit(...half))).toBe('usage-invalid')
    }
  })
})
