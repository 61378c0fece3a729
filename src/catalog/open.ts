/** Opens a catalog: the engine by its URL, the migrations, and all queries as one object. */
import { Kysely } from 'kysely'
import { EXIT, UserError } from '../errors.ts'
import * as audit from './audit.ts'
import * as auditLines from './audit-lines.ts'
import * as baseline from './baseline.ts'
import type { Catalog, VaultIndex } from './catalog.ts'
import { changeConflicts, reopenConflict } from './conflict-changes.ts'
import * as conflicts from './conflicts.ts'
import * as history from './history.ts'
import * as lanes from './lanes.ts'
import { migrate } from './migrations.ts'
import * as names from './names.ts'
import * as plan from './plan.ts'
import { catalogProblem } from './problems.ts'
import * as ranges from './ranges.ts'
import * as requests from './requests.ts'
import * as runs from './runs.ts'
import { commitScan } from './scan.ts'
import type { Tables } from './schema.ts'
import { settle } from './settle.ts'
import type { Store } from './store.ts'
import { updateRun } from './update-run.ts'
import * as uploads from './uploads.ts'
import * as vaultNeeds from './vault-needs.ts'
import * as vaultObjects from './vault-objects.ts'

/**
 * `sqlite:/abs/path/catalog.db` (made where it isn't, in a folder that exists) or `postgres://…`
 * (a database that exists). Throws `UserError`: `catalog-url`, `catalog-newer`, `catalog-foreign`,
 * `catalog-encoding`, and those of every method (see `Catalog`).
 */
export async function openCatalog(url: string, clock = Date.now): Promise<Catalog> {
  const where = shown(url)
  const store = await openStore(url, clock)
  try {
    await migrate(store, where)
  } catch (error) {
    await store.db.destroy()
    throw catalogProblem(error, where)
  }
  return assemble(store, where)
}

/** The engine behind a URL, not migrated. Nothing is connected to yet. */
export async function openStore(url: string, clock = Date.now): Promise<Store> {
  const path = /^sqlite:(\/.+)$/s.exec(url)?.[1]
  const postgres = /^postgres(ql)?:\/\//.test(url) && URL.canParse(url)
  if (path === undefined && !postgres) {
    throw new UserError('catalog-url', 'The catalog’s address is not one that Tidemark knows.', {
      where: shown(url),
      next: 'Write `sqlite:/absolute/path/catalog.db` or `postgres://user:password@host/database`.',
      exit: EXIT.usage,
    })
  }
  // Only the engine that is used is loaded.
  const dialect =
    path === undefined
      ? (await import('./dialect-postgres.ts')).postgresDialect(url)
      : (await import('./dialect-sqlite.ts')).sqliteDialect(path)
  const engine = path === undefined ? 'postgres' : 'sqlite'
  return { db: new Kysely<Tables>({ dialect }), engine, datasets: new Map(), clock }
}

/** For errors: without the password. */
function shown(url: string): string {
  return url.replace(/^(\w+:\/\/[^/@:]*):.*@/, '$1@')
}

type Query<Args extends unknown[], Result> = (store: Store, ...args: Args) => Promise<Result>
/** Binds a query to the store; its failures are the catalog's. */
type On = <Args extends unknown[], Result>(
  query: Query<Args, Result>,
) => (...args: Args) => Promise<Result>

function assemble(store: Store, where: string): Catalog {
  const on: On =
    (query) =>
    async (...args) => {
      try {
        return await query(store, ...args)
      } catch (error) {
        throw catalogProblem(error, where)
      }
    }
  return {
    close: () => store.db.destroy(),
    putConfig: on(names.putConfig),
    getConfig: on(names.getConfig),
    getLocation: on(names.getLocation),
    setLocation: on(names.setLocation),
    dropHolds: on(baseline.dropHolds),
    knownReplicas: on(names.knownReplicas),
    noteReplicas: on(names.noteReplicas),
    createRequest: on(requests.createRequest),
    getRequest: on(requests.getRequest),
    addRequestKeys: on(requests.addRequestKeys),
    endSelection: on(requests.endSelection),
    requestKeys: on(requests.requestKeys),
    requestBounds: on(requests.requestBounds),
    createRun: on(runs.createRun),
    getRun: on(runs.getRun),
    listRuns: on(runs.listRuns),
    updateRun: on(updateRun),
    addCounts: on(runs.addCounts),
    lastCompleteScan: on(runs.lastCompleteScan),
    putRunReplica: on(runs.putRunReplica),
    loseReplica: on(runs.loseReplica),
    addSeen: on(runs.addSeen),
    runReplicas: on(runs.runReplicas),
    addRanges: on(ranges.addRanges),
    getRange: on(ranges.getRange),
    claim: on(lanes.claim),
    holds: on((on: Store, run: number, lane: string, attempt: number) =>
      lanes.holds(on, run, lane, attempt),
    ),
    readBaseline: on(baseline.readBaseline),
    getBaseline: on(baseline.getBaseline),
    baselineBounds: on(baseline.baselineBounds),
    countLive: on(baseline.countLive),
    linesOfKey: on(history.linesOfKey),
    linesOfDataset: on(history.linesOfDataset),
    linesOfRun: on(history.linesOfRun),
    getLines: on(history.getLines),
    changedSince: on(history.changedSince),
    firstRun: on(history.firstRun),
    commitScan: on(commitScan),
    readItems: on(plan.readItems),
    countItems: on(plan.countItems),
    updateItems: on(plan.updateItems),
    settle: on(settle),
    copyItems: on(plan.copyItems),
    countRenames: on(plan.countRenames),
    supersededBy: on(plan.supersededBy),
    pruneItems: on(plan.pruneItems),
    changeConflicts: on(changeConflicts),
    reopenConflict: on(reopenConflict),
    openConflicts: on(conflicts.openConflicts),
    findConflicts: on(conflicts.findConflicts),
    countOpenConflicts: on(conflicts.countOpenConflicts),
    record: on(audit.record),
    auditHead: on(audit.auditHead),
    auditRows: on(audit.auditRows),
    runLines: on(auditLines.runLines),
    runsOfLines: on(auditLines.runsOfLines),
    getUpload: on(uploads.getUpload),
    putUpload: on(uploads.putUpload),
    staleUploads: on(uploads.staleUploads),
    ...vaultIndex(on),
  }
}

function vaultIndex(on: On): VaultIndex {
  return {
    catalogId: on(vaultObjects.catalogId),
    keepInVault: on(vaultObjects.keepInVault),
    placeInVault: on(vaultObjects.placeInVault),
    wroteToVault: on(vaultObjects.wroteToVault),
    findInVault: on(vaultObjects.findInVault),
    markInVault: on(vaultObjects.markInVault),
    vaultObjects: on(vaultObjects.vaultObjects),
    vaultObjectsNamed: on(vaultObjects.vaultObjectsNamed),
    vaultSizes: on(vaultObjects.vaultSizes),
    addToVault: on(vaultObjects.addToVault),
    claimForSweep: on(vaultObjects.claimForSweep),
    forgetSwept: on(vaultObjects.forgetSwept),
    datasetNames: on(vaultNeeds.datasetNames),
    historyLines: on(vaultNeeds.historyLines),
    deleteLines: on(vaultNeeds.deleteLines),
    unfinishedRuns: on(vaultNeeds.unfinishedRuns),
    keptConflicts: on(vaultNeeds.keptConflicts),
    pendingDirectives: on(vaultNeeds.pendingDirectives),
  }
}
