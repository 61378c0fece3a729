/**
 * apply → commit: the items of a lane, page by page, until none is left. Each key is on its own:
 * its failure is its own (I5), and every action's outcome is committed as soon as it is known.
 */
import type { ItemRecord, ItemState } from '../src/catalog/catalog.ts'
import { actionTriesMax, listPageKeys, transfersMax } from '../src/limits.ts'
import type { RunNumber } from '../src/model.ts'
import { eachLimited } from '../src/sync/each-limited.ts'
import type { Attempt } from './attempt.ts'
import type { ByteBudget } from './byte-budget.ts'
import { carryOut, type Work } from './carry-out.ts'
import { createCommitter } from './commit.ts'
import { expectKept } from './keep.ts'
import { contextOf, type Deps } from './run-context.ts'

export interface ApplyResult {
  done: number
}

/** `range/N`: a range's puts. `deletes`: what waited for the end of all ranges. `blocked`: puts
 *  that waited for the deletes. */
export type Lane = `range/${number}` | 'deletes' | 'blocked'

const STATES: Record<'range' | 'deletes' | 'blocked', ItemState> = {
  range: 'pending',
  deletes: 'deferred',
  blocked: 'blocked',
}

export async function applyLane(
  deps: Deps & { budget: ByteBudget },
  run: RunNumber,
  lane: Lane,
  attempt: Attempt,
): Promise<ApplyResult> {
  const [kind, number] = lane.split('/') as ['range' | 'deletes' | 'blocked', string | undefined]
  const context = await contextOf(deps, run)
  const commits = createCommitter(deps, context, attempt)
  let sending = 0
  const work: Work = {
    ...{ deps, context, attempt, commits, lane: kind, lost: new Map() },
    sending(bytes) {
      sending += bytes
      attempt.tell({ sending })
    },
  }
  const limit = context.dataset.limits.concurrency
  let done = 0
  for (let round = 0; ; round++) {
    let left = 0
    for (let after = -1; ; ) {
      const page = await deps.catalog.readItems({
        run,
        states: [STATES[kind]],
        after,
        limit: listPageKeys,
        ...(number === undefined ? {} : { rangeNumber: Number(number) }),
      })
      if (page.length === 0) break
      after = page[page.length - 1]?.seq ?? after
      left += await applyPage(work, page, limit, round > 0 || attempt.again)
      done += page.length
      attempt.tell({ done })
    }
    if (left === 0) return { done }
    await pauseBefore(round, attempt.signal)
  }
}

/** Gives how many items are to be tried again. */
async function applyPage(
  work: Work,
  page: ItemRecord[],
  limit: number | null,
  look: boolean,
): Promise<number> {
  let again = 0
  let noteKept = async (): Promise<void> => undefined
  try {
    await checkRevs(work, page)
    const todo = page.filter(({ state }) => state === STATES[work.lane])
    noteKept = await expectKept(work.deps, work.context, todo, work.attempt.signal)
    await eachLimited(page, limit ?? lanesFor(todo), async (record) => {
      if (record.state !== STATES[work.lane]) return
      await carryOut(work, record, look)
      if (record.state === STATES[work.lane] && record.tries < actionTriesMax) again++
    })
  } finally {
    // What was done is committed even when the rest is cancelled, or the vault's notes fail.
    try {
      await noteKept()
    } finally {
      await work.commits.flush()
    }
  }
  return again
}

/** Where content goes to the vault first, as many keys may wait for that as for their puts: each
 *  location has its own limit of calls, and neither keeps the other waiting. */
function lanesFor(todo: ItemRecord[]): number {
  return todo.some(({ item }) => item && item.rescues.length > 0) ? 2 * transfersMax : transfersMax
}

/** A row that a later run changed since it was planned: the key is left to the next scan. */
async function checkRevs({ deps, context, commits }: Work, page: ItemRecord[]): Promise<void> {
  const rows = await deps.catalog.getBaseline(
    context.dataset.name,
    page.map(({ key }) => key),
  )
  for (const record of page) {
    const row = rows.get(record.key) ?? null
    commits.remember(record.key, row)
    if ((row?.rev ?? 0) !== record.rev) commits.end(record, 'stale')
  }
}

async function pauseBefore(round: number, signal: AbortSignal): Promise<void> {
  const ms = Math.min(500 * 2 ** round, 8_000)
  await new Promise<void>((wake, fail) => {
    const timer = setTimeout(wake, ms)
    signal.addEventListener('abort', () => {
      clearTimeout(timer)
      fail(signal.reason)
    })
  })
}
