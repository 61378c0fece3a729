/** Several processes on one folder: what no order within one process can promise. */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import * as fs from 'node:fs'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { expect, it } from 'vitest'
import { newFolder } from './folder.ts'

const connector = pathToFileURL(join(import.meta.dirname, '../../connectors/file.ts')).href
const keys = 150

/** Creates all keys, as fast as it can, once `go` is there; prints which it won. */
const creator = `
  import { existsSync } from 'node:fs'
  const { create } = await import(${JSON.stringify(connector)})
  const [root, go, name] = process.argv.slice(1)
  const context = { name, concurrency: 8, partBytes: 1024 }
  const folder = await create({ type: 'file', path: root }, context)
  const { signal } = new AbortController()
  const body = Buffer.from(name)
  const beforeCommit = async () => {}
  const given = { signal, size: body.length, metadata: {}, digests: {}, beforeCommit }
  console.log('ready')
  while (!existsSync(go)) await new Promise((resolve) => setTimeout(resolve, 1))
  const won = []
  for (let i = 0; i < ${keys}; i++) {
    try {
      await folder.write('d/' + i, body, null, given)
      won.push(i)
    } catch (error) {
      if (error.code !== 'changed-meanwhile') throw error
    }
  }
  console.log(JSON.stringify(won))
`

it('I1: of creators in several processes exactly one wins each key', {
  timeout: 60_000,
}, async () => {
  const folder = await newFolder()
  const go = join(folder.home, 'go')
  const names = ['one', 'two', 'three']
  const wins = names.map(async (name) => {
    const args = ['--input-type=module', '-e', creator, folder.root, go, name]
    const child = spawn(process.execPath, args, { stdio: ['ignore', 'pipe', 'inherit'] })
    let output = ''
    const ready = Promise.withResolvers<void>()
    child.stdout.on('data', (chunk) => {
      output += chunk
      if (output.includes('ready')) ready.resolve()
    })
    return { name, ready: ready.promise, ended: once(child, 'close').then(() => output) }
  })
  const children = await Promise.all(wins)
  await Promise.all(children.map((child) => child.ready))
  fs.writeFileSync(go, '')
  const winners = new Map<number, string>()
  for (const { name, ended } of children) {
    const won: number[] = JSON.parse((await ended).split('\n')[1] ?? '')
    for (const key of won) {
      expect(winners.get(key), `d/${key} was won twice`).toBeUndefined()
      winners.set(key, name)
    }
  }
  expect(winners.size).toBe(keys)
  for (const [key, name] of winners) {
    expect(fs.readFileSync(folder.at(`d/${key}`), 'utf8')).toBe(name)
  }
  expect(fs.readdirSync(folder.at('.tidemark/tmp'))).toEqual([])
  folder.close()
})
