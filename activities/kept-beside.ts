/**
 * Losers that stay beside the winner: each becomes an item of its own under a name that says what
 * it is. The winner's item waits for them: nothing is overwritten before its copy is agreed.
 */
import type { ItemRecord } from '../src/catalog/catalog.ts'
import type {
  Action,
  Conflict,
  Contender,
  Content,
  Key,
  Moment,
  Outcome,
  PlanItem,
  Undecided,
} from '../src/model.ts'
import { compareContent, renameKey } from '../src/sync/content.ts'
import { keyProblem } from '../src/sync/keys.ts'
import { conflictName } from '../src/sync/strategies/conflict-name.ts'
import { patiently } from './patiently.ts'
import type { Deps, RunContext } from './run-context.ts'
import { digested } from './same-content.ts'

export interface KeptBeside {
  records: ItemRecord[]
  /** Every loser's key, also of those that were kept by an earlier run. */
  names: Map<Contender, Key>
}

interface Keeping {
  deps: Deps
  context: RunContext
  record: ItemRecord
  moment: Moment
  signal: AbortSignal
}

/** Or why one of them can't be kept: then nothing is decided. Throws what a store threw. */
export async function keepBeside(
  work: Keeping,
  { sides, as }: { sides: Contender[]; as: string },
): Promise<KeptBeside | Undecided> {
  const kept: KeptBeside = { records: [], names: new Map() }
  for (const loser of sides) {
    const found = await placeOf(work, loser, as)
    if ('code' in found) return found
    kept.names.set(loser, found.name)
    if (found.item === null) continue
    kept.records.push(recordOf(work.record, found.item, found.skipped, kept.records.length))
  }
  return kept
}

/** Behind all items that the range's scan finds; so a repeated attempt replaces its own. */
const placesOfScan = 2 ** 31
const losersMax = 64

function recordOf(
  { run, seq, rangeNumber }: ItemRecord,
  item: PlanItem,
  outcomes: Record<string, Outcome>,
  nth: number,
): ItemRecord {
  const place = seq % placesOfScan
  return {
    ...{ run, rangeNumber, key: item.key, item, outcomes, rev: item.rev },
    seq: seq - place + placesOfScan + place * losersMax + nth,
    ...{ state: 'pending', conflict: null, tries: 0, contentKey: renameKey(item.head.content) },
  }
}

// ── where a loser goes ──────────────────────────────────────────────────────────────────────────

interface Place {
  name: Key
  /** null: it is there. */
  item: PlanItem | null
  skipped: Record<string, Outcome>
}

async function placeOf(work: Keeping, loser: Contender, as: string): Promise<Place | Undecided> {
  const undecided = (code: string, message: string): Undecided => {
    return { strategy: 'keep-both', code, message }
  }
  const before = await keptBefore(work, loser)
  if (before !== null) return { name: before, item: null, skipped: {} }
  const content = loser.content as Content
  const vaulted = loser.replicas.length === 0
  if (vaulted) {
    const vault = await work.deps.vault(work.context.config)
    const words = 'a loser cannot be read now: nobody who has it can be reached'
    if (!(await vault.has(content, work.signal))) return undecided('out-of-reach', words)
  }
  const { replicas } = work.context.policy
  for (const longer of [false, true]) {
    const name = conflictName(work.record.conflict as Conflict, loser, { as, replicas, longer })
    if (!work.context.selects(name)) {
      return undecided('not-selected', `the dataset's include and exclude leave ${name} out`)
    }
    const seen = await lookAt(work, name, content)
    if (seen === 'taken') continue
    if (seen === 'kept') return { name, item: null, skipped: {} }
    if (seen.actions.length === 0) return undecided('cannot-hold', `no replica can hold ${name}`)
    return { name, item: itemOf(work, loser, name, seen.actions), skipped: seen.skipped }
  }
  return undecided('name-taken', 'both names that the loser could have are taken')
}

function itemOf(work: Keeping, loser: Contender, key: Key, actions: Action[]): PlanItem {
  const { moment, record } = work
  const origin = loser.replicas[0]?.replica ?? ''
  const vaulted = loser.replicas.length === 0
  return {
    key,
    rev: 0,
    reason: 'kept-both',
    head: { run: moment.run, content: loser.content, origin, at: loser.at ?? moment.to },
    actions,
    sources: loser.replicas,
    sourceKey: record.key,
    ...(vaulted ? { vaulted } : {}),
    rescues: [],
    goneAt: [],
  }
}

/** The name under which an earlier run kept this very loser, even where that was deleted since:
 *  replicas that meet again with it don't bring it back. */
async function keptBefore(
  { deps, context, record }: Keeping,
  loser: Contender,
): Promise<Key | null> {
  const dataset = context.dataset.name
  const filter = { dataset, key: record.key, states: ['resolved' as const], limit: 100 }
  for (const { resolution } of await deps.catalog.findConflicts(filter)) {
    for (const { content, keptAs } of resolution?.losers ?? []) {
      if (!keptAs || !isSame(content, loser.content)) continue
      if (await wasThere(deps, dataset, keptAs, loser.content)) return keptAs
    }
  }
  return null
}

/** Decided isn't done: what counts is that it was agreed. */
async function wasThere(
  { catalog }: Deps,
  dataset: string,
  key: Key,
  content: Content | null,
): Promise<boolean> {
  const lines = await catalog.linesOfKey(dataset, key, { limit: 100 })
  return lines.some(({ version }) => isSame(version.content, content))
}

function isSame(a: Content | null, b: Content | null): boolean {
  return a !== null && b !== null && compareContent(a, b) === 'same'
}

/** What is under the name now, at every replica that can be looked at. */
async function lookAt(
  { deps, context, signal }: Keeping,
  name: Key,
  content: Content,
): Promise<'taken' | 'kept' | { actions: Action[]; skipped: Record<string, Outcome> }> {
  const dataset = context.dataset.name
  if (await wasThere(deps, dataset, name, content)) return 'kept'
  if ((await deps.catalog.getBaseline(dataset, [name])).has(name)) return 'taken'
  const actions: Action[] = []
  const skipped: Record<string, Outcome> = {}
  for (const { name: replica, connector } of context.replicas) {
    if (connector === null) continue
    const problem = keyProblem(name, connector.traits.keys)
    if (problem !== null) {
      skipped[replica] = { kind: 'skipped', reason: problem }
      continue
    }
    const entry = await patiently(signal, () => connector.stat(name, { signal }))
    if (entry === null) {
      actions.push({ do: 'put', replica, expect: null })
      continue
    }
    const unknown = compareContent(entry, content) === 'unknown'
    const found = unknown ? await digested(connector, name, entry, signal) : entry
    if (!isSame(found, content)) return 'taken'
    actions.push({ do: 'adopt', replica, token: entry.token })
  }
  return { actions, skipped }
}
