/** The beginning of a run: its record, its replicas looked at, its ranges cut. */
import type { Connector } from '../connectors/connector.ts'
import type { RequestRecord, RunRecord } from '../src/catalog/catalog.ts'
import { type Config, type DatasetConfig, policyOf } from '../src/config/index.ts'
import { EXIT, RETRIED, StoreError, UserError } from '../src/errors.ts'
import { listTriesMax, rangeKeysMax } from '../src/limits.ts'
import type { Key, KeyRange, Policy, RunNumber } from '../src/model.ts'
import type { SyncInput } from '../workflows/messages.ts'
import { requestProblem } from './history-runs.ts'
import { type Deps, datasetOf } from './run-context.ts'
import { selectKeys } from './select.ts'

export interface Prepared {
  run: RunNumber
  ranges: number
  /** The run can't go on: no replica answers, or the stored plan isn't valid any more. */
  refused: boolean
}

/** `execution`: Temporal's ids of this workflow, by which a retry finds the run it began. */
export async function prepareRun(
  deps: Deps,
  input: SyncInput,
  execution: { workflowId: string; runId: string },
  signal: AbortSignal,
): Promise<Prepared> {
  const { config, dataset } = await datasetOf(deps, input.configDigest, input.dataset)
  const run = await beginRun(deps, input, execution)
  const problem = await refusal(deps, input, run)
  if (problem) {
    await deps.catalog.updateRun(run, { problem })
    return { run, ranges: 0, refused: true }
  }
  const policy = policyOf(dataset)
  await forgetRemoved(deps, dataset, policy, run)
  const connectors = await Promise.all(
    policy.replicas.map((replica) => lookAt(deps, config, { dataset, run, replica }, signal)),
  )
  const known = connectors.filter((connector) => connector !== null)
  if (known.length === 0) {
    const next = 'Run `tidemark doctor` to see what each location answers.'
    const message = 'None of the replicas can be reached.'
    const unreachable = { code: 'all-replicas-unreachable', message, next }
    await deps.catalog.updateRun(run, { problem: unreachable })
    return { run, ranges: 0, refused: true }
  }
  if (input.base !== null) {
    await takeStored(deps, input.base, run, input.mode)
    return { run, ranges: 0, refused: false }
  }
  if (input.request !== undefined) {
    await selectKeys(
      deps.catalog,
      (await deps.catalog.getRequest(input.request)) as RequestRecord,
      signal,
    )
  }
  const bounds = await boundsOf(deps, dataset, input.request ?? null, known)
  return { run, ranges: await cutRanges(deps, run, bounds), refused: false }
}

/** The run's record; a retry finds the one it made. What else is open under its workflow's id is
 *  dead: Temporal runs one of them at a time. */
async function beginRun(
  deps: Deps,
  input: SyncInput,
  { workflowId, runId }: { workflowId: string; runId: string },
): Promise<RunNumber> {
  const { catalog } = deps
  const recent = await catalog.listRuns({ dataset: input.dataset, workflowId, limit: 20 })
  const mine = recent.find((one) => one.temporalRunId === runId)
  if (mine) return mine.run
  for (const dead of recent.filter((one) => one.state === 'running')) {
    await catalog.updateRun(dead.run, { state: 'abandoned', endedAt: deps.clock() })
  }
  return await catalog.createRun({
    dataset: input.dataset,
    mode: input.mode,
    trigger: input.trigger,
    state: 'running',
    configDigest: input.configDigest,
    base: input.base,
    request: await requestOf(deps, input),
    startedAt: deps.clock(),
    liveAtStart: await catalog.countLive(input.dataset),
    workflowId,
    temporalRunId: runId,
    by: input.trigger === 'schedule' ? 'schedule' : (input.by ?? 'unknown'),
  })
}

/** What carries out a plan that a person asked for is asked for by them, too. */
async function requestOf({ catalog }: Deps, { request, base }: SyncInput): Promise<number | null> {
  if (request !== undefined || base === null) return request ?? null
  return (await catalog.getRun(base))?.request ?? null
}

/** Exactly that plan, or not at all. */
async function refusal(
  deps: Deps,
  input: SyncInput,
  run: RunNumber,
): Promise<RunRecord['problem']> {
  if (input.request !== undefined) return await requestRefusal(deps, input.request, input.dataset)
  if (input.base === null) return null
  const base = await deps.catalog.getRun(input.base)
  const again = `Make a new plan: \`tidemark plan ${input.dataset}\`.`
  if (base === null) {
    return { code: 'run-unknown', message: `There is no run ${input.base}.`, next: again }
  }
  const wanted = input.mode === 'apply' ? 'planned' : 'held'
  if (base.state !== wanted) {
    const message = `Run ${base.run} is ${base.state}, not ${wanted}.`
    return { code: `run-not-${wanted}`, message, next: again }
  }
  if (input.mode === 'approve') return null
  if (base.configDigest !== input.configDigest) {
    const message = `The config changed since run ${base.run} was planned.`
    return { code: 'plan-config-changed', message, next: again }
  }
  const key = await deps.catalog.supersededBy(base.run)
  if (key === null) return null
  await deps.catalog.updateRun(base.run, { state: 'superseded', cause: run })
  const message = `A later run changed "${key}" since run ${base.run} was planned.`
  return { code: 'plan-superseded', message, next: again }
}

