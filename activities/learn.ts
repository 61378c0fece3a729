/** Digests (and metadata) that a decision needs: asked of the store first, then read. */

import type { Connector } from '../connectors/connector.ts'
import { digestsByReading } from '../connectors/digests.ts'
import { RETRIED, type StoreCode, StoreError } from '../src/errors.ts'
import { transfersMax } from '../src/limits.ts'
import type { Decision, Entry, Key, Outcome } from '../src/model.ts'
import { eachLimited } from '../src/sync/each-limited.ts'
import { patiently } from './patiently.ts'
import type { RunContext } from './run-context.ts'
import type { TalliedKey } from './tally.ts'

interface Need {
  one: TalliedKey
  decision: Decision
}

/** Nothing else is to be had of a replica that answers so. */
const OF_THE_REPLICA: ReadonlySet<StoreCode> = new Set(['unauthenticated', 'root-missing'])

/**
 * Puts what it learns into the observations. `final`: what still can't be told is unknown in this
 * run. `onRead`: so many bytes were read for it. One key's failure is that key's (I5): it becomes
 * unknown, and its outcome says why. Throws the StoreError of a replica that fails as a whole: by
 * its code, or since no key gets an answer.
 */
export async function learn(
  context: RunContext,
  needs: Need[],
  options: { final: boolean; signal: AbortSignal; onRead?: (bytes: number) => void },
): Promise<void> {
  const asked = needs.flatMap(({ one, decision }) =>
    decision.kind === 'need-digest' ? decision.replicas.map((replica) => ({ one, replica })) : [],
  )
  /** Keys that got no answer after all tries, by replica, since the last one that did. */
  const silent = new Map<string, number>()
  await eachLimited(asked, transfersMax, async ({ one, replica }) => {
    const at = context.replicas.findIndex(({ name }) => name === replica)
    const observation = one.observations[at]
    const connector = context.replicas[at]?.connector
    if (observation?.kind !== 'entry' || !connector) return
    if (options.final) {
      leave(one, at, replica, failed('not-comparable', 'its content could not be compared'))
      return
    }
    try {
      const entry = await patiently(options.signal, () =>
        learnOne(connector, one.key, observation.entry, options),
      )
      one.observations[at] = { kind: 'entry', entry }
      silent.delete(replica)
    } catch (error) {
      if (options.signal.aborted || !(error instanceof StoreError)) throw error
      if (RETRIED[error.code]) silent.set(replica, (silent.get(replica) ?? 0) + 1)
      const away = (silent.get(replica) ?? 0) > transfersMax
      if (away || OF_THE_REPLICA.has(error.code)) throw error
      leave(one, at, replica, unlearnedBy(error))
    }
  })
}

type Unlearned = Extract<Outcome, { kind: 'failed' | 'changed-meanwhile' }>

function leave(one: TalliedKey, at: number, replica: string, why: Unlearned): void {
  one.observations[at] = { kind: 'unknown', reason: why.kind }
  one.unlearned[replica] = why
}

const failed = (code: string, message: string): Unlearned => ({ kind: 'failed', code, message })

function unlearnedBy(error: StoreError): Unlearned {
  const moved = error.code === 'changed-meanwhile' || error.code === 'not-found'
  if (moved) return { kind: 'changed-meanwhile' }
  return failed(error.code, `${error.location}: ${error.message}`)
}

async function learnOne(
  connector: Connector,
  key: Key,
  entry: Entry,
  { signal, onRead }: { signal: AbortSignal; onRead?: (bytes: number) => void },
): Promise<Entry> {
  const stat = await connector.stat(key, { signal })
  if (stat === null || stat.token.id !== entry.token.id) {
    const details = { location: connector.name, operation: 'stat', key }
    throw new StoreError('changed-meanwhile', 'it changed since it was listed', details)
  }
  const known = { ...stat, digests: { ...entry.digests, ...stat.digests } }
  // The store itself said more than before: that may be enough.
  const more = Object.keys(known.digests).length > Object.keys(entry.digests).length
  const metadata = entry.metadata === undefined && stat.metadata !== undefined
  if (more || metadata) return known
  const digests = await digestsByReading(connector, key, known, signal)
  onRead?.(known.size)
  return { ...known, digests }
}
