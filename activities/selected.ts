/**
 * What a key-wise run looks at: instead of listings, each selected key by itself, at every replica.
 * A stat's null is a definite absence; what can't be told of a key is unknown at that replica.
 */
import type { Connector } from '../connectors/connector.ts'
import type { RangeRecord } from '../src/catalog/catalog.ts'
import { StoreError } from '../src/errors.ts'
import { transfersMax } from '../src/limits.ts'
import type { Directive, Key, Observation, Outcome } from '../src/model.ts'
import { eachLimited } from '../src/sync/each-limited.ts'
import { keyProblem } from '../src/sync/keys.ts'
import type { JoinedKey } from '../src/sync/merge-join.ts'
import { patiently } from './patiently.ts'
import type { Deps, RunContext } from './run-context.ts'

export interface SelectedKey extends JoinedKey {
  directive: Directive
  /** By replica: why it could not be looked at. */
  unlearned: Record<string, Outcome>
}

/** These say nothing of the key: the replica is lost, as where its listing fails. */
const REPLICAS = new Set(['unauthenticated', 'root-missing', 'unavailable', 'throttled'])

/** The selected keys of the range behind its cursor, in key order. Throws the `StoreError` of a
 *  replica that can't be looked at as a whole. */
export async function* selectedKeys(
  { catalog }: Deps,
  context: RunContext,
  range: RangeRecord,
  batchKeys: number,
  signal: AbortSignal,
): AsyncGenerator<SelectedKey[]> {
  const id = context.record.request as number
  for (let after = range.cursor; ; ) {
    const page = await catalog.requestKeys({ id, range: range.range, after, limit: batchKeys })
    const names = page.map(({ key }) => key)
    const rows = await catalog.getBaseline(context.dataset.name, names)
    const keys = page.map(({ key, directive }): SelectedKey => {
      const observations = context.replicas.map(({ reason }) => unknown(reason))
      return { key, directive, row: rows.get(key) ?? null, observations, unlearned: {} }
    })
    await lookAt(context, keys, signal)
    if (keys.length > 0) yield keys
    if (keys.length < batchKeys) return
    after = names[names.length - 1] ?? after
  }
}

const unknown = (reason: string): Observation => ({ kind: 'unknown', reason })

async function lookAt(
  context: RunContext,
  keys: SelectedKey[],
  signal: AbortSignal,
): Promise<void> {
  const looks = keys.flatMap((one) =>
    context.replicas.flatMap(({ name, connector }, at) =>
      connector ? [{ one, name, connector, at }] : [],
    ),
  )
  const limit = context.dataset.limits.concurrency ?? transfersMax
  await eachLimited(looks, limit, async ({ one, name, connector, at }) => {
    const seen = await statOnce(connector, one.key, signal)
    if ('kind' in seen) {
      one.observations[at] = seen
      return
    }
    one.observations[at] = unknown(seen.message)
    // A name that this store can't hold, or something in its way, is skipped there as in a listing.
    if (seen.code === 'cannot-hold') return
    const message = `${seen.location}: ${seen.message}`
    one.unlearned[name] = { kind: 'failed', code: seen.code, message }
  })
}

/** Gives the error that is this key's alone; throws that of the replica. */
async function statOnce(
  connector: Connector,
  key: Key,
  signal: AbortSignal,
): Promise<Observation | StoreError> {
  // Absent where the store can't hold it: whoever asks for the observations finds the reason.
  if (keyProblem(key, connector.traits.keys) !== null) return { kind: 'absent' }
  try {
    const entry = await patiently(signal, () => connector.stat(key, { signal }))
    return entry ? { kind: 'entry', entry } : { kind: 'absent' }
  } catch (error) {
    if (signal.aborted || !(error instanceof StoreError)) throw error
    if (REPLICAS.has(error.code)) throw error
    return error
  }
}
