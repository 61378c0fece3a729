/** A decided conflict into the items that carry it out, and into the record of how it ended. */
import { createHash } from 'node:crypto'
import type { ConflictEnd, ItemRecord } from '../src/catalog/catalog.ts'
import type { Conflict, Contender, Moment, Resolution, Undecided } from '../src/model.ts'
import { renameKey } from '../src/sync/content.ts'
import { orderText } from '../src/sync/contents.ts'
import { compareKeys } from '../src/sync/keys.ts'
import { itemOf } from '../src/sync/resolve.ts'
import { sideOf } from '../src/sync/strategies/choose.ts'
import { type KeptBeside, keepBeside } from './kept-beside.ts'
import type { Deps, RunContext } from './run-context.ts'

/** Who wins, and on whose word. */
export interface Ruling {
  winner: Contender
  /** No replica has the winner's content, but the vault. */
  vaulted: boolean
  keep?: { sides: Contender[]; as: string } | undefined
  strategy: string
  /** The config's rule, or 'a person'. */
  rule: string
  why: string
  /** The person. */
  by: string | null
  tried: Undecided[]
}

interface Concluding {
  deps: Deps
  context: RunContext
  moment: Moment
  signal: AbortSignal
}

/**
 * The record gets its item; the items of losers that stay beside the winner are given. Or why it
 * can't be done: `out-of-reach` where the winner's content can't be had now.
 */
export async function conclude(
  work: Concluding,
  record: ItemRecord,
  ruling: Ruling,
): Promise<ItemRecord[] | Undecided> {
  const { context, moment } = work
  const conflict = record.conflict as Conflict
  const { winner, vaulted } = ruling
  const item = itemOf(conflict, winner, context.policy, moment, vaulted ? 'vaulted' : undefined)
  if (item === null) {
    const message = 'the winning content is out of reach'
    return { strategy: 'manual', code: 'out-of-reach', message }
  }
  const beside = ruling.keep ? await keepBeside({ ...work, record }, ruling.keep) : none
  if ('code' in beside) return beside
  const after = beside.records.flatMap(({ key, item: kept }) =>
    kept?.head.content ? [{ key, content: kept.head.content }] : [],
  )
  const resolution = resolutionOf(conflict, ruling, beside)
  record.item = { ...item, ...(after.length > 0 ? { after } : {}), resolution }
  record.state = item.head.content === null ? 'deferred' : 'pending'
  record.contentKey = renameKey(item.head.content ?? conflict.head?.content ?? null)
  return beside.records
}

const none: KeptBeside = { records: [], names: new Map() }

/** How the conflict of this item ends by it; null: it has none, or doesn't decide it. */
export function endOf(dataset: string, { item, conflict }: ItemRecord): ConflictEnd | null {
  if (!conflict || !item?.resolution) return null
  return {
    key: conflict.key,
    state: 'resolved',
    resolution: item.resolution,
    conflict,
    identity: identityOf(dataset, conflict),
  }
}

function resolutionOf(
  { contenders, base }: Conflict,
  { winner, strategy, rule, why, by, tried }: Ruling,
  { names }: KeptBeside,
): Resolution {
  const losers = contenders.filter((one) => one !== winner)
  return {
    ...{ strategy, rule, why, by, tried, merged: !contenders.includes(winner) },
    winner: winner.content,
    winnerReplicas: sideOf(winner),
    losers: losers.map((one) => {
      const keptAs = names.get(one)
      return { content: one.content, replicas: sideOf(one), ...(keptAs ? { keptAs } : {}) }
    }),
    base: base?.content ?? null,
  }
}

/** Dataset, key and the sorted contender digests: the same contenders are the same conflict. */
export function identityOf(dataset: string, { key, contenders }: Conflict): string {
  const digests = contenders.map(({ content }) => orderText(content)).sort(compareKeys)
  return createHash('sha256')
    .update(JSON.stringify([dataset, key, digests]))
    .digest('hex')
}
