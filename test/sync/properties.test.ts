/**
 * The invariants of the design over a model of stores, users and faults: more than 100,000 stories
 * each time. TIDEMARK_SEED looks elsewhere, TIDEMARK_CASES=20 looks longer. A story that breaks a
 * promise is cut short and told line by line.
 */
import { afterAll, describe, expect, it } from 'vitest'
import type { BaselineRow } from '../../src/model.ts'
import { isUnchanged } from '../../src/sync/unchanged.ts'
import { mirrored, outcomeText } from './mirror.ts'
import { checkDecided, checkTogether } from './promises.ts'
import { type Decided, decideKey, look, noFaults, round } from './rounds.ts'
import { situationOf } from './situation.ts'
import { calm, counted, forAllStories, play, playStep, settleDown } from './stories.ts'
import { diceOf, userActs, type World, write } from './world.ts'

const timeout = 600_000

describe('at every step of every story', { timeout }, () => {
  it('I1, I2, I3, I4: tokens are named, nothing is lost, only what is gone is deleted', () => {
    forAllStories(15_000, (numbers, story) => {
      play(numbers, { configChanges: true, history: true }, story)
    })
  })

  it('I2: without history, what was never agreed and conflict losers are kept all the same', () => {
    forAllStories(15_000, (numbers, story) => {
      play(numbers, { configChanges: true, history: false }, story)
    })
  })

  it('I1, I3, I4: they hold in any state of the baseline, reachable or not', () => {
    forAllStories(20_000, ([seed = 0]) => {
      const world = situationOf(diceOf(seed), {})
      const moment = { run: world.run, from: world.lastScan, to: world.now }
      checkDecided(world, decideKey(world, 'a', moment))
    })
  })

  it('the shortcut for unchanged keys answers as the whole core would', () => {
    forAllStories(10_000, ([seed = 0]) => {
      const world = situationOf(diceOf(seed), {})
      const { replicas } = world.policy
      const row = world.rows.get('a') ?? null
      const seen = replicas.map((name) => look(world, name, 'a'))
      if (!isUnchanged(row, seen, replicas)) return
      const moment = { run: world.run, from: world.lastScan, to: world.now }
      const { decision } = decideKey(world, 'a', moment)
      if (decision.kind !== 'nothing' || decision.notes.length > 0) throw new Error('it is changed')
    })
  })

  it('I3: where absence is in doubt, no new delete is decided', () => {
    forAllStories(10_000, ([seed = 0]) => {
      const world = situationOf(diceOf(seed), {})
      const row = world.rows.get('a')
      for (const { name, objects } of world.stores) {
        if (row?.holds[name]?.token && !objects.has('a')) world.offline.add(name)
      }
      const moment = { run: world.run, from: world.lastScan, to: world.now }
      const { items } = decideKey(world, 'a', moment)
      const deletes = items.some(({ actions }) => actions.some((action) => action.do === 'delete'))
      if (deletes && row?.head.content !== null) throw new Error('a delete without a cause')
    })
  })

  it('I4: a catalog that was lost deletes nothing, and brings everything together again', () => {
    forAllStories(5_000, (numbers, story) => {
      const world = play(numbers, { strategy: 'last-write-wins' }, story)
      const before = world.keys.map((key) => everywhere(world, key))
      world.rows.clear()
      checkTogether(world, calm(world, 3))
      world.keys.forEach((key, i) => {
        if ((before[i] as unknown[]).some(Boolean) && !everywhere(world, key).some(Boolean)) {
          throw new Error(`${key} is gone everywhere`)
        }
      })
    })
  })
})

function everywhere({ stores }: World, key: string): unknown[] {
  return stores.map(({ objects }) => objects.get(key))
}

