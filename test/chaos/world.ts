/** The world of a chaos session: stores behind proxies, catalog, config, the server, its users. */
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Key } from '../../src/model.ts'
import { oddKeys, plainKeys } from '../simulation/operations.ts'
import type { Dice } from '../sync/world.ts'
import type { FaultName } from './faults.ts'
import { openReplicas, type Replica, type Servers } from './places.ts'
import { type KilledPostgres, startKilledPostgres } from './postgres.ts'
import { keepUp, type Program } from './programs.ts'
import { type Users, usersOf } from './users.ts'
import type { Harm } from './weather.ts'

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
  /** Keys that rclone compared; 0: there is none here. */
  foreign: number
}

export const dataset = 'data'
export const workers = 2
/** Beside another replica's `a/x` no folder can hold `a`. */
export const keys: Key[] = [
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
export const isMerged = (key: Key) => key.toLowerCase().includes('.json')

export interface World {
  folder: string
  replicas: Replica[]
  postgres: KilledPostgres | null
  program: Program
  users: Users
  configPath: string
  stateDir: string
}

export async function openWorld({ seed, servers }: ChaosOptions, dice: Dice): Promise<World> {
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
    users: usersOf(replicas, (key) => !key.startsWith('still/')),
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

export async function close(
  { replicas, postgres, folder, users }: World,
  remove: boolean,
): Promise<void> {
  for (const { proxy } of replicas) await proxy?.close()
  await postgres?.stop()
  writeFileSync(join(folder, 'deeds.json'), JSON.stringify(users.book.deeds))
  if (!remove) return
  for (const { place } of replicas) await place.close()
  rmSync(folder, { recursive: true, force: true })
}

export async function fill({ users, replicas }: World, { still }: ChaosOptions, dice: Dice) {
  for (let i = 0; i < still; i++) {
    const at = [dice.below(replicas.length)]
    const text = { form: 'plain', author: 1_000_000 + i, bytes: 8 } as const
    await users.play({ do: 'put', why: 'create', at, key: `still/${i}`, text })
  }
}

export async function untilUp({ program, folder }: World): Promise<void> {
  for (let tries = 0; tries < 60; tries++) {
    const { code } = await program.ask(['status'])
    if (code === 0 && program.signal('worker-1', 'SIGCONT')) return
  }
  throw new Error(`tidemark up doesn't come up: see ${folder}`)
}

export const proxiesOf = ({ replicas, postgres }: World) => [
  ...replicas.flatMap(({ proxy }) => proxy ?? []),
  ...(postgres ? [postgres.proxy] : []),
]

// ── figures ─────────────────────────────────────────────────────────────────────────────────────

export function noFigures({ postgres }: World): Figures {
  return {
    catalog: postgres ? 'PostgreSQL' : 'SQLite',
    ...{ operations: {}, faults: {}, exchanges: 0, harm: { kills: {}, outages: 0 } },
    ...{ starts: 0, gaveUp: [], syncs: {}, runs: {}, settledIn: 0 },
    ...{ keys: 0, openConflicts: 0, recovered: 0, foreign: 0 },
  }
}

export function gather(world: World, figures: Figures): void {
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
