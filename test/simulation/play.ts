/** Plays a scenario: users, people and faults beside the real workflows, and looks at the end. */
import type { RunRecord } from '../../src/catalog/catalog.ts'
import type { SyncInput } from '../../workflows/messages.ts'
import type { syncDataset as SyncDataset } from '../../workflows/sync-dataset.ts'
import { checkAtEnd } from './at-end.ts'
import type { Shared } from './catalog.ts'
import { doDeed } from './deeds.ts'
import { wordsOf } from './operations.ts'
import { type Broken, createOracle, type Oracle } from './oracle.ts'
import type { Event, Round, Scenario } from './scenario.ts'
import { play as playOperation } from './stores.ts'
import { isCancellation } from './temporal.ts'
import { isOpen, type Started, start } from './temporal-server.ts'
import { createWorld, type World } from './world.ts'

export interface Played {
  scenario: Scenario
  /** null: all held. */
  broken: { promise: string; words: string } | null
  runs: number
  steps: number
  /** Of all that happened, and of the catalog as it is at the end. */
  digest: string
  counted: Map<string, number>
}

class NotBegun extends Error {}

export interface Director {
  world: World
  oracle: Oracle
  workflow: typeof SyncDataset
  runs: number
  /** The last run was complete, and nothing else happened while it ran. */
  clean: boolean
  /** Throws `NotBegun` where it was cancelled before it had a number. */
  run(input?: Partial<SyncInput>, events?: Event[]): Promise<RunRecord>
}

export async function playScenario(
  scenario: Scenario,
  shared: Shared,
  workflow: typeof SyncDataset,
  { tell, digest = false }: { tell?: string[]; digest?: boolean } = {},
): Promise<Played> {
  const world = await createWorld(scenario, shared, tell)
  const director = direct(world, workflow)
  let broken: Played['broken'] = null
  try {
    await world.machine.drive(playAll(director))
  } catch (error) {
    const { promise, message } = error as Broken
    const words = promise ? message : String((error as Error).stack)
    broken = { promise: promise ?? (error as Error).name, words }
  }
  for (const worker of world.workers) worker.alive = false
  const { machine } = world
  await machine.settle()
  if (digest) machine.trace(shared.dump())
  for (const [kind, times] of world.troubles.counted) {
    world.counted.set(`fault ${kind}`, times)
  }
  return {
    ...{ scenario, broken, runs: director.runs, steps: machine.steps, digest: machine.digest() },
    counted: world.counted,
  }
}

async function playAll(director: Director): Promise<void> {
  for (const round of director.world.scenario.rounds) await playRound(director, round)
  await end(director)
}

function direct(world: World, workflow: typeof SyncDataset): Director {
  const oracle = createOracle(world)
  world.changed = (change) => oracle.changed(change)
  const { machine } = world
  let pending: { at: number; event: Event }[] = []
  machine.watch(() => {
    let moved = false
    for (const one of pending.filter(({ at }) => at <= machine.steps)) {
      pending.splice(pending.indexOf(one), 1)
      happen(director, one.event)
      moved = true
    }
    return moved
  })
  const director: Director = {
    ...{ world, oracle, workflow, runs: 0, clean: false },
    async run(given = {}, events = []) {
      const input: SyncInput = {
        dataset: 'data',
        mode: 'sync',
        trigger: 'manual',
        configDigest: world.config.digest,
        base: null,
        by: 'me@here',
        queue: 'tidemark',
        ...given,
      }
      director.runs++
      oracle.runBegins(input)
      world.cancelled = false
      // What a plan was made of is what it is applied to.
      if (input.mode !== 'apply') Object.assign(world, { troubled: false, disturbed: false })
      const id = given.request !== undefined && input.mode === 'sync' ? 'keys/data' : 'sync/data'
      if (isOpen(id)) throw new Error(`${id} is open`)
      machine.trace(`run ${director.runs}: ${input.mode}`)
      pending = events.map((event) => ({ at: machine.steps + event.at, event }))
      const [faults, hard] = faultsOf(world)
      world.running = start(workflow as never, id, input)
      const result = await resultOf(world, world.running)
      world.running = null
      const [faultsNow, hardNow] = faultsOf(world)
      world.troubled ||= faultsNow > faults
      world.disturbed ||= hardNow > hard
      director.clean = !world.troubled && pending.length === 0
      const record = result && ((await world.shared.catalog.getRun(result.run)) as RunRecord)
      if (record) {
        machine.trace(`run ${record.run} is ${record.state} ${JSON.stringify(record.counts)}`)
        await oracle.runEnds(record, !world.troubled && input.mode !== 'plan')
      } else machine.trace('cancelled before it began')
      // What didn't come about before the end does so behind it.
      for (const { event } of pending.splice(0)) {
        if ('operation' in event.what) happen(director, event)
      }
      oracle.throwIfBroken()
      director.clean &&= record?.state === 'complete' && input.mode === 'sync'
      machine.advance(10_000)
      if (record === null) throw new NotBegun()
      return record
    },
  }
  return director
}

