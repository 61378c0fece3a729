/** Large contents are merged in a thread: the worker lives on, whatever becomes of that. */
import { expect, it } from 'vitest'
import { createByteBudget } from '../../activities/byte-budget.ts'
import { mergeInThread } from '../../activities/merge.ts'
import type { RunContext } from '../../activities/run-context.ts'
import { inThread, type ThreadLimits } from '../../activities/thread.ts'
import { createDeciding, type Judge, judged } from '../../activities/verdict.ts'
import { mergeHeapMiB, mergeInlineBytesMax } from '../../src/limits.ts'
import type { Conflict, Strategy } from '../../src/model.ts'
import { decide } from '../../src/sync/strategies/decide.ts'
import { type MergeTask, runMerge } from '../../src/sync/strategies/merge-task.ts'
import type { Known } from '../../src/sync/strategies/verdict.ts'
import { conflictOf } from '../sync/strategies/situations.ts'
import { conflictWorld, conflictWorlds, merge } from './conflict-world.ts'

conflictWorlds()

const { signal } = new AbortController()
const json = (value: object) => JSON.stringify(value)

/** As long as a busy machine takes: the time isn't what is looked at. */
const patient: ThreadLimits = { ms: 600_000, heapMiB: mergeHeapMiB }

function documentOf(rows: number, changed: Record<number, string> = {}): string {
  const row = (id: number) => ({ id, name: changed[id] ?? `the name of ${id}`, tags: ['a', 'b'] })
  return json({ items: Array.from({ length: rows }, (_, id) => row(id)) })
}

/** Each side changed a row of its own; in `clash` that of a. */
function textsOf(rows: number) {
  const [a, b] = [{ 3: 'by a' }, { [rows - 3]: 'by b' }]
  const [base, both] = [documentOf(rows), documentOf(rows, { ...a, ...b })]
  const clash = documentOf(rows, { 3: 'by b' })
  return { base, both, clash, a: documentOf(rows, a), b: documentOf(rows, b) }
}

const large = textsOf(1_000)
/** About 1 MiB. */
const huge = textsOf(18_000)

function taskOf(by: 'merge' | 'crdt', { base, a, b } = large): MergeTask {
  const sides = [
    { bytes: Buffer.from(a), label: 'a', at: 1, actor: 'a' },
    { bytes: Buffer.from(b), label: 'b', at: 2, actor: 'b' },
  ]
  if (by === 'crdt') return { by, base: Buffer.from(base), sides, options: { fields: [] } }
  const options = { format: 'auto', lists: 'ordered', csvKey: null } as const
  return { by, key: 'k.json', contentType: undefined, base: Buffer.from(base), sides, options }
}

/** Two replicas that changed a document of a MiB. */
async function disagreeing(mergeLimits: ThreadLimits, otherwise?: Strategy) {
  const strategy = merge({ bytesMax: 8 << 20, ...(otherwise ? { otherwise } : {}) })
  const world = await conflictWorld(['a', 'b'], strategy, { mergeLimits })
  world.put('a', 'k.json', huge.base)
  await world.engine.run()
  world.put('a', 'k.json', huge.a)
  world.put('b', 'k.json', huge.b)
  return world
}

it('a document of a MiB that two replicas changed becomes one', async () => {
  const world = await disagreeing(patient)
  await world.engine.run()
  expect(world.everywhere()['k.json']).toBe(huge.both)
})

it.each(['merge', 'crdt'] as const)(
  '%s: timers go on meanwhile, and it gives what it would give here',
  async (by) => {
    let beats = 0
    const beat = setInterval(() => beats++, 1)
    const there = await mergeInThread(taskOf(by), signal, patient)
    clearInterval(beat)
    expect(beats).toBeGreaterThan(0)
    const here = runMerge(taskOf(by))
    if (there.kind !== 'merged' || here.kind !== 'merged') throw new Error('it was not merged')
    expect(String(Buffer.from(there.bytes))).toBe(large.both)
    expect(Buffer.compare(there.bytes, here.bytes)).toBe(0)
  },
)

it('what cannot be decided is the same answer from a thread', async () => {
  const clashing = taskOf('merge', { ...large, b: large.clash })
  const here = runMerge(clashing)
  expect(here).toMatchObject({ kind: 'undecided', code: 'both-changed', at: '/items/3' })
  expect(await mergeInThread(clashing, signal, patient)).toEqual(here)
})

