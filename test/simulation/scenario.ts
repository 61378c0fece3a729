/** A story before it is played, as plain data: a world, and what happens in each round. */
import type { DatasetConfig } from '../../src/config/index.ts'
import type { Key, Strategy } from '../../src/model.ts'
import { type Dice, diceOf } from '../sync/world.ts'
import {
  createScene,
  type Operation,
  oddKeys,
  operationOf,
  plainKeys,
  type Remembered,
} from './operations.ts'
import { type Kind, kinds, simulatedPartBytes } from './stores.ts'

/** What goes wrong. `at`: the replica. `ms`: for how long, by the simulation's clock. */
export type Fault =
  | { fault: 'reply-lost' | 'cut-read' | 'cut-write' | 'denied' | 'rotten-read'; at: number }
  | { fault: 'throttled'; at: number; times: number }
  | { fault: 'outage' | 'no-space' | 'root-missing'; at: number; ms: number }
  | { fault: 'listing-fails' | 'listing-repeats' | 'listing-reorders'; at: number }
  /** Less than there is, without any error. */
  | { fault: 'listing-lies'; at: number; keep: number }
  | { fault: 'clock-jump'; at: number; ms: number }
  | { fault: 'crash'; worker: number }
  | { fault: 'zombie' | 'lost-completion' }
  | { fault: 'catalog-away'; times: number }
  | { fault: 'catalog-lost' }
  | { fault: 'vault-fails'; times: number }

/** What people do with Tidemark itself. */
export type Deed =
  | { deed: 'cancel' }
  | { deed: 'pause'; ms: number }
  | { deed: 'exclude'; patterns: string[] }
  /** Out of the config, or in again. The first replica stays. */
  | { deed: 'leave' | 'join'; at: number }
  | { deed: 'offline'; at: number; rounds: number }
  /** Its location leads elsewhere: a mount that is gone, a bucket of the same name. */
  | { deed: 'astray'; at: number; rounds: number }
  | { deed: 'move'; at: number; keeps: 'all' | 'some' | 'none' }
  | { deed: 'approve' }
  /** Decides an open conflict: the nth side of it. */
  | { deed: 'decide'; nth: number; side: number }
  | { deed: 'restore'; back: number; overwriteLater: boolean }
  | { deed: 'undo'; back: number; overwriteLater: boolean }
  | { deed: 'gc'; hours: number }

export type Happening = { operation: Operation } | Fault | Deed

/** `at`: at which step of the round; 0: before its run begins. */
export interface Event {
  at: number
  what: Happening
}

export interface Round {
  /** Planned first, and applied as a whole. */
  planned: boolean
  events: Event[]
}

export interface Scenario {
  seed: number
  /** Also looks at a promise that can't be kept: so it must be found broken. */
  canary?: boolean
  /** Of a hundred picks, how many go to anybody. */
  stray: number
  kinds: Kind[]
  keys: readonly Key[]
  pageKeys: number
  rangeKeys: number
  historyMax: number
  dataset: Pick<
    DatasetConfig,
    'direction' | 'drift' | 'delete' | 'rules' | 'batchSize' | 'history' | 'exclude'
  > & { deletes: DatasetConfig['limits']['deletes']; concurrency: number | null }
  rounds: Round[]
}

export function scenarioOf(seed: number): Scenario {
  const dice = diceOf(seed)
  const replicas = dice.pick([2, 2, 2, 2, 3, 3, 3, 4, 5])
  const keys = keysOf(dice)
  const scenario: Scenario = {
    seed,
    stray: dice.pick([0, 10, 50]),
    kinds: Array.from({ length: replicas }, () => dice.pick(kinds)),
    keys,
    pageKeys: dice.pick([2, 3, 100]),
    rangeKeys: dice.pick([3, 100, 100]),
    historyMax: dice.pick([20, 4_000, 4_000]),
    dataset: datasetOf(dice, replicas),
    rounds: [],
  }
  // By the seed, not the dice: what the other seeds tell stays as it was.
  const { history } = scenario.dataset
  if (seed % 5 === 0 && history.content === 'vault') history.content = 'native'
  const scene = createScene(replicas, keys, simulatedPartBytes)
  const calm = dice.below(10) < 3
  const rounds = dice.pick([1, 1, 1, 1, 2, 2, 3])
  for (let i = 0; i < rounds; i++) scenario.rounds.push(roundOf(dice, scene, scenario, calm))
  return scenario
}

function keysOf(dice: Dice): Key[] {
  const few = dice.shuffle(plainKeys).slice(0, 1 + dice.below(dice.below(5) + 1))
  return dice.below(3) === 0 ? [...few, ...dice.shuffle(oddKeys).slice(0, 3)] : few
}

function datasetOf(dice: Dice, replicas: number): Scenario['dataset'] {
  const agreed = dice.below(5) === 0
  return {
    direction: dice.below(4) === 0 ? 'one-way' : 'two-way',
    drift: dice.pick(['conflict', 'overwrite', 'keep']),
    delete: dice.below(8) === 0 ? 'never' : 'propagate',
    rules: [
      {
        ...{ name: 'simulated', match: [], when: null, later: null },
        strategy: strategyOf(dice, replicas),
      },
    ],
    batchSize: dice.pick([2, 1000, 1000]),
    history: {
      content: dice.below(6) === 0 ? 'off' : 'vault',
      ...{ when: agreed ? 'agreed' : 'replaced', versions: null, keepMs: null },
    },
    exclude: [],
    // Not the default: a few keys are always less than that.
    deletes: dice.below(3) === 0 ? [{ count: dice.below(3), percent: 20 }] : [],
    concurrency: dice.pick([null, null, 1]),
  }
}

