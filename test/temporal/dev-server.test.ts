import { createServer } from 'node:net'
import { join } from 'node:path'
import { describe, expect, it, onTestFinished } from 'vitest'
import { connect } from '../../src/temporal/connection.ts'
import {
  type DevServerOptions,
  isOurs,
  ownNamespace,
  restartDevServer,
  startDevServer,
} from '../../src/temporal/dev-server.ts'
import { freePort } from '../../src/temporal/ports.ts'
import { accepts } from '../../src/temporal/program.ts'
import { searchAttributeNames } from '../../src/temporal/search-attributes.ts'
import { startTemporal } from '../servers.ts'
import { temporaryFolder } from './folders.ts'

const report = () => {}

async function startOne(options: Omit<DevServerOptions, 'report'>) {
  const server = await startDevServer({ ...options, report })
  onTestFinished(async () => {
    await server.program.stop()
    server.release()
  })
  return server
}

async function listenSomewhere(): Promise<number> {
  const server = createServer()
  const port = await freePort()
  await new Promise<void>((resolve) => server.listen(port, '127.0.0.1', resolve))
  onTestFinished(() => void server.close())
  return port
}

async function attributesAt(address: string): Promise<string[]> {
  const { connection, close } = await connect({ address })
  const found = await connection.operatorService.listSearchAttributes({ namespace: 'default' })
  await close()
  return Object.keys(found.customAttributes)
}

describe('the dev server', () => {
  it('answers with its Web UI and our search attributes, and is gone when stopped', async () => {
    const server = await startOne({ stateDir: temporaryFolder() })
    expect((await fetch(server.ui)).status).toBe(200)
    expect(await attributesAt(server.address)).toEqual(expect.arrayContaining(searchAttributeNames))
    await server.program.stop()
    expect(await accepts(server.ports.port)).toBe(false)
    expect(await accepts(server.ports.uiPort)).toBe(false)
  })

  it('keeps what it knew over a stop and over a kill', async () => {
    const stateDir = temporaryFolder()
    const known: string[] = []
    for (const signal of ['SIGTERM', 'SIGKILL'] as const) {
      const server = await startOne({ stateDir })
      const { client, close } = await connect({ address: server.address })
      for (const workflowId of known) {
        expect((await client.workflow.getHandle(workflowId).describe()).status.name).toBe('RUNNING')
      }
      const options = { taskQueue: 'nobody', workflowId: `until-${signal}` }
      await client.workflow.start('waits', options)
      known.push(options.workflowId)
      await close()
      server.program.child.kill(signal)
      await server.program.exited
      server.release()
    }
    const server = await startOne({ stateDir })
    const { client, close } = await connect({ address: server.address })
    for (const workflowId of known) {
      expect((await client.workflow.getHandle(workflowId).describe()).status.name).toBe('RUNNING')
    }
    await close()
  })

  it('adds our search attributes to a database file that was made without them', async () => {
    const folder = temporaryFolder()
    const bare = await startTemporal({ folder })
    const before = await attributesAt(bare.address)
    expect(searchAttributeNames.filter((name) => before.includes(name))).toEqual([])
    await bare.stop()
    const server = await startOne({ stateDir: join(folder, 'data') })
    expect(await attributesAt(server.address)).toEqual(expect.arrayContaining(searchAttributeNames))
  })

  it('refuses a given port that is in use, with the next step', async () => {
    const port = await listenSomewhere()
    const stateDir = temporaryFolder()
    for (const given of [{ port }, { uiPort: port }]) {
      await expect(startDevServer({ stateDir, report, ...given })).rejects.toMatchObject({
        code: 'port-in-use',
        where: `127.0.0.1:${port}`,
        next: expect.stringContaining('give another port'),
      })
    }
  })

  it('is never mistaken for another that got the port first', async () => {
    const folders = [temporaryFolder(), temporaryFolder()] as const
    const [one, other] = await Promise.all(folders.map((stateDir) => startOne({ stateDir })))
    expect(await isOurs(one?.address ?? '', ownNamespace(folders[0]))).toBe(true)
    expect(await isOurs(other?.address ?? '', ownNamespace(folders[0]))).toBe(false)
    expect(await isOurs(other?.address ?? '', ownNamespace(folders[1]))).toBe(true)
  })

  it('keeps its ports while it is down: its clients never meet another server there', async () => {
    const stateDir = temporaryFolder()
    const server = await startOne({ stateDir })
    const { client, close } = await connect({ address: server.address })
    const waits = await client.workflow.start('waits', { taskQueue: 'nobody', workflowId: 'w' })
    server.program.child.kill('SIGKILL')
    await server.program.exited
    const other = await startOne({ stateDir: temporaryFolder() })
    expect(other.address).not.toBe(server.address)
    expect(other.ui).not.toBe(server.ui)
    await expect(startOne({ stateDir: temporaryFolder(), ...server.ports })).rejects.toMatchObject({
      code: 'port-in-use',
    })
    const again = await restartDevServer(server, { stateDir, report })
    onTestFinished(() => again.program.stop())
    expect(again.address).toBe(server.address)
    expect((await waits.describe()).status.name).toBe('RUNNING')
    await close()
  })

  it('finds other ports where its usual ones are in use', async () => {
    const first = await startOne({ stateDir: temporaryFolder() })
    const second = await startOne({ stateDir: temporaryFolder() })
    expect(second.address).not.toBe(first.address)
    expect(second.ui).not.toBe(first.ui)
  })
})

describe('connecting', () => {
  it('to an address where nothing listens is temporal-unreachable, exit 6', async () => {
    const address = `127.0.0.1:${await freePort()}`
    await expect(connect({ address })).rejects.toMatchObject({
      code: 'temporal-unreachable',
      exit: 6,
      where: address,
      next: expect.stringContaining('--temporal'),
    })
  })

  it('to something that accepts and never answers is temporal-unreachable as well', async () => {
    const address = `127.0.0.1:${await listenSomewhere()}`
    await expect(connect({ address })).rejects.toMatchObject({ code: 'temporal-unreachable' })
  })

  it('to a namespace that is not there names it', async () => {
    const server = await startOne({ stateDir: temporaryFolder() })
    await expect(connect({ address: server.address, namespace: 'nowhere' })).rejects.toMatchObject({
      code: 'temporal-namespace',
      message: expect.stringContaining('nowhere'),
    })
  })

  it('by TLS with a certificate file that is not there names the file', async () => {
    const caFile = join(temporaryFolder(), 'ca.pem')
    const target = { address: '127.0.0.1:1', tls: { caFile } }
    await expect(connect(target)).rejects.toMatchObject({ code: 'temporal-tls', where: caFile })
  })
})
