/**
 * Whether a dataset's audit is what was written: each row against its digest and the row before,
 * the history against what the runs' ends say of it, and all of it against signed heads. Without
 * those it is the chain alone that speaks: who can write to the catalog can cut its end off, or
 * write all of it anew.
 */
import { z } from 'zod'
import { auditDigest, noDigest } from '../catalog/audit.ts'
import { addSums } from '../catalog/audit-lines.ts'
import type { AuditRow, Catalog, LinesSum } from '../catalog/catalog.ts'
import type { RunNumber } from '../model.ts'
import type { SignedHead } from './heads.ts'

export type FaultCode =
  /** A row isn't what its digest says. */
  | 'audit-row-changed'
  /** Rows are gone from within the chain. */
  | 'audit-row-missing'
  /** A row doesn't follow from the one before it: either was put there later. */
  | 'audit-row-unlinked'
  /** A run's lines of history aren't those that it ended with. */
  | 'audit-history-changed'
  /** Lines of history that no ended run has told of. */
  | 'audit-history-untold'
  /** The catalog has a run that the chain doesn't tell of. */
  | 'audit-run-untold'
  /** The chain ends before a head that was signed. */
  | 'audit-truncated'
  /** It isn't the chain that was signed. */
  | 'audit-head-differs'
  /** What lies where a signed head should be isn't one, or isn't signed with this key. */
  | 'audit-head-invalid'
  /** No signed head is there to compare with. */
  | 'audit-head-missing'

export interface Fault {
  code: FaultCode
  dataset: string
  /** Of the row it is about, or would be; null where it is about none. */
  seq: number | null
  at: number | null
  run: RunNumber | null
  message: string
}

export interface Verified {
  dataset: string
  rows: number
  /** The chain's end. */
  head: { seq: number; digest: string } | null
  /** Runs whose lines of history were compared, and these lines. */
  runs: number
  lines: number
  /** Runs that one under way carries out, adding to their lines: compared when that has ended. */
  underWay: number
  /** Runs with lines that no audit covers: they ended before there was one. */
  unaudited: number
  /** Signed heads that the chain was held against; null: it wasn't asked for. */
  heads: number | null
  faults: number
}

/** What a run's end said of its lines, and what was told of them since. */
interface Told {
  sum: LinesSum
  row: AuditRow
}

interface Chain {
  dataset: string
  rows: number
  seq: number
  digest: string
  told: Map<RunNumber, Told>
  /** Whose rows aren't what they were: what they say of its lines isn't held against these. */
  doubted: Set<RunNumber>
}

type OnFault = (fault: Fault) => Promise<void> | void

/** So many rows, or runs, are read at a time. */
const pageRows = 1_000

/** `onFault` gets them as they are found. `heads` null: the chain isn't held against any. */
export async function verifyAudit(
  catalog: Catalog,
  dataset: string,
  heads: SignedHead[] | null,
  onFault: OnFault,
): Promise<Verified> {
  let faults = 0
  const fault = async (code: FaultCode, about: Partial<Fault>, message: string) => {
    faults++
    await onFault({ code, dataset, seq: null, at: null, run: null, ...about, message })
  }
  // Before the chain is read: the row that tells of a run's end is committed with it.
  const ended = await endedRuns(catalog, dataset)
  const chain: Chain = {
    dataset,
    rows: 0,
    seq: 0,
    digest: noDigest,
    told: new Map(),
    doubted: new Set(),
  }
  const bySeq = Map.groupBy(heads ?? [], ({ seq }) => seq)
  await readOn(catalog, chain, bySeq, fault)
  await checkEnd(chain, bySeq, fault)
  const compared = await checkLines(catalog, chain, bySeq, fault)
  for (const { run, at } of ended) {
    if (chain.told.has(run) || chain.doubted.has(run)) continue
    await fault('audit-run-untold', { run, at }, `the chain doesn’t tell how run ${run} ended`)
  }
  const unaudited = await checkUntold(catalog, chain, fault)
  const head = chain.rows === 0 ? null : { seq: chain.seq, digest: chain.digest }
  const counted = { heads: heads?.length ?? null, faults }
  return { dataset, rows: chain.rows, head, ...compared, unaudited, ...counted }
}

type Say = (code: FaultCode, about: Partial<Fault>, message: string) => Promise<void>

/** Only those that began under an audit. */
async function endedRuns(catalog: Catalog, dataset: string) {
  const ended: { run: RunNumber; at: number }[] = []
  for (let before = Number.MAX_SAFE_INTEGER; ; ) {
    const page = await catalog.listRuns({ dataset, before, limit: pageRows })
    for (const { run, endedAt, by } of page) {
      if (endedAt !== null && by !== null) ended.push({ run, at: endedAt })
    }
    if (page.length < pageRows) return ended
    before = page.at(-1)?.run ?? 0
  }
}

// ── the chain ───────────────────────────────────────────────────────────────────────────────────

/** From where it was read to, to its end. Gives how many rows there were. */
async function readOn(
  catalog: Catalog,
  chain: Chain,
  heads: Map<number, SignedHead[]>,
  fault: Say,
): Promise<number> {
  for (let read = 0; ; ) {
    const filter = { dataset: chain.dataset, after: chain.seq, limit: pageRows }
    const page = await catalog.auditRows(filter)
    for (const row of page) await checkRow(chain, row, heads.get(row.seq) ?? [], fault)
    read += page.length
    if (page.length < pageRows) return read
  }
}