async function resultOf(world: World, running: Started): Promise<{ run: number } | null> {
  try {
    return (await running.result) as { run: number }
  } catch (error) {
    if (world.cancelled && isCancellation(error)) return null
    throw error
  }
}

/** How many came about: all, and those that a run can't make good by itself. */
function faultsOf({ troubles: { counted } }: World): [all: number, hard: number] {
  const sum = (some: [string, number][]) => some.reduce((total, [, times]) => total + times, 0)
  const all = [...counted]
  return [sum(all), sum(all.filter(([kind]) => !mended.includes(kind)))]
}

const mended = ['reply-lost', 'lost-completion', 'zombie', 'catalog-away']

/** At once, between two steps. */
export function happen(director: Director, { what }: Event): void {
  const { world, oracle } = director
  const { machine, replicas } = world
  if ('operation' in what) {
    const { operation } = what
    director.clean = false
    machine.advance(7)
    machine.trace(`user: ${wordsOf(operation)}`)
    oracle.acting(operation)
    if (playOperation(replicas, operation)) {
      world.count(`operation ${operation.do === 'put' ? operation.why : operation.do}`)
      if (world.running) Object.assign(world, { troubled: true, disturbed: true })
    }
    return
  }
  world.troubled = true
  if ('fault' in what) {
    machine.trace(`armed: ${JSON.stringify(what)}`)
    if (what.fault === 'crash') crash(world, what.worker)
    const at = 'at' in what ? replicas[what.at] : undefined
    if (what.fault === 'clock-jump' && at) {
      at.skew += what.ms
      world.count('fault clock-jump')
    } else if (what.fault !== 'catalog-lost' && what.fault !== 'crash') world.troubles.arm(what)
    return
  }
  const { running } = world
  if (!running) return
  machine.trace(`deed ${what.deed}`)
  if (what.deed === 'cancel') {
    world.count('deed cancel')
    Object.assign(world, { cancelled: true, disturbed: true })
    running.cancel()
  }
  if (what.deed === 'pause') {
    world.count('deed pause')
    running.signal('pause')
    setTimeout(() => running.signal('resume'), what.ms)
  }
}

/** The process is gone, with all that it was about to do; another takes its place. */
function crash(world: World, index: number): void {
  const worker = world.workers[index % world.workers.length]
  if (!worker) return
  world.count('fault crash')
  world.machine.trace(`${worker.name} is killed`)
  worker.alive = false
  world.hire()
}

async function playRound(director: Director, { planned, events }: Round): Promise<void> {
  const { world, oracle } = director
  const { machine } = world
  for (const event of events.filter(({ at }) => at === 0)) {
    director.clean = false
    if ('deed' in event.what) await doDeed(director, event.what)
    else if ('fault' in event.what && event.what.fault === 'catalog-lost') {
      world.count('fault catalog-lost')
      oracle.catalogLost()
      for (const worker of world.workers) worker.alive = false
      world.hire()
      world.shared.empty('second')
      world.astray.clear()
      await world.configure()
      machine.trace('the catalog is lost')
    } else happen(director, event)
  }
  const later = events.filter(({ at }) => at > 0)
  try {
    const plan = planned ? await director.run({ mode: 'plan' }) : null
    if (!plan) await director.run({}, later)
    else if (plan.state === 'planned') await director.run({ mode: 'apply', base: plan.run }, later)
  } catch (error) {
    if (!(error instanceof NotBegun)) throw error
  }
  for (const away of [world.offline, world.astray]) {
    for (const [index, rounds] of away) {
      if (rounds <= 1) away.delete(index)
      else away.set(index, rounds - 1)
    }
  }
  await world.configure()
  oracle.throwIfBroken()
}

/** Faults and users stop; then two runs, of which the second has nothing to do. */
async function end(director: Director): Promise<void> {
  const { world, oracle } = director
  const { machine } = world
  world.troubles.cease()
  world.offline.clear()
  world.astray.clear()
  await world.configure()
  world.ended = true
  machine.trace('all is calm')
  await machine.idle()
  // What was complete, with nobody's hand in it, is held to more: the very next run does nothing.
  for (let i = 0; i < 3 && !director.clean; i++) {
    const record = await director.run()
    if (record.state !== 'held') break
    oracle.asked('held')
    world.count('deed approve')
    await director.run({ mode: 'approve', base: record.run })
  }
  await checkAtEnd(director)
}