async function requestRefusal(
  { catalog }: Deps,
  id: number,
  dataset: string,
): Promise<RunRecord['problem']> {
  const known = await catalog.getRequest(id)
  if (known?.dataset === dataset) return await requestProblem(catalog, dataset, known.request)
  return { code: 'request-unknown', message: `${dataset} has no request ${id}.` }
}

async function takeStored(
  deps: Deps,
  base: RunNumber,
  run: RunNumber,
  mode: SyncInput['mode'],
): Promise<void> {
  const { catalog } = deps
  await catalog.addRanges(run, [{ from: null, to: null }])
  if (mode === 'approve') {
    await catalog.copyItems(base, run, ['held'], 'deferred')
    return
  }
  for (const state of ['pending', 'deferred', 'conflict', 'skipped'] as const) {
    await catalog.copyItems(base, run, [state], state)
  }
}

/** A replica that left the dataset never held anything, should it come back. */
async function forgetRemoved(
  deps: Deps,
  dataset: DatasetConfig,
  policy: Policy,
  run: RunNumber,
): Promise<void> {
  const { catalog } = deps
  const asked = { run, by: 'rule: removed from the config' }
  for (const replica of await catalog.knownReplicas(dataset.name)) {
    if (policy.replicas.includes(replica)) continue
    await catalog.dropHolds(dataset.name, replica, asked)
  }
  await catalog.noteReplicas(dataset.name, policy.replicas)
}

/** Is it there, and is it what it was (I12)? null: unknown in this run, the others go on. */
async function lookAt(
  deps: Deps,
  config: Config,
  one: { dataset: DatasetConfig; run: RunNumber; replica: string },
  signal: AbortSignal,
): Promise<Connector | null> {
  const { run, replica } = one
  try {
    const connector = await deps.open(config, replica)
    // On a mount that is gone, an id would be made in the empty folder where it was.
    const create = (await deps.catalog.getLocation(replica)) === null
    const identity = await identify(connector, create, signal)
    await checkIdentity(deps, one, identity)
    const none = { seen: 0, gone: 0 }
    await deps.catalog.putRunReplica(run, { replica, state: 'ok', problem: null, ...none })
    return connector
  } catch (error) {
    if (signal.aborted) throw error
    if (!(error instanceof StoreError || error instanceof UserError)) throw error
    // That the catalog is away says nothing of the replica.
    if (error instanceof UserError && error.exit === EXIT.unreachable) throw error
    const next = error instanceof UserError ? error.next : undefined
    const problem = { code: error.code, message: error.message, ...(next && { next }) }
    const unknown = { replica, state: 'unknown' as const, problem, seen: 0, gone: 0 }
    await deps.catalog.putRunReplica(run, unknown)
    return null
  }
}

/** Tried here and not by Temporal: one location that is down must not hold up the others. */
async function identify(
  connector: Connector,
  create: boolean,
  signal: AbortSignal,
): Promise<string> {
  for (let tries = 1; ; tries++) {
    try {
      return await connector.identity({ signal, create })
    } catch (error) {
      const again = error instanceof StoreError && RETRIED[error.code] && tries < listTriesMax
      if (!again) throw error
      await new Promise((wake) => setTimeout(wake, 250 * tries))
    }
  }
}

async function checkIdentity(
  deps: Deps,
  { dataset, run, replica }: { dataset: DatasetConfig; run: RunNumber; replica: string },
  identity: string,
): Promise<void> {
  const known = await deps.catalog.getLocation(replica)
  const host = identity.startsWith('file:') ? deps.host : null
  if (known === null) {
    const asked = { datasets: [dataset.name], run, by: 'tidemark' }
    return await deps.catalog.setLocation(replica, identity, host, asked)
  }
  if (known.host !== null && host !== null && known.host !== host) {
    throw new UserError('location-on-other-host', `${replica} is a folder on another host.`, {
      next: 'Run this dataset on that host, or `tidemark rebind` the location to this one.',
    })
  }
  if (known.identity !== identity) {
    throw new UserError(
      'location-changed',
      `${replica} is not the place it was: it was ${known.identity} and is ${identity}.`,
      { next: `If that is meant: \`tidemark rebind ${replica}\`.` },
    )
  }
}

/**
 * By the baseline, where the stores can start a listing in the middle. Else one open range, which
 * the scan cuts as it goes, so that its listings are read once. Selected keys need no listing.
 */
async function boundsOf(
  { catalog, rangeKeys }: Deps,
  dataset: DatasetConfig,
  request: number | null,
  known: Connector[],
): Promise<Key[]> {
  const max = rangeKeys?.max ?? rangeKeysMax
  if (request !== null) return await catalog.requestBounds(request, max)
  const startable = known.every(({ traits }) => traits.listStart)
  return startable ? await catalog.baselineBounds(dataset.name, max) : []
}

async function cutRanges({ catalog }: Deps, run: RunNumber, bounds: Key[]): Promise<number> {
  const ranges: KeyRange[] = []
  for (let i = 0; i <= bounds.length; i++) {
    ranges.push({ from: bounds[i - 1] ?? null, to: bounds[i] ?? null })
  }
  // A retry of prepare finds the ranges that were made: numbers begin at 0.
  if ((await catalog.getRange(run, 0)) === null) await catalog.addRanges(run, ranges)
  return ranges.length
}
