/** Digests (and metadata) that a decision needs: asked of the store first, then read. */

import type { Connector } from '../connectors/connector.ts'
import { digestsByReading } from '../connectors/digests.ts'
import { RETRIED, StoreError } from '../src/errors.ts'
import { transfersMax } from '../src/limits.ts'
import type { Decision, Entry, Key, Outcome } from '../src/model.ts'
import { eachLimited } from './lanes.ts'
import type { Deps, RunContext } from './run-context.ts'
import type { TalliedKey } from './tally.ts'

interface Need {
  one: TalliedKey
  decision: Decision
}

/**
 * Puts what it learns into the observations. `final`: what still can't be told is unknown in this
 * run. One key's failure is that key's: it becomes unknown, and its outcome says why.
 */
export async function learn(
  _deps: Deps,
  context: RunContext,
  needs: Need[],
  options: { final: boolean; signal: AbortSignal },
): Promise<void> {
  const asked = needs.flatMap(({ one, decision }) =>
    decision.kind === 'need-digest' ? decision.replicas.map((replica) => ({ one, replica })) : [],
  )
  await eachLimited(asked, transfersMax, async ({ one, replica }) => {
    const at = context.replicas.findIndex(({ name }) => name === replica)
    const observation = one.observations[at]
    const connector = context.replicas[at]?.connector
    if (observation?.kind !== 'entry' || !connector) return
    const learned = options.final
      ? failed('not-comparable', 'its content could not be compared')
      : await learnOne(connector, one.key, observation.entry, options.signal)
    if ('token' in learned) {
      one.observations[at] = { kind: 'entry', entry: learned }
      return
    }
    one.observations[at] = { kind: 'unknown', reason: learned.kind }
    one.unlearned[replica] = learned
  })
}

type Unlearned = Extract<Outcome, { kind: 'failed' | 'changed-meanwhile' }>

const failed = (code: string, message: string): Unlearned => ({ kind: 'failed', code, message })

async function learnOne(
  connector: Connector,
  key: Key,
  entry: Entry,
  signal: AbortSignal,
): Promise<Entry | Unlearned> {
  try {
    const stat = await connector.stat(key, { signal })
    if (stat === null || stat.token.id !== entry.token.id) {
      return { kind: 'changed-meanwhile' }
    }
    const known = { ...stat, digests: { ...entry.digests, ...stat.digests } }
    // The store itself said more than before: that may be enough.
    const more = Object.keys(known.digests).length > Object.keys(entry.digests).length
    const metadata = entry.metadata === undefined && stat.metadata !== undefined
    if (more || metadata) return known
    const digests = await digestsByReading(connector, key, known.token, signal)
    return { ...known, digests }
  } catch (error) {
    if (signal.aborted || !(error instanceof StoreError)) throw error
    // The whole listing is tried again; a single key's refusal isn't the listing's.
    if (RETRIED[error.code]) throw error
    const moved = error.code === 'changed-meanwhile' || error.code === 'not-found'
    if (moved) return { kind: 'changed-meanwhile' }
    return failed(error.code, `${error.location}: ${error.message}`)
  }
}
