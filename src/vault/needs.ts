/** Who needs which content: history, conflicts, runs that aren't finished, what a person asked. */
import type { Catalog, ItemState, KeptLine } from '../catalog/catalog.ts'
import type { Content, Key, RunNumber } from '../model.ts'

/** How much of a dataset's history is kept (`HistoryConfig`). */
export interface Retention {
  /** Lines of a key, the present one included; null: any number. */
  versions: number | null
  /** So long (ms) after another line took its place; null: for ever. */
  keepMs: number | null
}

export interface Line extends KeptLine {
  /** The key's newest line. */
  head: boolean
  /** Beyond what is kept of its dataset. */
  goes: boolean
}

const pageRows = 1_000

/** By pages: keys from the last to the first, each newest line first. The newest never goes: it
 *  says what is there now, also that a key is gone. */
export async function* linesOf(
  catalog: Catalog,
  dataset: string,
  { versions, keepMs }: Retention,
  now: number,
): AsyncGenerator<Line[]> {
  let last: (KeptLine & { rank: number }) | null = null
  for (;;) {
    const page: KeptLine[] = await catalog.historyLines(dataset, last, pageRows)
    yield page.map((line) => {
      const newer: typeof last = last?.key === line.key ? last : null
      const rank: number = newer ? newer.rank + 1 : 1
      last = { ...line, rank }
      const tooMany = versions !== null && rank > versions
      const tooOld = newer !== null && keepMs !== null && newer.agreedAt < now - keepMs
      return { ...line, head: newer === null, goes: newer !== null && (tooMany || tooOld) }
    })
    if (page.length < pageRows) return
  }
}

export type Need =
  | { conflict: number; dataset: string; key: Key }
  | { run: RunNumber; key: Key }
  | { request: number; key: Key }

/**
 * What is needed beside history: contents of conflicts that are open or ended at `endedSince` or
 * later, of items of runs that are running or wait for a person, of what was asked for at
 * `askedSince` or later and isn't carried out yet. Moments in ms.
 */
export async function* needsOf(
  catalog: Catalog,
  { endedSince, askedSince }: { endedSince: number; askedSince: number },
): AsyncGenerator<{ content: Content; need: Need }> {
  for (let after = 0; ; ) {
    const page = await catalog.keptConflicts(endedSince, after, pageRows)
    for (const { id, dataset, conflict, resolution } of page) {
      const need = { conflict: id, dataset, key: conflict.key }
      for (const content of contentsIn([conflict, resolution])) yield { content, need }
      after = id
    }
    if (page.length < pageRows) break
  }
  for (const run of await catalog.unfinishedRuns()) yield* itemsOf(catalog, run)
  for (let after: { request: number; key: Key } | null = null; ; ) {
    const page: Awaited<ReturnType<Catalog['pendingDirectives']>> = await catalog.pendingDirectives(
      askedSince,
      after,
      pageRows,
    )
    for (const { request, key, directive } of page) {
      for (const content of contentsIn(directive)) yield { content, need: { request, key } }
      after = { request, key }
    }
    if (page.length < pageRows) return
  }
}

const allStates: ItemState[] = [
  ...(['pending', 'deferred', 'blocked', 'conflict', 'done', 'stale'] as const),
  ...(['skipped', 'failed', 'held', 'cancelled', 'open'] as const),
]

async function* itemsOf(catalog: Catalog, run: RunNumber) {
  for (let after = -1; ; ) {
    const page = await catalog.readItems({ run, states: allStates, after, limit: pageRows })
    for (const { key, seq, item, conflict } of page) {
      for (const content of contentsIn([item, conflict])) yield { content, need: { run, key } }
      after = seq
    }
    if (page.length < pageRows) return
  }
}

/** Every content anywhere in a value: whatever refers to one is heeded, also what a later release
 *  adds. */
function* contentsIn(value: unknown): Generator<Content> {
  if (typeof value !== 'object' || value === null) return
  if ('size' in value && 'digests' in value) yield value as Content
  for (const inner of Object.values(value)) yield* contentsIn(inner)
}
