/** The socket of a server that is up, spoken to by whatever: it answers, and stays up. */
import { connect } from 'node:net'
import { join } from 'node:path'
import fc from 'fast-check'
import { describe, expect, it, onTestFinished } from 'vitest'
import { createOutput } from '../../src/cli/output.ts'
import { requestBytesMax } from '../../src/cli/relay.ts'
import { serveRelayed } from '../../src/cli/relay-server.ts'
import { packageVersion } from '../../src/package-root.ts'
import { folder } from '../config/written.ts'

async function server(): Promise<string> {
  const state = folder()
  const sink = { isTTY: false, columns: 80, write: () => true, once: () => undefined }
  const context = {
    ...{ config: '/none.yaml', state, temporal: null, json: false, by: 'me@here' },
    ...{ output: createOutput(false, { stdout: sink, stderr: sink }) },
    signal: new AbortController().signal,
  }
  const relayed = await serveRelayed(context)
  onTestFinished(async () => relayed?.close())
  return join(state, 'relay.sock')
}

/** All that comes back until the connection ends. */
async function say(path: string, bytes: Uint8Array): Promise<string> {
  const socket = connect(path)
  socket.on('error', () => {})
  let answer = ''
  socket.on('data', (chunk) => {
    answer += chunk.toString()
  })
  socket.end(bytes)
  await new Promise((closed) => socket.once('close', closed))
  return answer
}

const refused = '{"refused":true}\n'

describe('the relay’s socket', () => {
  it('refuses what is no request, and goes on', async () => {
    const path = await server()
    const line = fc.oneof(
      fc.uint8Array({ maxLength: 50 }).map((bytes) => Buffer.from([...bytes, 10])),
      fc.json().map((json) => Buffer.from(`${json}\n`)),
      fc.record({ version: fc.constant(packageVersion), command: fc.string() }).map((one) => {
        return Buffer.from(`${JSON.stringify({ ...one, args: 5, options: null })}\n`)
      }),
    )
    const any = fc.asyncProperty(line, async (bytes) => {
      expect(await say(path, bytes)).toBe(refused)
    })
    await fc.assert(any, { numRuns: 300 })
  })

  it('is closed although somebody is connected who says nothing', async () => {
    const socket = connect(await server())
    socket.on('error', () => {})
    await new Promise((connected) => socket.once('connect', connected))
    onTestFinished(() => void socket.destroy())
  })

  it('gives up a line without an end', async () => {
    const path = await server()
    expect(await say(path, Buffer.alloc(requestBytesMax + 1, 'x'))).toBe('')
    expect(await say(path, Buffer.from('{}\n'))).toBe(refused)
  })
})
