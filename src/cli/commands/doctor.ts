/** Looks at everything that a run will need, and says what is missing. */
import { existsSync } from 'node:fs'
import type { Catalog } from '../../catalog/catalog.ts'
import { catalogFile, openCatalogOf } from '../../catalog/of-config.ts'
import {
  type Config,
  checkStateFolder,
  loadConfig,
  replicasOf,
  resolveReferences,
} from '../../config/index.ts'
import { EXIT, UserError } from '../../errors.ts'
import { findTool, temporalTool } from '../../temporal/binaries.ts'
import { targetOf } from '../../temporal/target.ts'
import type { CommandContext, CommandOptions } from '../command.ts'
import { count, type Output, printable } from '../output.ts'
import type { Check } from '../probe/check.ts'
import { probeLocation } from '../probe/location.ts'

/** A server that says nothing for so long (ms) counts as not answering. */
const answerMs = 5_000

export async function run(
  context: CommandContext,
  _args: string[],
  options: CommandOptions,
): Promise<number> {
  const config = await loadConfig(context.config)
  await checkStateFolder(config, context.state)
  const probe = options.probe === true
  const { known, failure } = await knownLocations(config, context.state)
  const checks = (
    await Promise.all([
      ...checkLocations(config, known, probe, context.signal),
      checkTemporal(config, context.temporal),
      checkCatalog(config.catalog, context.state),
    ])
  ).flat()
  checks.push(...checkNative(config, checks))
  const told = checks.some(({ subject, state }) => subject === 'catalog' && state === 'failed')
  if (failure && !told) {
    const { message: detail, next } = failure
    checks.push({
      subject: 'catalog',
      check: 'open',
      state: 'failed',
      detail,
      ...(next && { next }),
    })
  }
  const failed = checks.filter(({ state }) => state === 'failed')
  context.output.result({ ok: failed.length === 0, checks })
  print(checks, failed.length, probe, context.output)
  return failed.length > 0 ? EXIT.unreachable : EXIT.ok
}

/** As runs last saw them; a catalog that isn't there yet is made by a run. `failure`: why it can't
 *  be asked. */
async function knownLocations(
  config: Config,
  state: string,
): Promise<{ known: Map<string, string>; failure: UserError | null }> {
  const known = new Map<string, string>()
  if (config.catalog === null && !existsSync(catalogFile(state))) return { known, failure: null }
  let catalog: Catalog | null = null
  try {
    catalog = await openCatalogOf(config, state)
    for (const name of Object.keys(config.locations)) {
      const location = await catalog.getLocation(name)
      if (location) known.set(name, location.identity)
    }
  } catch (error) {
    if (!(error instanceof UserError)) throw error
    return { known, failure: error }
  } finally {
    await catalog?.close()
  }
  return { known, failure: null }
}

function checkLocations(
  config: Config,
  known: Map<string, string>,
  probe: boolean,
  signal: AbortSignal,
) {
  const written = new Set(
    config.datasets.flatMap((dataset) =>
      dataset.direction === 'two-way' ? replicasOf(dataset) : dataset.destinations,
    ),
  )
  const places = Object.entries(config.locations)
  const native = config.datasets.filter(({ history }) => history.content === 'native')
  const keeping = new Set(native.flatMap(replicasOf))
  const checks = places.map(([name, options]) => {
    const versions = keeping.has(name)
    const settings = { known: known.get(name) ?? null, versions, signal }
    return probeLocation(name, options, { probe: probe && written.has(name), ...settings })
  })
  return config.vault
    ? [...checks, probeLocation('vault', config.vault, { probe, known: null, signal })]
    : checks
}

/** Nothing is lost where no bucket keeps versions; but it isn't what was asked for. */
function checkNative({ datasets }: Config, checks: Check[]): Check[] {
  const told = checks.filter(({ check }) => check === 'versions')
  return datasets.flatMap((dataset): Check[] => {
    const replicas = replicasOf(dataset)
    const states = told.flatMap((one) => (replicas.includes(one.subject) ? [one.state] : []))
    const none = states.length > 0 && states.every((state) => state === 'not kept')
    if (dataset.history.content !== 'native' || !none) return []
    const detail = 'no replica’s bucket keeps versions: what is replaced goes to the vault'
    return [{ subject: dataset.name, check: 'history', state: 'not kept', detail }]
  })
}

async function checkTemporal(config: Config, given: string | null): Promise<Check> {
  const subject = 'temporal'
  const written = given ?? config.temporal.address
  if (written === null) {
    const found = findTool(temporalTool)
    const detail = found ?? 'not here yet: it is fetched when it is first needed'
    return { subject, check: 'program', state: found ? 'ok' : 'not tried', detail }
  }
  const target = await targetOf(config, given)
  const { connect } = await import('../../temporal/connection.ts')
  try {
    const { close } = await connect(target)
    await close()
    const detail = `${target.address}, namespace ${target.namespace}`
    return { subject, check: 'connect', state: 'ok', detail }
  } catch (error) {
    if (!(error instanceof UserError)) throw error
    const { message, next } = error
    return { subject, check: 'connect', state: 'failed', detail: message, ...(next && { next }) }
  }
}

async function checkCatalog(written: string | null, state: string): Promise<Check> {
  const subject = 'catalog'
  if (written === null) {
    return { subject, check: 'place', state: 'ok', detail: `SQLite in ${state}` }
  }
  const { default: pg } = await import('pg')
  const client = new pg.Client({
    connectionString: await resolveReferences(written),
    connectionTimeoutMillis: answerMs,
    query_timeout: answerMs,
  })
  try {
    await client.connect()
    const { rows } = await client.query<{ server_version: string }>('show server_version')
    return {
      subject,
      check: 'connect',
      state: 'ok',
      detail: `PostgreSQL ${rows[0]?.server_version}`,
    }
  } catch (error) {
    const code = (error as { code?: string }).code
    const words = error instanceof Error ? error.message : String(error)
    const detail = words || code || 'no answer'
    const next = 'Mend `catalog:` in the config, or start that server.'
    return { subject, check: 'connect', state: 'failed', detail, next }
  } finally {
    await client.end()
  }
}

function print(checks: Check[], failed: number, probed: boolean, output: Output): void {
  const colours = {
    ok: 'green',
    failed: 'red',
    'not protected': 'yellow',
    'not kept': 'yellow',
    'not tried': 'dim',
  } as const
  const subject = Math.max(...checks.map((check) => check.subject.length))
  for (const { subject: name, check, state, detail, next } of checks) {
    const words = [output.paint(colours[state], state), printable(detail)]
      .filter(Boolean)
      .join('  ')
    output.line(`${name.padEnd(subject)}  ${check.padEnd(20)}  ${words}`)
    if (next) output.line(`${' '.repeat(subject)}  next: ${next}`)
  }
  const bare = checks.filter(({ state }) => state === 'not protected').length
  if (failed > 0) output.line(`${count(failed, 'check')} failed`)
  else if (!probed) output.line('no fault found; what protects a write is shown by --probe')
  else if (bare === 0) output.line('no fault found; every write is protected')
  else output.line(`all can be used; ${count(bare, 'kind')} of write not protected, see above`)
}
