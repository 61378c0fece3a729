/** A version's bytes, from a replica that still holds it, or the vault: verified to the last. */
import { once } from 'node:events'
import { createDigester, digestProblem } from '../../../connectors/digests.ts'
import type { HistoryLine } from '../../catalog/catalog.ts'
import { EXIT, UserError } from '../../errors.ts'
import type { Content, Key, Source } from '../../model.ts'
import type { CommandContext } from '../command.ts'
import type { Contents } from '../contents.ts'
import { nameOf, shellWord } from './version-name.ts'

/** On standard output, as they are. With `--json`, too: they are the answer. */
export async function writeBytes(
  { signal }: CommandContext,
  bytes: AsyncIterable<Uint8Array>,
): Promise<void> {
  for await (const chunk of bytes) {
    signal.throwIfAborted()
    if (!process.stdout.write(chunk)) await once(process.stdout, 'drain')
  }
}

/** Throws where the version is a delete, and where nobody keeps its content; at the end of the
 *  bytes, where they aren't what they should be. */
export async function* bytesOf(
  contents: Contents,
  dataset: string,
  { key, version }: HistoryLine,
): AsyncGenerator<Uint8Array> {
  const name = nameOf(dataset, key, version.run)
  const { content } = version
  if (content === null) {
    throw new UserError('version-deleted', `in ${name} the key was deleted: it has no content`, {
      next: `The versions before it: tidemark log ${dataset} ${shellWord(key)}`,
      exit: EXIT.failed,
    })
  }
  yield* contentBytes(contents, { name, dataset, key, content })
}

/** `name`: what it is, for errors. `sources`: who may have it beside those that hold the head. */
export async function* contentBytes(
  contents: Contents,
  wanted: { name: string; dataset: string; key: Key; content: Content; sources?: Source[] },
): AsyncGenerator<Uint8Array> {
  const { name, dataset, key, content, sources } = wanted
  const found = await contents.open(dataset, key, content, sources)
  if (found === null) {
    const message = `the content of ${name} is kept nowhere: no replica holds it, nor has the vault`
    throw new UserError('content-not-kept', message, { exit: EXIT.failed })
  }
  const digester = createDigester()
  let size = 0
  for await (const chunk of found.body) {
    digester.update(chunk)
    size += chunk.length
    yield chunk
  }
  const problem = problemOf(content, size, digester.digest())
  if (problem === null) return
  throw new UserError(
    'content-damaged',
    `what was read of ${name} is not what it was: ${problem}`,
    {
      next: 'See what else is damaged: tidemark vault check --deep',
      exit: EXIT.failed,
    },
  )
}

function problemOf(content: Content, size: number, digests: Content['digests']): string | null {
  if (size !== content.size) return `${size} bytes, not ${content.size}`
  return digestProblem(content.digests, digests)
}
