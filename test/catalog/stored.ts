/** What the catalog's tests store. Without vitest: child processes use it too. */
import type { Catalog, ConflictEnd, HistoryLine, ItemRecord } from '../../src/catalog/catalog.ts'
import type { BaselineRow, Conflict, Key, PlanItem, Version } from '../../src/model.ts'

export const dataset = 'photos'

export function runOf(more: Partial<Parameters<Catalog['createRun']>[0]> = {}) {
  return {
    dataset,
    mode: 'sync' as const,
    trigger: 'manual' as const,
    state: 'running' as const,
    configDigest: 'c0ffee',
    base: null,
    request: null,
    startedAt: 1_700_000_000_000,
    liveAtStart: 0,
    workflowId: 'sync/photos',
    temporalRunId: null,
    by: 'ada@host' as string | null,
    ...more,
  }
}

/** Who asks for what the audit is told of. */
export const asked = { datasets: [dataset], run: null, by: 'ada@host' }

export function versionOf(run: number, size: number | null = 5): Version {
  const digests = { sha256: 'ab'.repeat(32), md5: 'cd'.repeat(16) }
  return {
    run,
    content: size === null ? null : { size, digests, metadata: { contentType: 'text/plain' } },
    origin: 'here',
    at: 1_700_000_000_123,
  }
}

/** Of history. */
export function lineOf(key: Key, version: Version): HistoryLine {
  return { key, version, parents: [], reason: 'new', agreedAt: 1_700_000_000_999 }
}

export function rowOf(key: Key, head = versionOf(1)): BaselineRow {
  return {
    key,
    rev: 1,
    head,
    holds: {
      here: { version: head, token: { id: '"etag"', at: 1_700_000_000_456 } },
      there: { version: head, token: head.content ? { id: 'generation' } : null },
    },
  }
}

export function itemOf(key: Key, more: Partial<PlanItem> = {}): PlanItem {
  return {
    key,
    rev: 0,
    reason: 'new',
    head: versionOf(1),
    actions: [{ do: 'put', replica: 'there', expect: null }],
    sources: [{ replica: 'here', token: { id: '"etag"' } }],
    rescues: [],
    goneAt: [],
    ...more,
  }
}

export function recordOf(run: number, seq: number, key: Key, more: Partial<ItemRecord> = {}) {
  return { run, seq, rangeNumber: 0, ...foundOf(key), ...more } satisfies ItemRecord
}

/** As a scan hands it in. */
export function foundOf(key: Key, more: Partial<ItemRecord> = {}) {
  return {
    key,
    state: 'pending' as ItemRecord['state'],
    item: itemOf(key) as PlanItem | null,
    conflict: null as Conflict | null,
    outcomes: {} as ItemRecord['outcomes'],
    tries: 0,
    rev: 0,
    contentKey: null as string | null,
    ...more,
  }
}

export function conflictOf(key: Key, more: Partial<Conflict> = {}): Conflict {
  return {
    key,
    rev: 1,
    kind: 'update/update',
    base: null,
    contenders: [
      {
        content: versionOf(2).content,
        replicas: [{ replica: 'here', token: { id: 'one' } }],
        deletedAt: [],
        at: 1,
        head: false,
      },
      { content: null, replicas: [], deletedAt: ['there'], at: null, head: false },
    ],
    head: versionOf(1),
    bystanders: [],
    ...more,
  }
}

/** Puts rows into the baseline as a run would: each with its item. */
export async function fill(catalog: Catalog, rows: BaselineRow[], run = 1): Promise<void> {
  for (let at = 0; at < rows.length; at += 1_000) {
    const page = rows.slice(at, at + 1_000)
    const settled = await catalog.settle(
      dataset,
      page.map((row, i) => ({
        record: recordOf(run, at + i, row.key, { state: 'done' }),
        row,
        expectRev: 0,
        version: null,
      })),
    )
    if (settled?.includes(false)) throw new Error('a row was there already')
  }
}

export const everything = { from: null, to: null }

/** One page of a scan by the lane's newest attempt. */
export function pageOf(run: number, attempt: number, more: Partial<ScanPage> = {}): ScanPage {
  return {
    dataset,
    run,
    number: 0,
    attempt,
    items: [],
    cursor: null,
    resume: {},
    ended: false,
    cutAt: null,
    counts: {},
    seen: {},
    ...more,
  }
}
type ScanPage = Parameters<Catalog['commitScan']>[0]

// ── conflicts, one at a time ────────────────────────────────────────────────────────────────────

type Ended = Omit<ConflictEnd, 'key'> & { at: number }

/** Gives its number. */
export async function openOne(
  catalog: Catalog,
  of: string,
  run: number,
  identity: string,
  conflict: Conflict,
  at: number,
): Promise<number> {
  const change = { run, at, opened: [{ identity, conflict }], ended: [], items: [] }
  return (await catalog.changeConflicts(of, change))?.[0] as number
}

export async function endOne(
  catalog: Catalog,
  of: string,
  run: number,
  key: Key,
  { at, ...end }: Ended,
): Promise<void> {
  await catalog.changeConflicts(of, { run, at, opened: [], ended: [{ key, ...end }], items: [] })
}
