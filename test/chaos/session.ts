/**
 * A chaos session: `tidemark up` over a folder and three clouds, each behind a fault proxy; users
 * who write to all four, syncs all along, kills; then quiet, and what must hold then.
 */
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { RunRecord } from '../../src/catalog/catalog.ts'
import { openCatalogOf } from '../../src/catalog/of-config.ts'
import type { RunReport } from '../../src/cli/run-report.ts'
import type { Session } from '../../src/cli/session.ts'
import { loadConfig } from '../../src/config/index.ts'
import type { Key } from '../../src/model.ts'
import { createScene, oddKeys, operationOf, plainKeys } from '../simulation/operations.ts'
import { type Dice, diceOf } from '../sync/world.ts'
import type { FaultName } from './faults.ts'
import * as oracle from './oracle.ts'
import { openReplicas, type Replica, type Servers } from './places.ts'
import { type KilledPostgres, startKilledPostgres } from './postgres.ts'
import { keepUp, type Program, type Said } from './programs.ts'
import { type Users, usersOf } from './users.ts'
import { type Around, changeWeather, type Harm, kill, pause } from './weather.ts'

export interface ChaosOptions {
  seed: number
  minutes: number
  /** Its folder stays. */
  keep?: boolean
  servers: Servers
  /** Keys that nobody touches after they were written: what a wrong absence would take. */
  still: number
  say: (line: string) => void
}

export interface Outcome {
  problems: string[]
  figures: Figures
  /** Where everything still is when there are problems, or `keep`; else it is gone. */
  folder: string
}

export interface Figures {
  catalog: 'SQLite' | 'PostgreSQL'
  operations: Record<string, number>
  faults: Record<FaultName, number>
  exchanges: number
  harm: Harm
  /** Starts of `up`, and what it said where it ended by itself. */
  starts: number
  gaveUp: string[]
  /** What `tidemark sync` ended with while things went wrong: by exit code. */
  syncs: Record<string, number>
  runs: Record<string, number>
  /** Runs until there was nothing to do. */
  settledIn: number
  keys: number
  openConflicts: number
  /** Contents that were written last at some replica and have been replaced since, read back. */
  recovered: number
}

const dataset = 'data'
const workers = 2
const syncsToSettleMax = 6
/** Beside another replica's `a/x` no folder can hold `a`. */
const keys: Key[] = [
  ...plainKeys,
  ...oddKeys.filter((key) => key !== 'a'),
  ...Array.from({ length: 24 }, (_, i) => `many/${String(i).padStart(2, '0')}`),
  ...Array.from({ length: 4 }, (_, i) => `open/${i}`),
]

/** What decides conflicts; what is merged is written by nobody. */
const rules = (dice: Dice) => [
  { match: 'open/**', strategy: 'manual' },
  { match: '**/*.json', strategy: 'merge', otherwise: 'last-write-wins' },
  { match: 'many/**', strategy: dice.pick(['keep-both', 'last-write-wins', 'largest']) },
  { strategy: dice.pick(['last-write-wins', 'first-write-wins', 'keep-both']) },
]
const isMerged = (key: Key) => key.toLowerCase().includes('.json')

interface World {
  folder: string
  replicas: Replica[]
  postgres: KilledPostgres | null
  program: Program
  users: Users
  configPath: string
  stateDir: string
}

export async function chaos(options: ChaosOptions): Promise<Outcome> {
  const { seed, say } = options
  const dice = diceOf(seed)
  const world = await openWorld(options, dice)
  const figures = noFigures(world)
  const problems: string[] = []
  const stopping = new AbortController()
  try {
    await fill(world, options, dice)
    await untilUp(world)
    say(`four replicas, ${options.still + keys.length} keys, catalog ${figures.catalog}`)
    const timer = setTimeout(() => stopping.abort(), options.minutes * 60_000)
    await storm(world, figures, { dice, signal: stopping.signal, say })
    clearTimeout(timer)
    await quiet(world, say)
    problems.push(...(await settle(world, figures, say)))
    problems.push(...(await judge(world, figures, say)))
  } finally {
    stopping.abort()
    await world.program.stop()
    gather(world, figures)
    await close(world, problems.length === 0 && !options.keep)
  }
  return { problems, figures, folder: world.folder }
}

// ── the world ───────────────────────────────────────────────────────────────────────────────────

