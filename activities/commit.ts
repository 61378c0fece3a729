/**
 * commit: outcomes into the catalog, together and soon. The baseline moves in the same transaction
 * as the item's state (I8); a row that somebody else changed leaves the key to the next scan.
 */
import type { ItemRecord, ItemState, RunCounts, Settlement } from '../src/catalog/catalog.ts'
import { commitDelayMs } from '../src/limits.ts'
import type { BaselineRow, Key, Outcome, PlanItem } from '../src/model.ts'
import { renameKey } from '../src/sync/content.ts'
import { settle } from '../src/sync/settle.ts'
import { type Attempt, Superseded } from './attempt.ts'
import type { Deps, RunContext } from './run-context.ts'

const batchMax = 250

export interface Committer {
  /** The row as it was read for this page. */
  remember(key: Key, row: BaselineRow | null): void
  /** Outcomes of one item; `again`: it stays to be done, for the replicas without an outcome.
   *  Resolves when they are durable, or will be: `flush` waits for all. */
  add(record: ItemRecord, outcomes: Record<string, Outcome>, again: boolean): Promise<void>
  /** Ends an item without doing anything. */
  end(record: ItemRecord, state: ItemState): void
  flush(): Promise<void>
}

interface Waiting {
  record: ItemRecord
  fresh: Record<string, Outcome>
}

export function createCommitter(
  deps: Pick<Deps, 'catalog' | 'clock'>,
  context: RunContext,
  { fence, holder }: Attempt,
): Committer {
  const rows = new Map<Key, BaselineRow | null>()
  let waiting: Waiting[] = []
  let counts: Partial<RunCounts> = {}
  let timer: NodeJS.Timeout | null = null
  let writing: Promise<void> = Promise.resolve()
  let failure: unknown = null

  /** One transaction after the other, in order: rows that are remembered stay right. */
  function write(): void {
    if (timer) clearTimeout(timer)
    timer = null
    const batch = waiting
    const sums = counts
    waiting = []
    counts = {}
    if (batch.length === 0) return
    writing = writing
      .then(() => commitBatch(batch, sums))
      .catch((error) => {
        failure ??= error
      })
  }

  async function commitBatch(batch: Waiting[], sums: Partial<RunCounts>): Promise<void> {
    await fence()
    const settlements = batch.map((one) => settlementOf(one))
    // The fence in the transaction itself: one that was asked before may have been lost since, and
    // an item that the next attempt has read would end twice.
    const accepted = await deps.catalog.settle(context.dataset.name, settlements, holder)
    if (accepted === null) throw new Superseded(holder)
    const refused: ItemRecord[] = []
    accepted.forEach((ok, i) => {
      const { record, row } = settlements[i] as Settlement
      if (!ok) refused.push({ ...record, state: 'stale' })
      else if (row !== undefined) {
        rows.set(record.key, row)
        record.rev = row === null ? 0 : row.rev
      }
    })
    if (!(await deps.catalog.updateItems(refused, holder))) throw new Superseded(holder)
    await deps.catalog.addCounts(context.record.run, sums)
  }

  function settlementOf({ record, fresh }: Waiting): Settlement {
    const row = rows.get(record.key) ?? null
    const item = record.item as PlanItem
    const settled = settle(row, item, fresh, context.policy.replicas)
    const head = settled?.row?.head ?? item.head
    if (item.head.content !== null) record.contentKey = renameKey(head.content)
    const version = settled?.version
    return {
      record,
      row: settled ? settled.row : undefined,
      expectRev: row?.rev ?? 0,
      version: version
        ? {
            key: record.key,
            version,
            parents: row ? [row.head.run] : [],
            reason: item.reason,
            agreedAt: deps.clock(),
          }
        : null,
      learned: settled?.learned ?? null,
    }
  }

  function enqueue(one: Waiting): void {
    waiting.push(one)
    if (waiting.length >= batchMax) write()
    else timer ??= setTimeout(write, commitDelayMs)
  }

  return {
    remember(key, row) {
      rows.set(key, row)
    },
    async add(record, outcomes, again) {
      if (failure) throw failure
      record.outcomes = { ...record.outcomes, ...outcomes }
      record.tries++
      if (!again) record.state = stateOf(record)
      countOutcomes(counts, record, outcomes)
      enqueue({ record, fresh: outcomes })
    },
    end(record, state) {
      record.state = state
      const name = state === 'stale' ? 'stale' : 'cancelled'
      counts[name] = (counts[name] ?? 0) + 1
      enqueue({ record, fresh: {} })
    },
    async flush() {
      write()
      await writing
      rows.clear()
      if (failure) throw failure
    },
  }
}

/** The worst outcome names the item: what went wrong somewhere must not look done. */
function stateOf({ outcomes }: ItemRecord): ItemState {
  const kinds = new Set(Object.values(outcomes).map(({ kind }) => kind))
  for (const [kind, state] of [
    ['failed', 'failed'],
    ['changed-meanwhile', 'stale'],
    ['skipped', 'skipped'],
  ] as const) {
    if (kinds.has(kind)) return state
  }
  return 'done'
}

function countOutcomes(
  counts: Partial<RunCounts>,
  { item }: ItemRecord,
  outcomes: Record<string, Outcome>,
): void {
  const add = (name: keyof RunCounts, n = 1) => {
    counts[name] = (counts[name] ?? 0) + n
  }
  let deleted = false
  for (const [replica, outcome] of Object.entries(outcomes)) {
    const verb = item?.actions.find((action) => action.replica === replica)?.do
    if (outcome.kind === 'done' && verb === 'put') {
      add('puts')
      add('bytes', outcome.content?.size ?? 0)
    } else if (outcome.kind === 'done' && verb === 'delete') deleted = true
    else if (outcome.kind === 'done') add('adopted')
    else if (outcome.kind === 'changed-meanwhile') add('stale')
    else if (outcome.kind === 'skipped') add('skipped')
    else if (outcome.kind === 'failed') add('failed')
  }
  // By keys, as the delete limit counts them.
  if (deleted) add('deletes')
}
