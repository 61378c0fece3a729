/** What became of a run, as people and scripts read it; and the exit code that says it. */
import type { Catalog, ItemRecord, ItemState, RunRecord, RunReplica } from '../catalog/catalog.ts'
import { EXIT } from '../errors.ts'
import type { Conflict } from '../model.ts'
import type { CommandContext } from './command.ts'
import { bytes, count, duration, printable, type Style } from './output.ts'

/** Keys that are listed in a report; `show RUN` has the rest. */
const listedMax = 20

export interface RunReport {
  run: RunRecord
  replicas: Awaited<ReturnType<Catalog['runReplicas']>>
  /** What didn't go as planned, the first of each state; `show RUN` has all. */
  problems: { key: string; state: ItemState; replica: string; reason: string }[]
  /** Of so many keys in all. */
  keys: number
  exit: number
}

export const allStates: ItemState[] = [
  ...(['pending', 'deferred', 'blocked', 'conflict', 'done', 'stale'] as const),
  ...(['skipped', 'failed', 'held', 'cancelled', 'open'] as const),
]

const TROUBLE: ItemState[] = ['failed', 'stale', 'held', 'cancelled', 'skipped', 'open']

export async function reportOf(
  catalog: Catalog,
  record: RunRecord,
  { strict }: { strict: boolean },
): Promise<RunReport> {
  const problems: RunReport['problems'] = []
  const counted = await catalog.countItems(record.run)
  const keys = TROUBLE.reduce((sum, state) => sum + (counted[state] ?? 0), 0)
  for (const state of TROUBLE) {
    const items = await catalog.readItems({
      run: record.run,
      states: [state],
      after: -1,
      limit: listedMax,
    })
    problems.push(...items.flatMap(problemsOf))
  }
  const replicas = await catalog.runReplicas(record.run)
  return { run: record, replicas, problems, keys, exit: exitOf(record, strict) }
}

export function problemsOf(record: ItemRecord): RunReport['problems'] {
  const { key, state, outcomes, conflict, item } = record
  if (state === 'open' || state === 'conflict') {
    const sides = conflict?.contenders.map(({ replicas, deletedAt }) =>
      [
        ...replicas.map(({ replica }) => replica),
        ...deletedAt.map((one) => `${one} (deleted)`),
      ].join(' = '),
    )
    const why = conflict ? whyOpen(conflict) : null
    const reason = `${conflict?.kind}: ${sides?.join(' / ')}${why ? ` (${why})` : ''}`
    return [{ key, state, replica: '', reason }]
  }
  // What only notes that a key is gone there waits with the delete, and is nobody's concern.
  const held = state === 'held' || state === 'cancelled'
  const adopts = held ? item?.actions.filter((action) => action.do === 'adopt') : []
  return Object.entries(outcomes).flatMap(([replica, outcome]) => {
    if (outcome.kind === 'done' || adopts?.some((one) => one.replica === replica)) return []
    const reason = reasonOf(outcome)
    return [{ key, state, replica, reason }]
  })
}

/** What the strategies said that didn't decide it; null where none was asked. */
export function whyOpen({ undecided = [] }: Conflict): string | null {
  const said = undecided.map(({ strategy, message, at }) => {
    return `${strategy}: ${message}${at ? ` at ${at}` : ''}`
  })
  return said.length > 0 ? said.join('; ') : null
}

function reasonOf(outcome: ItemRecord['outcomes'][string]): string {
  if (outcome.kind === 'failed') return `${outcome.code}: ${outcome.message}`
  return 'reason' in outcome ? outcome.reason : outcome.kind
}

/** What a run noted before it failed is no refusal. */
const ownFailures = ['run-failed', 'ranges-failed', 'deletes-held']

/** The first that applies, as the design orders them. */
export function exitOf({ state, problem, counts }: RunRecord, strict: boolean): number {
  switch (state) {
    case 'failed':
      return problem && !ownFailures.includes(problem.code) ? EXIT.unreachable : EXIT.failed
    case 'cancelled':
      return EXIT.interrupted
    case 'held':
      return EXIT.held
    case 'partial':
      return EXIT.partial
    case 'conflicts':
      return strict && counts.skipped > 0 ? EXIT.partial : EXIT.conflicts
    case 'complete':
    case 'planned':
    case 'applied':
      return strict && counts.skipped > 0 ? EXIT.partial : EXIT.ok
    default:
      return EXIT.failed
  }
}

