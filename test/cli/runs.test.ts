/** The commands around a run, as processes against one server: exit codes, words, JSON. */
import { mkdirSync, readFileSync, renameSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import type { RunRecord } from '../../src/catalog/catalog.ts'
import { configure, filesIn, fill, servedField, until } from './served.ts'

const field = servedField()

describe('sync', () => {
  it('syncs, says what it did, and does nothing when it is called again', async () => {
    const data = field.dataset('plain')
    writeFileSync(join(data.one, 'a'), 'content')
    const first = await field.tidemark(data, 'sync')
    expect(first.stdout).toMatch(/^run \d+ of plain: complete in .*\n {2}1 key scanned, 1 object/)
    expect(first.stderr).toMatch(/^run \d+ of plain {2}http:\/\/127\.0\.0\.1:\d+\/namespaces/)
    expect(first.code).toBe(0)
    expect(readFileSync(join(data.two, 'a'), 'utf8')).toBe('content')
    const [again] = await field.json<[{ run: RunRecord; exit: number }]>(data, 'sync')
    expect(again).toMatchObject({ exit: 0, run: { state: 'complete', counts: { puts: 0 } } })
  })

  it('goes on with the next dataset, and ends with the worst of their codes', async () => {
    const data = field.dataset('gone')
    writeFileSync(join(data.one, 'a'), 'content')
    rmSync(data.two, { recursive: true })
    const { code, stdout } = await field.tidemark(data, 'sync')
    expect(stdout).toContain('gone-two was left out: ')
    expect(stdout).toContain('[root-missing]')
    expect(code).toBe(3)
    rmSync(data.one, { recursive: true })
    const none = await field.tidemark(data, 'sync')
    expect(none.stdout).toContain('[all-replicas-unreachable]')
    expect(none.code).toBe(6)
  })

  it('leaves a conflict open where it is to be decided by hand, and exits with 4', async () => {
    const data = field.dataset('manual', { 'conflict-resolution': 'manual' })
    writeFileSync(join(data.one, 'k'), 'one')
    writeFileSync(join(data.two, 'k'), 'other')
    writeFileSync(join(data.one, 'free'), 'goes on')
    const { code, stdout } = await field.tidemark(data, 'sync')
    expect(stdout).toContain('open: k: create/create')
    expect(code).toBe(4)
    expect(readFileSync(join(data.two, 'free'), 'utf8')).toBe('goes on')
    expect(await field.status(data)).toMatchObject({
      openConflicts: 1,
      last: { state: 'conflicts' },
    })
    expect((await field.tidemark(data, 'verify')).code).toBe(5)
  })

  it('of an unknown dataset, or where none is enabled, is refused before anything', async () => {
    const data = field.dataset('off', { enabled: false })
    const unknown = await field.tidemark(data, 'sync', 'nope')
    expect(unknown.stderr).toMatch(/\[dataset-unknown\][\s\S]*It has: off/)
    expect(unknown.code).toBe(2)
    const none = await field.tidemark(data, 'sync')
    expect(none.stderr).toContain('[no-dataset-enabled]')
    expect(none.code).toBe(2)
    expect(await field.status(data)).toMatchObject({ last: null, running: null })
  })

  it('by a Temporal address that does not answer exits with 6', async () => {
    const data = field.dataset('elsewhere')
    const { code, stderr } = await field.tidemark(data, '--temporal', '127.0.0.1:1', 'sync')
    expect(stderr).toContain('[temporal-unreachable]')
    expect(code).toBe(6)
  })
})

describe('plan, apply and approve', () => {
  it('a plan is carried out once, exactly, and only while it holds', async () => {
    const data = field.dataset('planned')
    fill(data.one, 3, 10)
    const [plan] = await field.json<[{ run: RunRecord; counts: object }]>(data, 'plan')
    expect(plan).toMatchObject({ run: { state: 'planned' }, counts: { puts: 3, bytes: 30 } })
    expect(filesIn(data.two)).toEqual([])
    const number = String(plan.run.run)
    const { stdout } = await field.tidemark(data, 'show', number)
    expect(stdout).toMatch(/^plan, run \d+ of planned: planned in /)
    expect(stdout).toMatch(/^pending {4}file-000 {2}new \(10 B\): .*to do: write to planned-two/m)
    writeFileSync(join(data.one, 'later'), 'not in the plan')
    expect(plan.run).not.toHaveProperty('counts')
    const applied = await field.tidemark(data, 'apply', number)
    expect(applied.stdout).toMatch(/\n {2}3 objects written/)
    expect(applied.code).toBe(0)
    expect(filesIn(data.two)).toEqual(['file-000', 'file-001', 'file-002'])
    const twice = await field.tidemark(data, 'apply', number)
    expect(twice.stderr).toContain(`[run-not-planned]: the plan ${number} of planned is applied`)
    expect(twice.code).toBe(6)
  })

  it('a plan skips what its sync skips, and says so', async () => {
    const data = field.dataset('skips')
    writeFileSync(join(data.one, 'both'), 'a file here')
    symlinkSync('nowhere', join(data.two, 'both'))
    symlinkSync('nowhere', join(data.two, 'link'))
    const { stdout } = await field.tidemark(data, 'plan')
    expect(stdout).toMatch(
      /^ {2}2 skipped:\n {4}both {2}at skips-two: .*\n {4}link {2}at skips-two/m,
    )
    const [synced] = await field.json<[{ run: RunRecord }]>(data, 'sync')
    expect(synced.run.counts).toMatchObject({ skipped: 2 })
  })

  it('a plan that a later run superseded, or of another config, is refused whole', async () => {
    const data = field.dataset('stale')
    fill(data.one, 2, 10)
    const [old] = await field.json<[{ run: RunRecord }]>(data, 'plan')
    expect((await field.status(data)).plans).toEqual([old.run.run])
    await field.tidemark(data, 'sync')
    expect((await field.status(data)).plans).toEqual([])
    const superseded = await field.tidemark(data, 'apply', String(old.run.run))
    expect(superseded.stdout).toContain('[plan-superseded]')
    expect(superseded.code).toBe(6)
    writeFileSync(join(data.one, 'new'), 'x')
    const [plan] = await field.json<[{ run: RunRecord }]>(data, 'plan')
    configure(data, { exclude: ['*.tmp'] })
    expect((await field.status(data)).plans).toEqual([])
    const changed = await field.tidemark(data, 'apply', String(plan.run.run))
    expect(changed.stdout).toContain('[plan-config-changed]')
    expect(changed.code).toBe(6)
    expect(filesIn(data.two)).not.toContain('new')
  })

  it('a key that moved since the plan is left alone, and exits with 3', async () => {
    const data = field.dataset('moved')
    fill(data.one, 2, 10)
    const [plan] = await field.json<[{ run: RunRecord }]>(data, 'plan')
    writeFileSync(join(data.two, 'file-001'), 'a foreign writer')
    const { code, stdout } = await field.tidemark(data, 'apply', String(plan.run.run))
    expect(stdout).toContain('stale: file-001 at moved-two: changed-meanwhile')
    expect(code).toBe(3)
    expect(readFileSync(join(data.two, 'file-001'), 'utf8')).toBe('a foreign writer')
  })

  it('too many deletes are held, shown, and carried out when they are approved', async () => {
    const data = field.dataset('held')
    fill(data.one, 40, 10)
    await field.tidemark(data, 'sync')
    for (const name of filesIn(data.one).slice(0, 30)) rmSync(join(data.one, name))
    const held = await field.tidemark(data, 'sync')
    expect(held.stdout).toContain('[deletes-held]')
    expect(held.stdout).toMatch(/^ {2}… and 10 more: tidemark show \d+ --only /m)
    expect(held.code).toBe(7)
    expect(filesIn(data.two)).toHaveLength(40)
    const status = await field.status(data)
    expect(status.held).toMatchObject([{ deletes: 30 }])
    const number = String(status.held[0]?.run)
    const shown = await field.json<{ items: unknown[] }>(data, 'show', number, '--only', 'held')
    expect(shown.items).toHaveLength(30)
    expect((await field.tidemark(data, 'approve', number)).code).toBe(0)
    expect(filesIn(data.two)).toHaveLength(10)
    const again = await field.tidemark(data, 'approve', number)
    expect(again.stderr).toContain(`[run-not-held]: run ${number} of held holds nothing`)
    expect(again.code).toBe(6)
    expect((await field.status(data)).held).toEqual([])
  })

  it('of a run that is not there, or is something else, says so', async () => {
    const data = field.dataset('wrong')
    await field.tidemark(data, 'sync')
    const number = String((await field.status(data)).last?.run)
    for (const [command, run, code] of [
      ['apply', '999999', 'run-unknown'],
      ['apply', 'x', 'run-unknown'],
      ['apply', number, 'run-not-planned'],
      ['approve', number, 'run-not-held'],
    ] as const) {
      expect((await field.tidemark(data, command, run)).stderr).toContain(`[${code}]`)
    }
  })
})

describe('runs and show', () => {
  it('runs come newest first, by pages', async () => {
    const data = field.dataset('paged')
    for (let i = 0; i < 3; i++) await field.tidemark(data, 'sync')
    interface Runs {
      runs: RunRecord[]
      before: number | null
    }
    const first = await field.json<Runs>(data, 'runs', 'paged', '--limit', '2')
    expect(first.runs).toHaveLength(2)
    const second = await field.json<Runs>(data, 'runs', 'paged', '--before', `${first.before}`)
    expect(second).toMatchObject({ runs: [{ dataset: 'paged' }], before: null })
    const numbers = [...first.runs, ...second.runs].map(({ run }) => run)
    expect(numbers).toEqual(numbers.toSorted((a, b) => b - a))
    const table = await field.tidemark(data, 'runs', 'paged')
    expect(table.stdout).toMatch(/^run +dataset +what +state/)
  })

  it('show tells what was done to which key at which replica, by state and prefix', async () => {
    const data = field.dataset('shown')
    mkdirSync(join(data.one, 'd'))
    writeFileSync(join(data.one, 'd', 'x'), 'x')
    writeFileSync(join(data.one, 'y'), 'y')
    await field.tidemark(data, 'sync')
    const number = String((await field.status(data)).last?.run)
    const { stdout } = await field.tidemark(data, 'show', number)
    expect(stdout).toMatch(/^done {7}d\/x {2}new \(1 B\): .*written to shown-two/m)
    interface Shown {
      run: RunRecord
      items: { key: string; actions: { replica: string; do: string; outcome: string }[] }[]
    }
    const shown = await field.json<Shown>(data, 'show', number, '--prefix', 'd/')
    expect(shown.items.map(({ key }) => key)).toEqual(['d/x'])
    expect(shown.items[0]?.actions).toContainEqual({
      ...{ replica: 'shown-two', do: 'put', outcome: 'done' },
    })
    const none = await field.json<Shown>(data, 'show', number, '--only', 'failed,held')
    expect(none.items).toEqual([])
    const wrong = await field.tidemark(data, 'show', number, '--only', 'nope')
    expect(wrong.stderr).toContain('[usage-invalid]')
    expect(wrong.code).toBe(2)
  })
})

describe('I12 rebind', () => {
  it('a folder that is another one now is unknown until it is rebound, and deletes nothing', async () => {
    const data = field.dataset('rebound')
    fill(data.one, 3, 10)
    await field.tidemark(data, 'sync')
    renameSync(data.two, `${data.two}-before`)
    mkdirSync(data.two)
    const partial = await field.tidemark(data, 'sync')
    expect(partial.stdout).toContain('[location-changed]')
    expect(partial.stdout).toContain('If that is meant: `tidemark rebind rebound-two`')
    const doctor = await field.tidemark(data, 'doctor')
    expect(doctor.stdout).toMatch(/rebound-two +place +failed +it was file:/)
    expect(doctor.stdout).toContain('tidemark rebind rebound-two')
    expect(doctor.code).toBe(6)
    expect(partial.code).toBe(3)
    expect(filesIn(data.one)).toHaveLength(3)
    const asked = await field.tidemark(data, 'rebind', 'rebound-two')
    expect(asked.stderr).toContain('[confirmation-needed]')
    expect(asked.code).toBe(2)
    const { code, stdout } = await field.tidemark(data, 'rebind', 'rebound-two', '--yes')
    expect(stdout).toMatch(/rebound-two was file:.*\n +is file:/)
    expect(stdout).toContain('3 keys forgotten there')
    expect(code).toBe(0)
    expect((await field.tidemark(data, 'sync')).code).toBe(0)
    expect(filesIn(data.two)).toHaveLength(3)
    expect(filesIn(data.one)).toHaveLength(3)
    const again = await field.tidemark(data, 'rebind', 'rebound-two', '--yes')
    expect(again.stdout).toContain('it is the place it was')
    expect((await field.tidemark(data, 'doctor')).code).toBe(0)
  })

  it('a replica that was emptied by mistake is filled again by --forget; until then, all waits', async () => {
    const data = field.dataset('emptied', { direction: 'two-way' })
    fill(data.one, 3, 10)
    await field.tidemark(data, 'sync')
    for (const name of filesIn(data.two)) rmSync(join(data.two, name))
    const plan = await field.tidemark(data, 'plan')
    expect(plan.stdout).toContain('3 deletes would be held: emptied-two was found empty')
    const held = await field.tidemark(data, 'sync')
    expect(held.stdout).toContain('or fill it again: `tidemark rebind emptied-two --forget`')
    expect(held.code).toBe(7)
    const { code } = await field.tidemark(data, 'rebind', 'emptied-two', '--forget', '--yes')
    expect(code).toBe(0)
    expect((await field.tidemark(data, 'sync')).code).toBe(0)
    expect(filesIn(data.one)).toHaveLength(3)
    expect(filesIn(data.two)).toHaveLength(3)
  })

  it('is refused while a run of its dataset is under way', async () => {
    const data = field.dataset('busy', { limits: { bandwidth: '100KB' } })
    fill(data.one, 20, 40_000)
    const syncing = field.start(data, 'sync')
    await until(() => filesIn(data.two).length > 2)
    await field.tidemark(data, 'pause', 'busy')
    renameSync(data.two, `${data.two}-before`)
    mkdirSync(data.two)
    const { code, stderr } = await field.tidemark(data, 'rebind', 'busy-two', '--yes')
    expect(stderr).toContain('[run-under-way]')
    expect(code).toBe(6)
    expect((await field.tidemark(data, 'cancel', 'busy')).code).toBe(0)
    expect((await syncing.ended).code).toBe(130)
  })

  it('of a location that the config has not is refused', async () => {
    const data = field.dataset('unbound')
    const { code, stderr } = await field.tidemark(data, 'rebind', 'nope', '--yes')
    expect(stderr).toMatch(/\[location-unknown\][\s\S]*It has: unbound-one, unbound-two/)
    expect(code).toBe(2)
  })
})
