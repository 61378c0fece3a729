import { EXIT, UserError } from '../../errors.ts'
import type { CommandContext, CommandOptions } from '../command.ts'
import { createJsonStream } from '../json-stream.ts'
import { count, printable, tableLines, time } from '../output.ts'
import { openSession } from '../session.ts'
import { conflictsOf, wantedOf } from './filter.ts'
import { shownConflict, sidesWords, whyOpenBy } from './words.ts'

const tableRows = 200

/** The inbox: what is open, newest first. */
export async function listConflicts(
  context: CommandContext,
  names: string[],
  options: CommandOptions,
): Promise<number> {
  const { output } = context
  const session = await openSession(context)
  try {
    const dataset = names[0]
    const wanted = { ...wantedOf([], options), ...(dataset === undefined ? {} : { dataset }) }
    if (wanted.dataset !== undefined) await checkDataset(session, wanted.dataset)
    const stream = createJsonStream(output)
    await stream.begin({}, 'conflicts')
    const whyOpen = whyOpenBy(session.config)
    let shown = 0
    let rows: string[][] = []
    const headers = ['ID', 'DATASET', 'KEY', 'KIND', 'SINCE', 'STATE', 'SIDES']
    const print = async () => {
      const lines = tableLines(headers, rows)
      const text = (shown > rows.length ? lines.slice(1) : lines).map((line) => `${line}\n`)
      if (!context.json && rows.length > 0) await output.write(text.join(''))
      rows = []
    }
    for await (const one of conflictsOf(session, wanted)) {
      context.signal.throwIfAborted()
      shown++
      const why = whyOpen(one)
      await stream.item({ ...shownConflict(one), why })
      const { id, key, kind, openedAt, state } = one
      const sides = printable(`${sidesWords(one)}${why ? ` (${why})` : ''}`)
      rows.push([`${id}`, one.dataset, printable(key), kind, time(openedAt), state, sides])
      if (rows.length >= tableRows) await print()
    }
    await print()
    await stream.end()
    if (shown === 0) output.line('no conflicts')
    else output.line(`${count(shown, 'conflict')}; look at one: tidemark conflicts show ID`)
    return EXIT.ok
  } finally {
    await session.close()
  }
}

/** One that the config no longer has may still have history. */
export async function checkDataset(
  { config, catalog }: Awaited<ReturnType<typeof openSession>>,
  name: string,
): Promise<void> {
  if (config.datasets.some((one) => one.name === name)) return
  const [known] = await catalog.listRuns({ dataset: name, limit: 1 })
  if (known) return
  throw new UserError('dataset-unknown', `neither config nor catalog has a dataset "${name}"`, {
    where: config.file,
    next: `The config has: ${config.datasets.map((one) => one.name).join(', ')}`,
  })
}