it.each([
  ['merge', merge()],
  ['crdt', { name: 'crdt', bytesMax: 1 << 20, fields: [] } as Strategy],
])('%s: small contents are merged at once; for others the verdict asks', (by, strategy) => {
  const asked = (length: number) => {
    const bytes = (a: number, b: number) => Buffer.from(json({ a, b, text: 'x'.repeat(length) }))
    const conflict = conflictOf({ A: 'changed x @1100', B: 'changed y @1200' }, {}, {}, 'k.json')
    if (!conflict) throw new Error('no conflict')
    const sides = new Map(conflict.contenders.map((one, i) => [one, bytes(2 - i, 1 + i)]))
    const contents = { bytesMax: 1 << 20, base: bytes(1, 1), sides }
    const known: Known = { now: 2_000, contents, answers: new Map(), merges: new Map() }
    return decide(conflict, strategy, known)
  }
  const fits = Math.floor(mergeInlineBytesMax / 3) - json({ a: 1, b: 1, text: '' }).length
  expect(asked(fits)).toMatchObject({ kind: 'made' })
  expect(asked(fits + 1)).toMatchObject({ kind: 'needs', what: 'merge', task: { by } })
})

it.each<[string, ThreadLimits, string, string]>([
  ['takes too long', { ...patient, ms: 1 }, 'timeout', 'more than 0.001 s'],
  ['takes too much', { ...patient, heapMiB: 32 }, 'memory', 'more than 32 MiB'],
])('one that %s stays open and says so; nothing is lost', async (_, limits, code, words) => {
  const world = await disagreeing(limits)
  expect(await world.engine.run()).toMatchObject({ state: 'conflicts', counts: { puts: 0 } })
  const [open] = await world.conflicts()
  const message = expect.stringContaining(words)
  expect(open?.conflict.undecided).toEqual([{ strategy: 'merge', code, message }])
  expect([world.at('a')['k.json'], world.at('b')['k.json']]).toEqual([huge.a, huge.b])
})

it('one that takes too long falls to what the rule says', async () => {
  const world = await disagreeing({ ...patient, ms: 1 }, { name: 'prefer', ranks: [['a']] })
  await world.engine.run()
  expect(world.everywhere()['k.json']).toBe(huge.a)
  const [resolved] = await world.conflicts('resolved')
  expect(resolved?.resolution).toMatchObject({ strategy: 'prefer', tried: [{ code: 'timeout' }] })
})

it('a merge ends with its run, also one that waits for its turn', async () => {
  const aborting = new AbortController()
  const merges = [1, 2, 3, 4].map(() => mergeInThread(taskOf('crdt', huge), aborting.signal))
  setTimeout(() => aborting.abort(new Error('cancelled')), 100)
  const ended = await Promise.allSettled(merges)
  for (const one of ended) expect(one).toMatchObject({ reason: { message: 'cancelled' } })
  expect(await mergeInThread(taskOf('merge'), signal, patient)).toMatchObject({ kind: 'merged' })
})

it.each([
  ['throws', "throw new Error('no idea')", 'threw', 'no idea'],
  ['ends', 'process.exit(3)', 'exited', 'it ended its thread: 3'],
  ['loops', 'for (;;);', 'timeout', 'it took more than 0.5 s'],
])('a thread that %s says why it said nothing', async (_, code, failure, message) => {
  const limits = { ms: failure === 'timeout' ? 500 : patient.ms, heapMiB: 64 }
  const ended = await inThread(code, null, limits, signal)
  expect(ended).toEqual({ failed: { code: failure, message } })
})

it('of many that are decided at once, one is in a turn of the event loop', async () => {
  const seen: string[] = []
  const judge: Judge = ({ contents }) => {
    if (contents === null) {
      return { rule: null, verdict: { kind: 'needs', what: 'contents', bytesMax: 1 } }
    }
    seen.push('decided')
    return { rule: null, verdict: { kind: 'open', tried: [] } }
  }
  const conflict = { key: 'k', contenders: [], base: null } as unknown as Conflict
  const { engine } = await conflictWorld(['a', 'b'], merge())
  const deciding = createDeciding()
  const one = async () => {
    const ask = { judge, now: 1, signal }
    await judged({ ...engine.deps, deciding }, {} as RunContext, conflict, ask, async () => {})
  }
  let turning = true
  const turn = () => {
    seen.push('a turn')
    if (turning) setImmediate(turn)
  }
  turn()
  await Promise.all(Array.from({ length: 5 }, one))
  turning = false
  expect(seen.filter((what) => what === 'decided')).toHaveLength(5)
  expect(seen.join()).not.toContain('decided,decided')
})

it('who is cancelled while it waits for room leaves the queue at once', async () => {
  const budget = createByteBudget(2)
  const first = await budget.take(1)
  const aborting = new AbortController()
  const two = budget.take(2, aborting.signal)
  const one = budget.take(1, signal)
  aborting.abort(new Error('cancelled'))
  await expect(two).rejects.toThrow('cancelled')
  const second = await one
  first()
  second()
  await expect(budget.take(2)).resolves.toBeTypeOf('function')
})
