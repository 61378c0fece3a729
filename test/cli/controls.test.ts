/** `pause`, `resume` and `cancel` of a run that is under way, as processes against one server. */
import { hostname, userInfo } from 'node:os'
import { describe, expect, it } from 'vitest'
import type { AuditRow } from '../../src/catalog/catalog.ts'
import { pressCtrlC, type Started } from './process.ts'
import { configure, type Dataset, filesIn, fill, servedField, until } from './served.ts'

const field = servedField()

describe('pause, resume and cancel', () => {
  const slowly = { limits: { bandwidth: '200KB' } }

  /** A second `sync`, once it follows the run of the first. */
  async function joining(data: Dataset): Promise<Started> {
    const started = field.start(data, 'sync')
    let said = ''
    started.child.stderr?.on('data', (text: string) => {
      said += text
    })
    await until(() => said.includes('run '))
    return started
  }

  it('a paused run writes nothing until it is resumed; status shows it', async () => {
    const data = field.dataset('paused', slowly)
    fill(data.one, 60, 40_000)
    const syncing = field.start(data, 'sync')
    await until(() => filesIn(data.two).length > 2)
    expect((await field.tidemark(data, 'pause', 'paused')).stdout).toMatch(/run \d+ .* is paused/)
    const words = 'paused (tidemark resume paused)'
    expect((await field.tidemark(data, 'status')).stdout).toContain(words)
    // What was being renamed into place when the pause came is there by now.
    const before = (await field.status(data)).running?.run?.counts.puts
    expect(await field.status(data)).toMatchObject({ running: { progress: { paused: true } } })
    expect((await field.status(data)).running?.run?.counts.puts).toBe(before)
    expect(before).toBeLessThan(60)
    const sameFiles = filesIn(data.two)
    await field.tidemark(data, 'status')
    expect(filesIn(data.two)).toEqual(sameFiles)
    expect((await field.tidemark(data, 'resume', 'paused')).code).toBe(0)
    expect((await syncing.ended).code).toBe(0)
    expect(filesIn(data.two)).toEqual(filesIn(data.one))
    const { rows } = await field.json<{ rows: AuditRow[] }>(data, 'audit', 'log', 'paused')
    const asked = rows.filter(({ what }) => what.endsWith('-asked'))
    const by = `${userInfo().username}@${hostname()}`
    const run = rows.find(({ what }) => what === 'run-begun')?.run
    expect(asked).toMatchObject([
      { what: 'pause-asked', by, run },
      { what: 'resume-asked', by, run },
    ])
  })

  it('a cancelled run ends in order, for all who follow it; the next sync does the rest', async () => {
    // For minutes, if it weren't cancelled.
    const data = field.dataset('cancelled', { limits: { bandwidth: '20KB' } })
    fill(data.one, 1_000, 4_000)
    const first = field.start(data, 'sync')
    await until(() => filesIn(data.two).length > 2)
    const second = await joining(data)
    const { code, stdout } = await field.tidemark(data, 'cancel', 'cancelled')
    expect(stdout).toMatch(/run \d+ of cancelled: cancelled/)
    expect(code).toBe(0)
    for (const { ended } of [first, second]) expect((await ended).code).toBe(130)
    configure(data, {})
    expect((await field.tidemark(data, 'sync')).code).toBe(0)
    expect(filesIn(data.two)).toEqual(filesIn(data.one))
  })

  it('Ctrl-C of a command that only joined a run leaves it to the other', async () => {
    const data = field.dataset('joined', slowly)
    fill(data.one, 60, 40_000)
    const first = field.start(data, 'sync')
    await until(() => filesIn(data.two).length > 2)
    // So that it doesn't end before it is joined.
    expect((await field.tidemark(data, 'pause', 'joined')).code).toBe(0)
    const second = await joining(data)
    pressCtrlC(second)
    const { stderr, code } = await second.ended
    expect(stderr).toContain('goes on; end it: tidemark cancel joined')
    expect(code).toBe(130)
    expect((await field.tidemark(data, 'resume', 'joined')).code).toBe(0)
    expect((await first.ended).code).toBe(0)
  })

  it('where nothing runs, each says so with its code', async () => {
    const data = field.dataset('idle')
    for (const command of ['pause', 'resume', 'cancel']) {
      const { code, stderr } = await field.tidemark(data, command, 'idle')
      expect(stderr).toContain('[nothing-runs]')
      expect(code).toBe(6)
    }
    const unknown = await field.tidemark(data, 'pause', 'nope')
    expect(unknown.stderr).toContain('[dataset-unknown]')
  })
})