const names = ['last-write-wins', 'first-write-wins', 'largest', 'smallest'] as const

function strategyOf(dice: Dice, replicas: number): Strategy {
  const plain: Strategy = { name: dice.pick(names) }
  const bytesMax = 2 ** 16
  switch (dice.below(9)) {
    case 0:
      return { name: 'manual' }
    case 1:
      return { name: 'keep-both', as: '{name}.conflict-{replica}-{time}{ext}' }
    case 2: {
      const order = dice.shuffle(Array.from({ length: replicas }, (_, i) => nameOf(i)))
      return { name: 'prefer', ranks: order.map((one) => [one]) }
    }
    case 3:
      return { name: dice.pick(['update-wins', 'delete-wins']), otherwise: plain }
    case 4:
      return {
        ...{ name: 'merge', bytesMax, format: 'auto', lists: 'ordered', csvKey: null },
        ...(dice.below(2) ? { otherwise: plain } : {}),
      }
    case 5:
      return { name: 'crdt', fields: [], bytesMax, otherwise: plain }
    default:
      return plain
  }
}

export const nameOf = (replica: number): string => String.fromCharCode(97 + replica)

// ── rounds ──────────────────────────────────────────────────────────────────────────────────────

function roundOf(dice: Dice, scene: Remembered, scenario: Scenario, calm: boolean): Round {
  const events: Event[] = []
  const stepsAbout = 60 + 40 * scenario.keys.length
  const operate = (at: number) => {
    const operation = operationOf(dice, scene)
    scene.played(operation)
    events.push({ at, what: { operation } })
  }
  const before = 1 + dice.below(scenario.rounds.length === 0 ? 6 : 4)
  for (let i = 0; i < before; i++) operate(0)
  if (dice.below(3) === 0) {
    for (let i = dice.below(3); i >= 0; i--) operate(1 + dice.below(stepsAbout))
  }
  if (!calm) {
    for (let i = dice.below(4); i > 0; i--) {
      const at = dice.below(stepsAbout)
      const what = faultOf(dice, scenario.kinds.length)
      // A catalog is lost between runs: no worker is left that knows what was in it.
      events.push({ at: what.fault === 'catalog-lost' ? 0 : at, what })
    }
    if (dice.below(2) === 0) events.push(deedOf(dice, scenario, stepsAbout))
  }
  scene.synced()
  events.sort((a, b) => a.at - b.at)
  return { planned: dice.below(8) === 0, events }
}

function faultOf(dice: Dice, replicas: number): Fault {
  const at = dice.below(replicas)
  const ms = dice.pick([50, 1_000, 20_000])
  switch (dice.below(18)) {
    case 0:
    case 1:
    case 2:
      return { fault: 'reply-lost', at }
    case 3:
      return { fault: dice.pick(['cut-read', 'cut-write', 'denied', 'rotten-read']), at }
    case 4:
      return { fault: 'throttled', at, times: 1 + dice.below(6) }
    case 5:
      return { fault: dice.pick(['outage', 'no-space', 'root-missing']), at, ms }
    case 6:
      return {
        fault: dice.pick(['listing-fails', 'listing-repeats', 'listing-reorders']),
        at,
      }
    case 7:
    case 8:
      return { fault: 'listing-lies', at, keep: dice.below(2) }
    case 9:
      return { fault: 'clock-jump', at, ms: dice.pick([-3_600_000, -5_000, 5_000, 3_600_000]) }
    case 10:
    case 11:
    case 12:
      return { fault: 'crash', worker: dice.below(2) }
    case 13:
    case 14:
      return { fault: 'zombie' }
    case 15:
      return { fault: 'lost-completion' }
    case 16:
      return { fault: 'catalog-away', times: 1 + dice.below(2) }
    default:
      return dice.below(4) === 0
        ? { fault: 'catalog-lost' }
        : { fault: 'vault-fails', times: 1 + dice.below(5) }
  }
}

function deedOf(dice: Dice, { kinds: places, keys }: Scenario, steps: number): Event {
  const at = dice.below(places.length)
  const later = 1 + dice.below(steps)
  const overwriteLater = dice.below(2) === 0
  switch (dice.below(11)) {
    case 0:
      return { at: later, what: { deed: 'cancel' } }
    case 1:
      return { at: later, what: { deed: 'pause', ms: dice.pick([10, 3_000, 60_000]) } }
    case 2:
      return { at: 0, what: { deed: 'exclude', patterns: dice.below(2) ? [dice.pick(keys)] : [] } }
    case 3:
      return { at: 0, what: { deed: dice.pick(['leave', 'join', 'join']), at } }
    case 4:
      return { at: 0, what: { deed: 'offline', at, rounds: 1 + dice.below(2) } }
    case 5:
      return { at: 0, what: { deed: 'decide', nth: dice.below(3), side: dice.below(3) } }
    case 6:
      return { at: 0, what: { deed: 'restore', back: dice.below(3), overwriteLater } }
    case 7:
      return { at: 0, what: { deed: 'undo', back: dice.below(2), overwriteLater } }
    case 8:
      return { at: 0, what: { deed: 'gc', hours: dice.pick([0, 2]) } }
    case 9:
      return dice.below(2) === 0
        ? { at: 0, what: { deed: 'astray', at, rounds: 1 + dice.below(2) } }
        : {
            at: 0,
            what: { deed: 'move', at, keeps: dice.pick(['all', 'some', 'some', 'none'] as const) },
          }
    default:
      return { at: 0, what: { deed: 'approve' } }
  }
}
