/**
 * Which keys a person's request is about, and what is wanted of each: by the history alone, before
 * any replica is looked at. Made once a request, page by page; what is there already stays.
 */
import type {
  Catalog,
  HistoryLine,
  HistoryPoint,
  KeyAtPoint,
  RequestRecord,
  RunRecord,
} from '../src/catalog/catalog.ts'
import type { BaselineRow, Directive, Key, Request, RunNumber } from '../src/model.ts'
import { prefixRange } from '../src/sync/keys.ts'
import { pointBefore, undoneBy } from './history-runs.ts'

const pageKeys = 1_000

type Selected = { key: Key; directive: Directive }

export async function selectKeys(
  catalog: Catalog,
  { id, dataset, request, selected }: RequestRecord,
  signal: AbortSignal,
): Promise<void> {
  // Decisions of conflicts name their keys themselves.
  if (selected || request.kind === 'resolve') return
  for await (const keys of selection(catalog, dataset, request)) {
    signal.throwIfAborted()
    await catalog.addRequestKeys(id, keys)
  }
  await catalog.endSelection(id)
}

async function* selection(
  catalog: Catalog,
  dataset: string,
  request: Exclude<Request, { kind: 'resolve' }>,
): AsyncGenerator<Selected[]> {
  if (request.kind === 'undo') {
    yield* undone(catalog, dataset, request.run, request.prefix)
    return
  }
  const { to, prefix } = request
  if ('version' in to) {
    yield await oneVersion(catalog, dataset, to.key, to.version)
    return
  }
  const point = 'at' in to ? to : await pointBefore(catalog, to.beforeRun)
  yield* backTo(catalog, dataset, point, prefix)
}

// ── one version ─────────────────────────────────────────────────────────────────────────────────

async function oneVersion(
  catalog: Catalog,
  dataset: string,
  key: Key,
  run: RunNumber,
): Promise<Selected[]> {
  const [line] = await catalog.getLines(dataset, [{ key, run }])
  const row = (await catalog.getBaseline(dataset, [key])).get(key)
  return line ? [{ key, directive: backToLine(line, row) }] : []
}

function backToLine(
  { version }: HistoryLine,
  row: BaselineRow | undefined,
): Extract<Directive, { do: 'restore' }> {
  const { content, run } = version
  return { do: 'restore', content, from: run, head: row?.head.run ?? null }
}

function backToNothing(row: BaselineRow | undefined): Extract<Directive, { do: 'restore' }> {
  return { do: 'restore', content: null, from: null, head: row?.head.run ?? null }
}

const notKept: Directive = {
  do: 'leave',
  code: 'not-kept',
  reason: 'the version that it had then is no longer in history',
}

// ── a moment ────────────────────────────────────────────────────────────────────────────────────

async function* backTo(
  catalog: Catalog,
  dataset: string,
  point: HistoryPoint,
  prefix: Key,
): AsyncGenerator<Selected[]> {
  const range = prefixRange(prefix)
  for (let after: Key | null = null; ; ) {
    const page = await catalog.changedSince(dataset, point, { range, after, limit: pageKeys })
    if (page.keys.length > 0) yield await directivesOf(catalog, dataset, page.keys)
    if (page.after === null) return
    after = page.after
  }
}

async function directivesOf(
  catalog: Catalog,
  dataset: string,
  keys: KeyAtPoint[],
): Promise<Selected[]> {
  const wanted = keys.map(({ key, then, oldest }) => ({ key, run: then ?? oldest }))
  const [rows, lines] = await Promise.all([
    catalog.getBaseline(
      dataset,
      keys.map(({ key }) => key),
    ),
    linesByKey(catalog, dataset, wanted),
  ])
  return keys.map(({ key, then }): Selected => {
    const line = lines.get(key)
    const row = rows.get(key)
    // Without a line of then, it wasn't there: unless its oldest one had others before it.
    if (!line || (then === null && line.parents.length > 0)) return { key, directive: notKept }
    return { key, directive: then === null ? backToNothing(row) : backToLine(line, row) }
  })
}

async function linesByKey(
  catalog: Catalog,
  dataset: string,
  wanted: { key: Key; run: RunNumber }[],
): Promise<Map<Key, HistoryLine>> {
  const lines = await catalog.getLines(dataset, wanted)
  return new Map(lines.map((line) => [line.key, line]))
}

// ── before a run's own versions ─────────────────────────────────────────────────────────────────

async function* undone(
  catalog: Catalog,
  dataset: string,
  run: RunNumber,
  prefix: Key,
): AsyncGenerator<Selected[]> {
  const { number, since } = await undoneBy(catalog, (await catalog.getRun(run)) as RunRecord)
  const range = prefixRange(prefix)
  for (let after: Key | null = null; ; ) {
    const page = await catalog.linesOfRun(dataset, number, { range, after, limit: pageKeys })
    const made = page.filter(({ agreedAt }) => agreedAt >= since)
    if (made.length > 0) yield await directivesBefore(catalog, dataset, made)
    if (page.length < pageKeys) return
    after = page[page.length - 1]?.key ?? after
  }
}

async function directivesBefore(
  catalog: Catalog,
  dataset: string,
  made: (HistoryLine & { newest: RunNumber })[],
): Promise<Selected[]> {
  const wanted = made.flatMap(({ key, parents }) =>
    parents[0] === undefined ? [] : [{ key, run: parents[0] }],
  )
  const [rows, lines] = await Promise.all([
    catalog.getBaseline(
      dataset,
      made.map(({ key }) => key),
    ),
    linesByKey(catalog, dataset, wanted),
  ])
  return made.map(({ key, parents, version, newest }): Selected => {
    const line = lines.get(key)
    if (!line && parents.length > 0) return { key, directive: notKept }
    const back = line ? backToLine(line, rows.get(key)) : backToNothing(rows.get(key))
    const later = newest > version.run ? { later: newest } : {}
    return { key, directive: { ...back, ...later } }
  })
}
