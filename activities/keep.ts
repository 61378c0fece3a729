/** Content into the vault, from whoever has it: what an action takes away, and what is agreed. */
import type { ItemRecord } from '../src/catalog/catalog.ts'
import { StoreError } from '../src/errors.ts'
import type { Content, Key, PlanItem, Source } from '../src/model.ts'
import { baseBytesMax } from '../src/sync/strategies/rules.ts'
import type { NativeVault } from '../src/vault/native.ts'
import type { VaultSource } from '../src/vault/vault.ts'
import { connectorOf, type Deps, type RunContext } from './run-context.ts'

/**
 * From the first of these that still has it; they all hold the same. With `history: native` first
 * where the bucket keeps it by itself. Gives the replicas that moved on, as far as they were asked:
 * what they hold now is nobody's copy of this. Throws a `StoreError` where one of them, or the
 * vault, failed otherwise, and none could be kept.
 */
export async function keepFromAny(
  deps: Deps,
  context: RunContext,
  { key, content, sources }: { key: Key; content: Content; sources: Source[] },
  signal: AbortSignal,
): Promise<string[]> {
  const vault = await deps.vault(context.config)
  const moved: string[] = []
  let failure: StoreError | null = null
  for (const keep of waysOf(vault, context)) {
    for (const { replica, token } of sources) {
      const connector = connectorOf(context, replica)
      if (!connector || moved.includes(replica)) continue
      try {
        if (await keep({ connector, key, token, content }, signal)) return moved
      } catch (error) {
        if (!(error instanceof StoreError)) throw error
        if (error.code === 'changed-meanwhile' || error.code === 'not-found') moved.push(replica)
        else failure = error
      }
    }
  }
  if (failure) throw failure
  return moved
}

/** An entry of a replica, into the vault or to where its bucket keeps it. */
export async function keepEntry(
  deps: Deps,
  context: RunContext,
  source: VaultSource,
  signal: AbortSignal,
): Promise<void> {
  const vault = await deps.vault(context.config)
  for (const keep of waysOf(vault, context)) if (await keep(source, signal)) return
}

type Keep = (source: VaultSource, signal: AbortSignal) => Promise<Content | boolean>

function waysOf({ pin, put }: NativeVault, { dataset }: RunContext): Keep[] {
  return dataset.history.content === 'native' ? [pin, put] : [put]
}

/** Whether the content that is agreed of this key goes to the vault at once: then it can be had
 *  back although users overwrite it everywhere before the next run. */
export function keepsAgreed(
  { dataset, rulesOf }: RunContext,
  key: Key,
  { size }: Content,
): boolean {
  if (dataset.history.when === 'agreed') return true
  // A conflict of the key is to be merged with it, once no replica has it any more.
  return dataset.direction === 'two-way' && size <= baseBytesMax(rulesOf(key))
}

/** The content that this run agrees on, where that is wanted; before it is carried anywhere. */
export async function keepAgreed(
  deps: Deps,
  context: RunContext,
  item: PlanItem,
  signal: AbortSignal,
): Promise<void> {
  const content = agreedContent(context, item)
  if (content === null) return
  const { key, sourceKey = key, sources } = item
  await keepFromAny(deps, context, { key: sourceKey, content, sources }, signal)
}

function agreedContent(context: RunContext, { key, head, vaulted }: PlanItem): Content | null {
  const made = head.run === context.record.run
  if (head.content === null || !made || vaulted) return null
  return keepsAgreed(context, key, head.content) ? head.content : null
}

/** `expectContents`, of what carrying out a page keeps. */
export async function expectKept(
  deps: Deps,
  context: RunContext,
  page: ItemRecord[],
  signal: AbortSignal,
): Promise<() => Promise<void>> {
  const contents = page.flatMap(({ item }) => {
    if (item === null) return []
    const agreed = agreedContent(context, item)
    return [...item.rescues.map(({ content }) => content), ...(agreed ? [agreed] : [])]
  })
  return await expectContents(deps, context, contents, signal)
}

/**
 * Says to the vault's index, in one transaction, what a page will keep: its disk is waited for once
 * instead of for each few keys. Gives what is to be called when the page is done. Where the vault
 * fails, nothing is said; each key learns of it by itself.
 */
export async function expectContents(
  deps: Deps,
  context: RunContext,
  contents: Content[],
  signal: AbortSignal,
): Promise<() => Promise<void>> {
  // Where buckets keep it, the vault isn't about to get it.
  const native = context.dataset.history.content === 'native'
  if (contents.length === 0 || native) return async () => undefined
  try {
    const vault = await deps.vault(context.config)
    await vault.expect(contents, signal)
    return () => vault.flush(signal)
  } catch (error) {
    if (!(error instanceof StoreError) || error.code === 'cancelled') throw error
    return async () => undefined
  }
}
