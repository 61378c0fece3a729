import type { Catalog, ItemRecord, ItemState, RunRecord } from '../../catalog/catalog.ts'
import { EXIT } from '../../errors.ts'
import type { CommandContext, CommandOptions } from '../command.ts'
import { followRun } from '../follow.ts'
import { bytes, count, printable } from '../output.ts'
import { exitOf, printReport, problemsOf, reportOf, worstExit } from '../run-report.ts'
import { serve } from '../serve.ts'
import { datasetsOf, openSession } from '../session.ts'

/** Lines that people are shown of each kind, and that JSON has; `show RUN` has all. */
const listedMax = 20
const keptMax = 1_000

/** A stored plan of each named dataset: deletes and conflicts first, then counts and bytes. */
export async function run(
  context: CommandContext,
  args: string[],
  options: CommandOptions,
): Promise<number> {
  const session = await openSession(context)
  let close = session.close
  try {
    const datasets = datasetsOf(session.config, args)
    const served = await serve(context, session, { start: true })
    close = served.close
    const plans = []
    const exits: number[] = []
    for (const { name } of datasets) {
      const record = await followRun(context, served, { dataset: name, mode: 'plan' })
      if (record.state === 'planned') {
        const plan = await planOf(session.catalog, record)
        const partial = plan.leftOut.length > 0 ? EXIT.partial : EXIT.ok
        exits.push(worstExit([exitOf(record, options.strict === true), partial]))
        print(context, plan)
        plans.push(plan)
      } else {
        const report = await reportOf(session.catalog, record, { strict: false })
        exits.push(report.exit)
        printReport(context, report)
        plans.push(report)
      }
      if (context.signal.aborted) break
    }
    context.output.result(plans)
    return worstExit(exits)
  } finally {
    await close()
  }
}

/** The lists are the first `keptMax` of each; the counts are whole. */
interface Plan {
  run: RunRecord
  deletes: { key: string; replicas: string[] }[]
  conflicts: { key: string; reason: string }[]
  skipped: { key: string; replica: string; reason: string }[]
  counts: {
    puts: number
    bytes: number
    /** Keys. */
    deletes: number
    adopts: number
    conflicts: number
    skipped: number
  }
  leftOut: { replica: string; code: string; message: string }[]
}

async function planOf(catalog: Catalog, run: RunRecord): Promise<Plan> {
  const counts = { puts: 0, bytes: 0, deletes: 0, adopts: 0, conflicts: 0, skipped: 0 }
  const replicas = await catalog.runReplicas(run.run)
  const leftOut = replicas.flatMap(({ replica, problem, state }) =>
    state === 'unknown' && problem ? [{ replica, ...problem }] : [],
  )
  const plan: Plan = { run, deletes: [], conflicts: [], skipped: [], counts, leftOut }
  const states: ItemState[] = ['pending', 'deferred', 'conflict', 'skipped']
  for (let after = -1; ; ) {
    const page = await catalog.readItems({ run: run.run, states, after, limit: 1_000 })
    for (const one of page) add(plan, one)
    if (page.length < 1_000) return plan
    after = page[page.length - 1]?.seq ?? after
  }
}

function add({ counts, deletes, conflicts, skipped }: Plan, one: ItemRecord): void {
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
    const decided = item ? `, ${item.head.origin} wins` : ', stays open'
    const reason = `${problem?.reason}${decided}`
    keep(conflicts, { key, reason }, () => counts.conflicts++)
  }
  for (const [replica, outcome] of Object.entries(one.outcomes)) {
    if (outcome.kind !== 'skipped') continue
    keep(skipped, { key, replica, reason: outcome.reason }, () => counts.skipped++)
  }
}

function keep<T>(list: T[], value: T, counted: () => void): void {
  counted()
  if (list.length < keptMax) list.push(value)
}

function print({ output }: CommandContext, plan: Plan): void {
  const { run, counts, deletes, conflicts, skipped } = plan
  output.line(`plan ${run.run} of ${run.dataset}`)
  for (const { replica, code, message } of plan.leftOut) {
    output.line(`  ${replica} was left out: ${printable(message)} [${code}]`)
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
    `${counts.skipped.toLocaleString('en-US')} skipped`,
    counts.skipped,
    skipped.map(({ key, replica, reason }) => {
      return `${printable(key)}  ${replica ? `at ${replica}: ` : ''}${printable(reason)}`
    }),
  )
  const total = `${count(counts.puts, 'object')} to write (${bytes(counts.bytes)})`
  const rest = `${count(counts.deletes, 'key')} to delete, ${counts.adopts} equal already`
  output.line(`  ${total}, ${rest}`)
  if (counts.puts + counts.deletes + counts.adopts + counts.conflicts === 0) {
    output.line('  nothing to do')
  } else {
    output.line(`  all of it: tidemark show ${run.run}`)
    output.line(`  carry it out: tidemark apply ${run.run}`)
  }
}
