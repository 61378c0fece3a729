/** Content into the vault, from whoever has it: what an action takes away, and what is agreed. */
import { StoreError } from '../src/errors.ts'
import type { Content, Key, PlanItem, Source } from '../src/model.ts'
import { connectorOf, type Deps, type RunContext } from './run-context.ts'

/**
 * From the first of these that still has it; they all hold the same. Where it has changed on all of
 * them, there is nothing to keep: a write there fails by its token and takes nothing away. Throws
 * the last `StoreError` where one of them, or the vault, failed otherwise.
 */
export async function keepFromAny(
  deps: Deps,
  context: RunContext,
  { key, content, sources }: { key: Key; content: Content; sources: Source[] },
  signal: AbortSignal,
): Promise<void> {
  const vault = await deps.vault(context.config)
  let failure: StoreError | null = null
  for (const { replica, token } of sources) {
    const connector = connectorOf(context, replica)
    if (!connector) continue
    failure = null
    try {
      await vault.put({ connector, key, token, content }, signal)
      return
    } catch (error) {
      if (!(error instanceof StoreError)) throw error
      const moved = error.code === 'changed-meanwhile' || error.code === 'not-found'
      if (!moved) failure = error
    }
  }
  if (failure) throw failure
}

/** Whether the content that is agreed of this key goes to the vault at once: then it can be had
 *  back although users overwrite it everywhere before the next run. */
export function keepsAgreed({ dataset }: RunContext, _key: Key): boolean {
  return dataset.history.when === 'agreed'
}

/** The content that this run agrees on, where that is wanted; before it is carried anywhere. */
export async function keepAgreed(
  deps: Deps,
  context: RunContext,
  { key, head, sources, vaulted }: PlanItem,
  signal: AbortSignal,
): Promise<void> {
  const made = head.run === context.record.run
  if (head.content === null || !made || vaulted || !keepsAgreed(context, key)) return
  await keepFromAny(deps, context, { key, content: head.content, sources }, signal)
}
