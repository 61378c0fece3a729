import type { HistoryLine } from '../../catalog/catalog.ts'
import { EXIT } from '../../errors.ts'
import type { RunNumber } from '../../model.ts'
import type { CommandContext, CommandOptions } from '../command.ts'
import { headers, numbers, rowOf, shownLine } from '../history/lines.ts'
import { nameOf, parseVersionName, shellWord } from '../history/version-name.ts'
import { wholeNumber } from '../numbers.ts'
import { printable } from '../output.ts'
import { datasetNamed, openSession, type Session } from '../session.ts'

interface Behind {
  run: RunNumber
  key: string | null
}

/** What was agreed, newest first, by pages: of a key, or of a whole dataset. */
export async function run(
  context: CommandContext,
  [dataset, key]: string[],
  options: CommandOptions,
): Promise<number> {
  const limit = wholeNumber(options, 'limit', { max: 1_000 }) ?? 20
  const behind = behindOf(options)
  const session = await openSession(context)
  const { output } = context
  try {
    const { name } = datasetNamed(session.config, dataset as string)
    const found = await linesOf(session, name, key, behind, limit + 1)
    const lines = found.slice(0, limit)
    const last = lines.at(-1)
    // Where the next page begins; null: this is the last.
    const next = found.length > limit && last ? nameOf(name, last.key, last.version.run) : null
    output.result({
      dataset: name,
      key: key ?? null,
      versions: lines.map((line) => shownLine(name, line)),
      before: next,
    })
    if (lines.length === 0) output.line(`no versions${key === undefined ? '' : ' of that key'}`)
    else
      output.table(
        headers,
        lines.map((line) => rowOf(name, line)),
        numbers,
      )
    if (next !== null) {
      const of = key === undefined ? name : `${name} ${shellWord(key)}`
      output.line(`older ones: tidemark log ${printable(`${of} --before ${shellWord(next)}`)}`)
    }
    return EXIT.ok
  } finally {
    await session.close()
  }
}

/** `--before`: a run, or the last version of the page before. */
function behindOf(options: CommandOptions): Behind | null {
  const { before } = options
  if (typeof before !== 'string') return null
  if (!before.includes(':')) {
    const run = wholeNumber(options, 'before', { max: Number.MAX_SAFE_INTEGER })
    return { run: run as number, key: null }
  }
  return parseVersionName(before)
}

async function linesOf(
  { catalog }: Session,
  dataset: string,
  key: string | undefined,
  behind: Behind | null,
  limit: number,
): Promise<HistoryLine[]> {
  if (key === undefined) {
    return await catalog.linesOfDataset(dataset, { limit, ...(behind && { behind }) })
  }
  return await catalog.linesOfKey(dataset, key, { limit, ...(behind && { before: behind.run }) })
}
