import { sql } from 'kysely'
import { describe, expect, it } from 'vitest'
import { verifyAudit } from '../../src/audit/verify.ts'
import { auditDigest } from '../../src/catalog/audit.ts'
import type { AuditRow, Catalog } from '../../src/catalog/catalog.ts'
import { openStore } from '../../src/catalog/open.ts'
import { eachLimited } from '../../src/sync/each-limited.ts'
import {
  asked,
  catalogs,
  conflictOf,
  dataset,
  endOne,
  engines,
  lineOf,
  openOne,
  recordOf,
  rowOf,
  runOf,
  versionOf,
} from './engines.ts'

const rowsOf = (catalog: Catalog, more: { key?: string; since?: number } = {}) =>
  catalog.auditRows({ dataset, after: 0, limit: 1_000, ...more })

const said = ({ what, by, run, key, detail }: AuditRow) => ({
  ...{ what, by, run, key },
  detail: JSON.parse(detail) as unknown,
})

async function faultsOf(catalog: Catalog): Promise<string[]> {
  const faults: string[] = []
  await verifyAudit(catalog, dataset, null, ({ code, seq }) => void faults.push(`${code} ${seq}`))
  return faults
}

const resolution = {
  ...{ strategy: 'prefer', rule: 'prefer: here', winner: versionOf(2).content },
  ...{ winnerReplicas: ['here'], losers: [{ content: null, replicas: ['there'] }] },
}

const settlement = (
  run: number,
  i: number,
  learned: ReturnType<typeof versionOf> | null = null,
) => ({
  record: recordOf(run, i, `k${i}`, { state: 'done' as const }),
  row: learned ? undefined : rowOf(`k${i}`, versionOf(run)),
  expectRev: 0,
  version: learned ? null : lineOf(`k${i}`, versionOf(run)),
  learned,
})

