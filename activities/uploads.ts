/**
 * What interrupted writes left at the stores: parts that nobody goes on with are dropped. A pause,
 * a killed worker or a failure leaves its parts to be gone on with; a run that is cancelled
 * doesn't.
 */
import type { Connector } from '../connectors/connector.ts'
import type { Catalog, RunState } from '../src/catalog/catalog.ts'
import { StoreError } from '../src/errors.ts'
import { uploadsKeptMs } from '../src/limits.ts'
import type { Key, RunNumber } from '../src/model.ts'
import { contextOf, type Deps, type RunContext } from './run-context.ts'

const pageUploads = 1_000

/** Of a run that has ended in `state`; gives how many were dropped. */
export async function dropUploads(
  deps: Deps,
  run: RunNumber,
  state: RunState,
  signal: AbortSignal,
): Promise<number> {
  const context = await contextOf(deps, run)
  const before = staleBefore(context, state, deps.clock())
  const dropped = await Promise.all(
    written(context).map((connector) => dropAt(deps.catalog, connector, before, signal)),
  )
  return dropped.reduce((sum, more) => sum + more, 0)
}

/** Uploads that were saved last before then (ms) are of no use to any later run. */
function staleBefore({ record }: RunContext, state: RunState, now: number): number {
  // It knows of its own keys alone, and may run beside the dataset's run.
  if (record.request !== null) return now - uploadsKeptMs
  // Nobody wants any of it.
  if (state === 'cancelled') return Number.MAX_SAFE_INTEGER
  // Every key has become what it should be, without them.
  const settled = record.mode === 'sync' && (state === 'complete' || state === 'conflicts')
  return settled ? Number.MAX_SAFE_INTEGER : now - uploadsKeptMs
}

/** Where this dataset writes: no other one writes there, but it may read. */
function written({ policy, record, replicas }: RunContext): Connector[] {
  return replicas.flatMap(({ name, connector }) => {
    const read = policy.direction === 'one-way' && name === policy.source && !record.request
    return connector === null || read ? [] : [connector]
  })
}

async function dropAt(
  catalog: Catalog,
  connector: Connector,
  before: number,
  signal: AbortSignal,
): Promise<number> {
  async function drop({ key, state }: { key: Key; state: string }): Promise<boolean> {
    try {
      await connector.abortUpload?.(key, state, { signal })
    } catch (error) {
      // It stays in the catalog: the next run's end tries again.
      if (error instanceof StoreError && error.code !== 'cancelled') return false
      throw error
    }
    await catalog.putUpload(connector.name, key, null, 0)
    return true
  }

  let dropped = 0
  for (;;) {
    const page = await catalog.staleUploads(connector.name, before, pageUploads)
    const done = await Promise.all(page.map(drop))
    dropped += done.filter(Boolean).length
    if (page.length < pageUploads || done.includes(false)) return dropped
  }
}