async function openWorld({ seed, servers }: ChaosOptions, dice: Dice): Promise<World> {
  const folder = mkdtempSync(join(tmpdir(), 'tidemark-chaos-'))
  const stateDir = join(folder, 'state')
  mkdirSync(stateDir)
  const replicas = await openReplicas(servers, seed)
  const postgres = dice.below(2) === 0 ? await startKilledPostgres(seed + 4) : null
  const configPath = join(folder, 'tidemark.yaml')
  const [first, ...others] = replicas.map(({ name }) => name)
  const config = {
    locations: Object.fromEntries(
      replicas.map(({ name, options }) => [name, withoutSecrets(options, folder)]),
    ),
    ...(postgres && { catalog: postgres.url }),
    // Small pages, so that every step of a run is met.
    synchronization: { 'batch-size': 100, 'conflict-resolution': rules(dice) },
    datasets: [
      {
        ...{ name: dataset, source: first, destinations: others, direction: 'two-way' },
        // Else the session would spend its time held; limits have their own tests.
        limits: { 'max-deletes': 100_000 },
      },
    ],
  }
  writeFileSync(configPath, JSON.stringify(config, null, 2))
  const program = keepUp({ configPath, stateDir, workers })
  return {
    ...{ folder, replicas, postgres, program, configPath, stateDir },
    users: usersOf(replicas),
  }
}

/** By reference, as one should. */
function withoutSecrets(options: Replica['options'], folder: string) {
  const kept: Record<string, unknown> = { ...options }
  for (const name of ['secret-access-key', 'connection-string']) {
    if (typeof kept[name] !== 'string') continue
    const file = join(folder, name)
    writeFileSync(file, kept[name])
    kept[name] = ['$', '{file:', file, '}'].join('')
  }
  return kept
}

async function close({ replicas, postgres, folder, users }: World, remove: boolean): Promise<void> {
  for (const { proxy } of replicas) await proxy?.close()
  await postgres?.stop()
  writeFileSync(join(folder, 'deeds.json'), JSON.stringify(users.book.deeds))
  if (!remove) return
  for (const { place } of replicas) await place.close()
  rmSync(folder, { recursive: true, force: true })
}

async function fill({ users, replicas }: World, { still }: ChaosOptions, dice: Dice) {
  for (let i = 0; i < still; i++) {
    const at = [dice.below(replicas.length)]
    const text = { form: 'plain', author: 1_000_000 + i, bytes: 8 } as const
    await users.play({ do: 'put', why: 'create', at, key: `still/${i}`, text })
  }
}

async function untilUp({ program, folder }: World): Promise<void> {
  for (let tries = 0; tries < 60; tries++) {
    const { code } = await program.ask(['status'])
    if (code === 0 && program.signal('worker-1', 'SIGCONT')) return
  }
  throw new Error(`tidemark up doesn't come up: see ${folder}`)
}

const proxiesOf = ({ replicas, postgres }: World) => [
  ...replicas.flatMap(({ proxy }) => proxy ?? []),
  ...(postgres ? [postgres.proxy] : []),
]

// ── while things go wrong ───────────────────────────────────────────────────────────────────────

interface Storm {
  dice: Dice
  signal: AbortSignal
  say: (line: string) => void
}

async function storm(world: World, figures: Figures, { dice, signal, say }: Storm): Promise<void> {
  const around: Around = { ...world, workers, proxies: proxiesOf(world) }
  // Each has a dice of its own: what one does must not depend on how fast another is.
  const [users, weather, kills, syncs] = [1, 2, 3, 4].map(() => diceOf(dice.below(2 ** 31)))
  const scene = createScene(world.replicas.length, keys, 8 * 1024 * 1024)
  await Promise.all([
    operate(world, scene, users as Dice, signal),
    changeWeather(around, figures.harm, weather as Dice, signal),
    kill(around, figures.harm, kills as Dice, signal),
    syncAlong(world, figures, scene, { dice: syncs as Dice, signal, say }),
  ])
}

async function operate(
  { users }: World,
  scene: ReturnType<typeof createScene>,
  dice: Dice,
  signal: AbortSignal,
): Promise<void> {
  while (!signal.aborted) {
    const operation = operationOf(dice, scene)
    scene.played(operation)
    await users.play(operation)
    await pause(dice.below(500), signal)
  }
}

async function syncAlong(
  { program }: World,
  figures: Figures,
  scene: ReturnType<typeof createScene>,
  { dice, signal, say }: Storm,
): Promise<void> {
  while (!signal.aborted) {
    const began = performance.now()
    const said = await program.ask(['--json', 'sync'])
    const seconds = ((performance.now() - began) / 1_000).toFixed(1)
    const code = String(said.code)
    figures.syncs[code] = (figures.syncs[code] ?? 0) + 1
    const expected = ['0', '3', '4', '7'].includes(code)
    say(`sync ended with ${code} after ${seconds} s${expected ? '' : `: ${why(said)}`}`)
    if (said.code === 0) scene.synced()
    await pause(dice.below(2_000), signal)
  }
}

/** The error's code, where it says one. */
function why({ stderr }: Said): string {
  const last = stderr.trim().split('\n').at(-1) ?? ''
  return /"code":"([^"]+)"/.exec(last)?.[1] ?? stderr.trim()
}

// ── quiet ───────────────────────────────────────────────────────────────────────────────────────

