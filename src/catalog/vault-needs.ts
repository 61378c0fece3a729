/** What needs the vault: history, conflicts, runs that aren't finished, what a person asked for. */
import { type RawBuilder, type SqlBool, sql } from 'kysely'
import type { Conflict, Content, Directive, Key, RunNumber } from '../model.ts'
import { append } from './audit.ts'
import { endedRuns, type Line, linesChanged } from './audit-lines.ts'
import type { Resolution } from './records.ts'
import { findDataset, inTransaction, overRows, type Store } from './store.ts'
import type { KeptLine, VaultIndex } from './vault-index.ts'

const unfinished = ['running', 'planned', 'held'] as const

export async function datasetNames({ db }: Store): Promise<string[]> {
  const rows = await db.selectFrom('datasets').select('name').orderBy('id').execute()
  return rows.map(({ name }) => name)
}

export async function historyLines(
  store: Store,
  dataset: string,
  after: { key: Key; run: RunNumber } | null,
  limit: number,
): Promise<KeptLine[]> {
  const id = await findDataset(store, dataset)
  if (id === undefined) return []
  // As a pair: so that the primary key is read in one stretch, backwards.
  const behind = (last: { key: Key; run: RunNumber }): RawBuilder<SqlBool> =>
    sql<SqlBool>`(key, run) < (${last.key}, ${last.run})`
  const rows = await store.db
    .selectFrom('versions')
    .select(['key', 'run', 'content', 'agreed_at'])
    .where('dataset', '=', id)
    .$if(after !== null, (query) => query.where(behind(after as { key: Key; run: RunNumber })))
    .orderBy('key', 'desc')
    .orderBy('run', 'desc')
    .limit(limit)
    .execute()
  return rows.map(({ key, run, content, agreed_at: agreedAt }) => ({
    ...{ key, run, agreedAt },
    content: content === null ? null : (JSON.parse(content) as Content),
  }))
}

export async function deleteLines(
  store: Store,
  dataset: string,
  lines: { key: Key; run: RunNumber }[],
  by: string,
): Promise<void> {
  const id = await findDataset(store, dataset)
  if (id === undefined || lines.length === 0) return
  await inTransaction(store, async (tx) => {
    const ended = await endedRuns(
      tx,
      lines.map(({ run }) => run),
    )
    const gone = await overRows<Line>(
      tx,
      { dataset: 'bigint', key: 'text', run: 'bigint' },
      lines.map(({ key, run }) => [id, key, run]),
      (named) =>
        `delete from versions
         where (dataset, key, run) in (select r.dataset, r.key, r.run from ${named})
         returning key, run, at, origin, reason, content, parents, agreed_at`,
    )
    const told = gone.filter(({ run }) => ended.has(run))
    const changed = told.map((before) => ({ before, after: null }))
    await append(tx, { id, name: dataset }, linesChanged('history-pruned', null, changed, by))
  })
}

export async function unfinishedRuns({ db }: Store): Promise<RunNumber[]> {
  const rows = await db
    .selectFrom('runs')
    .select('run')
    .where('state', 'in', unfinished)
    .orderBy('run')
    .execute()
  return rows.map(({ run }) => run)
}

export async function keptConflicts(
  { db }: Store,
  endedSince: number,
  after: number,
  limit: number,
): ReturnType<VaultIndex['keptConflicts']> {
  const rows = await db
    .selectFrom('conflicts')
    .innerJoin('datasets', 'datasets.id', 'conflicts.dataset')
    .select(['conflicts.id', 'conflicts.conflict', 'conflicts.resolution'])
    .select('datasets.name as dataset')
    .where('conflicts.id', '>', after)
    .where((eb) =>
      eb.or([eb('conflicts.state', '=', 'open'), eb('conflicts.ended_at', '>=', endedSince)]),
    )
    .orderBy('conflicts.id')
    .limit(limit)
    .execute()
  return rows.map(({ id, dataset, conflict, resolution }) => ({
    ...{ id, dataset, conflict: JSON.parse(conflict) as Conflict },
    resolution: resolution === null ? null : (JSON.parse(resolution) as Resolution),
  }))
}

export async function pendingDirectives(
  { db }: Store,
  madeSince: number,
  after: { request: number; key: Key } | null,
  limit: number,
): Promise<{ request: number; key: Key; directive: Directive }[]> {
  const rows = await db
    .selectFrom('request_keys')
    .innerJoin('requests', 'requests.id', 'request_keys.request')
    .select(['request_keys.request', 'request_keys.key', 'request_keys.directive'])
    .where(({ eb, or, exists, selectFrom }) =>
      or([
        eb('requests.made_at', '>=', madeSince),
        exists(
          selectFrom('runs')
            .select('runs.run')
            .whereRef('runs.request', '=', 'requests.id')
            .where('runs.state', 'in', unfinished),
        ),
      ]),
    )
    .$if(after !== null, (query) => {
      const { request, key } = after as { request: number; key: Key }
      const behind = sql<SqlBool>`(request_keys.request, request_keys.key) > (${request}, ${key})`
      return query.where(behind)
    })
    .orderBy('request_keys.request')
    .orderBy('request_keys.key')
    .limit(limit)
    .execute()
  return rows.map((row) => ({ ...row, directive: JSON.parse(row.directive) as Directive }))
}
