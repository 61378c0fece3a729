import { EXIT } from '../../errors.ts'
import type { CommandContext } from '../command.ts'
import { openContents } from '../contents.ts'
import { bytesOf, writeBytes } from '../history/version-bytes.ts'
import { parseVersionName, versionNamed } from '../history/version-name.ts'
import { openSession } from '../session.ts'

/** A version's bytes on standard output, as they are. With `--json`, too: they are the answer. */
export async function run(context: CommandContext, [text]: string[]): Promise<number> {
  const name = parseVersionName(text as string)
  const session = await openSession(context)
  try {
    const line = await versionNamed(session, name)
    const contents = await openContents(context, session)
    try {
      await writeBytes(context, bytesOf(contents, name.dataset, line))
      return EXIT.ok
    } finally {
      await contents.close()
    }
  } finally {
    await session.close()
  }
}