async function quiet(world: World, say: (line: string) => void): Promise<void> {
  for (const proxy of proxiesOf(world)) proxy.quiet()
  for (let n = 1; n <= workers; n++) world.program.signal(`worker-${n}`, 'SIGCONT')
  await untilUp(world)
  // A file changed within 2 s of its stat is looked at again.
  await pause(2_500, new AbortController().signal)
  say('quiet')
}

/** Syncs until there is nothing to do (I7). */
async function settle(world: World, figures: Figures, say: (line: string) => void) {
  for (figures.settledIn = 1; figures.settledIn <= syncsToSettleMax; figures.settledIn++) {
    const run = await sync(world)
    if (run === null) continue
    const { puts, deletes, stale, failed, held, cancelled } = run.counts
    say(`run ${run.run}: ${run.state}, ${puts} puts, ${deletes} deletes, ${failed} failed`)
    const calm = puts + deletes + stale + failed + held + cancelled === 0
    if (calm && ['complete', 'conflicts'].includes(run.state)) return []
    if (run.state === 'held') await world.program.ask(['approve', String(run.run)])
  }
  return [`there was still something to do after ${syncsToSettleMax} runs`]
}

async function sync({ program }: World): Promise<RunRecord | null> {
  const said = await program.ask(['--json', 'sync'])
  try {
    const [report] = JSON.parse(said.stdout) as RunReport[]
    return report?.run ?? null
  } catch (cause) {
    throw new Error(`sync ended with ${said.code}: ${said.stderr}`, { cause })
  }
}

// ── what must hold ──────────────────────────────────────────────────────────────────────────────

async function judge(
  world: World,
  figures: Figures,
  say: (line: string) => void,
): Promise<string[]> {
  const { replicas, users, stateDir } = world
  const { book } = users
  const found = await oracle.readAll(replicas)
  const session = await sessionOf(world)
  const problems: string[] = []
  try {
    const { catalog } = session
    const waiting = await catalog.findConflicts({ dataset, states: ['open'], limit: 1_000 })
    const open = new Set(waiting.map(({ key }) => key))
    figures.openConflicts = open.size
    figures.keys = new Set(found.flatMap((one) => [...one.keys()])).size
    problems.push(
      ...oracle.differences(replicas, found, open),
      ...oracle.strangers(found, book, isMerged),
      ...oracle.vanished(found, book),
    )
    const replaced = oracle.replaced(found, book)
    const context = { state: stateDir, signal: new AbortController().signal }
    const recovered = await oracle.recover(replaced, book, context, session, dataset)
    figures.recovered = recovered.read
    problems.push(...recovered.problems)
    for (const { state } of await catalog.listRuns({ dataset, limit: 10_000 })) {
      figures.runs[state] = (figures.runs[state] ?? 0) + 1
    }
    if (figures.runs.running) problems.push(`${figures.runs.running} runs are left running`)
    problems.push(...(await judgeByCommands(world, open.size > 0)))
  } finally {
    await session.close()
  }
  for (const problem of problems) say(`PROBLEM: ${problem}`)
  return problems
}

/** What Tidemark says of itself must agree. */
async function judgeByCommands({ program }: World, open: boolean): Promise<string[]> {
  const wanted: [string[], number[]][] = [
    [['verify', '--deep'], open ? [0, 5] : [0]],
    [['vault', 'check', '--deep'], [0]],
    [['audit', 'verify', dataset], [0]],
  ]
  const problems: string[] = []
  for (const [args, codes] of wanted) {
    const said = await program.ask(args)
    if (codes.includes(said.code ?? -1)) continue
    problems.push(
      `tidemark ${args.join(' ')} ended with ${said.code}: ${said.stdout}${said.stderr}`,
    )
  }
  return problems
}

async function sessionOf({ configPath, stateDir }: World): Promise<Session> {
  const config = await loadConfig(configPath)
  const catalog = await openCatalogOf(config, stateDir)
  return { config, catalog, close: () => catalog.close() }
}

// ── figures ─────────────────────────────────────────────────────────────────────────────────────

function noFigures({ postgres }: World): Figures {
  return {
    catalog: postgres ? 'PostgreSQL' : 'SQLite',
    ...{ operations: {}, faults: {}, exchanges: 0, harm: { kills: {}, outages: 0 } },
    ...{ starts: 0, gaveUp: [], syncs: {}, runs: {}, settledIn: 0 },
    ...{ keys: 0, openConflicts: 0, recovered: 0 },
  }
}

function gather(world: World, figures: Figures): void {
  figures.operations = world.users.book.counts
  figures.starts = world.program.starts
  figures.gaveUp = world.program.gaveUp
  for (const proxy of proxiesOf(world)) {
    figures.exchanges += proxy.exchanges
    for (const [name, count] of Object.entries(proxy.counts)) {
      figures.faults[name] = (figures.faults[name] ?? 0) + count
    }
  }
}
