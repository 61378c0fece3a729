/**
 * Runs as history knows them: a version bears the number of the run that planned it. And what a
 * person asks of history that can't be, told before anything is planned.
 */
import type { Catalog, HistoryPoint, RunRecord } from '../src/catalog/catalog.ts'
import type { Request, RunNumber } from '../src/model.ts'

const everything = { from: null, to: null }
const pageRuns = 1_000

type Problem = NonNullable<RunRecord['problem']>

/** The number that the versions bear which this run agreed on. */
async function numberOf(catalog: Catalog, run: RunRecord): Promise<RunNumber> {
  const base = run.base === null ? null : await catalog.getRun(run.base)
  return base ? await numberOf(catalog, base) : run.run
}

/** Its versions, agreed at `since` (ms) or later: what was approved is a part of what was held. */
export async function undoneBy(
  catalog: Catalog,
  run: RunRecord,
): Promise<{ number: RunNumber; since: number }> {
  const number = await numberOf(catalog, run)
  return { number, since: run.mode === 'approve' ? run.startedAt : 0 }
}

export async function pointBefore(catalog: Catalog, run: RunNumber): Promise<HistoryPoint> {
  const record = (await catalog.getRun(run)) as RunRecord
  const numbers = new Set<RunNumber>()
  for await (const later of runsOf(catalog, record.dataset)) {
    if (later.run < run) break
    if (later.base !== null) numbers.add(await numberOf(catalog, later))
  }
  const carriedOutLater = [...numbers].filter((number) => number < run)
  return { run, carriedOutLater, beganAt: record.startedAt }
}

/** Newest first. */
async function* runsOf(catalog: Catalog, dataset: string): AsyncGenerator<RunRecord> {
  for (let before = Number.MAX_SAFE_INTEGER; ; ) {
    const page = await catalog.listRuns({ dataset, before, limit: pageRuns })
    yield* page
    if (page.length < pageRuns) return
    before = page[page.length - 1]?.run ?? before
  }
}

/** null: it can be carried out, as far as history goes. */
export async function requestProblem(
  catalog: Catalog,
  dataset: string,
  request: Request,
): Promise<Problem | null> {
  if (request.kind === 'resolve') return null
  const first = await beginning(catalog, dataset)
  if (first === null) {
    const next = `Sync it first: \`tidemark sync ${dataset}\`.`
    return { code: 'no-history', message: `${dataset} has no history yet.`, next }
  }
  if (request.kind === 'undo') return await undoProblem(catalog, dataset, request.run, first)
  const { to } = request
  if ('at' in to) return to.at < first.at ? beforeHistory(dataset, first) : null
  if ('beforeRun' in to) {
    const run = await catalog.getRun(to.beforeRun)
    const wrong = wrongRun(run, to.beforeRun, dataset)
    if (wrong || !run) return wrong
    const early = run.run <= first.run || (await numberOf(catalog, run)) === first.run
    return early ? beforeHistory(dataset, first) : null
  }
  const [line] = await catalog.getLines(dataset, [{ key: to.key, run: to.version }])
  if (line) return null
  const message = `${dataset} has no version of "${to.key}" of run ${to.version}.`
  const next = `See: tidemark log ${dataset} ${JSON.stringify(to.key)}`
  return { code: 'version-unknown', message, next }
}

async function undoProblem(
  catalog: Catalog,
  dataset: string,
  number: RunNumber,
  first: Beginning,
): Promise<Problem | null> {
  const run = await catalog.getRun(number)
  const wrong = wrongRun(run, number, dataset)
  if (wrong || !run) return wrong
  const made = await undoneBy(catalog, run)
  if (made.number === first.run) return beforeHistory(dataset, first)
  const page = { range: everything, after: null, limit: 1 }
  if ((await catalog.linesOfRun(dataset, made.number, page)).length > 0) return null
  const message = `Run ${number} agreed on nothing that could be undone.`
  return { code: 'run-agreed-nothing', message, next: `See: tidemark log ${dataset}` }
}

function wrongRun(run: RunRecord | null, number: RunNumber, dataset: string): Problem | null {
  if (run?.dataset === dataset) return null
  const message = run
    ? `Run ${number} is one of ${run.dataset}, not of ${dataset}.`
    : `There is no run ${number}.`
  const code = run ? 'run-of-other-dataset' : 'run-unknown'
  return { code, message, next: `See: tidemark runs ${dataset}` }
}

// ── where history begins ────────────────────────────────────────────────────────────────────────

interface Beginning {
  /** The number of the first versions, and when their run had ended (ms): before that nobody knew
   *  what was there, and keys that hadn't been seen yet must not pass for ones that weren't. */
  run: RunNumber
  at: number
}

async function beginning(catalog: Catalog, dataset: string): Promise<Beginning | null> {
  const run = await catalog.firstRun(dataset)
  const record = run === null ? null : await catalog.getRun(run)
  if (record === null) return null
  let carriedOut: RunRecord = record
  if (record.mode === 'plan') {
    for await (const one of runsOf(catalog, dataset)) {
      if (one.base === record.run) carriedOut = one
    }
  }
  return { run: record.run, at: carriedOut.endedAt ?? carriedOut.startedAt }
}

function beforeHistory(dataset: string, { run, at }: Beginning): Problem {
  const when = new Date(at).toISOString()
  return {
    code: 'before-history',
    message: `The history of ${dataset} begins at ${when}, when run ${run} had ended.`,
    next: `Name a later time, or a later run: tidemark log ${dataset}`,
  }
}
