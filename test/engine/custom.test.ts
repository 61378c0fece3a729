/** Conflicts that a user’s module decides: whatever it does, the run goes on, nothing is lost. */
import { createHash } from 'node:crypto'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, expect, it } from 'vitest'
import { askModule } from '../../activities/custom.ts'
import type { Strategy } from '../../src/model.ts'
import { conflictWorld, conflictWorlds } from './conflict-world.ts'

conflictWorlds()

const dir = mkdtempSync(join(tmpdir(), 'tidemark-custom-'))
afterAll(() => rmSync(dir, { recursive: true, force: true }))

let modules = 0

function moduleOf(code: string): Extract<Strategy, { name: 'custom' }> {
  const module = join(dir, `resolve-${++modules}.ts`)
  writeFileSync(module, code)
  return { name: 'custom', module, sha256: createHash('sha256').update(code).digest('hex') }
}

const input = `interface Side { replicas: string[]; text: string | null; size: number | null }
interface Input { key: string; base: { text: string | null } | null; sides: Side[] }\n`

async function decided(code: string, [a, b]: [string, string] = ['of a', 'of b']) {
  const world = await conflictWorld(['a', 'b'], moduleOf(input + code))
  world.put('a', 'k.txt', 'base')
  await world.engine.run()
  world.put('a', 'k.txt', a)
  world.put('b', 'k.txt', b)
  const run = await world.engine.run()
  const [open] = await world.conflicts()
  const [resolved] = await world.conflicts('resolved')
  return { world, run, why: open?.conflict.undecided, resolution: resolved?.resolution }
}

it('takes a side, by what it is shown', async () => {
  const { world, resolution } = await decided(
    `export default ({ sides }: Input) => {
    const longest = sides.toSorted((a, b) => (b.size ?? 0) - (a.size ?? 0))[0]
    return { take: longest?.replicas[0] }
  }`,
    ['a longer text', 'short'],
  )
  expect(world.everywhere()).toEqual({ 'k.txt': 'a longer text' })
  expect(resolution).toMatchObject({ strategy: 'custom', why: 'the module took a' })
})

it('makes content of the base and the sides, also later than at once', async () => {
  const { world, resolution } = await decided(`export default async ({ base, sides }: Input) => {
    await new Promise((wake) => setTimeout(wake, 10))
    return { content: [base?.text, ...sides.map(({ text }) => text).sort()].join(', ') }
  }`)
  expect(world.everywhere()).toEqual({ 'k.txt': 'base, of a, of b' })
  expect(resolution).toMatchObject({ merged: true, why: 'the module made it' })
})

it('keeps both', async () => {
  const { world } = await decided('export default () => ({ keepBoth: true })')
  expect(Object.values(world.everywhere()).toSorted()).toEqual(['of a', 'of b'])
})

it.each([
  ['leaves it to a person', "() => ({ manual: 'not mine' })", 'custom-manual', 'not mine'],
  ['throws', "() => { throw new Error('no idea') }", 'custom-threw', 'no idea'],
  ['rejects', "async () => { throw new Error('no idea') }", 'custom-threw', 'no idea'],
  ['throws nothing', '() => { throw null }', 'custom-threw', 'null'],
  ['returns nothing', '() => {}', 'custom-nonsense', 'the module returned undefined'],
  ['returns a number', '() => 7', 'custom-nonsense', 'the module returned 7'],
  ['takes nobody', "() => ({ take: 'c' })", 'custom-nonsense', 'takes no side'],
  ['says two things', "() => ({ take: 'a', keepBoth: true })", 'custom-nonsense', '2 keys'],
  ['returns a function', '() => () => 1', 'custom-threw', 'could not be cloned'],
  ['is none', '7', 'custom-no-function', 'its default export is not a function'],
  ['ends its process', '() => process.exit(3)', 'custom-exited', 'it ended its thread: 3'],
  ['looks for secrets', '() => ({ manual: JSON.stringify(process.env) })', 'custom-manual', '{}'],
])('one that %s leaves it open, and says so', async (_, code, expected, message) => {
  const { world, run, why } = await decided(`export default ${code}`)
  expect(run).toMatchObject({ state: 'conflicts', counts: { puts: 0 } })
  expect(why).toMatchObject([{ strategy: 'custom', code: expected }])
  expect(why?.[0]?.message).toContain(message)
  expect([world.at('a'), world.at('b')]).toEqual([{ 'k.txt': 'of a' }, { 'k.txt': 'of b' }])
})

it('one that is not a module any more leaves it open', async () => {
  const { why } = await decided('export default (')
  expect(why).toMatchObject([{ code: 'custom-not-loaded' }])
})

const signal = new AbortController().signal
const nothing = { key: 'k', kind: 'create/create', base: null, sides: [] } as const

it('one that loops is ended', async () => {
  const custom = moduleOf('export default () => { for (;;); }')
  const answer = await askModule(custom, { ...nothing, sides: [] }, signal, 500)
  expect(answer).toMatchObject({ failed: { code: 'custom-timeout' } })
})

it('one that waits for ever is ended with its run', async () => {
  const custom = moduleOf('export default () => new Promise((wake) => setTimeout(wake, 1e9))')
  const aborting = new AbortController()
  setTimeout(() => aborting.abort(new Error('cancelled')), 200)
  const asked = askModule(custom, { ...nothing, sides: [] }, aborting.signal)
  await expect(asked).rejects.toThrow('cancelled')
})

it('one that eats memory is ended', async () => {
  const custom = moduleOf(
    `export default () => {
      for (const all: string[][] = []; ; ) all.push(new Array(1e6).fill("x"))
    }`,
  )
  const answer = await askModule(custom, { ...nothing, sides: [] }, signal, 30_000)
  expect(answer).toMatchObject({ failed: { code: 'custom-memory' } })
})

it('one that is missing, or was changed since, is not asked', async () => {
  const custom = moduleOf("export default () => ({ manual: 'first' })")
  const code = readFileSync(custom.module, 'utf8')
  writeFileSync(custom.module, code.replace('first', 'second'))
  const ask = () => askModule(custom, { ...nothing, sides: [] }, signal)
  expect(await ask()).toMatchObject({ failed: { code: 'custom-changed' } })
  rmSync(custom.module)
  expect(await ask()).toMatchObject({ failed: { code: 'custom-missing' } })
})
