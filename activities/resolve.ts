/**
 * resolve: the conflicts of a range by the dataset's strategy. A decided one becomes an item like
 * any other; the others stay open, with all their contents kept, and hold up nobody else.
 */

import { createHash } from 'node:crypto'
import type { ItemRecord } from '../src/catalog/catalog.ts'
import { StoreError } from '../src/errors.ts'
import { transfersMax } from '../src/limits.ts'
import type { Conflict, Moment, RunNumber } from '../src/model.ts'
import { renameKey } from '../src/sync/content.ts'
import { orderText } from '../src/sync/contents.ts'
import { compareKeys } from '../src/sync/keys.ts'
import { itemOf } from '../src/sync/resolve.ts'
import { sideOf } from '../src/sync/strategies/choose.ts'
import { compileRules, decideByRules } from '../src/sync/strategies/rules.ts'
import type { Attempt } from './attempt.ts'
import { eachLimited } from './lanes.ts'
import { connectorOf, contextOf, type Deps, type RunContext } from './run-context.ts'

const pageItems = 1_000

/** In a plan, nothing is written but the plan: decided conflicts become its items. */
export async function resolveConflicts(
  deps: Deps,
  run: RunNumber,
  rangeNumber: number,
  attempt: Attempt,
): Promise<void> {
  const context = await contextOf(deps, run)
  const preview = context.record.mode === 'plan'
  for (let after = -1; ; ) {
    const filter = { run, rangeNumber, states: ['conflict' as const], after, limit: pageItems }
    const page = await deps.catalog.readItems(filter)
    await eachLimited(page, transfersMax, async (record) => {
      await resolveOne(deps, context, record, preview, attempt)
    })
    await attempt.fence('fresh')
    await deps.catalog.updateItems(page)
    if (page.length < pageItems) return
    after = page[page.length - 1]?.seq ?? after
  }
}

async function resolveOne(
  deps: Deps,
  context: RunContext,
  record: ItemRecord,
  preview: boolean,
  attempt: Attempt,
): Promise<void> {
  const conflict = record.conflict as Conflict
  const moment: Moment = { run: context.record.run, from: 0, to: deps.clock() }
  const known = { now: moment.to, contents: null, answers: new Map() }
  const rules = compileRules(context.policy.rules)(conflict.key)
  const { rule, verdict } = decideByRules(conflict, rules, known, 0)
  if (verdict.kind !== 'wins') {
    if (!preview) await openConflict(deps, context, record, moment, attempt)
    return
  }
  const item = itemOf(conflict, verdict.winner, context.policy, moment)
  if (item === null) {
    // The winner's content is on a replica that is unknown now: the key waits for it.
    record.state = 'skipped'
    for (const { replica } of conflict.bystanders) {
      record.outcomes[replica] = { kind: 'skipped', reason: 'the winning content is out of reach' }
    }
    return
  }
  record.item = item
  record.state = item.head.content === null ? 'deferred' : 'pending'
  record.contentKey = renameKey(item.head.content ?? conflict.head?.content ?? null)
  if (preview) return
  await deps.catalog.endConflict(context.dataset.name, context.record.run, conflict.key, {
    state: 'resolved',
    resolution: {
      strategy: verdict.by,
      rule: rule?.name ?? '',
      why: verdict.why,
      winner: verdict.winner.content,
      winnerReplicas: sideOf(verdict.winner),
      losers: conflict.contenders
        .filter((one) => one !== verdict.winner)
        .map((one) => ({ content: one.content, replicas: sideOf(one) })),
    },
    conflict,
    identity: identityOf(context.dataset.name, conflict),
    at: moment.to,
  })
}

async function openConflict(
  deps: Deps,
  context: RunContext,
  record: ItemRecord,
  moment: Moment,
  attempt: Attempt,
): Promise<void> {
  const conflict = record.conflict as Conflict
  try {
    const vault = await deps.vault(context.config)
    for (const { content, replicas } of conflict.contenders) {
      const source = replicas[0]
      const connector = source ? connectorOf(context, source.replica) : null
      if (content === null || !source || !connector) continue
      await vault.put(
        { connector, key: conflict.key, token: source.token, content },
        attempt.signal,
      )
    }
  } catch (error) {
    if (attempt.signal.aborted || !(error instanceof StoreError)) throw error
    // Nothing is overwritten while it is open, so nothing is lost; the next run keeps it.
    const moved = error.code === 'changed-meanwhile' || error.code === 'not-found'
    record.state = moved ? 'stale' : 'failed'
    const message = `${error.location}: ${error.message}`
    for (const replica of replicasOf(conflict)) {
      record.outcomes[replica] = moved
        ? { kind: 'changed-meanwhile' }
        : { kind: 'failed', code: error.code, message }
    }
    return
  }
  const identity = identityOf(context.dataset.name, conflict)
  const { run, to } = moment
  await deps.catalog.openConflict(context.dataset.name, run, identity, conflict, to)
  record.state = 'open'
}

function replicasOf({ contenders }: Conflict): string[] {
  return contenders.flatMap(({ replicas }) => replicas.map(({ replica }) => replica))
}

/** Dataset, key and the sorted contender digests: the same contenders are the same conflict. */
export function identityOf(dataset: string, { key, contenders }: Conflict): string {
  const digests = contenders.map(({ content }) => orderText(content)).sort(compareKeys)
  return createHash('sha256')
    .update(JSON.stringify([dataset, key, digests]))
    .digest('hex')
}
