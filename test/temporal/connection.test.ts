/** A connection that ends while its server is away takes nobody along. */
import { setTimeout as sleep } from 'node:timers/promises'
import { expect, onTestFinished, test } from 'vitest'
import { connect } from '../../src/temporal/connection.ts'
import { startTemporal } from '../servers.ts'

test('closed while a call waits for its next try, nothing is thrown out of a timer', async () => {
  const thrown: unknown[] = []
  const note = (error: unknown) => void thrown.push(error)
  const others = process.listeners('uncaughtException')
  process.removeAllListeners('uncaughtException').on('uncaughtException', note)
  onTestFinished(() => {
    process.removeListener('uncaughtException', note)
    for (const one of others) process.on('uncaughtException', one)
  })
  const server = await startTemporal()
  onTestFinished(() => server.stop())
  const { client, close } = await connect({ address: server.address })
  await server.stop()
  const asked = client.workflow.getHandle('nobody').describe()
  const refused = expect(asked).rejects.toThrow()
  // Into its pauses: 0.17, 0.29, 0.49, 0.84 s …
  await sleep(700)
  await close()
  await refused
  await sleep(100)
  expect(thrown).toEqual([])
})
