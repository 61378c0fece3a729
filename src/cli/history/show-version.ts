/** `show VERSION`: one line of history, what it was made of, and who holds it now. */
import { EXIT } from '../../errors.ts'
import type { CommandContext } from '../command.ts'
import { printable, time } from '../output.ts'
import { openSession, type Session } from '../session.ts'
import { shownLine } from './lines.ts'
import { askedWords } from './request-words.ts'
import { nameOf, parseVersionName, type VersionName, versionNamed } from './version-name.ts'

export async function showVersion(context: CommandContext, text: string): Promise<number> {
  const name = parseVersionName(text)
  const session = await openSession(context)
  try {
    const line = await versionNamed(session, name)
    const around = await aroundIt(session, name)
    const shown = { ...shownLine(name.dataset, line), ...around }
    context.output.result(shown)
    print(context, shown)
    return EXIT.ok
  } finally {
    await session.close()
  }
}

/** Who asked for the run, what took its place, and where it is held: all by the catalog. */
async function aroundIt({ catalog }: Session, { dataset, key, run }: VersionName) {
  const row = (await catalog.getBaseline(dataset, [key])).get(key)
  const holds = Object.entries(row?.holds ?? {})
  const record = await catalog.getRun(run)
  const lines = await catalog.linesOfKey(dataset, key, { limit: 1 })
  return {
    newest: lines[0]?.version.run === run,
    heldBy: holds.flatMap(([replica, { version }]) => (version.run === run ? [replica] : [])),
    trigger: record?.trigger ?? null,
    /** '' where nobody did. */
    asked: record ? await askedWords(catalog, record) : '',
  }
}

type Shown = ReturnType<typeof shownLine> & Awaited<ReturnType<typeof aroundIt>>

function print({ output }: CommandContext, shown: Shown): void {
  const { content, dataset, key } = shown
  output.line(output.paint('bold', printable(shown.version)))
  const says = (name: string, text: string) => output.line(`  ${name.padEnd(9)} ${printable(text)}`)
  says('agreed', `${time(Date.parse(shown.agreedAt))}, by run ${shown.run} (${shown.reason})`)
  if (shown.asked !== '') says('in', shown.asked)
  if (shown.origin !== '') says('from', `${shown.origin}, as of ${time(Date.parse(shown.at))}`)
  if (content === null) says('content', 'deleted')
  else {
    says('size', `${content.size.toLocaleString('en-US')} bytes`)
    for (const [name, hex] of Object.entries(content.digests)) says(name, hex)
    const { user, ...metadata } = content.metadata ?? {}
    for (const [name, value] of Object.entries({ ...metadata, ...user })) says(name, String(value))
  }
  if (shown.parents.length > 0) says('made of', shown.parents.join(', '))
  const held = shown.heldBy.length > 0 ? `held by ${shown.heldBy.join(', ')}` : 'held by nobody now'
  says('now', `${shown.newest ? 'the newest version' : 'a later version took its place'}, ${held}`)
  if (content !== null) output.line(`  its bytes: tidemark cat ${nameOf(dataset, key, shown.run)}`)
}
