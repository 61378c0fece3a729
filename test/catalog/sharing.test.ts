import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import { describe, expect, it } from 'vitest'
import type { Catalog } from '../../src/catalog/catalog.ts'
import { catalogs, dataset, engines, everything, recordOf, rowOf, runOf } from './engines.ts'

const program = fileURLToPath(new URL('./writer-process.ts', import.meta.url))

function start(url: string, run: number, keys: number | 'hold'): ChildProcess {
  const args = [program, url, String(run), String(keys)]
  return spawn(process.execPath, args, { stdio: ['pipe', 'pipe', 'inherit'] })
}

const lines = (child: ChildProcess) =>
  createInterface({ input: child.stdout as NodeJS.ReadableStream })

async function firstLine(child: ChildProcess): Promise<string> {
  for await (const line of lines(child)) return line
  throw new Error('the process said nothing')
}

async function keysOf(catalog: Catalog): Promise<string[]> {
  return (await catalog.readBaseline(dataset, everything, null, 100_000)).map(({ key }) => key)
}

describe.each(engines)('a catalog that processes share, on $engine', ({ make }) => {
  const { open, place } = catalogs(make)

  it('loses nothing of what they write at the same time', async () => {
    const { url } = await place()
    const catalog = await open(url)
    const children = [1, 2].map((run) => start(url, run, 500))
    const ended = children.map(async (child) => (await once(child, 'exit'))[0])
    for (const child of children) child.stdout?.resume()
    for (let i = 0; i < 50; i++) {
      const key = `run 3 key ${i}`
      const record = recordOf(3, i, key, { state: 'done' })
      const one = { record, row: rowOf(key), expectRev: 0, version: null }
      expect(await catalog.settle(dataset, [one])).toEqual([true])
    }
    expect(await Promise.all(ended)).toEqual([0, 0])
    expect(await keysOf(catalog)).toHaveLength(1_050)
    expect(await catalog.countLive(dataset)).toBe(1_050)
    for (const [run, done] of [500, 500, 50].entries()) {
      expect(await catalog.countItems(run + 1)).toEqual({ done })
    }
  })

  it('has all that was committed, and nothing by halves, when a writer is killed', async () => {
    const { url } = await place()
    const catalog = await open(url)
    for (let run = 1; run <= 5; run++) {
      const child = start(url, run, 1_000_000)
      let said = 0
      for await (const line of lines(child)) {
        said = Number(line)
        if (said >= run * 20) child.kill('SIGKILL')
      }
      const { done = 0 } = await catalog.countItems(run)
      expect(done).toBeGreaterThanOrEqual(said)
      expect(done % 10).toBe(0)
      const rows = (await keysOf(catalog)).filter((key) => key.startsWith(`run ${run} `))
      expect(rows).toHaveLength(done)
    }
    expect(await catalog.countLive(dataset)).toBe((await keysOf(catalog)).length)
    expect(await catalog.createRun(runOf())).toBe(1)
  })
})

const [sqlite] = engines.filter(({ engine }) => engine === 'SQLite') as [(typeof engines)[number]]

describe('SQLite’s lock', () => {
  const { open, place } = catalogs(sqlite.make)

  it('never keeps the thread while another process has it: timers and reads go on', async () => {
    const { url } = await place()
    const catalog = await open(url)
    const run = await catalog.createRun(runOf())
    const child = start(url, 1, 'hold')
    expect(await firstLine(child)).toBe('held')

    let written = false
    const writing = catalog.addCounts(run, { puts: 1 }).then(() => {
      written = true
    })
    let ticks = 0
    const timer = setInterval(() => ticks++, 5)
    while (ticks < 20) {
      expect((await catalog.getRun(run))?.counts.puts).toBe(0)
      await new Promise((wake) => setTimeout(wake, 1))
    }
    clearInterval(timer)
    expect(written).toBe(false)

    const exit = once(child, 'exit')
    child.stdin?.end()
    await Promise.all([writing, exit])
    expect((await catalog.getRun(run))?.counts.puts).toBe(1)
  })

  it('doesn’t keep the thread for the whole of a method that goes through a run', async () => {
    const catalog = await open()
    const base = await catalog.createRun(runOf())
    for (let at = 0; at < 20_000; at += 1_000) {
      const page = Array.from({ length: 1_000 }, (_, i) => recordOf(base, at + i, `k${at + i}`))
      await catalog.updateItems(page)
    }
    const run = await catalog.createRun(runOf({ base }))
    let turns = 0
    let going = true
    const turn = () => {
      turns++
      if (going) setImmediate(turn)
    }
    setImmediate(turn)
    expect(await catalog.copyItems(base, run, ['pending'], 'pending')).toBe(20_000)
    going = false
    expect(turns).toBeGreaterThan(3)
  })

  it('doesn’t show what a transaction of the same process has not committed', async () => {
    const catalog = await open()
    const run = await catalog.createRun(runOf())
    // Its row is written before its item, which can't be: what a read sees meanwhile never was.
    const broken = (i: number) => {
      const record = recordOf(run, i, `k${i}`, { tries: Number.NaN })
      return catalog.settle(dataset, [{ record, row: rowOf(`k${i}`), expectRev: 0, version: null }])
    }
    await catalog.noteReplicas(dataset, ['here'])
    for (let i = 0; i < 20; i++) {
      // From a fresh turn on, reads and the transaction's statements take turns of their own.
      await new Promise((turn) => setImmediate(turn))
      let going = true
      const ended = broken(i).catch((error: unknown) => {
        going = false
        return error
      })
      while (going) expect(await keysOf(catalog)).toEqual([])
      expect(await ended).toBeInstanceOf(Error)
    }
  })
})
