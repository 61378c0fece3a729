/** A sync that the server that is up runs for the command line: the same in all that a user sees.
 * */

import { statSync } from 'node:fs'
import { connect } from 'node:net'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { packageVersion } from '../../src/package-root.ts'
import { pressCtrlC } from './process.ts'
import { createField, type Field, filesIn, fill, startUp, type Up, until } from './served.ts'

const slowly = { limits: { bandwidth: '200KB' } }
let field: Field
let up: Up | undefined

beforeAll(async () => {
  field = createField()
  up = await startUp(field.state, field.dataset('first').config)
})

afterAll(async () => {
  await up?.stop()
  field?.remove()
})

it('its socket is open to nobody else', () => {
  expect(statSync(join(field.state, 'relay.sock')).mode & 0o777).toBe(0o600)
})

it('results go to standard output, the rest to standard error, and the exit code comes back', async () => {
  const data = field.dataset('plain', { 'conflict-resolution': 'manual' })
  fill(data.one, 3, 10)
  const done = await field.tidemark(data, 'sync')
  expect(done.stdout).toMatch(/^run \d+ of plain: complete/)
  expect(done.stderr).toMatch(/^run \d+ of plain {2}http/)
  expect(done.code).toBe(0)
  const unknown = await field.tidemark(data, 'sync', 'nothing')
  expect(unknown).toMatchObject({ code: 2, stdout: '' })
  expect(unknown.stderr).toContain('error [dataset-unknown]')
  const [report] = await field.json<[{ exit: number }]>(data, 'sync')
  expect(report).toMatchObject({ exit: 0, run: { state: 'complete', counts: { puts: 0 } } })
})

it('Ctrl-C cancels the run in order, and exits with 130', async () => {
  const data = field.dataset('stopped', slowly)
  fill(data.one, 30, 40_000)
  const syncing = field.start(data, 'sync')
  await until(() => filesIn(data.two).length > 2)
  pressCtrlC(syncing)
  expect((await syncing.ended).code).toBe(130)
  expect((await field.tidemark(data, 'runs', 'stopped')).stdout).toContain('cancelled')
})

it('a command of another version is not taken', async () => {
  const socket = connect(join(field.state, 'relay.sock'))
  socket.write(`${JSON.stringify({ version: '0.0.0', command: 'sync', args: [] })}\n`)
  for await (const line of createInterface({ input: socket })) {
    expect(JSON.parse(line)).toEqual({ refused: true })
  }
})

it('a client that goes away abruptly, with answers unread, takes nothing with it', async () => {
  const data = field.dataset('abrupt')
  fill(data.one, 50, 10)
  for (let i = 0; i < 5; i++) {
    const socket = connect(join(field.state, 'relay.sock'))
    const asked = { version: packageVersion, command: 'sync', args: [], options: {}, by: 'me@here' }
    const how = { config: data.config, json: true, colour: false, terminal: true, columns: 80 }
    socket.write(`${JSON.stringify({ ...asked, ...how })}\n`)
    // Its answers lie unread in the socket when it is closed: the other end gets a reset.
    await new Promise((answered) => socket.once('readable', answered))
    socket.destroy()
  }
  const { code, stderr } = await field.tidemark(data, 'sync')
  expect(code).toBe(0)
  expect(stderr).not.toContain('starting')
  expect((await field.tidemark(data, 'status')).stdout).toContain('server up')
})

it('a server that ends in mid-run leaves the run to the command, which ends it', async () => {
  const data = field.dataset('left', slowly)
  fill(data.one, 30, 40_000)
  const syncing = field.start(data, 'sync')
  await until(() => filesIn(data.two).length > 2)
  await up?.stop()
  up = undefined
  const { code, stdout } = await syncing.ended
  expect(stdout).toMatch(/^run \d+ of left: complete/m)
  expect(code).toBe(0)
  expect(filesIn(data.two)).toEqual(filesIn(data.one))
})
