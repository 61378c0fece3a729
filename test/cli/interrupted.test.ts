/** Commands that bring their own server: Ctrl-C, kill -9, two at once, another version. */
import { existsSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it, onTestFinished } from 'vitest'
import type { RunRecord } from '../../src/catalog/catalog.ts'
import type { DatasetStatus } from '../../src/cli/dataset-status.ts'
import { isLocked } from '../../src/temporal/process-lock.ts'
import { isAlive, type ProcessMark } from '../../src/temporal/processes.ts'
import { pressCtrlC } from './process.ts'
import { configure, createField, type Dataset, type Field, filesIn, fill, until } from './served.ts'

/** 30 files, that take several seconds. */
function slowField(): { field: Field; data: Dataset } {
  const field = createField()
  onTestFinished(() => field.remove())
  const data = field.dataset('data', { limits: { bandwidth: '250KB' } })
  fill(data.one, 30, 40_000)
  return { field, data }
}

async function runsOf(field: Field, data: Dataset): Promise<RunRecord[]> {
  return (await field.json<{ runs: RunRecord[] }>(data, 'runs')).runs
}

/** The server's processes, by what it wrote down; a killed one's are ended by a watchdog. */
function programsOf({ state }: Field): ProcessMark[] {
  const file = JSON.parse(readFileSync(join(state, 'server.json'), 'utf8'))
  return (file as { programs: ProcessMark[] }).programs
}

describe('Ctrl-C', () => {
  it('while the server is starting ends all of it, and begins no run', async () => {
    const { field, data } = slowField()
    const syncing = field.start(data, 'sync')
    const info = join(field.state, 'server.json')
    await until(() => existsSync(info) && programsOf(field).length > 0)
    const programs = programsOf(field)
    pressCtrlC(syncing)
    expect((await syncing.ended).code).toBe(130)
    expect(programs.some(isAlive)).toBe(false)
    expect(isLocked(join(field.state, 'server.lock'))).toBe(false)
    expect(await runsOf(field, data)).toEqual([])
  })

  it('in the middle of a run cancels it in order, and leaves no process', async () => {
    const { field, data } = slowField()
    const syncing = field.start(data, 'sync')
    await until(() => filesIn(data.two).length > 2)
    const programs = programsOf(field)
    expect(programs.map(({ name }) => name)).toEqual(['temporal', 'worker-1'])
    pressCtrlC(syncing)
    const { code, stdout, stderr } = await syncing.ended
    expect(stdout).toMatch(/^run 1 of data: cancelled/)
    expect(stderr).not.toContain('error')
    expect(code).toBe(130)
    expect(programs.some(isAlive)).toBe(false)
    const [run] = await runsOf(field, data)
    expect(run).toMatchObject({ state: 'cancelled', counts: { failed: 0 } })
    // What it says that it wrote is there, whole, and nothing else.
    expect(filesIn(data.two)).toHaveLength(run?.counts.puts as number)
    expect((await field.tidemark(data, 'verify')).stdout).not.toMatch(/^[*!-]/m)
  })
})

describe('a large object', () => {
  it('shows how much of it is on its way before it is whole', async () => {
    const { field, data } = slowField()
    configure(data, { limits: { bandwidth: '2MB' } })
    writeFileSync(join(data.one, 'large'), Buffer.alloc(24_000_000, 1))
    const syncing = field.start(data, 'sync')
    let said = ''
    syncing.child.stderr?.on('data', (text: string) => {
      said += text
    })
    await until(() => /30 written \(.*, \d.* on the way/.test(said))
    pressCtrlC(syncing)
    expect((await syncing.ended).code).toBe(130)
    expect(filesIn(data.two)).toHaveLength(30)
  })
})

describe('kill -9', () => {
  it('of the command in mid-run: the next sync takes the same run up and ends it', async () => {
    const { field, data } = slowField()
    const killed = field.start(data, 'sync')
    await until(() => filesIn(data.two).length > 2)
    killed.child.kill('SIGKILL')
    await killed.ended
    interface Status {
      without: string
      datasets: [DatasetStatus]
    }
    await until(() => !isLocked(join(field.state, 'server.lock')))
    const status = await field.json<Status>(data, 'status')
    expect(status).toMatchObject({ datasets: [{ interrupted: { run: 1 }, running: null }] })
    const again = await field.tidemark(data, 'sync')
    expect(again.stdout).toMatch(/^run 1 of data: complete/)
    expect(again.code).toBe(0)
    expect(await runsOf(field, data)).toHaveLength(1)
    expect((await field.tidemark(data, 'verify')).code).toBe(0)
  })

  it('of the command that has the server: one that follows the run brings it up again', async () => {
    const { field, data } = slowField()
    const owner = field.start(data, 'sync')
    await until(() => filesIn(data.two).length > 2)
    const follower = field.start(data, 'sync')
    let said = ''
    follower.child.stderr?.on('data', (text: string) => {
      said += text
    })
    await until(() => said.includes('run 1 of data'))
    owner.child.kill('SIGKILL')
    const { code, stdout, stderr } = await follower.ended
    expect(stderr).toContain('Temporal does not answer any more; looking for it')
    expect(stdout).toMatch(/^run 1 of data: complete/)
    expect(code).toBe(0)
    expect(filesIn(data.two)).toEqual(filesIn(data.one))
  })

  it('and another version of Tidemark afterwards: its run is ended, and planned again', async () => {
    const { field, data } = slowField()
    const killed = field.start(data, 'sync')
    await until(() => filesIn(data.two).length > 2)
    killed.child.kill('SIGKILL')
    await killed.ended
    writeFileSync(join(field.state, 'workflows-version'), '0.0.1 of another day\n')
    const { code, stdout, stderr } = await field.tidemark(data, 'sync')
    expect(stderr).toMatch(/ended \d+ open workflows of another version of Tidemark/)
    expect(stdout).toMatch(/^run 2 of data: complete/)
    expect(code).toBe(0)
    expect(await runsOf(field, data)).toMatchObject([
      { run: 2, state: 'complete' },
      { run: 1, state: 'abandoned' },
    ])
    expect(filesIn(data.two)).toEqual(filesIn(data.one))
  })
})

describe('two commands at once', () => {
  it('on a state folder without a server: one brings it up, both end well', async () => {
    const { field } = slowField()
    const [a, b] = [field.dataset('a'), field.dataset('b')]
    for (const { one } of [a, b]) fill(one, 3, 10)
    const both = await Promise.all([field.tidemark(a, 'sync'), field.tidemark(b, 'sync')])
    expect(both.map(({ code, stderr }) => [code, /error/.exec(stderr)])).toEqual([
      [0, null],
      [0, null],
    ])
    for (const { one, two } of [a, b]) expect(filesIn(two)).toEqual(filesIn(one))
  })
})
