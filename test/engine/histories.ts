/**
 * Random histories of edits on three replicas, on the real engine: what each run agreed on is
 * remembered, and anything of it can be asked for again. A seed is a story.
 */
import { memoryStore } from '../../connectors/memory-store.ts'
import type { LocationOptions } from '../../connectors/options.ts'
import type { RunNumber } from '../../src/model.ts'
import { createEngine, type Engine, type RunOptions } from './engine.ts'
import { carryOut, restoreTo, undo } from './history.ts'

export type Held = Record<string, string>

/** What a run left on every replica, and a moment behind it. */
export interface Chapter {
  run: RunNumber
  at: number
  held: Held
}

export interface Story {
  engine: Engine
  chapters: Chapter[]
  roll(sides: number): number
  /** Every agreed content is kept: so users may overwrite it on all replicas at once. */
  agreed: boolean
}

const stores = ['a', 'b', 'c']
const keys = ['a.txt', 'a/x', 'b', 'dir/deep/c', 'e-\u{1f600}', 'f', 'z']
const minute = 60_000

/** Lehmer's generator: the same seed rolls the same. */
function diceOf(seed: number): Story['roll'] {
  let state = (seed * 2_654_435_761 + 1) % 2_147_483_647
  return (sides) => {
    state = (state * 48_271) % 2_147_483_647
    return state % sides
  }
}

export function heldBy(store: string): Held {
  const { names, get } = memoryStore(store)
  return Object.fromEntries(names().map((name) => [name, String(get(name)?.bytes)]))
}

/** Throws where the replicas don't all hold exactly this. */
export function expectEverywhere(expected: Held, words: string): void {
  for (const store of stores) {
    const [is, should] = [heldBy(store), expected].map((held) =>
      JSON.stringify(Object.entries(held).sort()),
    )
    if (is !== should) throw new Error(`${words}: ${store} holds ${is}, not ${should}`)
  }
}

export async function beginStory(
  seed: number,
  when: 'replaced' | 'agreed' = 'replaced',
): Promise<Story & { tick(): void }> {
  let now = Date.now() - 365 * 24 * 60 * minute
  const places = stores.map((store): LocationOptions => ({ type: 'memory', store, prefix: '' }))
  for (const store of stores) memoryStore(store).clock = () => now
  const options = { clock: () => now, rangeKeys: 3 }
  const history = { content: 'vault', when, versions: null, keepMs: null } as const
  const engine = await createEngine(places, { batchSize: 2, history }, options)
  const tick = () => {
    now += minute
  }
  memoryStore('a').put('first', Buffer.from('where history begins'))
  return { engine, chapters: [], roll: diceOf(seed), agreed: when === 'agreed', tick }
}

/** Edits of a few keys, each at one or two replicas (a third still holds what was agreed), then a
 *  sync, and what it left. */
export async function turn(story: Awaited<ReturnType<typeof beginStory>>, seed: number) {
  const { agreed, engine, roll, chapters, tick } = story
  for (const key of keys) {
    if (roll(3) > 0) continue
    const at = roll(3)
    act(stores[at] as string, key, roll, seed, chapters.length)
    tick()
    if (roll(5) === 0) act(stores[(at + 1) % 3] as string, key, roll, seed, chapters.length)
    if (!agreed || roll(3) > 0) continue
    for (const store of stores) act(store, key, roll, seed, chapters.length)
  }
  tick()
  const { run, state } = await engine.run()
  if (state !== 'complete') throw new Error(`seed ${seed}: run ${run} is ${state}`)
  tick()
  remember(story, run)
}

function act(store: string, key: string, roll: Story['roll'], seed: number, chapter: number) {
  if (roll(4) === 0) memoryStore(store).remove(key)
  else memoryStore(store).put(key, Buffer.from(`${seed}.${chapter} ${key} ${store} ${roll(9)}`))
}

export function remember(
  { chapters, engine, tick }: Story & { tick(): void },
  run: RunNumber,
): void {
  const held = heldBy('a')
  expectEverywhere(held, `run ${run}`)
  chapters.push({ run, at: engine.deps.clock(), held })
  tick()
}

/** Asks for something that was, and looks whether every replica has exactly that. */
export async function goBack(
  story: Awaited<ReturnType<typeof beginStory>>,
  options: RunOptions = {},
): Promise<void> {
  const { engine, roll, chapters } = story
  const at = roll(chapters.length)
  const chapter = chapters[at] as Chapter
  const before = chapters[chapters.length - 1] as Chapter
  const kind = roll(4)
  const key = keys[roll(keys.length)] as string
  let expected = chapter.held
  let request = restoreTo({ at: chapter.at })
  if (kind === 1 && at + 1 < chapters.length) {
    request = restoreTo({ beforeRun: (chapters[at + 1] as Chapter).run })
  } else if (kind === 2 && chapters.length > 2) {
    const last = chapters[chapters.length - 1] as Chapter
    request = undo(last.run)
    expected = (chapters[chapters.length - 2] as Chapter).held
  } else if (kind === 3) {
    const lines = await engine.catalog.linesOfKey('data', key, { limit: 99 })
    const line = lines[roll(Math.max(1, lines.length))]
    if (!line) return
    request = restoreTo({ version: line.version.run, key })
    const held = chapters.find(({ run }) => run === line.version.run)?.held[key]
    expected = { ...before.held }
    delete expected[key]
    if (held !== undefined) expected[key] = held
  }
  const run = await carryOut(engine, request, options)
  const words = `${JSON.stringify(request)} ended ${run.state} (${run.problem?.code})`
  if (run.problem?.code === 'run-agreed-nothing') return
  if (run.state !== 'complete') throw new Error(words)
  expectEverywhere(expected, words)
  story.tick()
  // The number that its versions bear is the plan's.
  remember(story, run.base as number)
}
