import type { Catalog, ItemState, RunRecord } from '../../catalog/catalog.ts'
import type { CommandContext, CommandOptions } from '../command.ts'
import { followRun } from '../follow.ts'
import { bytes, count, printable } from '../output.ts'
import { exitOf, printReport, problemsOf, reportOf, worstExit } from '../run-report.ts'
import { datasetsOf, openServed } from '../session.ts'

/** Lines that are shown of each kind; `show RUN` has all. */
const listedMax = 20

/** A stored plan of each named dataset: deletes and conflicts first, then counts and bytes. */
export async function run(
  context: CommandContext,
  args: string[],
  options: CommandOptions,
): Promise<number> {
  const session = await openServed(context, { start: true })
  try {
    const plans = []
    const exits: number[] = []
    for (const { name } of datasetsOf(session.config, args)) {
      const record = await followRun(context, session, { dataset: name, mode: 'plan' })
      exits.push(exitOf(record, options.strict === true))
      if (record.state !== 'planned') {
        printReport(context, await reportOf(session.catalog, record, { strict: false }))
        plans.push({ run: record })
        continue
      }
      const plan = await planOf(session.catalog, record)
      print(context, plan)
      plans.push(plan)
    }
    context.output.result(plans)
    return worstExit(exits)
  } finally {
    await session.close()
  }
}

interface Plan {
  run: RunRecord
  deletes: { key: string; replicas: string[] }[]
  conflicts: { key: string; reason: string }[]
  counts: { puts: number; deletes: number; adopts: number; conflicts: number; bytes: number }
  skipped: { key: string; replica: string; reason: string }[]
}

async function planOf(catalog: Catalog, run: RunRecord): Promise<Plan> {
  const plan: Plan = {
    run,
    deletes: [],
    conflicts: [],
    counts: { puts: 0, deletes: 0, adopts: 0, conflicts: 0, bytes: 0 },
    skipped: [],
  }
  const states: ItemState[] = ['pending', 'deferred', 'conflict', 'skipped']
  for (let after = -1; ; ) {
    const page = await catalog.readItems({ run: run.run, states, after, limit: 1_000 })
    for (const one of page) {
      const { item, conflict, key } = one
      for (const { do: verb } of item?.actions ?? []) {
        plan.counts[verb === 'put' ? 'puts' : verb === 'delete' ? 'deletes' : 'adopts']++
        if (verb === 'put') plan.counts.bytes += item?.head.content?.size ?? 0
      }
      const deleted = item?.actions.filter((action) => action.do === 'delete') ?? []
      if (deleted.length > 0) {
        plan.deletes.push({ key, replicas: deleted.map(({ replica }) => replica) })
      }
      if (conflict) {
        plan.counts.conflicts++
        const [problem] = problemsOf({ ...one, state: 'conflict' })
        const decided = item ? `, ${item.head.origin} wins` : ', stays open'
        plan.conflicts.push({ key, reason: `${problem?.reason}${decided}` })
      }
      if (one.state === 'skipped') plan.skipped.push(...problemsOf(one))
    }
    if (page.length < 1_000) return plan
    after = page[page.length - 1]?.seq ?? after
  }
}

function print({ output }: CommandContext, plan: Plan): void {
  const { run, counts, deletes, conflicts, skipped } = plan
  output.line(`plan ${run.run} of ${run.dataset}`)
  const list = (title: string, lines: string[]) => {
    if (lines.length === 0) return
    output.line(`  ${title}:`)
    for (const line of lines.slice(0, listedMax)) output.line(`    ${line}`)
    if (lines.length > listedMax) output.line(`    … and ${lines.length - listedMax} more`)
  }
  list(
    `${count(deletes.length, 'key')} to delete`,
    deletes.map(({ key, replicas }) => `${printable(key)}  from ${replicas.join(', ')}`),
  )
  list(
    `${count(conflicts.length, 'conflict')}`,
    conflicts.map(({ key, reason }) => `${printable(key)}  ${reason}`),
  )
  list(
    'skipped',
    skipped.map(({ key, replica, reason }) => `${printable(key)}  at ${replica}: ${reason}`),
  )
  const total = `${count(counts.puts, 'object')} to write (${bytes(counts.bytes)})`
  output.line(`  ${total}, ${counts.deletes} to delete, ${counts.adopts} equal already`)
  output.line(`  carry it out: tidemark apply ${run.run}`)
}
