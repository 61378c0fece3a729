/** `conflicts history`: what became of them, as a report over time or event by event of one key. */
import type { AuditRow, Catalog, ConflictRecord } from '../../catalog/catalog.ts'
import { EXIT } from '../../errors.ts'
import type { Content } from '../../model.ts'
import { ALGORITHMS } from '../../sync/content.ts'
import { isUndone } from '../../sync/undone.ts'
import { wordsOf } from '../audit/log.ts'
import type { CommandContext, CommandOptions } from '../command.ts'
import { csvLine } from '../csv.ts'
import { parseMoment } from '../history/moment.ts'
import { createJsonStream } from '../json-stream.ts'
import { type Output, printable, time } from '../output.ts'
import { openSession } from '../session.ts'
import { conflictsOf, type Wanted, wantedOf } from './filter.ts'
import { checkDataset } from './list.ts'
import { shownConflict } from './words.ts'

const headers = [
  ...['id', 'dataset', 'key', 'kind', 'state', 'opened', 'opened run', 'ended', 'ended run'],
  ...['strategy', 'rule', 'by', 'winner', 'winner at', 'losers'],
]

/** Newest first, in whatever state they are; opened or ended since `--since`. */
export async function tellConflicts(
  context: CommandContext,
  [dataset]: string[],
  options: CommandOptions,
): Promise<number> {
  const { output } = context
  const csv = options.csv === true
  const wanted: Wanted = {
    ...wantedOf([], { ...options, only: options.only ?? 'all' }),
    ...(dataset === undefined ? {} : { dataset }),
    ...(typeof options.since === 'string' && { since: parseMoment(options.since, Date.now()) }),
  }
  const session = await openSession(context)
  try {
    if (wanted.dataset !== undefined) await checkDataset(session, wanted.dataset)
    const stream = createJsonStream(output)
    await stream.begin({}, 'conflicts')
    if (csv) await output.write(csvLine(headers))
    let any = false
    for await (const one of conflictsOf(session, wanted)) {
      context.signal.throwIfAborted()
      any = true
      const events = wanted.key === undefined ? [] : await eventsOf(session.catalog, one)
      const shown = shownConflict(one)
      await stream.item(wanted.key === undefined ? shown : { ...shown, events: events.map(parsed) })
      if (csv) await output.write(csvLine(cellsOf(one)))
      else if (!output.json) await output.write(`${linesOf(output, one, events).join('\n')}\n`)
    }
    await stream.end()
    if (!any && !csv) output.line('no conflicts')
    return EXIT.ok
  } finally {
    await session.close()
  }
}

const pageRows = 500

/** What the audit has of this conflict, in order. */
async function eventsOf(catalog: Catalog, { dataset, key, id }: ConflictRecord) {
  const events: AuditRow[] = []
  for (let after = 0; ; ) {
    const page = await catalog.auditRows({ dataset, key, after, limit: pageRows })
    events.push(...page.filter((row) => parsed(row).detail.id === id))
    if (page.length < pageRows) return events
    after = page.at(-1)?.seq ?? after
  }
}

function parsed(row: AuditRow): Omit<AuditRow, 'detail'> & { detail: Record<string, unknown> } {
  return { ...row, detail: JSON.parse(row.detail) as Record<string, unknown> }
}

function cellsOf(one: ConflictRecord): (string | number | null)[] {
  const { resolution } = one
  const iso = (at: number | null) => (at === null ? null : new Date(at).toISOString())
  const losers = resolution?.losers.map(
    ({ content, replicas }) => `${contentWords(content)} at ${replicas.join(' ')}`,
  )
  return [
    ...[one.id, one.dataset, one.key, one.kind, one.state],
    ...[iso(one.openedAt), one.openedRun, iso(one.endedAt), one.endedRun],
    ...[resolution?.strategy ?? null, resolution?.rule ?? null, byOf(one)],
    ...(resolution
      ? [contentWords(resolution.winner), resolution.winnerReplicas.join(' ')]
      : ['', '']),
    losers?.join('; ') ?? null,
  ]
}

function linesOf(output: Output, one: ConflictRecord, events: AuditRow[]): string[] {
  const { id, dataset, key, kind, state, resolution, openedAt, openedRun, endedAt, endedRun } = one
  const how = isUndone(one) ? 'resolved, taken back since,' : state
  const ended = endedAt === null ? '' : `  ${how} ${time(endedAt)} (run ${endedRun})`
  const winners = resolution?.winnerReplicas.join(', ') || 'what was made of them'
  const decided = resolution ? `  ${resolution.strategy}, by ${byOf(one)}: ${winners} won` : ''
  const opened = `opened ${time(openedAt)} (run ${openedRun})`
  const name = output.paint('bold', printable(`${dataset}:${key}`))
  const head = `${String(id).padStart(5)}  ${name}  ${kind}  ${opened}${printable(ended + decided)}`
  const told = events.map(
    (row) => `       ${time(row.at)}  ${row.what}  ${printable(`by ${row.by}: ${wordsOf(row)}`)}`,
  )
  return [head, ...told]
}

function byOf({ resolution, state }: ConflictRecord): string {
  if (resolution) return resolution.by ?? `rule: ${resolution.rule}`
  return state === 'closed' ? 'the replicas agreed' : ''
}

/** `sha256:abcd…`, whole; `deleted`. */
function contentWords(content: Content | null): string {
  if (content === null) return 'deleted'
  const algorithm = ALGORITHMS.find((one) => content.digests[one] !== undefined)
  return algorithm ? `${algorithm}:${content.digests[algorithm]}` : `${content.size} bytes`
}
