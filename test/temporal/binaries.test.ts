import { createHash } from 'node:crypto'
import { chmodSync, existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { dirname, join } from 'node:path'
import { deflateRawSync, gzipSync } from 'node:zlib'
import { describe, expect, it, onTestFinished } from 'vitest'
import { fakeGcsTool, rcloneTool, versitygwTool } from '../../scripts/tools.ts'
import { memberOf } from '../../src/temporal/archive.ts'
import { findTool, getTool, type Tool, temporalTool } from '../../src/temporal/binaries.ts'
import { freePort } from '../../src/temporal/ports.ts'
import { temporaryFolder } from './folders.ts'

const program = Buffer.from('#!/bin/sh\necho made\n')

function tar(files: Record<string, Buffer>): Buffer {
  const blocks = Object.entries(files).flatMap(([name, content]) => {
    const header = Buffer.alloc(512)
    header.write(name, 0, 'latin1')
    header.write(`${content.length.toString(8).padStart(11, '0')}\0`, 124, 'latin1')
    header.write('0', 156, 'latin1')
    return [header, content, Buffer.alloc(-content.length & 511)]
  })
  return gzipSync(Buffer.concat([...blocks, Buffer.alloc(1024)]))
}

function zip(name: string, content: Buffer): Buffer {
  const packed = deflateRawSync(content)
  const local = Buffer.alloc(30 + name.length)
  local.writeUInt32LE(0x04034b50)
  local.writeUInt16LE(name.length, 26)
  local.write(name, 30)
  const entry = Buffer.alloc(46 + name.length)
  entry.writeUInt32LE(0x02014b50)
  entry.writeUInt16LE(8, 10)
  entry.writeUInt32LE(packed.length, 20)
  entry.writeUInt16LE(name.length, 28)
  entry.write(name, 46)
  const end = Buffer.alloc(22)
  end.writeUInt32LE(0x06054b50)
  end.writeUInt16LE(1, 10)
  end.writeUInt32LE(local.length + packed.length, 16)
  return Buffer.concat([local, packed, entry, end])
}

/** A release site on loopback, with these files. */
async function publish(files: Record<string, Buffer | string>): Promise<string> {
  const server = createServer((request, response) => {
    const content = files[request.url?.slice(1) ?? '']
    response.writeHead(content === undefined ? 404 : 200).end(content)
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  onTestFinished(() => void server.close())
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`
}

function toolAt(base: string, version = '1.2.3'): Tool {
  const release = { base, archive: 'some.tar.gz', checksums: 'checksums.txt' }
  const goPackage = 'example.invalid/sometool'
  return { name: 'sometool', version, variable: 'SOMETOOL_BIN', goPackage, release: () => release }
}

function put(file: string): string {
  mkdirSync(dirname(file), { recursive: true })
  writeFileSync(file, program)
  chmodSync(file, 0o755)
  return file
}

const sha256 = (bytes: Buffer) => createHash('sha256').update(bytes).digest('hex')
const nothing = { PATH: '' }
const report = () => {}

describe('a program is looked for', () => {
  it('where its variable says, then on PATH, then in the folder of tools', () => {
    const root = temporaryFolder()
    const tool = toolAt('http://127.0.0.1:1')
    const named = put(join(root, 'named', 'other'))
    const onPath = put(join(root, 'path', 'sometool'))
    const own = put(join(root, 'tools', 'bin', 'sometool'))
    writeFileSync(`${own}.version`, '1.2.3\n')
    const folder = join(root, 'tools')
    const path = { PATH: dirname(onPath) }
    const by = (environment: NodeJS.ProcessEnv) => findTool(tool, { folder, environment })
    expect(by({ ...path, SOMETOOL_BIN: named })).toBe(named)
    expect(by(path)).toBe(onPath)
    expect(by(nothing)).toBe(own)
  })

  it('and a variable that names no program is an error, not a reason to look elsewhere', () => {
    const environment = { SOMETOOL_BIN: '/nowhere/sometool' }
    expect(() => findTool(toolAt('http://127.0.0.1:1'), { environment })).toThrow(/SOMETOOL_BIN/)
  })

  it('and one of another version, or of an unknown one, is not taken from the folder', () => {
    const folder = temporaryFolder()
    const own = put(join(folder, 'bin', 'sometool'))
    const options = { folder, environment: nothing }
    expect(findTool(toolAt('http://127.0.0.1:1'), options)).toBeNull()
    writeFileSync(`${own}.version`, '1.2.3\n')
    expect(findTool(toolAt('http://127.0.0.1:1'), options)).toBe(own)
    expect(findTool(toolAt('http://127.0.0.1:1', '1.2.4'), options)).toBeNull()
  })
})

describe('a program that is missing', () => {
  it('is downloaded, and marked with its version', async () => {
    const folder = temporaryFolder()
    const archive = tar({ LICENSE: Buffer.from('free'), 'some_1.2.3/sometool': program })
    const base = await publish({
      'some.tar.gz': archive,
      'checksums.txt': `${sha256(archive)}  some.tar.gz\n`,
    })
    const options = { folder, environment: nothing, report }
    const path = await getTool(toolAt(base), options)
    expect(readFileSync(path)).toEqual(program)
    expect(findTool(toolAt(base), options)).toBe(path)
    expect(readFileSync(`${path}.version`, 'utf8')).toBe('1.2.3\n')
  })

  it('is made once, when two ask for it at a time', async () => {
    const folder = temporaryFolder()
    const archive = tar({ sometool: program })
    const sums = `${sha256(archive)} *some.tar.gz\n`
    const base = await publish({ 'some.tar.gz': archive, 'checksums.txt': sums })
    const lines: string[] = []
    const ask = () =>
      getTool(toolAt(base), { folder, environment: nothing, report: (line) => lines.push(line) })
    const [one, other] = await Promise.all([ask(), ask()])
    expect(one).toBe(other)
    expect(lines.filter((line) => line.includes('downloading'))).toHaveLength(1)
  })

  it('is never taken from an archive that differs from its published digest', async () => {
    const folder = temporaryFolder()
    const base = await publish({
      'some.tar.gz': tar({ sometool: Buffer.from('evil') }),
      'checksums.txt': `${sha256(program)}  some.tar.gz\n`,
    })
    const asked = getTool(toolAt(base), { folder, environment: nothing, report })
    await expect(asked).rejects.toThrow(/SHA-256/)
    expect(existsSync(join(folder, 'bin', 'sometool'))).toBe(false)
  })

  it('without a download and without Go is tool-missing, which names each way out', async () => {
    const folder = temporaryFolder()
    const base = `http://127.0.0.1:${await freePort()}`
    const asked = getTool(toolAt(base), { folder, environment: nothing, report })
    const error = await asked.then(
      () => null,
      (reason: unknown) => reason,
    )
    expect(error).toMatchObject({ code: 'tool-missing', exit: 2 })
    const { message, next } = error as { message: string; next: string }
    expect(message).toContain('ECONNREFUSED')
    for (const way of ['go.dev/dl', `${base}/some.tar.gz`, 'SOMETOOL_BIN', join(folder, 'bin')]) {
      expect(next).toContain(way)
    }
  })

  it('that Go can’t build is tool-missing with what Go said', async () => {
    const folder = temporaryFolder()
    const bin = temporaryFolder()
    const go = join(bin, 'go')
    writeFileSync(go, '#!/bin/sh\necho "go: no such module" >&2\nexit 1\n')
    chmodSync(go, 0o755)
    const base = `http://127.0.0.1:${await freePort()}`
    const asked = getTool(toolAt(base), { folder, environment: { PATH: bin }, report })
    await expect(asked).rejects.toMatchObject({
      code: 'tool-missing',
      message: expect.stringContaining('no such module'),
    })
  })
})

it('an archive’s member is found by its name, in .tar.gz and in .zip', () => {
  const long = Buffer.alloc(2_000, 'x')
  const archive = tar({ 'a/sometool.txt': program, 'a/sometool': long })
  expect(memberOf(archive, 'sometool')).toEqual(long)
  expect(memberOf(zip('rclone-v1/rclone', program), 'rclone')).toEqual(program)
  expect(() => memberOf(archive, 'other')).toThrow(/other/)
})

it('every tool has a release for Linux and macOS on both processors, and none elsewhere', () => {
  for (const tool of [temporalTool, versitygwTool, fakeGcsTool, rcloneTool]) {
    const archives = ['linux', 'darwin'].flatMap((platform) =>
      ['x64', 'arm64'].map((arch) => tool.release(platform, arch)?.archive),
    )
    expect(new Set(archives).size).toBe(4)
    for (const archive of archives) expect(archive).toContain(tool.version)
    expect(tool.release('linux', 'x64')?.base).toContain(`v${tool.version}`)
    expect(tool.release('sunos', 'x64')).toBeNull()
    expect(tool.release('linux', 'ppc64')).toBeNull()
  }
})
