/** The selected keys of a page that a person wants back: what a decision lacks is learned first. */
import { StoreError } from '../src/errors.ts'
import { transfersMax } from '../src/limits.ts'
import type { Content, Moment, Observation, Outcome, Request } from '../src/model.ts'
import { eachLimited } from '../src/sync/each-limited.ts'
import { NOTHING } from '../src/sync/reconcile.ts'
import { type Restored, restore, type Wish } from '../src/sync/restore.ts'
import { learn } from './learn.ts'
import { patiently } from './patiently.ts'
import type { Deps, RunContext } from './run-context.ts'
import { type TalliedKey, type Tally, tally } from './tally.ts'

interface Restoring {
  deps: Deps
  context: RunContext
  moment: Moment
  signal: AbortSignal
}

interface Asked {
  one: TalliedKey
  wish: Wish
}

export async function restoreKeys(
  restoring: Restoring,
  keys: TalliedKey[],
  found: Tally,
): Promise<void> {
  if (keys.length === 0) return
  const { deps, context, signal } = restoring
  const { request } = (await deps.catalog.getRequest(context.record.request as number)) ?? {}
  let left: Asked[] = []
  for (const one of keys) {
    const { directive } = one
    if (directive?.do === 'leave') leave(found, one, context, directive)
    if (directive?.do !== 'restore') continue
    left.push({ one, wish: { directive, overwriteLater: overwrites(request), vaulted: undefined } })
  }
  // The vault, then stat and read per replica: after so many rounds nothing more can be learned.
  for (let round = 0; left.length > 0; round++) {
    const asked = left.map((ask) => ({ ...ask, answer: decide(restoring, ask) }))
    left = []
    const needs = asked.flatMap(({ one, answer }) =>
      answer.kind === 'need-digest' ? [{ one, decision: answer }] : [],
    )
    for (const { one, wish, answer } of asked) {
      if (answer.kind === 'need-digest' || answer.kind === 'need-vault') left.push({ one, wish })
      else tallyRestored(found, one, context, answer)
    }
    await learn(context, needs, { final: round >= 2 * context.replicas.length + 1, signal })
    const vaults = asked.filter(({ answer }) => answer.kind === 'need-vault')
    await eachLimited(vaults, transfersMax, (ask) => askVault(restoring, ask))
  }
}

function overwrites(request: Request | undefined): boolean {
  return request !== undefined && request.kind !== 'resolve' && request.overwriteLater
}

function decide({ context, moment }: Restoring, { one, wish }: Asked): Restored {
  const byReplica = new Map<string, Observation>()
  context.policy.replicas.forEach((name, i) => {
    byReplica.set(name, one.observations[i] as Observation)
  })
  return restore(one.key, one.row, byReplica, context.policy, moment, wish)
}

/** A vault that gives no answer is this key's failure. */
async function askVault({ deps, context, signal }: Restoring, { one, wish }: Asked): Promise<void> {
  try {
    const vault = await deps.vault(context.config)
    const content = wish.directive.content as Content
    wish.vaulted = await patiently(signal, () => vault.has(content, signal))
  } catch (error) {
    if (signal.aborted || !(error instanceof StoreError)) throw error
    wish.vaulted = false
    const message = `${error.location}: ${error.message}`
    one.unlearned[''] = { kind: 'failed', code: error.code, message }
  }
}

function tallyRestored(
  found: Tally,
  one: TalliedKey,
  context: RunContext,
  answer: Extract<Restored, { kind: 'nothing' | 'item' | 'left' }>,
): void {
  if (answer.kind === 'left') leave(found, one, context, answer)
  else if (answer.kind === 'nothing') tally(found, one, NOTHING, context)
  else tally(found, one, { ...answer, conflict: null, notes: [] }, context)
}

/** Listed with its reason: at the replicas that it is about, or of the key as a whole. */
export function leave(
  found: Tally,
  one: TalliedKey,
  context: RunContext,
  {
    code,
    reason,
    replicas = [],
  }: Pick<Extract<Restored, { kind: 'left' }>, 'code' | 'reason'> & {
    replicas?: string[]
  },
): void {
  const skipped: Outcome = { kind: 'skipped', reason, code }
  for (const replica of replicas.length > 0 ? replicas : ['']) one.unlearned[replica] ??= skipped
  tally(found, one, NOTHING, context)
}
