/** `conflicts resolve`: a person decides; runs of just those keys carry it out. */
import type { ConflictRecord, RunRecord } from '../../catalog/catalog.ts'
import { EXIT, UserError } from '../../errors.ts'
import type { Directive, Key } from '../../model.ts'
import type { CommandContext, CommandOptions } from '../command.ts'
import { confirm } from '../confirm.ts'
import { followRun } from '../follow.ts'
import { count, printable } from '../output.ts'
import { allStates, problemsOf, reportOf, worstExit } from '../run-report.ts'
import { type ServedSession, serve } from '../serve.ts'
import { datasetNamed, openSession, type Session } from '../session.ts'
import { conflictsOf, wantedOf } from './filter.ts'
import { type Decided, decide, takeOf } from './take.ts'
import { reopen } from './undo.ts'
import { shownConflict, sidesWords } from './words.ts'

/** In a preview; `--json` has all. */
const listedMax = 20
/** What is read at a time, to tell what became of them. */
const pageConflicts = 500
const pageItems = 1_000
/** Held in memory until the person has said yes. */
const conflictsMax = 100_000

export async function resolveConflicts(
  context: CommandContext,
  ids: string[],
  options: CommandOptions,
): Promise<number> {
  const session = await openSession(context)
  let close = session.close
  try {
    const bulk = ids.length === 0
    if (bulk) refuseUnfiltered(options)
    const take = await takeOf(context, session, options, ids.length === 1)
    const records: ConflictRecord[] = []
    for await (const one of conflictsOf(session, wantedOf(ids, options))) {
      records.push(one)
      if (records.length > conflictsMax) throw tooMany()
    }
    refuseMissing(ids, records)
    if (records.length === 0) {
      context.output.result([])
      context.output.line('no conflicts')
      return EXIT.ok
    }
    const given = { take, overwriteLater: options.overwriteLater === true }
    const decided: Decided[] = []
    for (const record of records) decided.push(await decide(session, record, given))
    if (bulk || records.length > 1) await preview(context, decided, ids, options)
    const served = await serve(context, session, { start: true })
    close = served.close
    return await carryOut(context, served, decided)
  } finally {
    await close()
  }
}

/** Everything at once is said, never the default. */
function refuseUnfiltered({ dataset, key, prefix, kind, replica, all }: CommandOptions): void {
  if ([dataset, key, prefix, kind, replica].some((one) => one !== undefined) || all) return
  throw new UserError('usage-missing-argument', 'which conflicts?', {
    next: 'Name their numbers, or filter: --dataset, --prefix, --kind, --replica, or --all',
  })
}

function refuseMissing(ids: string[], records: ConflictRecord[]): void {
  const missing = ids.find((id) => !records.some((one) => one.id === Number(id)))
  if (missing === undefined) return
  throw new UserError('conflict-unknown', `there is no conflict ${missing}`, {
    next: 'See: tidemark conflicts',
  })
}

function tooMany(): UserError {
  const most = conflictsMax.toLocaleString('en-US')
  return new UserError('conflicts-too-many', `more than ${most} conflicts at once`, {
    next: 'Decide them in parts, by --prefix or --dataset.',
  })
}

async function preview(
  context: CommandContext,
  decided: Decided[],
  ids: string[],
  options: CommandOptions,
): Promise<void> {
  const { output } = context
  output.line(`${count(decided.length, 'conflict')} to resolve:`)
  for (const { record, words } of decided.slice(0, listedMax)) {
    const sides = printable(sidesWords(record))
    output.line(`  ${record.id}  ${printable(record.key)}  ${sides} → ${words}`)
  }
  if (decided.length > listedMax) {
    output.line(`  … and ${(decided.length - listedMax).toLocaleString('en-US')} more`)
  }
  await confirm(context, {
    ask: 'Resolve them so?',
    yes: options.yes === true,
    wanted: `resolving ${count(decided.length, 'conflict')} wants a yes`,
    next: `tidemark conflicts resolve ${ids.join(' ') || '…'} --yes`,
    refused: 'the conflicts stay open',
  })
}

/** A request and a run for each dataset: it looks at those keys alone, beside any other run. */
async function carryOut(
  context: CommandContext,
  session: ServedSession,
  decided: Decided[],
): Promise<number> {
  const exits: number[] = []
  const results: unknown[] = []
  for (const [dataset, of] of Map.groupBy(decided, ({ record }) => record.dataset)) {
    datasetNamed(session.config, dataset)
    for (const { record, reopens } of of) if (reopens) await reopen(session, record, context.by)
    const request = await storeRequest(context, session, dataset, of)
    const run = await followRun(context, session, { dataset, mode: 'sync', request })
    const report = await reportOf(session.catalog, run, { strict: true })
    const problems = await problemsByKey(session, run)
    const told: Told[] = []
    for (let at = 0; at < of.length; at += pageConflicts) {
      told.push(...(await tell(context, session, run, of.slice(at, at + pageConflicts), problems)))
    }
    results.push(...told)
    exits.push(exitOf(report.exit, told))
  }
  context.output.result(results)
  return worstExit(exits)
}

type Problems = ReturnType<typeof problemsOf>
type Told = ReturnType<typeof shownConflict> & { run: number; done: boolean; problems: Problems }

/** Of these alone: what else is open in the dataset was not asked for. */
function exitOf(exit: number, told: { done: boolean }[]): number {
  if (exit !== EXIT.ok && exit !== EXIT.partial && exit !== EXIT.conflicts) return exit
  return told.every(({ done }) => done) ? EXIT.ok : EXIT.partial
}

async function storeRequest(
  { by }: CommandContext,
  { catalog }: Session,
  dataset: string,
  decided: Decided[],
): Promise<number> {
  const request = await catalog.createRequest(dataset, { kind: 'resolve' }, by, Date.now())
  const keys = decided.map(({ record, directive }): { key: Key; directive: Directive } => ({
    key: record.key,
    directive,
  }))
  await catalog.addRequestKeys(request, keys)
  await catalog.endSelection(request)
  return request
}

/** What didn't go as it was decided, by key; read once, however many keys the run had. */
async function problemsByKey(
  { catalog }: Session,
  { run }: RunRecord,
): Promise<Map<Key, Problems>> {
  const problems = new Map<Key, Problems>()
  for (let after = -1; ; ) {
    const page = await catalog.readItems({ run, states: allStates, after, limit: pageItems })
    for (const item of page) problems.set(item.key, problemsOf(item))
    if (page.length < pageItems) return problems
    after = page[page.length - 1]?.seq ?? after
  }
}

/** What became of these, by their records and the run's items. */
async function tell(
  { output }: CommandContext,
  { catalog }: Session,
  { run }: RunRecord,
  decided: Decided[],
  problemsOfRun: Map<Key, Problems>,
): Promise<Told[]> {
  const ids = decided.map(({ record }) => record.id)
  const records = await catalog.findConflicts({ ids, limit: ids.length })
  const byId = new Map(records.map((one) => [one.id, one]))
  return decided.map(({ record, words }) => {
    const now = byId.get(record.id) ?? record
    const problems = problemsOfRun.get(record.key) ?? []
    const done = now.state !== 'open' && problems.length === 0
    const [problem] = problems
    const why = problem ? `: ${problem.replica ? `${problem.replica}: ` : ''}${problem.reason}` : ''
    const state = done ? output.paint('green', words) : output.paint('yellow', `not done${why}`)
    output.line(`${record.id}  ${printable(record.key)}  ${state}  (run ${run})`)
    return { ...shownConflict(now), run, done, problems }
  })
}
