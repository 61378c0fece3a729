/** What a person does with history: looks at it, has it back, takes a run back. */
import { once } from 'node:events'
import { readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import type { RunRecord } from '../../src/catalog/catalog.ts'
import { type Dataset, filesIn, servedField } from './served.ts'

const field = servedField()

const sync = async (data: Dataset) =>
  (await field.json<[{ run: RunRecord }]>(data, 'sync'))[0].run.run

const content = (path: string) =>
  Object.fromEntries(filesIn(path).map((name) => [name, readFileSync(join(path, name), 'utf8')]))

/** Two runs: two keys made; one changed, one deleted, a third made. */
async function story(name: string): Promise<{ data: Dataset; first: number; second: number }> {
  const data = field.dataset(name)
  writeFileSync(join(data.one, 'x.json'), '{"a": 1, "b": 2}')
  writeFileSync(join(data.one, 'with space'), 'hello')
  const first = await sync(data)
  writeFileSync(join(data.two, 'x.json'), '{"a": 1, "b": 3, "c": []}')
  rmSync(join(data.one, 'with space'))
  writeFileSync(join(data.one, 'new'), 'new')
  return { data, first, second: await sync(data) }
}

const before = { 'x.json': '{"a": 1, "b": 2}', 'with space': 'hello' }
const after = { 'x.json': '{"a": 1, "b": 3, "c": []}', new: 'new' }

describe('looking at history', () => {
  let told: ReturnType<typeof story> | null = null
  const looked = () => {
    told ??= story('looked-at')
    return told
  }
  const version = (key: string, run: number) => `looked-at:${key}@${run}`

  it('log lists versions newest first, of all or of a key, by pages', async () => {
    const { data, first, second } = await looked()
    interface Log {
      versions: { version: string; deleted: boolean; parents: string[] }[]
      before: string | null
    }
    const all = await field.json<Log>(data, 'log', data.name)
    expect(all.versions.map((one) => one.version)).toEqual([
      ...['new', 'with space', 'x.json'].map((key) => version(key, second)),
      ...['with space', 'x.json'].map((key) => version(key, first)),
    ])
    expect(all.versions[1]).toMatchObject({
      deleted: true,
      parents: [version('with space', first)],
    })
    const page = await field.json<Log>(data, 'log', data.name, '--limit', '2')
    expect(page.before).toBe(version('with space', second))
    const next = await field.tidemark(data, 'log', data.name, '--before', page.before as string)
    expect(next.stdout).not.toContain('new@')
    expect(next.stdout).toContain(version('x.json', second))
    const key = await field.json<Log>(data, 'log', data.name, 'x.json', '--before', `${second}`)
    expect(key.versions.map((one) => one.version)).toEqual([version('x.json', first)])
    expect((await field.tidemark(data, 'log', 'nobody')).stderr).toContain('[dataset-unknown]')
  })

  it('show of a version says what it is, of what it was made, and who holds it', async () => {
    const { data, first, second } = await looked()
    const { stdout, code } = await field.tidemark(data, 'show', version('x.json', second))
    expect(code).toBe(0)
    expect(stdout).toContain(`made of   ${version('x.json', first)}`)
    expect(stdout).toContain('the newest version, held by looked-at-one, looked-at-two')
    const missing = await field.tidemark(data, 'show', version('x.json', 999))
    expect(missing.stderr).toContain('[version-unknown]')
    expect((await field.tidemark(data, 'show', 'nonsense')).stderr).toContain('[version-name]')
  })

  it('cat gives the very bytes, of what is held and of what only the vault has', async () => {
    const { data, first, second } = await looked()
    const old = await field.tidemark(data, 'cat', version('x.json', first))
    expect(old).toMatchObject({ stdout: before['x.json'], stderr: '', code: 0 })
    expect((await field.tidemark(data, 'cat', version('x.json', second))).stdout).toBe(
      after['x.json'],
    )
    const deleted = await field.tidemark(data, 'cat', version('with space', second))
    expect(deleted).toMatchObject({ stdout: '', code: 1 })
    expect(deleted.stderr).toContain('[version-deleted]')
    expect(deleted.stderr).toContain("tidemark log looked-at 'with space'")
  })

  it('diff shows what differs, and exits with 5; the same is 0', async () => {
    const { data, first, second } = await looked()
    const [old, now] = [version('x.json', first), version('x.json', second)]
    const differs = await field.tidemark(data, 'diff', old, now)
    expect(differs.code).toBe(5)
    expect(differs.stdout).toContain('~ /b: 2 → 3')
    expect(await field.tidemark(data, 'diff', now, now)).toMatchObject({ code: 0 })
    const gone = version('with space', second)
    expect((await field.tidemark(data, 'diff', now, gone)).stdout).toContain('deleted')
    expect(await field.json(data, 'diff', old, now)).toMatchObject({ same: false })
  })
})

it('cat ends in silence where nobody reads on', async () => {
  const data = field.dataset('large')
  writeFileSync(join(data.one, 'k'), Buffer.alloc(4_000_000, 'x'))
  const run = await sync(data)
  const { child, ended } = field.start(data, 'cat', `large:k@${run}`)
  await once(child.stdout as NodeJS.ReadableStream, 'data')
  child.stdout?.destroy()
  expect(await ended).toMatchObject({ code: 0, stderr: '' })
})

describe('having it back', () => {
  it('restore shows a plan, wants a yes, and carries out exactly that plan', async () => {
    const { data, first, second } = await story('restored')
    const asked = await field.tidemark(data, 'restore', 'restored', '--before-run', `${second}`)
    expect(asked.code).toBe(2)
    const [, plan] = /plan (\d+) of restored/.exec(asked.stdout) ?? []
    expect(asked.stdout).toMatch(/1 key to delete:\n {4}new {2}from restored-one, restored-two/)
    expect(asked.stderr).toContain('[confirmation-needed]')
    expect(asked.stderr).toContain(`tidemark apply ${plan}`)
    expect(content(data.one)).toEqual(after)
    expect((await field.tidemark(data, 'apply', plan as string)).code).toBe(0)
    for (const path of [data.one, data.two]) expect(content(path)).toEqual(before)
    const shown = await field.tidemark(data, 'show', plan as string)
    expect(shown.stdout).toMatch(/restore to before run \d+, asked for by \S+@\S+/)
    const one = `restored:x.json@${second}`
    await field.tidemark(data, 'restore', 'restored', '--version', one, '--yes')
    expect(content(data.two)).toEqual({ ...before, 'x.json': after['x.json'] })
    const quiet = await field.tidemark(data, 'restore', 'restored', '--version', one)
    expect(quiet).toMatchObject({ code: 0, stderr: expect.not.stringContaining('error') })
    expect(quiet.stdout).toContain('nothing to do')
    const early = await field.tidemark(data, 'restore', 'restored', '--before-run', `${first}`)
    expect(early.stderr).toContain('[before-history]')
    expect(early.code).toBe(6)
  })

  it('undo takes a run back, and undo of that brings it again', async () => {
    const { data, second } = await story('undone')
    interface Undone {
      plan: { counts: Record<string, number> }
      applied: { run: RunRecord; exit: number } | null
    }
    const plan = await field.json<Undone>(data, 'undo', `${second}`, '--plan')
    expect(plan).toMatchObject({ plan: { counts: { deletes: 1, puts: 4 } }, applied: null })
    expect(content(data.one)).toEqual(after)
    const undone = await field.json<Undone>(data, 'undo', `${second}`, '--yes')
    expect(undone.applied).toMatchObject({ exit: 0, run: { state: 'complete' } })
    for (const path of [data.one, data.two]) expect(content(path)).toEqual(before)
    await field.tidemark(data, 'undo', `${undone.applied?.run.run}`, '--yes')
    for (const path of [data.one, data.two]) expect(content(path)).toEqual(after)
  })

  it('what came later is named, left alone, and overwritten only if that is wished', async () => {
    const { data, second } = await story('later')
    writeFileSync(join(data.one, 'x.json'), 'unsynced')
    const spared = await field.tidemark(data, 'undo', `${second}`, '--yes')
    expect(spared.stdout).toContain('x.json  at later-one: it was changed there since')
    expect(spared.stdout).toContain('1 key left alone, since something came later there')
    expect(content(data.one)).toEqual({ ...before, 'x.json': 'unsynced' })
    const flags = ['--overwrite-later', '--yes']
    const all = await field.tidemark(data, 'undo', `${second}`, ...flags)
    expect(all.stdout).toMatch(/x\.json {2}work at later-one that is not synced yet/)
    expect(content(data.one)).toEqual(before)
  })

  it.each([
    [['restore', 'refused'], 'usage-invalid'],
    [['restore', 'refused', '--at', '2026-01-31T09:05'], 'time-without-zone'],
    [['restore', 'refused', '--at', '-1h', '--before-run', '1'], 'usage-invalid'],
    [['restore', 'refused', '--version', 'another:k@1'], 'usage-invalid'],
    [['restore', 'refused', '--at', '1s ago'], 'no-history'],
    [['undo', '4711'], 'run-unknown'],
  ])('%j is refused: %s', async (args, code) => {
    const data = field.dataset('refused')
    expect((await field.tidemark(data, ...args)).stderr).toContain(`[${code}]`)
  })
})
