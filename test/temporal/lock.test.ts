import { type ChildProcess, spawn } from 'node:child_process'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { describe, expect, it, onTestFinished } from 'vitest'
import { UserError } from '../../src/errors.ts'
import { hostId } from '../../src/temporal/host.ts'
import { lockState, readServer } from '../../src/temporal/lock.ts'
import { isLocked, takeLock } from '../../src/temporal/process-lock.ts'
import { endProcess, isAlive, markOf, startOf } from '../../src/temporal/processes.ts'
import { temporaryFolder } from './folders.ts'

const there = { address: '127.0.0.1:1', ui: 'http://127.0.0.1:2', ready: true, programs: [] }

async function startHolder(stateDir: string): Promise<{ holder: ChildProcess; childPid: number }> {
  const entry = fileURLToPath(new URL('./lock-holder.ts', import.meta.url))
  const holder = spawn(process.execPath, [entry, stateDir], {
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  onTestFinished(() => void holder.kill('SIGKILL'))
  const line = await new Promise<string>((resolve, reject) => {
    holder.stdout?.once('data', (data: Buffer) => resolve(data.toString()))
    holder.once('exit', () => reject(new Error('the holder ended')))
  })
  return { holder, childPid: Number(/child (\d+)/.exec(line)?.[1]) }
}

async function killHard(child: ChildProcess): Promise<void> {
  const exited = new Promise((resolve) => child.once('exit', resolve))
  child.kill('SIGKILL')
  await exited
}

describe('one server a state folder', () => {
  it('says where it is, and nothing once it has ended', async () => {
    const stateDir = temporaryFolder()
    expect(await readServer(stateDir)).toBeNull()
    const lock = await lockState(stateDir)
    const info = lock.announce(there)
    expect(await readServer(stateDir)).toEqual(info)
    expect(info).toMatchObject({ pid: process.pid, address: there.address, ui: there.ui })
    lock.release()
    expect(await readServer(stateDir)).toBeNull()
  })

  it('a second one is refused by state-in-use, which names the process and the address', async () => {
    const stateDir = temporaryFolder()
    const { holder } = await startHolder(stateDir)
    const refusal = await lockState(stateDir).then(
      () => null,
      (error: unknown) => error,
    )
    expect(refusal).toBeInstanceOf(UserError)
    expect(refusal).toMatchObject({ code: 'state-in-use', where: stateDir })
    const { message, next } = refusal as UserError
    expect(message).toContain(`process ${holder.pid}`)
    expect(message).toContain('127.0.0.1:1')
    expect(next).toContain(`kill ${holder.pid}`)
  })

  it('the folder of a server that was killed is taken over, and what it left behind is ended', async () => {
    const stateDir = temporaryFolder()
    const { holder, childPid } = await startHolder(stateDir)
    await killHard(holder)
    expect(startOf(childPid)).not.toBeNull()
    expect(await readServer(stateDir)).toBeNull()
    const lock = await lockState(stateDir)
    expect(startOf(childPid)).toBeNull()
    lock.release()
  })

  it('who asks while a server is starting waits until it is ready', async () => {
    const stateDir = temporaryFolder()
    const lock = await lockState(stateDir)
    lock.announce({ ...there, ready: false })
    let answered = false
    const asked = readServer(stateDir).then((info) => {
      answered = true
      return info
    })
    await new Promise((resolve) => setTimeout(resolve, 150))
    expect(answered).toBe(false)
    const info = lock.announce(there)
    expect(await asked).toEqual(info)
    lock.release()
  })

  it('a server.json of a dead server is not believed while another is starting', async () => {
    const stateDir = temporaryFolder()
    const lock = await lockState(stateDir)
    const dead = { name: 'tidemark', pid: process.pid, start: 'another start' }
    const content = { ...there, pid: 1, version: '0', startedAt: '', self: dead }
    writeFileSync(join(stateDir, 'server.json'), JSON.stringify(content))
    await expect(readServer(stateDir, 100)).rejects.toMatchObject({ code: 'state-in-use' })
    lock.release()
  })
})

describe('the lock under it', () => {
  it('excludes within one process too, and a look at it takes nothing away', () => {
    const file = join(temporaryFolder(), 'a.lock')
    expect(isLocked(file)).toBe(false)
    const release = takeLock(file)
    expect(release).not.toBeNull()
    expect(isLocked(file)).toBe(true)
    expect(takeLock(file, 0)).toBeNull()
    expect(isLocked(file)).toBe(true)
    release?.()
    expect(isLocked(file)).toBe(false)
    takeLock(file)?.()
  })

  it('a pid that another process has now is left alone', async () => {
    const child = spawn('sleep', ['600'], { stdio: 'ignore' })
    onTestFinished(() => void child.kill('SIGKILL'))
    await new Promise((resolve) => child.once('spawn', resolve))
    const mark = markOf('sleep', child.pid as number)
    await endProcess({ ...mark, start: 'an earlier process' })
    expect(isAlive(mark)).toBe(true)
    await endProcess(mark)
    expect(isAlive(mark)).toBe(false)
  })
})

it('a state folder keeps its host’s id', () => {
  const [here, other] = [temporaryFolder(), temporaryFolder()]
  expect(hostId(here)).toMatch(/^[0-9a-f]{12}$/)
  expect(hostId(here)).toBe(hostId(here))
  expect(hostId(other)).not.toBe(hostId(here))
})