const ORDER = [
  EXIT.interrupted,
  EXIT.usage,
  EXIT.unreachable,
  EXIT.failed,
  EXIT.held,
  EXIT.partial,
  EXIT.conflicts,
  EXIT.differences,
] as number[]

/** Of several runs. */
export function worstExit(exits: number[]): number {
  return ORDER.find((exit) => exits.includes(exit)) ?? EXIT.ok
}

export function printReport(context: CommandContext, report: RunReport): void {
  const { output } = context
  printHead(context, report)
  const listed = report.problems.slice(0, listedMax)
  for (const { key, state, replica, reason } of listed) {
    const where = replica ? ` at ${replica}` : ''
    output.line(`  ${state}: ${printable(key)}${where}: ${printable(reason)}`)
  }
  const { run, dataset, counts } = report.run
  const named = report.problems.some(({ state }) => state === 'open')
  if (counts.conflicts > 0 && !named) output.line(`  next: tidemark conflicts ${dataset}`)
  const unlisted = report.keys - new Set(listed.map(({ key }) => key)).size
  if (unlisted > 0) {
    const more = `${unlisted.toLocaleString('en-US')} more`
    output.line(`  … and ${more}: tidemark show ${run} --only ${TROUBLE.join(',')}`)
  }
}

/** Of a run as a whole: state, counts, who was left out and why. */
export function printHead(
  { output }: CommandContext,
  { run, replicas }: Pick<RunReport, 'run' | 'replicas'>,
): void {
  const took = duration((run.endedAt ?? Date.now()) - run.startedAt)
  const mode = run.mode === 'sync' ? 'run' : `${run.mode}, run`
  const state = output.paint(stateColour(run.state), run.state)
  output.line(`${mode} ${run.run} of ${run.dataset}: ${state} in ${took}`)
  output.line(`  ${countsLine(run)}`)
  const leftOut = replicas.filter(({ state }) => state === 'unknown')
  for (const { replica, problem } of leftOut) {
    output.line(
      `  ${replica} was left out: ${printable(problem?.message ?? '')} [${problem?.code}]`,
    )
  }
  if (leftOut.length > 0) output.line(`  ${nextOfLeftOut(leftOut.map(({ problem }) => problem))}`)
  if (run.problem) {
    output.line(`  ${printable(run.problem.message)} [${run.problem.code}]`)
    if (run.problem.next) output.line(`  next: ${run.problem.next}`)
  }
}

/** What each says by itself; else where it can be looked at. */
export function nextOfLeftOut(problems: RunReplica['problem'][]): string {
  const known = new Set(problems.flatMap((problem) => problem?.next ?? []))
  const look = 'tidemark doctor says what is wrong there'
  const words = known.size > 0 ? [...known].join(' ').replace(/\.$/, '') : look
  return `next: ${words}; once mended, the next run brings it up to date`
}

export function stateColour(state: RunRecord['state']): Style {
  if (state === 'complete' || state === 'planned' || state === 'applied') return 'green'
  return state === 'failed' ? 'red' : state === 'running' ? 'cyan' : 'yellow'
}

export function countsLine({ counts, base }: RunRecord): string {
  const parts = [
    // What carries out a stored plan looks at its keys alone.
    ...(base === null ? [`${count(counts.scanned, 'key')} scanned`] : []),
    `${count(counts.puts, 'object')} written (${bytes(counts.bytes)})`,
    `${count(counts.deletes, 'key')} deleted`,
  ]
  const more: [number, string][] = [
    [counts.adopted, 'there already'],
    [counts.stale, 'changed meanwhile'],
    [counts.skipped, 'skipped'],
    [counts.failed, 'failed'],
    [counts.held, 'held'],
    [counts.cancelled, 'deletes taken back'],
    [counts.conflicts, counts.conflicts === 1 ? 'open conflict' : 'open conflicts'],
    [counts.drift, 'drift kept'],
    [counts.extra, 'only at a destination'],
  ]
  for (const [n, words] of more) if (n > 0) parts.push(`${n.toLocaleString('en-US')} ${words}`)
  return parts.join(', ')
}
