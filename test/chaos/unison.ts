/**
 * Unison as a judge: the same operations on two pairs of folders, one kept by it, one by Tidemark
 * with every conflict left open; after each sync what lies under each key is compared.
 */
import { execFile } from 'node:child_process'
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Key, Strategy } from '../../src/model.ts'
import { createEngine } from '../engine/engine.ts'
import { filePlace, type Place } from '../integration/places.ts'
import {
  createScene,
  type Operation,
  operationOf,
  sha256Of,
  wordsOf,
} from '../simulation/operations.ts'
import { ruleOf } from '../sync/deciding.ts'
import { type Dice, diceOf } from '../sync/world.ts'
import { usersOf } from './users.ts'

/** Rounds of operations, with a sync after each. */
export type List = Operation[][]

/** A key on which the two decided differently. Contents are told as their digest's beginning. */
export interface Difference {
  key: Key
  round: number
  unison: string
  tidemark: string
  /** What happened to that key up to then, round by round. */
  story: string[]
}

export interface Played {
  /** Keys × syncs that were compared. */
  compared: number
  /** Of those, how often replicas differ after the sync, in both alike: a conflict that is left. */
  conflicts: number
  differences: Difference[]
}

/** Neither twins nor odd names: what is compared is decisions. */
const keys: Key[] = ['a.txt', 'd/x', 'd/y', 'doc.json', 'z']

export function listOf(seed: number): List {
  const dice = diceOf(seed)
  const scene = createScene(2, keys, 1_000)
  const round = (count: number) =>
    Array.from({ length: count }, () => {
      const operation = only(dice, scene)
      scene.played(operation)
      return operation
    })
  return Array.from({ length: 4 }, (_, i) => {
    const made = round(i === 0 ? 6 : 1 + dice.below(4))
    scene.synced()
    return made
  })
}

function only(dice: Dice, scene: Parameters<typeof operationOf>[1]): Operation {
  for (;;) {
    const operation = operationOf(dice, scene)
    // A whole replica that is emptied both refuse, each in its own way.
    const other =
      operation.do === 'remove-all' || (operation.do === 'put' && operation.why === 'twin')
    if (!other) return operation
  }
}

/** Null where the program isn't there. */
export async function unisonVersion(): Promise<string | null> {
  try {
    return (await run('unison', ['-version'], {})).stdout.trim()
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return null
    throw error
  }
}

/** `strategy`: default `manual`, which leaves every conflict as Unison does. */
export async function playList(
  list: List,
  strategy: Strategy = { name: 'manual' },
): Promise<Played> {
  const theirs = [filePlace(), filePlace()]
  const ours = [filePlace(), filePlace()]
  const archive = mkdtempSync(join(tmpdir(), 'tidemark-unison-'))
  const engine = await createEngine(
    ours.map(({ options }) => options),
    { rules: ruleOf(strategy) },
  )
  const played: Played = { compared: 0, conflicts: 0, differences: [] }
  const apart = new Set<Key>()
  try {
    for (const [round, operations] of list.entries()) {
      for (const pair of [theirs, ours]) await play(pair, operations)
      await unison(theirs.map(pathOf), archive)
      const { state, run } = await engine.run()
      // Both want to be asked before a whole replica is emptied: here they have been.
      if (state === 'held') await engine.run({ mode: 'approve', base: run })
      const [one, two] = [await stateOf(theirs), await stateOf(ours)]
      for (const key of keys.filter((key) => !apart.has(key))) {
        played.compared++
        const [unisonSays = '', tidemarkSays = ''] = [one(key), two(key)]
        if (unisonSays === tidemarkSays) {
          if (new Set(unisonSays.split(' | ')).size > 1) played.conflicts++
          continue
        }
        // From here on they start from something else.
        apart.add(key)
        const story = list.slice(0, round + 1).map((all, i) => `${i}: ${storyOf(all, key)}`)
        played.differences.push({
          ...{ key, round, unison: unisonSays, tidemark: tidemarkSays, story },
        })
      }
    }
  } finally {
    await engine.close()
    for (const place of [...theirs, ...ours]) await place.close()
    rmSync(archive, { recursive: true, force: true })
  }
  return played
}

const pathOf = ({ options }: Place): string => (options.type === 'file' ? options.path : '')

async function play(pair: Place[], operations: Operation[]): Promise<void> {
  const replicas = pair.map((place, i) => ({
    ...{ name: `${i}`, place, options: place.options, proxy: null },
    alone: <T>(work: () => Promise<T>) => work(),
  }))
  const users = usersOf(replicas)
  for (const operation of operations) await users.play(operation)
}

async function stateOf(pair: Place[]): Promise<(key: Key) => string> {
  const sides = await Promise.all(
    pair.map(async (place) => {
      const found = new Map<Key, string>()
      for (const key of await place.keys()) {
        found.set(key, sha256Of((await place.get(key)).bytes).slice(0, 8))
      }
      return found
    }),
  )
  return (key) => sides.map((side) => side.get(key) ?? 'nothing').join(' | ')
}

function storyOf(operations: Operation[], key: Key): string {
  const of = operations.filter((one) => {
    return one.do !== 'remove-all' && (one.key === key || (one.do === 'rename' && one.to === key))
  })
  return of.map(wordsOf).join('; ') || 'nothing'
}

/** Exits with 1 where it skipped a conflict, which is no error here. */
async function unison(roots: string[], archive: string): Promise<void> {
  const args = [...roots, '-batch', '-ui', 'text', '-silent', '-fastcheck', 'false']
  const options = ['-ignore', 'Name .tidemark', '-confirmbigdel=false', '-perms', '0']
  mkdirSync(archive, { recursive: true })
  const { code, stderr } = await run('unison', [...args, ...options], { UNISON: archive })
  if (code > 1) throw new Error(`unison ended with ${code}: ${stderr}`)
}

function run(command: string, args: string[], environment: NodeJS.ProcessEnv) {
  return new Promise<{ code: number; stdout: string; stderr: string }>((resolve, reject) => {
    const env = { ...process.env, ...environment }
    execFile(command, args, { env, timeout: 60_000 }, (error, stdout, stderr) => {
      const code = error?.code ?? 0
      if (typeof code === 'number') resolve({ code, stdout, stderr })
      else reject(error)
    })
  })
}
