/**
 * A run's lines of history as one number, which the audit has of each run that ended: so a line
 * that is changed, added or removed later is found, without a row of audit a key.
 */
import { hash } from 'node:crypto'
import { sql } from 'kysely'
import type { RunNumber } from '../model.ts'
import type { AuditEvent, AuditWhat, LinesSum } from './catalog.ts'
import type { VersionsTable } from './schema.ts'
import { findDataset, type Store } from './store.ts'

/** So many lines are read at a time. */
const pageLines = 1_000
/** Bits of the sum. A sum of hashes, so that lines can be taken out of it when they are pruned.
 *  With the 256 bits of one hash, other lines of the same sum could be found (Wagner's generalized
 *  birthday); with these, not even among more lines than a disk holds. */
const sumBits = 2_048

export type Line = Omit<VersionsTable, 'dataset'>

export function sumOf(lines: Iterable<Line>): LinesSum {
  let [count, sum] = [0, 0n]
  for (const { key, run, at, origin, reason, content, parents, agreed_at } of lines) {
    const text = JSON.stringify([key, run, at, origin, reason, content, parents, agreed_at])
    const hex = hash('shake256', text, { outputEncoding: 'hex', outputLength: sumBits / 8 })
    sum = BigInt.asUintN(sumBits, sum + BigInt(`0x${hex}`))
    count++
  }
  return { lines: count, sum: sum.toString(16) }
}

/** `sign` -1: the lines of `b` are taken out of `a`. */
export function addSums(a: LinesSum, b: LinesSum, sign: 1 | -1 = 1): LinesSum {
  const sum = BigInt(`0x${a.sum}`) + BigInt(sign) * BigInt(`0x${b.sum}`)
  return { lines: a.lines + sign * b.lines, sum: BigInt.asUintN(sumBits, sum).toString(16) }
}

/** Which of these runs have ended. Keeps those that go on from being ended before the transaction
 *  is; their counts may change meanwhile. */
export async function endedRuns(tx: Store, runs: RunNumber[]): Promise<Set<RunNumber>> {
  const rows = await tx.db
    .selectFrom('runs')
    .select(['run', 'ended_at'])
    .where('run', 'in', [...new Set(runs)])
    .$if(tx.engine === 'postgres', (query) => query.forKeyShare())
    .execute()
  return new Set(rows.flatMap(({ run, ended_at }) => (ended_at === null ? [] : [run])))
}

/** A line of an ended run as it was, and as it is; null: it is gone. */
export interface ChangedLine {
  before: Line
  after: Line | null
}

/** For `append`, in the transaction that changes the lines: by how much each run's sum differs. */
export function linesChanged(
  what: AuditWhat,
  run: number | null,
  changed: ChangedLine[],
  by = 'tidemark',
): AuditEvent[] {
  const runs: Record<string, LinesSum> = {}
  for (const [of, lines] of Map.groupBy(changed, ({ before }) => before.run)) {
    const after = sumOf(lines.flatMap((line) => line.after ?? []))
    const more = addSums(after, sumOf(lines.map(({ before }) => before)), -1)
    if (more.sum !== '0') runs[of] = more
  }
  if (Object.keys(runs).length === 0) return []
  return [{ run, key: null, what, by, detail: { runs } }]
}

/** Page by page: a first copy has as many lines as keys. */
export async function sumOfRun(store: Store, dataset: number, run: number): Promise<LinesSum> {
  let total = sumOf([])
  for (let after = ''; ; ) {
    const page = await store.db
      .selectFrom('versions')
      .select(['key', 'run', 'at', 'origin', 'reason', 'content', 'parents', 'agreed_at'])
      .where('dataset', '=', dataset)
      .where('run', '=', run)
      .where('key', '>', after)
      .orderBy('key')
      .limit(pageLines)
      .execute()
    total = addSums(total, sumOf(page))
    if (page.length < pageLines) return total
    after = page[page.length - 1]?.key ?? after
  }
}

/** What of the lines can't stay the same when one is added or completed, at little cost. */
export async function sizeOfRun(store: Store, dataset: number, run: number): Promise<string> {
  const { lines, length } = await store.db
    .selectFrom('versions')
    .select((eb) => [
      eb.fn.countAll<number>().as('lines'),
      sql<number>`coalesce(sum(length(content)), 0)`.as('length'),
    ])
    .where('dataset', '=', dataset)
    .where('run', '=', run)
    .executeTakeFirstOrThrow()
  return `${lines} ${length}`
}

export async function runLines(store: Store, dataset: string, run: number): Promise<LinesSum> {
  const id = await findDataset(store, dataset)
  return id === undefined ? sumOf([]) : await sumOfRun(store, id, run)
}

/** The runs that any line of the dataset's history bears, ascending. */
export async function runsOfLines(store: Store, dataset: string): Promise<number[]> {
  const id = await findDataset(store, dataset)
  if (id === undefined) return []
  const runs: number[] = []
  for (;;) {
    // By leaps over the index: `distinct` would read all lines.
    const { next } = await store.db
      .selectFrom('versions')
      .select((eb) => eb.fn.min('run').as('next'))
      .where('dataset', '=', id)
      .where('run', '>', runs.at(-1) ?? -1)
      .executeTakeFirstOrThrow()
    if (next === null) return runs
    runs.push(next)
  }
}
