import { generateKeyPairSync } from 'node:crypto'
import { sql } from 'kysely'
import { describe, expect, it } from 'vitest'
import { type SignedHead, signHead } from '../../src/audit/heads.ts'
import { type Fault, verifyAudit } from '../../src/audit/verify.ts'
import { auditDigest } from '../../src/catalog/audit.ts'
import type { AuditRow, Catalog } from '../../src/catalog/catalog.ts'
import { openStore } from '../../src/catalog/open.ts'
import {
  catalogs,
  conflictOf,
  dataset,
  engines,
  lineOf,
  openOne,
  recordOf,
  rowOf,
  runOf,
  versionOf,
} from '../catalog/engines.ts'

const { privateKey } = generateKeyPairSync('ed25519')

/** Two runs of ten lines each, with conflicts between: ten rows of audit. */
async function filled(catalog: Catalog): Promise<void> {
  for (const key of ['a', 'b']) {
    const run = await catalog.createRun(runOf())
    for (let i = 0; i < 3; i++) {
      await openOne(catalog, dataset, run, 'same', conflictOf(`${key}${i}`), i)
    }
    const settlements = Array.from({ length: 10 }, (_, i) => ({
      record: recordOf(run, i, `${key}${i}`, { state: 'done' as const }),
      row: rowOf(`${key}${i}`, versionOf(run)),
      expectRev: 0,
      version: lineOf(`${key}${i}`, versionOf(run)),
    }))
    await catalog.settle(dataset, settlements)
    await catalog.updateRun(run, { state: 'complete', endedAt: run })
  }
}

async function verified(catalog: Catalog, heads: SignedHead[] | null = null) {
  const faults: Fault[] = []
  const answer = await verifyAudit(catalog, dataset, heads, (fault) => void faults.push(fault))
  expect(answer.faults).toBe(faults.length)
  const brief = faults.map(({ code, seq, run }) => `${code} ${seq ?? `run ${run}`}`)
  return { ...answer, brief, found: faults }
}

async function headOf(catalog: Catalog, seq?: number): Promise<SignedHead> {
  const rows = await catalog.auditRows({ dataset, after: 0, limit: 100 })
  const row = rows[(seq ?? rows.length) - 1] as AuditRow
  const head = { dataset, seq: row.seq, at: row.at, digest: row.digest }
  return signHead({ ...head, signedAt: 1, by: 'ada@host' }, privateKey)
}