describe('faults', { timeout }, () => {
  it('I5: what goes wrong with one key changes nothing for another', () => {
    forAllStories(5_000, (numbers, story) => {
      const [first = 0, ...rest] = numbers
      const plot = { keys: ['a', 'b'], configChanges: true }
      const only = (key: string) => ({
        ...plot,
        faults: (faults: typeof noFaults) => ({ ...faults, userBetween: 0, only: key }),
      })
      const healthy = play(
        [first, ...rest],
        { ...plot, faults: ({ seed }) => ({ ...noFaults, seed }) },
        null,
      )
      const faulty = play([first, ...rest], only('a'), story)
      if (stateOf(healthy, 'b') !== stateOf(faulty, 'b')) throw new Error('I5: b is touched')
    })
  })

  it('I6: a write whose reply was lost is neither repeated nor called a conflict', () => {
    forAllStories(10_000, ([first = 0, seed = 0, ...rest], story) => {
      const world = play([first], { strategy: 'manual' }, story)
      for (const number of rest.slice(0, 2)) playStep(world, {}, number)
      if (calm(world, 3).some(({ conflict }) => conflict)) return
      // Below a folder, each target keeps its own: what one has is no measure for another.
      const all = world.stores.flatMap(({ objects }) => [...objects.values()])
      const described = all.some(({ metadata }) => metadata !== '')
      if (described && world.policy.withoutMetadata?.length) return
      const lonely = { ...world, stores: world.stores.slice(0, 1) }
      userActs(lonely, diceOf(seed))
      Object.assign(world, { now: lonely.now, serial: lonely.serial })
      settleDown(world)
      const before = round(world, { ...noFaults, seed, fails: 20, replyLost: 60, notSettled: 40 })
      settleDown(world)
      const after = round(world, noFaults)
      before.forEach((one, i) => {
        if (!one.conflict) checkRecognised(one, after[i] as Decided)
      })
    })
  })

  it('I6: a conflict that was decided once is decided alike by every further try', () => {
    forAllStories(10_000, ([first = 0, ...rest], story) => {
      // A clock that is ahead is taken for now, and now passes.
      const world = play([first], { direction: 'two-way', skews: [0, -3_600_000] }, story)
      calm(world, 1)
      for (const number of rest.slice(0, 3)) userActs(world, diceOf(number))
      settleDown(world)
      const moment = { run: world.run + 1, from: world.lastScan, to: world.now }
      const before = world.keys.map((key) => winnerOf(world, decideKey(world, key, moment)))
      for (const seed of rest.slice(3)) {
        round(world, { ...noFaults, seed, fails: 60, replyLost: 20, notSettled: 30 })
        settleDown(world)
      }
      calm(world, 2)
      world.keys.forEach((key, i) => {
        const bytes = before[i]
        const stored = world.stores.map(({ objects }) => objects.get(key)?.bytes ?? null)
        if (bytes !== undefined && stored.some((one) => one !== bytes)) {
          throw new Error(`I6: ${bytes} had won ${key}, and now there is ${stored}`)
        }
      })
    })
  })

  it('I8: the baseline says only what was: a token that is held is of that content', () => {
    forAllStories(10_000, (numbers, story) => {
      const world = play(numbers, { configChanges: true }, story)
      for (const row of world.rows.values()) checkTruth(world, row)
    })
  })
})

/** The bytes that everybody is to get, where a conflict was decided. */
function winnerOf(world: World, { items, conflict, key }: Decided): number | null | undefined {
  const [item] = items
  if (!conflict || !item) return undefined
  const source = world.stores.find(({ name }) => name === item.sources[0]?.replica)
  return source?.objects.get(key)?.bytes ?? null
}

function checkRecognised({ written, key }: Decided, { conflict, items }: Decided): void {
  if (conflict) throw new Error(`I6: our own write of ${key} became a conflict`)
  for (const { do: verb, replica } of items.flatMap(({ actions }) => actions)) {
    if (verb !== 'adopt' && written.has(replica)) throw new Error(`I6: ${verb} ${replica} again`)
  }
}

function checkTruth(world: World, row: BaselineRow): void {
  for (const [name, { token, version, drift }] of Object.entries(row.holds)) {
    if (token === null || token.unsettled || drift || !version.content) continue
    const bytes = world.written.get(`${name}/${row.key}/${token.id}`)
    const held = version.content.digests.sha256 ?? version.content.digests.md5
    if (held !== undefined && Number(held.slice(1)) !== bytes) {
      throw new Error(
        `I8: ${name} is said to hold ${held} of ${row.key}, but ${token.id} is ${bytes}`,
      )
    }
  }
}

