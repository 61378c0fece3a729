/**
 * A chaos session: `tidemark up` over a folder and three clouds, each behind a fault proxy; users
 * who write to all four, syncs all along, kills; then quiet, and what must hold then.
 */
import type { RunRecord } from '../../src/catalog/catalog.ts'
import type { RunReport } from '../../src/cli/run-report.ts'
import { createScene, operationOf } from '../simulation/operations.ts'
import { type Dice, diceOf } from '../sync/world.ts'
import { judge } from './judge.ts'
import type { Said } from './programs.ts'
import { type Around, changeWeather, kill, pause } from './weather.ts'
import {
  type ChaosOptions,
  close,
  type Figures,
  fill,
  gather,
  keys,
  noFigures,
  openWorld,
  proxiesOf,
  untilUp,
  type World,
  workers,
} from './world.ts'

export interface Outcome {
  problems: string[]
  figures: Figures
  /** Where everything still is when there are problems, or `keep`; else it is gone. */
  folder: string
}

const syncsToSettleMax = 6

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
    problems.push(...(await judge(world, figures, options)))
  } finally {
    stopping.abort()
    await world.program.stop()
    gather(world, figures)
    await close(world, problems.length === 0 && !options.keep)
  }
  return { problems, figures, folder: world.folder }
}

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