async function checkRow(
  chain: Chain,
  row: AuditRow,
  heads: SignedHead[],
  fault: Say,
): Promise<void> {
  const { seq, at, run } = row
  const next = chain.seq + 1
  if (seq !== next) {
    const which = seq - 1 === next ? `row ${next} is` : `rows ${next} to ${seq - 1} are`
    await fault('audit-row-missing', { seq: next, at }, `${which} gone`)
  } else if (row.prev !== chain.digest) {
    const words = `row ${seq} does not follow from the row before it: one of them is not the one`
    await fault('audit-row-unlinked', { seq, at, run }, `${words} that was written`)
  }
  if (auditDigest(row) !== row.digest || !note(chain, row)) {
    await fault('audit-row-changed', { seq, at, run }, `row ${seq} is not what its digest says`)
    if (run !== null) chain.doubted.add(run)
  }
  for (const head of heads) {
    if (head.digest === row.digest) continue
    const words = `row ${seq} is not the one that ${head.by} signed`
    await fault('audit-head-differs', { seq, at, run }, words)
  }
  Object.assign(chain, { rows: chain.rows + 1, seq, digest: row.digest })
}

/** What the row says of lines of history. false: what nobody wrote who appends to a chain. */
function note({ told }: Chain, row: AuditRow): boolean {
  const ends = row.what === 'run-ended'
  if (!ends && row.what !== 'history-completed' && row.what !== 'history-pruned') return true
  const detail = parsed(row.detail, linesByRun)
  for (const [name, lines] of Object.entries(detail?.runs ?? {})) {
    const run = Number(name)
    const one = told.get(run)
    // A run's end says what there is; the others, by how much that differs now.
    if (ends) told.set(run, { sum: lines, row })
    else if (one) one.sum = addSums(one.sum, lines)
  }
  return detail !== null
}

const linesSum = z.object({ lines: z.int(), sum: z.string().regex(/^[0-9a-f]{1,512}$/) })
const linesByRun = z.object({ runs: z.record(z.string(), linesSum) })

function parsed<T>(detail: string, shape: z.ZodType<T>): T | null {
  try {
    return shape.safeParse(JSON.parse(detail)).data ?? null
  } catch (error) {
    if (error instanceof SyntaxError) return null
    throw error
  }
}

async function checkEnd(
  { seq }: Chain,
  heads: Map<number, SignedHead[]>,
  fault: Say,
): Promise<void> {
  const beyond = [...heads.values()].flat().filter((head) => head.seq > seq)
  const last = beyond.sort((a, b) => b.seq - a.seq)[0]
  if (!last) return
  const words = `the chain ends at row ${seq}; row ${last.seq} was signed by ${last.by}`
  await fault('audit-truncated', { seq: last.seq, at: last.at }, words)
}

// ── the history ─────────────────────────────────────────────────────────────────────────────────

async function checkLines(
  catalog: Catalog,
  chain: Chain,
  heads: Map<number, SignedHead[]>,
  fault: Say,
): Promise<{ runs: number; lines: number; underWay: number }> {
  const { dataset, told } = chain
  const runs = [...told.keys()].filter((run) => !chain.doubted.has(run))
  let [lines, underWay] = [0, 0]
  for (const run of runs) {
    for (;;) {
      const now = await catalog.runLines(dataset, run)
      const { sum, row } = told.get(run) as Told
      const same = now.sum === sum.sum && now.lines === sum.lines
      if (same) lines += now.lines
      else if (await isCarriedOut(catalog, dataset, run)) underWay++
      // Pruned, or completed, since the chain was read: then the chain has more to say.
      else if ((await readOn(catalog, chain, heads, fault)) > 0) continue
      else await fault('audit-history-changed', { ...about(row), run }, changed(run, sum, now))
      break
    }
  }
  return { runs: runs.length - underWay, lines, underWay }
}

const about = ({ seq, at }: AuditRow) => ({ seq, at })

function changed(run: RunNumber, was: LinesSum, is: LinesSum): string {
  return was.lines === is.lines
    ? `of the ${was.lines} lines of history of run ${run}, some are not as they were`
    : `run ${run} had ${was.lines} lines of history; now there are ${is.lines}`
}

/** A run is adding to its lines now, of the items that it stored: that one's end will tell. */
async function isCarriedOut(catalog: Catalog, dataset: string, run: RunNumber): Promise<boolean> {
  const recent = await catalog.listRuns({ dataset, limit: pageRows })
  for (const one of recent.filter(({ endedAt }) => endedAt === null)) {
    for (let base = one.base; base !== null; ) {
      if (base === run) return true
      base = (await catalog.getRun(base))?.base ?? null
    }
  }
  return false
}

async function checkUntold(catalog: Catalog, { dataset, told, doubted }: Chain, fault: Say) {
  let unaudited = 0
  for (const run of await catalog.runsOfLines(dataset)) {
    if (told.has(run) || doubted.has(run)) continue
    const record = await catalog.getRun(run)
    // One that goes on, or has ended since the chain was read: it is looked at the next time.
    if (record !== null && record.by !== null) continue
    if (record !== null) unaudited++
    else await fault('audit-history-untold', { run }, `lines of run ${run}, which there is not`)
  }
  return unaudited
}