describe.each(engines)('the audit on $engine', ({ make }) => {
  const { open, place } = catalogs(make)

  it('tells who began a run, and how it ended, with its lines of history as one number', async () => {
    const catalog = await open()
    const run = await catalog.createRun(runOf({ by: 'ada@host' }))
    await catalog.settle(dataset, [settlement(run, 1), settlement(run, 2)])
    await catalog.updateRun(run, { state: 'complete', endedAt: 5, counts: { puts: 2 } })
    const [begun, ended] = (await rowsOf(catalog)).map(said)
    expect(begun).toEqual({
      ...{ what: 'run-begun', by: 'ada@host', run, key: null },
      detail: { mode: 'sync', trigger: 'manual', base: null, request: null, config: 'c0ffee' },
    })
    expect(ended).toMatchObject({ what: 'run-ended', by: 'tidemark', run })
    expect(ended?.detail).toEqual({
      ...{ state: 'complete', problem: null, counts: { puts: 2 } },
      runs: { [run]: await catalog.runLines(dataset, run) },
    })
    expect(ended?.detail).toMatchObject({ runs: { [run]: { lines: 2 } } })
  })

  it('tells an end once, however often it is said, and what becomes of a stored plan after', async () => {
    const catalog = await open()
    const plan = await catalog.createRun(runOf({ mode: 'plan' }))
    const end = { state: 'planned' as const, endedAt: 5 }
    await catalog.updateRun(plan, end)
    await catalog.updateRun(plan, end)
    const run = await catalog.createRun(runOf({ mode: 'apply', base: plan, by: 'bob@host' }))
    await catalog.updateRun(plan, { state: 'applied', cause: run })
    expect((await rowsOf(catalog)).map(({ what }) => what)).toEqual([
      ...['run-begun', 'run-ended', 'run-begun', 'plan-applied'],
    ])
    expect(said((await rowsOf(catalog)).at(-1) as AuditRow)).toEqual({
      ...{ what: 'plan-applied', by: 'bob@host', run: plan, key: null },
      detail: { from: 'planned', state: 'applied', run },
    })
  })

  it('tells of held deletes and lost replicas, once each', async () => {
    const catalog = await open()
    const run = await catalog.createRun(runOf())
    const problem = { code: 'deletes-held', message: '12 deletes held' }
    const lost = { code: 'unavailable', message: 'no answer' }
    for (let i = 0; i < 2; i++) {
      await catalog.updateRun(run, { problem })
      await catalog.loseReplica(run, 'there', lost)
    }
    expect((await rowsOf(catalog)).slice(1).map(said)).toEqual([
      {
        ...{ what: 'deletes-held', by: 'rule: delete limit', run, key: null },
        detail: { message: '12 deletes held' },
      },
      {
        ...{ what: 'replica-lost', by: 'tidemark', run, key: null },
        detail: { replica: 'there', problem: lost },
      },
    ])
  })

  it('tells a conflict from its opening to its end, by the rule or the person', async () => {
    const catalog = await open()
    const conflict = conflictOf('a')
    const end = { state: 'resolved' as const, conflict: null, identity: null, at: 9 }
    const id = await openOne(catalog, dataset, 3, 'one', conflict, 1)
    await openOne(catalog, dataset, 4, 'one', conflict, 2)
    await openOne(catalog, dataset, 5, 'two', conflict, 3)
    await endOne(catalog, dataset, 6, 'a', { ...end, resolution })
    await openOne(catalog, dataset, 7, 'one', conflict, 4)
    await endOne(catalog, dataset, 8, 'a', { ...end, state: 'closed', resolution: null })
    await openOne(catalog, dataset, 9, 'one', conflict, 4)
    const person = { ...resolution, by: 'ada@host' }
    await endOne(catalog, dataset, 10, 'a', { ...end, resolution: person })
    const told = (await rowsOf(catalog, { key: 'a' })).map(said)
    expect(told.map(({ what, by, run }) => `${what} ${run} ${by}`)).toEqual([
      ...['conflict-opened 3 tidemark', 'conflict-changed 5 tidemark'],
      ...['conflict-resolved 6 rule: prefer: here', 'conflict-opened 7 tidemark'],
      ...['conflict-closed 8 tidemark', 'conflict-opened 9 tidemark'],
      'conflict-resolved 10 ada@host',
    ])
    expect(told[2]?.detail).toMatchObject({ id, strategy: 'prefer', winnerReplicas: ['here'] })
    expect(JSON.stringify(told)).not.toContain('metadata')
  })

  it('tells of one that was decided before it was ever open, once a run', async () => {
    const catalog = await open()
    const end = { state: 'resolved' as const, conflict: conflictOf('a'), identity: 'x', at: 1 }
    for (let i = 0; i < 2; i++) await endOne(catalog, dataset, 4, 'a', { ...end, resolution })
    expect((await rowsOf(catalog)).map(({ what }) => what)).toEqual(['conflict-resolved'])
  })

  it('tells of requests, of locations bound and rebound, of replicas forgotten', async () => {
    const catalog = await open()
    const request = { kind: 'undo' as const, run: 3, prefix: '', overwriteLater: false }
    await catalog.createRequest(dataset, request, 'ada@host', 1)
    await catalog.setLocation('here', 'one', null, asked)
    await catalog.setLocation('here', 'one', null, asked)
    await catalog.setLocation('here', 'two', null, { ...asked, datasets: [dataset, 'other'] })
    await catalog.noteReplicas(dataset, ['here'])
    await catalog.dropHolds(dataset, 'here', asked)
    await catalog.dropHolds(dataset, 'here', asked)
    expect((await rowsOf(catalog)).map(({ what, by }) => `${what} ${by}`)).toEqual([
      ...['request-made ada@host', 'location-bound ada@host', 'location-rebound ada@host'],
      'replica-forgotten ada@host',
    ])
    expect(await catalog.auditRows({ dataset: 'other', after: 0, limit: 9 })).toHaveLength(1)
  })

  it('is one chain, also where connections append to it at the same time', async () => {
    const { url } = await place()
    const two = await Promise.all([open(url), open(url)])
    // More at once wait longer for a connection than the pool has patience.
    await eachLimited(Array(60).keys(), 12, async (i) => {
      const catalog = two[i % 2] as Catalog
      const run = await catalog.createRun(runOf())
      await catalog.settle(dataset, [settlement(run, i)])
      await openOne(catalog, dataset, run, 'x', conflictOf(`c${i % 7}`), i)
      await catalog.updateRun(run, { state: 'complete', endedAt: i })
    })
    const rows = await rowsOf(two[0])
    expect(rows.map(({ seq }) => seq)).toEqual(rows.map((_, i) => i + 1))
    expect(rows).toHaveLength(60 + 60 + 7)
    let prev = ''
    for (const row of rows) {
      expect(row.prev).toBe(prev)
      expect(auditDigest(row)).toBe(row.digest)
      prev = row.digest
    }
    expect(await faultsOf(two[1])).toEqual([])
  })

  it('is there with what it tells of, or neither is', async () => {
    const { url } = await place()
    const catalog = await open(url)
    const run = await catalog.createRun(runOf())
    await catalog.settle(dataset, [settlement(run, 1)])
    await catalog.noteReplicas(dataset, ['here'])
    await openOne(catalog, dataset, run, 'x', conflictOf('open'), 1)
    const ended = await catalog.createRun(runOf())
    await catalog.settle(dataset, [settlement(ended, 2)])
    await catalog.updateRun(ended, { state: 'complete', endedAt: 1 })
    const store = await openStore(url)
    const tables = [
      'runs',
      'conflicts',
      'requests',
      'locations',
      'run_replicas',
      'versions',
    ] as const
    const state = async () =>
      JSON.stringify(
        await Promise.all([
          ...tables.map((table) => store.db.selectFrom(table).selectAll().execute()),
          store.db.selectFrom('dataset_replicas').selectAll().execute(),
        ]),
      )
    const request = { kind: 'resolve' as const }
    const problem = { code: 'unavailable', message: '' }
    const none = { conflict: null, identity: null, resolution: null, at: 1 }
    const decisions: (() => Promise<unknown>)[] = [
      () => catalog.createRun(runOf()),
      () => catalog.updateRun(run, { state: 'complete', endedAt: 1 }),
      () => catalog.updateRun(ended, { state: 'applied' }),
      () => catalog.loseReplica(run, 'here', problem),
      () =>
        catalog.putRunReplica(run, { replica: 'b', state: 'unknown', problem, seen: 0, gone: 0 }),
      () => openOne(catalog, dataset, run, 'y', conflictOf('b'), 1),
      () => openOne(catalog, dataset, run, 'y', conflictOf('open'), 1),
      () => endOne(catalog, dataset, run, 'open', { ...none, state: 'closed' }),
      () => catalog.createRequest(dataset, request, 'ada@host', 1),
      () => catalog.setLocation('here', 'one', null, asked),
      () => catalog.dropHolds(dataset, 'here', asked),
      () => catalog.deleteLines(dataset, [{ key: 'k2', run: ended }], 'ada@host'),
    ]
    const before = await state()
    await sql`alter table audit rename to audit_away`.execute(store.db)
    for (const decide of decisions) await expect(decide()).rejects.toThrow()
    expect(await state()).toBe(before)
    await sql`alter table audit_away rename to audit`.execute(store.db)
    for (const decide of decisions) {
      const rows = (await rowsOf(catalog)).length
      await decide()
      expect(await rowsOf(catalog)).toHaveLength(rows + 1)
    }
    await store.db.destroy()
    expect(await faultsOf(catalog)).toEqual([])
  })

  it('lets no run that has ended commit anything behind what was told of its lines', async () => {
    const catalog = await open()
    const run = await catalog.createRun(runOf())
    await catalog.updateRun(run, { state: 'failed', endedAt: 1 })
    expect(await catalog.settle(dataset, [settlement(run, 1)])).toEqual([false])
    expect(await catalog.getBaseline(dataset, ['k1'])).toEqual(new Map())
    expect(await faultsOf(catalog)).toEqual([])
  })

  it('finds no fault in lines that were pruned, or say more of their content by now', async () => {
    const catalog = await open()
    const run = await catalog.createRun(runOf())
    const some = Array.from({ length: 5 }, (_, i) => settlement(run, i))
    await catalog.settle(dataset, some)
    await catalog.deleteLines(dataset, [{ key: 'k0', run }], 'ada@host')
    await catalog.updateRun(run, { state: 'complete', endedAt: 1 })
    const later = await catalog.createRun(runOf())
    const known = versionOf(run)
    const digests = { ...known.content?.digests, crc32c: '01020304' }
    const learned = { ...known, content: { size: 5, digests } }
    await catalog.settle(dataset, [settlement(later, 1, learned), settlement(later, 2, learned)])
    await catalog.deleteLines(
      dataset,
      [
        { key: 'k2', run },
        { key: 'k3', run },
      ],
      'ada@host',
    )
    expect((await rowsOf(catalog)).slice(3).map(({ what, by }) => `${what} ${by}`)).toEqual([
      ...['history-completed tidemark', 'history-pruned ada@host'],
    ])
    expect(await catalog.runLines(dataset, run)).toMatchObject({ lines: 2 })
    expect(await faultsOf(catalog)).toEqual([])
  })

  it('is read by key, from a time on, page by page', async () => {
    const { url } = await place()
    let now = 0
    const catalog = await open(url, () => ++now * 1_000)
    for (const key of ['a', 'b', 'a']) {
      const what = 'pause-asked' as const
      await catalog.record(dataset, { run: null, key, what, by: 'ada@host', detail: { key } })
    }
    const seqs = async (filter: object) =>
      (await catalog.auditRows({ dataset, after: 0, limit: 9, ...filter })).map(({ seq }) => seq)
    expect(await seqs({})).toEqual([1, 2, 3])
    expect(await seqs({ key: 'a' })).toEqual([1, 3])
    expect(await seqs({ since: 2_000 })).toEqual([2, 3])
    expect(await seqs({ since: 2_001, key: 'a' })).toEqual([3])
    expect(await seqs({ after: 1, limit: 1 })).toEqual([2])
    expect(await catalog.auditRows({ dataset: 'never', after: 0, limit: 9 })).toEqual([])
    const { seq, at, digest } = (await rowsOf(catalog)).at(-1) as AuditRow
    expect(await catalog.auditHead(dataset)).toEqual({ seq, at, digest })
    expect(await catalog.auditHead('never')).toBe(null)
  })
})