/** What one key has come to, without the names of tokens. */
function stateOf(world: World, key: string): string {
  const row = world.rows.get(key)
  const holds = Object.entries(row?.holds ?? {}).map(
    ([name, { version, token, drift }]) => `${name} ${version.run} ${token === null} ${drift}`,
  )
  const bytes = world.stores.map(({ objects }) => objects.get(key)?.bytes)
  return JSON.stringify([bytes, row?.head, holds.sort()])
}

describe('when faults and users stop', { timeout }, () => {
  it('I7: two-way, two runs leave nothing to do and make all replicas the same', () => {
    forAllStories(10_000, (numbers, story) => {
      const world = play(numbers, { direction: 'two-way' }, story)
      checkTogether(world, calm(world, 3))
    })
  })

  it('I7: one-way, the destinations are as the source, but for drift and extras', () => {
    forAllStories(10_000, (numbers, story) => {
      const world = play(numbers, { direction: 'one-way' }, story)
      checkTogether(world, calm(world, 3))
    })
  })

  it('I7: whatever the config was on the way, and whichever replicas came and went', () => {
    forAllStories(10_000, (numbers, story) => {
      const world = play(numbers, { configChanges: true }, story)
      checkTogether(world, calm(world, 3))
    })
  })

  it('I7: from any state of the baseline, reachable or not', () => {
    const shape = { strategy: 'last-write-wins', history: true } as const
    forAllStories(10_000, ([seed = 0], story) => {
      const world = situationOf(diceOf(seed), shape, story)
      checkTogether(world, calm(world, 3))
    })
  })

  it('I6: what is only rewritten as it is moves nothing', () => {
    forAllStories(5_000, (numbers, story) => {
      const world = play(numbers, { direction: 'two-way', strategy: 'last-write-wins' }, story)
      // Rewriting shows what a listing had hidden, or a folder couldn't say: that is a change.
      if (world.stores.some(({ metadata }) => metadata !== 'listed')) return
      calm(world, 2)
      const kept = world.stores.flatMap((store) =>
        [...store.objects].map((one) => ({ store, one })),
      )
      for (const {
        store,
        one: [key, { bytes, metadata }],
      } of kept) {
        write(world, store, key, bytes, metadata)
      }
      settleDown(world)
      for (const { items, conflict } of round(world, noFaults)) {
        const moves = items.some(({ actions }) => actions.some((action) => action.do !== 'adopt'))
        if (moves || conflict) throw new Error('I6: a rewrite was taken for a change')
      }
    })
  })

  it('I6: running again does nothing, and the baseline stays as it is', () => {
    forAllStories(5_000, (numbers, story) => {
      const world = play(numbers, { configChanges: true }, story)
      calm(world, 2)
      const rows = JSON.stringify([...world.rows])
      const vault = world.vault.size
      const last = calm(world, 2)
      for (const { key, asked, conflict } of last) {
        if (asked.length > 0 && !conflict) throw new Error(`I6: ${asked} is read for ${key} again`)
      }
      if (JSON.stringify([...world.rows]) !== rows) throw new Error('I6: the baseline moved')
      if (world.vault.size !== vault) throw new Error('I6: something was kept again')
    })
  })
})

describe('I11: names and order', { timeout }, () => {
  it('decide nothing, after any story', () => {
    forAllStories(5_000, (numbers, story) => {
      const world = play(numbers, { configChanges: true }, story)
      for (const key of world.keys) checkMirrored(world, key, numbers[0] ?? 0)
    })
  })

  it('decide nothing, in any state', () => {
    forAllStories(20_000, ([seed = 0]) => {
      const world = situationOf(diceOf(seed), {})
      // Whose digest is asked is nobody's choice; what metadata that shows along with it, neither.
      if (world.stores.every(({ metadata }) => metadata !== 'hidden'))
        checkMirrored(world, 'a', seed)
    })
  })
})

function checkMirrored(world: World, key: string, seed: number): void {
  const mirror = mirrored(world, diceOf(seed))
  for (const all of [true, false]) {
    const here = outcomeText(world, key, all)
    const there = outcomeText(mirror.world, key, all, mirror.back)
    if (here !== there) throw new Error(`I11: ${key} is decided by names\n${here}\n${there}`)
  }
}

afterAll(() => {
  console.log(`${counted.cases} cases of the pure core`)
})

it('has run at least 100,000 cases', () => {
  expect(counted.cases).toBeGreaterThanOrEqual(100_000)
})
