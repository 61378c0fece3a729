/** Stories: what happens to a world, out of one number a step; and how a broken one is told. */
import fc from 'fast-check'
import { type Decided, type Faults, noFaults, round } from './rounds.ts'
import { diceOf, policyOf, type Shape, userActs, type World, worldOf } from './world.ts'

/** Set TIDEMARK_SEED to search elsewhere, TIDEMARK_CASES to search longer (a factor). */
const seed = Number(process.env.TIDEMARK_SEED ?? 20_261_121)
const factor = Number(process.env.TIDEMARK_CASES ?? 1)

/** How many cases ran, over all properties of the file. */
export const counted = { cases: 0 }

const step = fc.noShrink(fc.integer({ min: 0, max: 0xffffffff }))
/** The first number makes the world. */
const steps = fc.array(step, { minLength: 1, maxLength: 10 })

/** Runs `tale` over many stories; one that breaks is made short and told. */
export function forAllStories(
  runs: number,
  tale: (numbers: number[], story: string[] | null) => void,
): void {
  const property = fc.property(steps, (numbers) => {
    counted.cases++
    tale(numbers, null)
  })
  const result = fc.check(property, { seed, numRuns: runs * factor })
  if (!result.failed) return
  const [numbers] = result.counterexample as [number[]]
  throw new Error(retell(numbers, tale, `seed ${result.seed}, story ${result.numRuns}`))
}

function retell(
  numbers: number[],
  tale: (numbers: number[], story: string[] | null) => void,
  which: string,
): string {
  const story: string[] = []
  let end = 'it holds when it is told again: the model throws dice outside of its numbers'
  try {
    tale(numbers, story)
  } catch (error) {
    end = error instanceof Error ? (error.stack ?? error.message) : String(error)
  }
  return [`${which}, numbers [${numbers}]`, ...story, end].join('\n')
}

export interface Plot extends Shape {
  /** Whether the config changes on the way: direction, drift, strategy, replicas. */
  configChanges?: boolean
  keys?: string[]
  faults?: (faults: Faults) => Faults
}

/** The world after everything that the numbers say. */
export function play(numbers: number[], plot: Plot, story: string[] | null): World {
  const [first = 0, ...rest] = numbers
  const dice = diceOf(first)
  const keys = plot.keys ?? dice.pick([['a'], ['a'], ['a', 'b']])
  const world = worldOf(dice, keys, plot, story)
  for (const number of rest) playStep(world, plot, number)
  return world
}

export function playStep(world: World, plot: Plot, number: number): void {
  const dice = diceOf(number)
  const what = dice.below(16)
  if (what < 6) userActs(world, dice)
  else if (what < 8) {
    const { name } = dice.pick(world.stores)
    if (!world.offline.delete(name)) world.offline.add(name)
  } else if (what < 9 && plot.configChanges) changeConfig(world, plot, dice)
  else {
    if (dice.below(3) > 0) settleDown(world)
    const percent = () => dice.pick([0, 0, 20, 60])
    const faults = {
      seed: number,
      fails: percent(),
      replyLost: percent(),
      userBetween: percent(),
      notSettled: percent(),
    }
    round(world, plot.faults ? plot.faults(faults) : faults)
  }
}

function changeConfig(world: World, plot: Plot, dice: ReturnType<typeof diceOf>): void {
  const kept = world.stores.filter(() => dice.below(4) > 0)
  world.policy = policyOf(dice, kept.length > 1 ? kept : world.stores, plot)
  world.story?.push(JSON.stringify(world.policy))
}

/** Time passes: what a folder's tokens hide can't change any more. */
export function settleDown(world: World): void {
  for (const { objects } of world.stores) {
    for (const stored of objects.values()) stored.fresh = false
  }
}

/** Faults and users stop. The last of the runs is given. */
export function calm(world: World, runs: number): Decided[] {
  world.offline.clear()
  let last: Decided[] = []
  for (let i = 0; i < runs; i++) {
    settleDown(world)
    last = round(world, noFaults)
  }
  return last
}
