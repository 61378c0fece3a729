/** Conflicts in words, for people and for scripts. */
import type { ConflictRecord } from '../../catalog/catalog.ts'
import type { Config } from '../../config/index.ts'
import type { Contender } from '../../model.ts'
import { compileFilter } from '../../sync/filter.ts'
import { sideOf } from '../../sync/strategies/choose.ts'
import { isUndone } from '../../sync/undone.ts'
import { bytes, time } from '../output.ts'
import { whyOpen } from '../run-report.ts'

/** `1.2 KiB at aws = office`, `deleted at gcp`. */
export function sideWords(contender: Contender): string {
  // Nobody shows the agreed content any more: its replicas changed, or can't be reached now.
  const who = sideOf(contender).join(' = ') || 'what was agreed'
  return contender.content === null
    ? `deleted at ${who}`
    : `${bytes(contender.content.size)} at ${who}`
}

export function sidesWords({ conflict }: ConflictRecord): string {
  return conflict.contenders.map(sideWords).join(' / ')
}

/** What keeps a conflict open, as the config is now; null: it isn't open, or nobody was asked. */
export function whyOpenBy(config: Config): (record: ConflictRecord) => string | null {
  const filters = new Map(
    config.datasets.map(({ name, include, exclude }) => [name, compileFilter(include, exclude)]),
  )
  return ({ state, dataset, key, conflict }) => {
    if (state !== 'open') return null
    const selects = filters.get(dataset)
    if (!selects) return 'no run looks at it: the config has no such dataset'
    return selects(key)
      ? whyOpen(conflict)
      : 'no run looks at it: the dataset leaves this key out now'
  }
}

/** `open since …`, `resolved … by …`. `why`: see `whyOpenBy`. */
export function stateWords(record: ConflictRecord, why: string | null): string {
  const { state, openedAt, endedAt, resolution } = record
  if (isUndone(record)) {
    const when = time(endedAt ?? 0)
    return `open again: how ${resolution?.strategy} had decided it ${when} was taken back`
  }
  if (state === 'open') return `open since ${time(openedAt)}${why ? `: ${why}` : ''}`
  const when = endedAt === null ? '' : ` ${time(endedAt)}`
  if (state === 'closed') return `ended by itself${when}: the replicas agreed`
  return `resolved${when} by ${resolution?.strategy ?? 'nobody'}: ${resolution?.rule ?? ''}`
}

/** A record for scripts: times as ISO 8601. */
export function shownConflict(record: ConflictRecord) {
  const { conflict, identity, openedAt, endedAt, ...rest } = record
  return {
    ...rest,
    identity,
    undone: isUndone(record),
    openedAt: new Date(openedAt).toISOString(),
    endedAt: endedAt === null ? null : new Date(endedAt).toISOString(),
    undecided: conflict.undecided ?? [],
    head: conflict.head && { run: conflict.head.run, content: conflict.head.content },
    contenders: conflict.contenders.map((one) => ({
      content: one.content,
      replicas: sideOf(one),
      at: one.at === null ? null : new Date(one.at).toISOString(),
      agreed: one.head,
    })),
  }
}
