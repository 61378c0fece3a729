/** What a folder promises beyond the contract that all connectors share. */
import { execFileSync } from 'node:child_process'
import * as fs from 'node:fs'
import { createServer } from 'node:net'
import { join } from 'node:path'
import fc from 'fast-check'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import type { Connector } from '../../connectors/connector.ts'
import { entryOf } from '../../connectors/file-place.ts'
import { compareKeys, inRange } from '../../src/sync/keys.ts'
import {
  bytesOf,
  calling,
  entryAt,
  failsWith,
  keysOf,
  noise,
  pagesOf,
  put,
  readAll,
  removing,
  streamed,
  text,
  writing,
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

async function skippedOf(): Promise<Record<string, string>> {
  const pages = await pagesOf(connector)
  return Object.fromEntries(
    pages.flatMap(({ skipped }) => skipped.map(({ key, reason }) => [key, reason])),
  )
}

describe('what is no key is skipped, with its reason', () => {
  it('symbolic links, to files, to folders and to nothing', async () => {
    foreign('a/file', '1')
    fs.symlinkSync(at('a/file'), at('link'))
    fs.symlinkSync(at('a'), at('folder-link'))
    fs.symlinkSync('/nowhere', at('a/broken'))
    expect(await skippedOf()).toEqual({
      link: 'a symbolic link',
      'folder-link': 'a symbolic link',
      'a/broken': 'a symbolic link',
    })
    expect(await keysOf(connector)).toEqual(['a/file'])
  })

  it('pipes and sockets', async () => {
    execFileSync('mkfifo', [at('pipe')])
    const server = createServer()
    await new Promise<void>((resolve) => server.listen(at('socket'), resolve))
    expect(await skippedOf()).toEqual({ pipe: 'a special file', socket: 'a special file' })
    await failsWith('changed-meanwhile', readAll(connector, 'pipe', { id: 'x' }))
    server.close()
  })

  it('names that are not UTF-8, beside a real U+FFFD', async () => {
    fs.writeFileSync(Buffer.concat([Buffer.from(at('bad-')), Buffer.from([0xff])]), '1')
    fs.mkdirSync(Buffer.concat([Buffer.from(at('dir-')), Buffer.from([0xe9])]))
    foreign('bad-\ufffd', '1')
    foreign('good', '1')
    expect(await skippedOf()).toEqual({
      'bad-\\xff': 'the name is not UTF-8',
      'dir-\\xe9': 'the name is not UTF-8',
    })
    expect(await keysOf(connector)).toEqual(['bad-\ufffd', 'good'])
  })

  it('empty folders are nothing at all', async () => {
    fs.mkdirSync(at('empty/deep'), { recursive: true })
    expect(await pagesOf(connector)).toEqual([{ entries: [], skipped: [] }])
  })
})

describe('no path leaves the root', () => {
  beforeEach(() => {
    fs.mkdirSync(join(home, 'outside'))
    fs.writeFileSync(join(home, 'outside/secret'), 'theirs')
    fs.symlinkSync(join(home, 'outside'), at('way'))
    fs.symlinkSync(join(home, 'outside/secret'), at('link'))
  })

  it.each(['way/secret', 'way/new', 'link'])(
    '%s is neither read, written nor removed',
    async (key) => {
      const { ino, mtimeNs, ctimeNs, size } = fs.statSync(join(home, 'outside/secret'), {
        bigint: true,
      })
      const token = { id: `${mtimeNs}-${ctimeNs}-${size}-${ino}` }
      await failsWith('changed-meanwhile', readAll(connector, key, token))
      await failsWith('cannot-hold', put(connector, key, text('mine')))
      await failsWith('cannot-hold', put(connector, key, text('mine'), token))
      await failsWith('changed-meanwhile', connector.remove(key, token, removing()))
      await failsWith('cannot-hold', connector.stat(key, calling()))
      expect(fs.readdirSync(join(home, 'outside'))).toEqual(['secret'])
      expect(fs.readFileSync(join(home, 'outside/secret'), 'utf8')).toBe('theirs')
    },
  )

  it('a folder that becomes a link while a body is sent is not followed', async () => {
    foreign('d/other', '1')
    const body = streamed(noise(1_000, 'b'), 400, () => {
      fs.rmSync(at('d'), { recursive: true, force: true })
      if (!fs.existsSync(at('d'))) fs.symlinkSync(join(home, 'outside'), at('d'))
    })
    await failsWith('cannot-hold', connector.write('d/k', body, null, writing(1_000)))
    expect(fs.readdirSync(join(home, 'outside'))).toEqual(['secret'])
  })

  it('our own folder as a link is refused', async () => {
    fs.symlinkSync(join(home, 'outside'), at('.tidemark'))
    await failsWith('cannot-hold', connector.identity({ ...calling(), create: true }))
    expect(fs.readdirSync(join(home, 'outside'))).not.toContain('id')
  })
})

describe('a listing that begins behind a name that is no key', () => {
  const hiddenFrom = async (from: string) => {
    const pages = await pagesOf(connector, { from, to: null })
    return pages.map(({ hidden }) => hidden)
  }

  it('says what that hides, once: the keys below are not gone', async () => {
    foreign('a/target', '1')
    foreign('b/file', '1')
    fs.symlinkSync(at('a'), at('b/way'))
    const hidden = [{ prefix: 'b/way/', reason: 'a symbolic link' }]
    // Between `b/way` and `b/way/x`, in it, and far below.
    for (const from of ['b/way-x', 'b/way/x', 'b/way/x/y/z']) {
      expect(await hiddenFrom(from)).toEqual([hidden])
    }
    for (const from of ['b/way0', 'b/wayx', 'b/file/x', 'c', 'b/nothing/x']) {
      expect(await hiddenFrom(from)).toEqual([undefined])
    }
  })

  it('where it is gone on with, too', async () => {
    fs.symlinkSync(home, at('way'))
    for (const name of ['a', 'b', 'c', 'd']) foreign(`way-${name}`, '1')
    const [page] = await pagesOf(connector, { from: null, to: null }, 'way-b')
    expect(page?.hidden).toEqual([{ prefix: 'way/', reason: 'a symbolic link' }])
  })
})

describe('every change is seen', () => {
  it('also one that sets size and time back: the ctime moved', async () => {
    foreign('k', 'first')
    const when = new Date('2020-01-01')
    fs.utimesSync(at('k'), when, when)
    const { token } = await entryAt(connector, 'k')
    foreign('k', 'other')
    fs.utimesSync(at('k'), when, when)
    expect((await entryAt(connector, 'k')).token.id).not.toBe(token.id)
    await failsWith('changed-meanwhile', readAll(connector, 'k', token))
    await failsWith('changed-meanwhile', put(connector, 'k', text('mine'), token))
    await failsWith('changed-meanwhile', connector.remove('k', token, removing()))
    expect(fs.readFileSync(at('k'), 'utf8')).toBe('other')
  })

  it('also one in mid-read that sets size and time back', async () => {
    const old = noise(connector.traits.partBytes * 3, 'old')
    foreign('k', old)
    const { token } = await entryAt(connector, 'k')
    const { mtime } = fs.statSync(at('k'))
    const { body } = await connector.read('k', token, undefined, calling())
    const read = async () => {
      for await (const _ of body) {
        foreign('k', noise(old.length, 'new'))
        fs.utimesSync(at('k'), mtime, mtime)
      }
    }
    await failsWith('changed-meanwhile', read())
  })

  it('a file that was renamed away is not read to its end under its old name', async () => {
    foreign('k', noise(connector.traits.partBytes * 3, 'old'))
    const { token } = await entryAt(connector, 'k')
    const { body } = await connector.read('k', token, undefined, calling())
    const read = async () => {
      for await (const _ of body) if (fs.existsSync(at('k'))) fs.renameSync(at('k'), at('moved'))
    }
    // The rename itself moves the ctime.
    await failsWith(['changed-meanwhile', 'not-found'], read())
  })

  it('a torn body fails before its last chunk is given', async () => {
    const size = connector.traits.partBytes * 2
    foreign('k', noise(size, 'old'))
    const { token } = await entryAt(connector, 'k')
    const { body } = await connector.read('k', token, undefined, calling())
    let seen = 0
    const read = async () => {
      for await (const chunk of body) {
        seen += chunk.length
        foreign('k', noise(size, 'new'))
      }
    }
    await failsWith('changed-meanwhile', read())
    expect(seen).toBeLessThan(size)
  })

  it('a token is unsettled within 2 s of the change, or by a clock that is ahead', async () => {
    foreign('k', '1')
    const stat = fs.lstatSync(at('k'), { bigint: true })
    const now = Number(stat.ctimeMs)
    const settled = (stat: fs.BigIntStats, now: number) => !entryOf('k', stat, now).token.unsettled
    expect(settled(stat, now)).toBe(false)
    expect(settled(stat, now + 1_999)).toBe(false)
    expect(settled(stat, now + 2_001)).toBe(true)
    expect(settled(stat, now - 60_000)).toBe(false)
    const future = new Date('2100-01-01')
    fs.utimesSync(at('k'), future, future)
    const ahead = fs.lstatSync(at('k'), { bigint: true })
    expect(settled(ahead, Number(ahead.ctimeMs) + 2_001)).toBe(true)
    expect(entryOf('k', ahead, now).modifiedAt).toBe(future.getTime())
  })
})

describe('writing', () => {
  it('keeps the mode of what it replaces', async () => {
    foreign('secret', '1')
    fs.chmodSync(at('secret'), 0o600)
    await put(connector, 'secret', text('2'), (await entryAt(connector, 'secret')).token)
    expect(fs.statSync(at('secret')).mode & 0o777).toBe(0o600)
  })

  it('leaves what is hard linked elsewhere as it was', async () => {
    foreign('a', 'shared')
    fs.linkSync(at('a'), join(home, 'elsewhere'))
    await put(connector, 'a', text('mine'), (await entryAt(connector, 'a')).token)
    expect(fs.readFileSync(join(home, 'elsewhere'), 'utf8')).toBe('shared')
  })

  it('an empty folder gives way to a key; a folder with something in it does not', async () => {
    fs.mkdirSync(at('empty'))
    await put(connector, 'empty', text('1'))
    fs.mkdirSync(at('full/empty'), { recursive: true })
    await failsWith('cannot-hold', put(connector, 'full', text('1')))
    expect(await keysOf(connector)).toEqual(['empty'])
  })

  it('a write that fails leaves no folders behind', async () => {
    const beforeCommit = async () => foreign('a/b', 'theirs')
    await failsWith('cannot-hold', put(connector, 'a/b/c/d', text('1'), null, { beforeCommit }))
    expect(fs.readdirSync(at('a'))).toEqual(['b'])
  })

  it('a remove takes the folders that it empties, and no others', async () => {
    foreign('a/b/c/k', '1')
    foreign('a/other', '1')
    fs.mkdirSync(at('empty'))
    const { token } = await entryAt(connector, 'a/b/c/k')
    await connector.remove('a/b/c/k', token, removing())
    expect(fs.readdirSync(at('a'))).toEqual(['other'])
    expect(fs.existsSync(at('empty'))).toBe(true)
    await connector.remove('a/other', (await entryAt(connector, 'a/other')).token, removing())
    expect(fs.readdirSync(root)).not.toContain('a')
  })

  it('creates and removes in one folder do not disturb each other', async () => {
    for (let round = 0; round < 20; round++) {
      const { token } = await put(connector, 'd/e/old', text('1'))
      await Promise.all([
        connector.remove('d/e/old', token, removing()),
        put(connector, `d/e/${round}`, text('1')),
      ])
      const { token: next } = await entryAt(connector, `d/e/${round}`)
      await connector.remove(`d/e/${round}`, next, removing())
    }
    expect(await keysOf(connector)).toEqual([])
  })

  it('a change by others right after it is not taken for ours', async () => {
    const written = await put(connector, 'k', text('mine'))
    foreign('k', 'them')
    expect((await entryAt(connector, 'k')).token.id).not.toBe(written.token.id)
  })
})

describe('I9: listing any tree', () => {
  const segment = fc
    .array(fc.constantFrom('a', 'b', '.', '-', '0', '\uff01', '\u{1f600}', 'é'), {
      minLength: 1,
      maxLength: 3,
    })
    .map((parts) => parts.join(''))
    .filter((name) => name !== '.' && name !== '..')
  const tree = fc.uniqueArray(
    fc.array(segment, { minLength: 1, maxLength: 3 }).map((parts) => parts.join('/')),
    { maxLength: 25 },
  )
  /** A file can't be above another; the first one stays. */
  const fits = (keys: string[]) =>
    keys.filter((key) => !keys.some((other) => other !== key && other.startsWith(`${key}/`)))

  it('gives its keys in byte order, in any range, with pages of any size', async () => {
    await fc.assert(
      fc.asyncProperty(
        tree.map(fits),
        fc.option(segment),
        fc.option(segment),
        fc.integer({ min: 1, max: 7 }),
        async (keys, from, to, pageKeys) => {
          fs.rmSync(root, { recursive: true })
          fs.mkdirSync(root)
          for (const key of keys) foreign(key, '')
          const folder = await open(root, pageKeys)
          const wanted = keys.filter((key) => inRange(key, { from, to })).sort(compareKeys)
          expect(await keysOf(folder, { from, to })).toEqual(wanted)
          let seen = 0
          for (const page of await pagesOf(folder, { from, to })) {
            expect(page.entries.length).toBeLessThanOrEqual(pageKeys)
            seen += page.entries.length
            if (page.resume === undefined) continue
            expect(await keysOf(folder, { from, to }, page.resume)).toEqual(wanted.slice(seen))
          }
        },
      ),
      { numRuns: 150 },
    )
  })

  it('a folder of many files is read in batches that meet', async () => {
    const keys = Array.from({ length: 500 }, (_, index) => `f${String(index).padStart(4, '0')}`)
    for (const key of keys) foreign(key, '')
    expect(await keysOf(await open(root, 150))).toEqual(keys)
  })

  it('many bodies that nobody reads leave no file open', async () => {
    foreign('k', noise(connector.traits.partBytes * 3, 'k'))
    const { token } = await entryAt(connector, 'k')
    const before = fs.readdirSync('/proc/self/fd').length
    for (let i = 0; i < 50; i++) await connector.read('k', token, undefined, calling())
    expect(fs.readdirSync('/proc/self/fd').length).toBeLessThan(before + 10)
    expect(
      (await bytesOf((await connector.read('k', token, undefined, calling())).body)).length,
    ).toBe(connector.traits.partBytes * 3)
  })
})