describe.each(engines)('audit verify on $engine', ({ make }) => {
  const { open, place } = catalogs(make)

  /** A filled catalog, and what tampers with it behind its back. */
  async function tampered(...statements: string[]) {
    const { url } = await place()
    const catalog = await open(url)
    await filled(catalog)
    const head = await headOf(catalog)
    const store = await openStore(url)
    for (const statement of statements) await sql.raw(statement).execute(store.db)
    await store.db.destroy()
    return { catalog, head, url }
  }

  it('finds no fault in what was written, and says what it looked at', async () => {
    const { catalog, head } = await tampered()
    const { seq, digest } = head
    expect(await verified(catalog)).toMatchObject({
      ...{ dataset, rows: 10, runs: 2, lines: 20, unaudited: 0, heads: null, faults: 0 },
      head: { seq, digest },
    })
    const heads = [await headOf(catalog, 4), head]
    expect(await verified(catalog, heads)).toMatchObject({ heads: 2, faults: 0 })
  })

  it('finds none in a catalog that has no audit yet', async () => {
    const catalog = await open()
    expect(await verified(catalog)).toMatchObject({ rows: 0, head: null, faults: 0 })
  })

  it.each([
    'at = at + 1',
    'run = 9',
    'run = null',
    `"key" = 'a2'`,
    `"key" = null`,
    `what = 'conflict-closed'`,
    `"by" = 'eve@host'`,
    `detail = replace(detail, '"id":2', '"id":3')`,
    `detail = detail || ' '`,
    `digest = replace(digest, substr(digest, 1, 4), 'ffff')`,
  ])('finds a row whose %s', async (change) => {
    const { catalog } = await tampered(`update audit set ${change} where seq = 3`)
    const { found, brief } = await verified(catalog)
    expect(brief).toContain('audit-row-changed 3')
    expect(found.every(({ seq }) => seq === 3 || seq === 4)).toBe(true)
    expect(found[0]).toMatchObject({ dataset, at: expect.any(Number) })
  })

  it('finds a link that was changed', async () => {
    const { catalog } = await tampered(`update audit set prev = 'ff' where seq = 3`)
    expect((await verified(catalog)).brief).toEqual(['audit-row-unlinked 3', 'audit-row-changed 3'])
  })

  it('finds a dataset that was given another’s audit', async () => {
    const { url } = await place()
    const catalog = await open(url)
    await filled(catalog)
    await catalog.noteReplicas('other', ['here'])
    const store = await openStore(url)
    await sql`update audit set dataset = 2`.execute(store.db)
    await store.db.destroy()
    const other = await verifyAudit(catalog, 'other', null, () => undefined)
    expect(other.faults).toBeGreaterThanOrEqual(10)
  })

  it.each([
    { seqs: '1', brief: ['audit-row-missing 1'] },
    { seqs: '3', brief: ['audit-row-missing 3'] },
    { seqs: '3, 4', brief: ['audit-row-missing 3'] },
    { seqs: '2, 7', brief: ['audit-row-missing 2', 'audit-row-missing 7'] },
  ])('finds rows $seqs removed', async ({ seqs, brief }) => {
    const { catalog } = await tampered(`delete from audit where seq in (${seqs})`)
    expect((await verified(catalog)).brief).toEqual(brief)
  })

  it('finds removed rows where those behind were numbered anew', async () => {
    const { catalog } = await tampered(
      'delete from audit where seq = 3',
      'update audit set seq = seq - 100 where seq > 3',
      'update audit set seq = seq + 99 where seq < 0',
    )
    const { brief } = await verified(catalog)
    expect(brief[0]).toBe('audit-row-unlinked 3')
    expect(brief).toContain('audit-row-changed 9')
  })

  it('finds two rows that changed places', async () => {
    const { catalog } = await tampered(
      'update audit set seq = -1 where seq = 3',
      'update audit set seq = 3 where seq = 4',
      'update audit set seq = 4 where seq = -1',
    )
    expect((await verified(catalog)).brief).toEqual(
      expect.arrayContaining(['audit-row-changed 3', 'audit-row-changed 4']),
    )
  })

  it('finds a row that was put in with a right digest, where those behind weren’t written anew', async () => {
    const { url } = await place()
    const catalog = await open(url)
    await filled(catalog)
    const [, second, third] = await catalog.auditRows({ dataset, after: 0, limit: 3 })
    const forged = { ...(third as AuditRow), by: 'eve@host', prev: second?.digest as string }
    const digest = auditDigest(forged)
    const store = await openStore(url)
    await sql`update audit set "by" = ${forged.by}, digest = ${digest} where seq = 3`.execute(
      store.db,
    )
    await store.db.destroy()
    expect((await verified(catalog)).brief).toEqual(['audit-row-unlinked 4'])
  })

  it('finds a chain that was written anew as a whole against a signed head alone', async () => {
    const { catalog, head, url } = await tampered()
    const store = await openStore(url)
    let prev = ''
    for (const row of await catalog.auditRows({ dataset, after: 0, limit: 100 })) {
      const forged = { ...row, by: 'eve@host', prev }
      const digest = auditDigest(forged)
      const set = { by: forged.by, prev, digest }
      await store.db.updateTable('audit').set(set).where('seq', '=', row.seq).execute()
      prev = digest
    }
    await store.db.destroy()
    expect((await verified(catalog)).faults).toBe(0)
    expect((await verified(catalog, [head])).brief).toEqual(['audit-head-differs 10'])
  })

  it('finds a chain cut off at its end against a signed head, or by a run’s end that it lacks', async () => {
    const one = await tampered('delete from audit where seq = 10')
    expect((await verified(one.catalog)).brief).toEqual(['audit-run-untold run 2'])
    const cut = await verified(one.catalog, [one.head, await headOf(one.catalog, 9)])
    expect(cut.brief).toEqual(['audit-truncated 10', 'audit-run-untold run 2'])
    const all = await tampered('delete from audit')
    expect((await verified(all.catalog)).brief.sort()).toEqual([
      'audit-run-untold run 1',
      'audit-run-untold run 2',
    ])
    expect((await verified(all.catalog, [all.head])).brief).toContain('audit-truncated 10')
    const catalog = await open()
    await filled(catalog)
    const what = 'pause-asked' as const
    await catalog.record(dataset, { run: null, key: null, what, by: 'ada@host', detail: {} })
    const head = await headOf(catalog)
    expect((await verified(catalog, [head])).faults).toBe(0)
  })

  it.each([
    { what: 'a content', statement: `set content = replace(content, '"size":5', '"size":6')` },
    { what: 'a deletion', statement: 'set content = null' },
    { what: 'a time', statement: 'set at = at + 1' },
    { what: 'the agreed time', statement: 'set agreed_at = agreed_at + 1' },
    { what: 'the origin', statement: `set origin = 'there'` },
    { what: 'the reason', statement: `set reason = 'resolved'` },
    { what: 'the parents', statement: `set parents = '[1]'` },
    { what: 'the key', statement: `set "key" = 'z'` },
  ])('finds $what changed in a line of history', async ({ statement }) => {
    const where = `where "key" = 'b5'`
    const { catalog } = await tampered(`update versions ${statement} ${where}`)
    expect((await verified(catalog)).found).toMatchObject([
      { code: 'audit-history-changed', run: 2, seq: 10, at: expect.any(Number) },
    ])
  })

  it('finds lines of history that were removed, added, moved to another run, or are of none', async () => {
    const gone = await tampered(`delete from versions where "key" = 'a1'`)
    expect((await verified(gone.catalog)).brief).toEqual(['audit-history-changed 5'])
    const added = await tampered(
      `insert into versions select dataset, 'new', run, at, origin, reason, content, parents,
       agreed_at from versions where "key" = 'a1'`,
    )
    expect((await verified(added.catalog)).brief).toEqual(['audit-history-changed 5'])
    const moved = await tampered(`update versions set run = 2 where "key" = 'a1'`)
    expect((await verified(moved.catalog)).brief).toEqual([
      ...['audit-history-changed 5', 'audit-history-changed 10'],
    ])
    const forged = await tampered(`update versions set run = 77 where "key" = 'a1'`)
    expect((await verified(forged.catalog)).brief).toEqual([
      ...['audit-history-changed 5', 'audit-history-untold run 77'],
    ])
  })

  it('counts the runs that ended before there was an audit, and does not blame them', async () => {
    const { catalog } = await tampered('delete from audit', 'update runs set made_by = null')
    expect(await verified(catalog)).toMatchObject({ rows: 0, unaudited: 2, faults: 0 })
  })
})
