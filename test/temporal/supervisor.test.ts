import { spawn } from 'node:child_process'
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { describe, expect, it, onTestFinished, vi } from 'vitest'
import { connect } from '../../src/temporal/connection.ts'
import { readServer } from '../../src/temporal/lock.ts'
import { isAlive, type ProcessMark } from '../../src/temporal/processes.ts'
import {
  type EmbeddedEvent,
  type EmbeddedOptions,
  startEmbedded,
} from '../../src/temporal/supervisor.ts'
import { temporaryFolder } from './folders.ts'

const pathOf = (name: string) => fileURLToPath(new URL(name, import.meta.url))

function prepare(config = 'fine') {
  const stateDir = temporaryFolder()
  const configPath = join(stateDir, 'tidemark.yaml')
  writeFileSync(configPath, config)
  return { stateDir, configPath, workerEntry: pathOf('./stub-worker.ts'), log: () => {} }
}

async function start(options: Partial<EmbeddedOptions> = {}) {
  const events: EmbeddedEvent[] = []
  const prepared = prepare()
  const onEvent = (event: EmbeddedEvent) => void events.push(event)
  const embedded = await startEmbedded({ ...prepared, onEvent, ...options })
  onTestFinished(() => embedded.stop())
  return { embedded, events, stateDir: options.stateDir ?? prepared.stateDir }
}

/** What server.json tells a successor. */
function programsOf(stateDir: string): ProcessMark[] {
  return JSON.parse(readFileSync(join(stateDir, 'server.json'), 'utf8')).programs
}

function programOf(stateDir: string, name: string): ProcessMark {
  const found = programsOf(stateDir).find((program) => program.name === name)
  if (!found) throw new Error(`no ${name}`)
  return found
}

const eventually = (check: () => unknown) => vi.waitFor(check, { timeout: 30_000, interval: 50 })

describe('the embedded server', () => {
  it('is up when Temporal and each worker are, and is gone when stopped', async () => {
    const { embedded, events, stateDir } = await start({ workers: 2 })
    expect(events.map(({ kind }) => kind)).toEqual([
      'temporal-ready',
      'worker-ready',
      'worker-ready',
    ])
    expect(await readServer(stateDir)).toEqual(embedded.server)
    const programs = programsOf(stateDir)
    expect(programs.map(({ name }) => name).sort()).toEqual(['temporal', 'worker-1', 'worker-2'])
    expect(programs.every(isAlive)).toBe(true)
    await (await connect({ address: embedded.server.address })).close()
    await embedded.stop()
    await embedded.ended
    expect(programs.some(isAlive)).toBe(false)
    expect(await readServer(stateDir)).toBeNull()
  })

  it('tells its workers the state folder, Temporal’s address and the config, and asks them to end', async () => {
    const { embedded, stateDir } = await start()
    await embedded.stop()
    const log = readFileSync(join(stateDir, 'logs', 'worker-1.log'), 'utf8')
    const told = { state: stateDir, temporal: embedded.server.address }
    expect(log).toContain(JSON.stringify({ ...told, config: join(stateDir, 'tidemark.yaml') }))
    expect(log).toContain('asked to end')
  })

  it('starts a killed worker again', async () => {
    const { events, stateDir } = await start()
    const first = programOf(stateDir, 'worker-1')
    process.kill(first.pid, 'SIGKILL')
    await eventually(() =>
      expect(events).toContainEqual({ kind: 'restarted', program: 'worker-1' }),
    )
    expect(events).toContainEqual(
      expect.objectContaining({
        kind: 'died',
        program: 'worker-1',
        exit: { code: null, signal: 'SIGKILL' },
      }),
    )
    expect(programOf(stateDir, 'worker-1').pid).not.toBe(first.pid)
    expect(isAlive(programOf(stateDir, 'worker-1'))).toBe(true)
  })

  it('starts a killed Temporal again where it was, with its state', async () => {
    const { embedded, events, stateDir } = await start()
    const { client, close } = await connect({ address: embedded.server.address })
    onTestFinished(close)
    await client.workflow.start('waits', { taskQueue: 'nobody', workflowId: 'kept' })
    process.kill(programOf(stateDir, 'temporal').pid, 'SIGKILL')
    await eventually(() =>
      expect(events).toContainEqual({ kind: 'restarted', program: 'temporal' }),
    )
    const { status } = await client.workflow.getHandle('kept').describe()
    expect(status.name).toBe('RUNNING')
    expect(isAlive(programOf(stateDir, 'worker-1'))).toBe(true)
  })

  it('gives up a worker that dies five times, with the end of its log, and stops the rest', async () => {
    const prepared = prepare()
    const { embedded, stateDir } = await start(prepared)
    const programs = programsOf(stateDir)
    writeFileSync(prepared.configPath, 'broken')
    process.kill(programOf(stateDir, 'worker-1').pid, 'SIGKILL')
    await expect(embedded.ended).rejects.toMatchObject({
      code: 'server-failing',
      message: expect.stringContaining('this worker can not work'),
    })
    await embedded.stop()
    expect(programs.some(isAlive)).toBe(false)
  })

  it('that can’t start a worker at all says why and leaves nothing running', async () => {
    const prepared = prepare('broken')
    const failure = await startEmbedded(prepared).then(
      () => null,
      (error: unknown) => error,
    )
    expect((failure as Error).message).toContain('this worker can not work')
    expect(await readServer(prepared.stateDir)).toBeNull()
  })

  it('interrupted while starting ends with exit 130 and leaves nothing running', async () => {
    const prepared = prepare()
    const interrupt = new AbortController()
    const programs: ProcessMark[] = []
    const onEvent = () => {
      programs.push(...programsOf(prepared.stateDir))
      interrupt.abort()
    }
    const starting = startEmbedded({ ...prepared, onEvent, signal: interrupt.signal })
    await expect(starting).rejects.toMatchObject({ code: 'interrupted', exit: 130 })
    expect(programs.length).toBeGreaterThan(0)
    expect(programs.some(isAlive)).toBe(false)
    expect(await readServer(prepared.stateDir)).toBeNull()
  })

  it('is refused where another is up, by its process and address', async () => {
    const { embedded, stateDir } = await start()
    await expect(startEmbedded({ ...prepare(), stateDir })).rejects.toMatchObject({
      code: 'state-in-use',
      message: expect.stringContaining(embedded.server.address),
    })
  })

  it('killed by SIGKILL takes its children along, and the next one starts on its folder', async () => {
    const { stateDir, configPath, workerEntry, log } = prepare()
    const args = [pathOf('./embedded-holder.ts'), stateDir, configPath, workerEntry]
    const holder = spawn(process.execPath, args, { stdio: ['ignore', 'pipe', 'inherit'] })
    onTestFinished(() => void holder.kill('SIGKILL'))
    await new Promise((resolve) => holder.stdout.once('data', resolve))
    const programs = programsOf(stateDir)
    expect(programs.map(({ name }) => name)).toEqual(['temporal', 'worker-1'])
    holder.kill('SIGKILL')
    await eventually(() => expect(programs.some(isAlive)).toBe(false))
    expect(await readServer(stateDir)).toBeNull()
    const embedded = await startEmbedded({ stateDir, configPath, workerEntry, log })
    await embedded.stop()
  })
})
