/** A folder is what it was (I12), and what the system refuses is never read as absence (I3). */
import * as fs from 'node:fs'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import type { Connector } from '../../connectors/connector.ts'
import {
  calling,
  entryAt,
  expectContent,
  failsWith,
  keysOf,
  pagesOf,
  put,
  readAll,
  removing,
  text,
  whole,
} from '../conformance/world.ts'
import { type Folder, newFolder, openFolder } from './folder.ts'

let place: Folder
let home: string
let root: string
let connector: Connector
const at = (key: string) => place.at(key)
const foreign = (key: string, content: string | Buffer) => place.foreign(key, content)
const open = (path = root, pageKeys?: number) => openFolder(path, pageKeys)

beforeEach(async () => {
  place = await newFolder()
  ;({ home, root, connector } = place)
})

afterEach(() => place.close())

describe('I12: the root is what it was', () => {
  it('an id is made once, whoever makes it', async () => {
    const makers = await Promise.all([open(), open(), open()])
    const ids = await Promise.all(
      makers.map((maker) => maker.identity({ ...calling(), create: true })),
    )
    expect(new Set(ids).size).toBe(1)
    expect(ids[0]).toMatch(/^file:[0-9a-f-]{36}$/)
    expect(fs.readdirSync(at('.tidemark/tmp'))).toEqual([])
  })

  it('without leave to make one, nothing is made', async () => {
    const identity = await connector.identity({ ...calling(), create: false })
    expect(identity).toMatch(/^file:dev:\d+:ino:\d+$/)
    expect(fs.readdirSync(root)).toEqual([])
  })

  it('an id that was damaged is an error, not another place', async () => {
    foreign('.tidemark/id', 'nonsense')
    await failsWith('corrupt', connector.identity({ ...calling(), create: true }))
  })

  it('another folder in its place, as under a lost mount, is root-missing', async () => {
    foreign('k', '1')
    await connector.identity({ ...calling(), create: true })
    const { token } = await entryAt(connector, 'k')
    fs.renameSync(root, join(home, 'away'))
    fs.mkdirSync(root)
    // Who asks for its identity is told, and opens the way for nobody.
    const identity = await connector.identity({ ...calling(), create: false })
    expect(identity).toMatch(/^file:dev:/)
    await failsWith('root-missing', keysOf(connector))
    await failsWith('root-missing', connector.stat('k', calling()))
    await failsWith('root-missing', readAll(connector, 'k', token))
    await failsWith('root-missing', put(connector, 'new', text('1')))
    await failsWith('root-missing', connector.remove('k', token, removing()))
    expect(fs.readdirSync(root)).toEqual([])
    fs.rmdirSync(root)
    fs.renameSync(join(home, 'away'), root)
    expect(await keysOf(connector)).toEqual(['k'])
  })

  it('a folder that was exchanged and bound again is used', async () => {
    await connector.identity({ ...calling(), create: true })
    fs.renameSync(root, join(home, 'away'))
    fs.mkdirSync(root)
    foreign('new', '1')
    const bound = await (await openFolder(root)).identity({ ...calling(), create: true })
    await failsWith('root-missing', keysOf(connector))
    expect(await connector.identity({ ...calling(), create: false })).toBe(bound)
    expect(await keysOf(connector)).toEqual(['new'])
  })

  it('I3: a listing that began in one folder does not end in another', async () => {
    await connector.identity({ ...calling(), create: true })
    for (let i = 0; i < 20; i++) foreign(`d${i}/k`, '1')
    const list = async () => {
      for await (const _ of connector.list(whole, undefined, calling())) {
        if (fs.existsSync(join(home, 'away'))) continue
        fs.renameSync(root, join(home, 'away'))
        fs.mkdirSync(root)
        await connector.identity({ ...calling(), create: true })
      }
    }
    await failsWith('root-missing', list())
  })

  it('the same folder on another device, as after a remount, is the same', async () => {
    foreign('k', '1')
    const identity = await connector.identity({ ...calling(), create: true })
    fs.cpSync(root, join(home, 'copy'), { recursive: true })
    fs.rmSync(root, { recursive: true })
    fs.renameSync(join(home, 'copy'), root)
    expect(await keysOf(connector)).toEqual(['k'])
    expect(await connector.identity({ ...calling(), create: false })).toBe(identity)
  })

  it('I3: a root that goes in mid-listing fails the listing', async () => {
    for (let i = 0; i < 20; i++) foreign(`d${i}/k`, '1')
    const list = async () => {
      for await (const _ of connector.list(whole, undefined, calling())) {
        fs.rmSync(root, { recursive: true, force: true })
      }
    }
    await failsWith('root-missing', list())
  })

  it('temporary files of a killed process go after a day', async () => {
    foreign('.tidemark/tmp/old', '1')
    foreign('.tidemark/tmp/young', '1')
    const before = new Date(Date.now() - 25 * 60 * 60 * 1000)
    fs.utimesSync(at('.tidemark/tmp/old'), before, before)
    await connector.identity({ ...calling(), create: true })
    expect(fs.readdirSync(at('.tidemark/tmp'))).toEqual(['young'])
  })
})

describe('what the system refuses', () => {
  /** Root may do everything: as somebody else. */
  async function asNobody(run: () => Promise<void>): Promise<void> {
    if (process.getuid?.() !== 0) return run()
    for (const path of [home, root]) fs.chownSync(path, 65_534, 65_534)
    process.seteuid?.(65_534)
    try {
      await run()
    } finally {
      process.seteuid?.(0)
    }
  }

  it('a subfolder that cannot be read is skipped, and its keys are not gone', async () => {
    foreign('a/k', '1')
    foreign('b/k', '1')
    fs.chmodSync(at('a'), 0)
    await asNobody(async () => {
      const [page] = await pagesOf(connector)
      expect(page?.entries.map(({ key }) => key)).toEqual(['b/k'])
      expect(page?.skipped).toEqual([{ key: 'a/', reason: 'the folder cannot be read: EACCES' }])
      const [inside] = await pagesOf(connector, { from: 'a/b', to: null })
      expect(inside?.hidden).toEqual([
        { prefix: 'a/', reason: 'the folder cannot be read: EACCES' },
      ])
      expect(inside?.entries.map(({ key }) => key)).toEqual(['b/k'])
      await failsWith('denied', connector.stat('a/k', calling()))
    })
    fs.chmodSync(at('a'), 0o755)
  })

  it('a file that cannot be read is listed, and its read is denied', async () => {
    foreign('k', '1')
    fs.chmodSync(at('k'), 0)
    await asNobody(async () => {
      const { token } = await entryAt(connector, 'k')
      expect(await keysOf(connector)).toEqual(['k'])
      await failsWith('denied', readAll(connector, 'k', token))
    })
  })

  it('a folder that cannot be written has an identity, and refuses', async () => {
    foreign('k', '1')
    const { token } = await entryAt(connector, 'k')
    await asNobody(async () => {
      fs.chmodSync(root, 0o555)
      const identity = await connector.identity({ ...calling(), create: true })
      expect(identity).toMatch(/^file:dev:\d+:ino:\d+$/)
      await failsWith('denied', put(connector, 'new', text('1')))
      await failsWith('denied', connector.remove('k', token, removing()))
    })
    await expectContent(connector, 'k', text('1'))
  })

  it('a root that cannot be listed is denied', async () => {
    await asNobody(async () => {
      fs.chmodSync(root, 0o300)
      await failsWith('denied', connector.identity({ ...calling(), create: true }))
      await failsWith('denied', keysOf(connector))
      fs.chmodSync(root, 0o755)
    })
  })
})
