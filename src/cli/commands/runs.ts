import type { RunRecord } from '../../catalog/catalog.ts'
import { EXIT } from '../../errors.ts'
import type { CommandContext, CommandOptions } from '../command.ts'
import { askedWords } from '../history/request-words.ts'
import { wholeNumber } from '../numbers.ts'
import { bytes, duration, printable, time } from '../output.ts'
import { stateColour } from '../run-report.ts'
import { datasetNamed, openSession, type Session } from '../session.ts'

/** The runs, newest first, by pages; of one dataset where it is named. Asks the catalog alone. */
export async function run(
  context: CommandContext,
  [dataset]: string[],
  options: CommandOptions,
): Promise<number> {
  const limit = wholeNumber(options, 'limit', { max: 1_000 }) ?? 20
  const before = wholeNumber(options, 'before', { max: Number.MAX_SAFE_INTEGER })
  const session = await openSession(context)
  const { output } = context
  try {
    if (dataset !== undefined) datasetNamed(session.config, dataset)
    const found = await session.catalog.listRuns({
      ...(dataset === undefined ? {} : { dataset }),
      ...(before === undefined ? {} : { before }),
      limit: limit + 1,
    })
    const runs = found.slice(0, limit)
    // Where the next page begins; null: this is the last.
    const next = found.length > limit ? (runs.at(-1)?.run ?? null) : null
    output.result({ runs, before: next })
    if (runs.length === 0) output.line('no runs')
    else
      output.table(
        headers,
        await Promise.all(runs.map((one) => rowOf(one, session, context))),
        numbers,
      )
    if (next !== null) output.line(`older ones: tidemark runs --before ${next}`)
    return EXIT.ok
  } finally {
    await session.close()
  }
}

const numbers = ['run', 'took', 'scanned', 'written', 'bytes', 'deleted']
const headers = ['run', 'dataset', 'what', 'state', 'begun', ...numbers.slice(1), 'notes']

async function rowOf(
  run: RunRecord,
  { catalog }: Session,
  { output }: CommandContext,
): Promise<string[]> {
  const notes = [await askedWords(catalog, run), notesOf(run)].filter((part) => part !== '')
  const { counts, startedAt, endedAt } = run
  const number = (value: number) => value.toLocaleString('en-US')
  return [
    String(run.run),
    run.dataset,
    run.base === null ? run.mode : `${run.mode} ${run.base}`,
    output.paint(stateColour(run.state), run.state),
    time(startedAt),
    endedAt === null ? '' : duration(endedAt - startedAt),
    ...[number(counts.scanned), number(counts.puts), bytes(counts.bytes), number(counts.deletes)],
    printable(notes.join(', ')),
  ]
}

function notesOf({ counts, problem, trigger }: RunRecord): string {
  const parts = [trigger === 'schedule' ? 'scheduled' : '', problem?.code ?? '']
  for (const name of ['failed', 'stale', 'held', 'skipped', 'conflicts'] as const) {
    if (counts[name] > 0) parts.push(`${counts[name].toLocaleString('en-US')} ${name}`)
  }
  return parts.filter((part) => part !== '').join(', ')
}
