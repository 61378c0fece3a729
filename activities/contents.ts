/** The contents that a conflict is decided by: whole, in memory, within a budget. */
import type { ReadResult } from '../connectors/connector.ts'
import { digestProblem, digestsOf, wholeBody } from '../connectors/digests.ts'
import { StoreError } from '../src/errors.ts'
import type { Conflict, Contender, Content, Key, Source } from '../src/model.ts'
import { compareBytes } from '../src/sync/content.ts'
import type { Contents } from '../src/sync/strategies/verdict.ts'
import { connectorOf, type Deps, type RunContext } from './run-context.ts'

/** Bytes that `loadContents` will hold. */
export function contentsSize({ contenders, base }: Conflict, bytesMax: number): number {
  const all = [base?.content, ...contenders.map(({ content }) => content)]
  const sizes = all.map((content) => content?.size ?? 0).filter((size) => size <= bytesMax)
  return sizes.reduce((sum, size) => sum + size, 0)
}

/**
 * Of all sides and the base, as far as they are no larger than `bytesMax`: from who has it, else
 * from the vault. What nobody has isn't in the answer. Throws what reading threw otherwise:
 * `changed-meanwhile` where a side isn't what it was.
 */
export async function loadContents(
  deps: Deps,
  context: RunContext,
  conflict: Conflict,
  bytesMax: number,
  signal: AbortSignal,
): Promise<Contents> {
  const { key, contenders } = conflict
  const load = async (content: Content | null, sources: Source[]) =>
    content !== null && content.size <= bytesMax
      ? await loadOne(deps, context, { key, content, sources }, signal)
      : null
  const sides = new Map<Contender, Uint8Array>()
  for (const one of contenders) {
    const bytes = await load(one.content, one.replicas)
    if (bytes) sides.set(one, bytes)
  }
  const agreed = conflict.base?.content ?? null
  const same = agreed && contenders.find(({ content }) => content && isSame(agreed, content))
  const known = same ? sides.get(same) : undefined
  const base = known ?? (await load(agreed, agreed ? holdersOf(conflict, agreed) : []))
  return { bytesMax, base, sides }
}

const isSame = (a: Content, b: Content) => compareBytes(a, b) === 'same'

/** Replicas that don't contend, and have it still. */
function holdersOf({ bystanders }: Conflict, base: Content): Source[] {
  return bystanders.flatMap(({ replica, expect, content }) =>
    expect && content && isSame(base, content) ? [{ replica, token: expect }] : [],
  )
}

async function loadOne(
  deps: Deps,
  context: RunContext,
  { key, content, sources }: { key: Key; content: Content; sources: Source[] },
  signal: AbortSignal,
): Promise<Uint8Array | null> {
  let failure: StoreError | null = null
  for (const { replica, token } of sources) {
    const connector = connectorOf(context, replica)
    if (!connector) continue
    try {
      return await whole(
        replica,
        key,
        content,
        await connector.read(key, token, undefined, { signal }),
      )
    } catch (error) {
      if (signal.aborted || !(error instanceof StoreError)) throw error
      failure = error
    }
  }
  if (failure) throw failure
  try {
    const vault = await deps.vault(context.config)
    return await whole('vault', key, content, await vault.get(content, signal))
  } catch (error) {
    if (error instanceof StoreError && error.code === 'not-found') return null
    throw error
  }
}

async function whole(
  location: string,
  key: Key,
  content: Content,
  { body }: ReadResult,
): Promise<Uint8Array> {
  const bytes = await wholeBody(body)
  const problem =
    bytes.length === content.size
      ? digestProblem(content.digests, digestsOf(bytes))
      : `${bytes.length} bytes came, ${content.size} were announced`
  if (problem) throw new StoreError('corrupt', problem, { location, operation: 'read', key })
  return bytes
}
