/** `audit log`: what was decided, by whom, row by row. */
import type { AuditRow, Catalog } from '../../catalog/catalog.ts'
import { EXIT } from '../../errors.ts'
import type { CommandContext, CommandOptions } from '../command.ts'
import { csvLine } from '../csv.ts'
import { parseMoment } from '../history/moment.ts'
import { createJsonStream } from '../json-stream.ts'
import { printable, time } from '../output.ts'

const pageRows = 1_000
const headers = ['dataset', 'seq', 'time', 'run', 'what', 'key', 'by', 'detail', 'digest']

export async function log(
  context: CommandContext,
  catalog: Catalog,
  datasets: string[],
  options: CommandOptions,
): Promise<number> {
  const { output } = context
  const { csv, key, since } = options
  const filter = {
    ...(typeof key === 'string' ? { key } : {}),
    ...(typeof since === 'string' ? { since: parseMoment(since, Date.now()) } : {}),
  }
  const stream = createJsonStream(output)
  await stream.begin({}, 'rows')
  if (csv) await output.write(csvLine(headers))
  for (const dataset of datasets) {
    if (!csv) output.line(output.paint('bold', dataset))
    for (let after = 0; ; ) {
      const page = await catalog.auditRows({ dataset, after, limit: pageRows, ...filter })
      for (const row of page) {
        await stream.item({ ...row, detail: JSON.parse(row.detail) })
        if (csv) await output.write(csvLine(cellsOf(row)))
        else if (!output.json) await output.write(`${lineOf(row, context)}\n`)
      }
      context.signal.throwIfAborted()
      if (page.length < pageRows) break
      after = page.at(-1)?.seq ?? after
    }
  }
  await stream.end()
  return EXIT.ok
}

function cellsOf({ dataset, seq, at, run, what, key, by, detail, digest }: AuditRow) {
  return [dataset, seq, new Date(at).toISOString(), run, what, key, by, detail, digest]
}

function lineOf(row: AuditRow, { output }: CommandContext): string {
  const { seq, at, run, what, key, by } = row
  const words = [
    `  ${String(seq).padStart(6)}  ${time(at)}`,
    output.paint('bold', what.padEnd(17)),
    run === null ? '' : `run ${run}`,
    key === null ? '' : JSON.stringify(key),
    `by ${by}:`,
    wordsOf(row),
  ]
  return printable(words.filter((word) => word !== '').join('  '))
}

/** What needn't be read to know what happened; all of it is in `--json`. */
const unsaid = ['identity', 'config']

/** `mode sync, trigger manual`, in the order of the alphabet. */
export function wordsOf({ detail }: Pick<AuditRow, 'detail'>): string {
  return Object.entries(JSON.parse(detail) as Record<string, unknown>)
    .filter(([name, value]) => value !== null && !unsaid.includes(name))
    .map(([name, value]) => `${name} ${typeof value === 'string' ? value : brief(value)}`)
    .join(', ')
}

function brief(value: unknown): string {
  const text = JSON.stringify(value, (name, inner) => (name === 'sum' ? undefined : inner))
  return text.length > 200 ? `${text.slice(0, 200)}…` : text
}
