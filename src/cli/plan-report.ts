/** A stored plan, as people and scripts read it: deletes and conflicts first, then the rest. */
import { foreseeHeld } from '../../activities/deletes.ts'
import type { Catalog, ItemRecord, ItemState, RunRecord } from '../catalog/catalog.ts'
import type { DatasetConfig } from '../config/index.ts'
import { EXIT } from '../errors.ts'
import type { CommandContext } from './command.ts'
import { bytes, count, printable } from './output.ts'
import { exitOf, nextOfLeftOut, problemsOf, worstExit } from './run-report.ts'

/** Lines that people are shown of each kind, and that JSON has; `show RUN` has all. */
const listedMax = 20
const keptMax = 1_000

/** The lists are the first `keptMax` of each; the counts are whole. */
export interface Plan {
  run: RunRecord
  deletes: { key: string; replicas: string[] }[]
  conflicts: { key: string; reason: string }[]
  /** Of a restore: what it overwrites although it came later. */
  overwrites: { key: string; reason: string }[]
  skipped: { key: string; replica: string; reason: string; code: string | null }[]
  counts: {
    puts: number
    bytes: number
    /** Keys. */
    deletes: number
    adopts: number
    conflicts: number
    overwrites: number
    skipped: number
    /** Keys among them that are left alone since something came later. */
    later: number
  }
  leftOut: { replica: string; code: string; message: string; next?: string }[]
  /** What carrying it out would hold until somebody approves; null: nothing. */
  held: { held: number; reason: string } | null
}

export async function planOf(
  catalog: Catalog,
  run: RunRecord,
  dataset: DatasetConfig,
): Promise<Plan> {
  const counts = { puts: 0, bytes: 0, deletes: 0, adopts: 0, conflicts: 0 }
  const replicas = await catalog.runReplicas(run.run)
  const leftOut = replicas.flatMap(({ replica, problem, state }) =>
    state === 'unknown' && problem ? [{ replica, ...problem }] : [],
  )
  const plan: Plan = {
    run,
    ...{ deletes: [], conflicts: [], overwrites: [], skipped: [] },
    counts: { ...counts, overwrites: 0, skipped: 0, later: 0 },
    leftOut,
    held: await foreseeHeld({ catalog, clock: Date.now }, run, dataset),
  }
  const states: ItemState[] = ['pending', 'deferred', 'conflict', 'skipped']
  for (let after = -1; ; ) {
    const page = await catalog.readItems({ run: run.run, states, after, limit: 1_000 })
    for (const one of page) add(plan, one)
    if (page.length < 1_000) return plan
    after = page[page.length - 1]?.seq ?? after
  }
}

function add({ counts, deletes, conflicts, overwrites, skipped }: Plan, one: ItemRecord): void {
  const { item, conflict, key } = one
  const actions = item?.actions ?? []
  for (const { do: verb } of actions) {
    if (verb === 'adopt') counts.adopts++
    if (verb === 'put') {
      counts.puts++
      counts.bytes += item?.head.content?.size ?? 0
    }
  }
  const from = actions.filter((action) => action.do === 'delete').map(({ replica }) => replica)
  if (from.length > 0) keep(deletes, { key, replicas: from }, () => counts.deletes++)
  if (conflict) {
    const [problem] = problemsOf({ ...one, state: 'conflict' })
    const stays = conflict.undecided ? 'stays open' : 'decided by its contents when it is applied'
    const decided = item ? `, ${item.head.origin} wins` : `, ${stays}`
    const reason = `${problem?.reason}${decided}`
    keep(conflicts, { key, reason }, () => counts.conflicts++)
  }
  if (item?.overwrites) {
    const { run, replicas } = item.overwrites
    const what = [...(run === null ? [] : [`the version of run ${run}`]), ...replicas.map(workAt)]
    keep(overwrites, { key, reason: what.join(', ') }, () => counts.overwrites++)
  }
  let later = false
  for (const [replica, outcome] of Object.entries(one.outcomes)) {
    if (outcome.kind !== 'skipped') continue
    const { reason, code = null } = outcome
    later ||= code === 'later-work'
    keep(skipped, { key, replica, reason, code }, () => counts.skipped++)
  }
  if (later) counts.later++
}

const workAt = (replica: string) => `work at ${replica} that is not synced yet`

function keep<T>(list: T[], value: T, counted: () => void): void {
  counted()
  if (list.length < keptMax) list.push(value)
}

export function printPlan({ output }: CommandContext, plan: Plan): void {
  const { run, counts, deletes, conflicts, overwrites, skipped } = plan
  output.line(`plan ${run.run} of ${run.dataset}`)
  for (const { replica, code, message } of plan.leftOut) {
    output.line(`  ${replica} was left out: ${printable(message)} [${code}]`)
  }
  if (plan.leftOut.length > 0) output.line(`  ${nextOfLeftOut(plan.leftOut)}`)
  if (plan.held) {
    const words = `${count(plan.held.held, 'delete')} would be held: ${plan.held.reason}`
    output.line(`  ${output.paint('yellow', printable(words))}`)
  }
  const list = (title: string, all: number, lines: string[]) => {
    if (all === 0) return
    output.line(`  ${title}:`)
    for (const line of lines.slice(0, listedMax)) output.line(`    ${line}`)
    if (all > listedMax) {
      output.line(`    … and ${(all - listedMax).toLocaleString('en-US')} more`)
    }
  }
  list(
    `${count(counts.deletes, 'key')} to delete`,
    counts.deletes,
    deletes.map(({ key, replicas }) => `${printable(key)}  from ${replicas.join(', ')}`),
  )
  list(
    count(counts.conflicts, 'conflict'),
    counts.conflicts,
    conflicts.map(({ key, reason }) => `${printable(key)}  ${printable(reason)}`),
  )
  list(
    `${count(counts.overwrites, 'key')} to overwrite although something came later (kept first)`,
    counts.overwrites,
    overwrites.map(({ key, reason }) => `${printable(key)}  ${printable(reason)}`),
  )
  list(
    `${counts.skipped.toLocaleString('en-US')} skipped`,
    counts.skipped,
    skipped.map(({ key, replica, reason }) => {
      const where = replica === '' ? '' : `at ${replica}: `
      return `${printable(key)}  ${where}${printable(reason)}`
    }),
  )
  const total = `${count(counts.puts, 'object')} to write (${bytes(counts.bytes)})`
  const there = counts.adopts.toLocaleString('en-US')
  const rest = `${count(counts.deletes, 'key')} to delete, ${there} there already`
  output.line(`  ${total}, ${rest}`)
  output.line(isEmpty(plan) ? '  nothing to do' : `  all of it: tidemark show ${run.run}`)
}

/** For scripts. The run's own counts are of what was done, which of a plan is nothing. */
export function shownPlan({ run, ...plan }: Plan) {
  const { counts: _none, ...planned } = run
  return { run: planned, ...plan }
}

export function isEmpty({ counts }: Plan): boolean {
  return counts.puts + counts.deletes + counts.adopts + counts.conflicts === 0
}

export function exitOfPlan({ run, leftOut }: Plan, strict: boolean): number {
  return worstExit([exitOf(run, strict), leftOut.length > 0 ? EXIT.partial : EXIT.ok])
}
