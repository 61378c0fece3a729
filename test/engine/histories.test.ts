/** Any version that was ever agreed on can be had back, to exact bytes, on all replicas. */
import { afterEach, expect, test } from 'vitest'
import { dropMemoryStores } from '../../connectors/memory-store.ts'
import { beginStory, expectEverywhere, goBack, remember, type Story, turn } from './histories.ts'
import { carryOut, restoreTo, undo } from './history.ts'

const seeds = Array.from({ length: 12 }, (_, i) => i + 1)
let open: Story | null = null

afterEach(async () => {
  await open?.engine.close()
  open = null
  dropMemoryStores()
})

async function told(seed: number, turns: number, when?: 'replaced' | 'agreed') {
  const story = await beginStory(seed, when)
  open = story
  for (let i = 0; i < turns; i++) await turn(story, seed)
  return story
}

test.each(seeds)('a random history goes on through restores and undos (seed %i)', async (seed) => {
  const story = await told(seed, 4)
  for (let i = 0; i < 4; i++) {
    await goBack(story)
    if (story.roll(2) === 0) await turn(story, seed)
  }
  // Everything that was agreed, from the first to the last, also what a restore took away.
  for (const { at, held } of [...story.chapters]) {
    await carryOut(story.engine, restoreTo({ at }))
    expectEverywhere(held, `seed ${seed} back at ${at}`)
    story.tick()
  }
  const quiet = await story.engine.run()
  expect(quiet.counts).toMatchObject({ planned: 0, puts: 0, deletes: 0 })
})

test.each(seeds.slice(0, 4))(
  'with `when: agreed` also what users overwrote everywhere between two runs (seed %i)',
  async (seed) => {
    const story = await told(seed, 5, 'agreed')
    for (const { at, held } of [...story.chapters]) {
      await carryOut(story.engine, restoreTo({ at }))
      expectEverywhere(held, `seed ${seed} back at ${at}`)
      story.tick()
    }
  },
)

test.each(seeds.slice(0, 4))(
  'also where the worker is killed at every durable step (seed %i)',
  async (seed) => {
    const story = await told(seed, 4)
    const fences = await countFences(story)
    expect(fences).toBeGreaterThan(5)
    for (let n = 0; n < fences; n++) {
      let seen = 0
      await goBack(story, { kills: () => seen++ === n })
    }
    for (const { at, held } of [...story.chapters]) {
      let seen = 0
      await carryOut(story.engine, restoreTo({ at }), { kills: () => story.roll(3) === seen++ % 3 })
      expectEverywhere(held, `seed ${seed} back at ${at}`)
      story.tick()
    }
  },
)

/** Of a restore to the first chapter. */
async function countFences(story: Awaited<ReturnType<typeof told>>): Promise<number> {
  let fences = 0
  const count = () => {
    fences++
    return false
  }
  const [first] = story.chapters
  const request = restoreTo({ at: first?.at as number })
  const run = await carryOut(story.engine, request, { kills: count })
  remember(story, run.base as number)
  return fences
}

test.each(seeds.slice(0, 6))(
  'and where a run is cut off for good, asked for again (seed %i)',
  async (seed) => {
    const story = await told(seed, 3)
    const { chapters, engine } = story
    for (let n = 0; n < 12; n += 2) {
      const { at, held } = chapters[n % chapters.length] as (typeof chapters)[number]
      const cut = new AbortController()
      let seen = 0
      const atFence = async () => {
        if (seen++ === n) cut.abort()
      }
      await carryOut(engine, restoreTo({ at }), { signal: cut.signal, cut: 'failed', atFence })
      story.tick()
      // What a worker wrote and could not commit is an edit like any other: a sync agrees on it.
      await engine.run()
      story.tick()
      expect(await carryOut(engine, restoreTo({ at }))).toMatchObject({ state: 'complete' })
      expectEverywhere(held, `seed ${seed}, cut at ${n}`)
      story.tick()
    }
  },
)

test.each(seeds.slice(0, 6))(
  'undo of a run is the exact state before it, undo of that the one after (seed %i)',
  async (seed) => {
    const story = await told(seed, 3)
    const [, before, after] = story.chapters
    if (!before || !after) throw new Error('too short a story')
    const undone = await carryOut(story.engine, undo(after.run))
    if (undone.problem?.code === 'run-agreed-nothing') return
    expectEverywhere(before.held, `seed ${seed} undone`)
    story.tick()
    const again = await carryOut(story.engine, undo(undone.run))
    expectEverywhere(after.held, `seed ${seed} undone twice`)
    story.tick()
    await carryOut(story.engine, undo(again.run))
    expectEverywhere(before.held, `seed ${seed} undone three times`)
  },
)
