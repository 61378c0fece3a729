/** What the audit tells of real runs, and that it holds over them. */
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { dropMemoryStores, memoryStore } from '../../connectors/memory-store.ts'
import type { LocationOptions } from '../../connectors/options.ts'
import { verifyAudit } from '../../src/audit/verify.ts'
import type { AuditRow } from '../../src/catalog/catalog.ts'
import type { DatasetConfig } from '../../src/config/index.ts'
import { engines, type Place } from '../catalog/engines.ts'
import { ruleOf } from '../sync/deciding.ts'
import { createEngine, type Engine } from './engine.ts'
import { carryOut, undo } from './history.ts'

describe.each(engines)('the audit of runs, on $engine', ({ make }) => {
  let engine: Engine
  let place: Place
  let now: number

  async function begin(dataset: Partial<DatasetConfig> = {}): Promise<void> {
    const places = ['a', 'b', 'c'].map(
      (store): LocationOptions => ({ type: 'memory', store, prefix: '' }),
    )
    engine = await createEngine(places, dataset, { clock: () => now, catalogUrl: place.url })
  }

  beforeEach(async () => {
    dropMemoryStores()
    now = Date.now() - 86_400_000
    place = await make()
  })
  afterEach(async () => {
    await engine.close()
    await place.remove()
  })

  function put(store: string, key: string, text: string): void {
    memoryStore(store).put(key, Buffer.from(text))
  }

  async function sync(options: Parameters<Engine['run']>[0] = {}) {
    now += 60_000
    return await engine.run(options)
  }

  const rowsOf = (after = 0): Promise<AuditRow[]> =>
    engine.catalog.auditRows({ dataset: 'data', after, limit: 1_000 })

  const brief = ({ what, run, by, key }: AuditRow) =>
    `${what} ${run}${key === null ? '' : ` ${key}`} by ${by}`

  async function holds() {
    const faults: string[] = []
    const verified = await verifyAudit(engine.catalog, 'data', null, ({ message }) => {
      faults.push(message)
    })
    expect(faults).toEqual([])
    return verified
  }

  test('a sync is told by its beginning, its bound locations and its end, and no more a key', async () => {
    await begin()
    for (let i = 0; i < 20; i++) put('a', `key ${i}`, `${i}`)
    await sync()
    await sync()
    expect((await rowsOf()).map(brief).sort()).toEqual(
      [
        ...['run-begun 1 by me@here', 'run-ended 1 by tidemark'],
        ...['run-begun 2 by me@here', 'run-ended 2 by tidemark'],
        ...Array(3).fill('location-bound 1 by tidemark'),
      ].sort(),
    )
    expect(await holds()).toMatchObject({ rows: 7, runs: 2, lines: 20 })
  })

  test('conflicts are told as they open, change, agree, and as a rule decides them', async () => {
    await begin({ rules: ruleOf({ name: 'manual' }) })
    put('a', 'k', 'one')
    put('b', 'k', 'two')
    put('a', 'l', 'one')
    put('b', 'l', 'two')
    await sync()
    const before = (await rowsOf()).length
    await sync()
    put('c', 'k', 'three')
    await sync()
    for (const store of ['a', 'b', 'c']) put(store, 'k', 'same')
    await sync()
    await engine.configure({ rules: ruleOf({ name: 'largest' }) })
    await sync()
    const told = (await rowsOf(before)).filter(({ key }) => key !== null)
    expect(told.map(brief)).toEqual([
      'conflict-changed 3 k by tidemark',
      'conflict-closed 4 k by tidemark',
      'conflict-resolved 5 l by rule: test',
    ])
    const [history] = await engine.catalog.findConflicts({ key: 'l', limit: 9 })
    expect(JSON.parse(told[2]?.detail ?? '')).toMatchObject({
      ...{ id: history?.id, strategy: 'largest', rule: 'test' },
      ...{ winnerReplicas: history?.resolution?.winnerReplicas },
    })
    await holds()
  })

  test('held deletes are told, and who approved them', async () => {
    await begin()
    for (let i = 0; i < 20; i++) put('a', `key ${i}`, `${i}`)
    await sync()
    for (let i = 0; i < 15; i++) memoryStore('a').remove(`key ${i}`)
    const held = await sync()
    expect(held.state).toBe('held')
    const approved = await sync({
      ...{ mode: 'approve', base: held.run },
      async atFence(lane) {
        if (lane === 'deletes') await holds()
      },
    })
    expect(approved.state).toBe('complete')
    const told = (await rowsOf()).filter(({ run }) => run !== null && run >= held.run)
    expect(told.map(brief)).toEqual([
      ...['run-begun 2 by me@here', 'deletes-held 2 by rule: delete limit'],
      ...['run-ended 2 by tidemark', 'run-begun 3 by me@here', 'run-ended 3 by tidemark'],
      'deletes-approved 2 by me@here',
    ])
    await holds()
  })

  test('a plan that was refused is told as superseded, and why', async () => {
    await begin()
    put('a', 'k', 'one')
    const plan = await sync({ mode: 'plan' })
    await sync()
    const before = (await rowsOf()).length
    expect((await sync({ mode: 'apply', base: plan.run })).state).toBe('failed')
    const told = await rowsOf(before)
    expect(told.map(brief)).toEqual([
      ...['run-begun 3 by me@here', 'plan-superseded 1 by me@here', 'run-ended 3 by tidemark'],
    ])
    expect(JSON.parse(told[2]?.detail ?? '')).toMatchObject({ problem: 'plan-superseded' })
    await holds()
  })

  test('what a person asks for is told, and the runs that it made', async () => {
    await begin()
    put('a', 'k', 'one')
    await sync()
    put('a', 'k', 'two')
    const second = await sync()
    const undone = await carryOut(engine, undo(second.run))
    expect(undone.state).toBe('complete')
    const told = (await rowsOf()).filter(({ what }) => what !== 'location-bound')
    expect(told.slice(4).map(brief)).toEqual([
      ...['request-made null by me@here', 'run-begun 3 by me@here', 'run-ended 3 by tidemark'],
      ...['run-begun 4 by me@here', 'run-ended 4 by tidemark', 'plan-applied 3 by me@here'],
    ])
    expect(JSON.parse(told[4]?.detail ?? '')).toMatchObject({ request: { kind: 'undo', run: 2 } })
    expect(String(memoryStore('b').get('k')?.bytes)).toBe('one')
    await holds()
  })

  test('a run that was cut off, and the one that finds it dead, are told', async () => {
    await begin()
    put('a', 'k', 'one')
    const stop = new AbortController()
    const cut = await sync({
      signal: stop.signal,
      cut: 'failed',
      atFence: async () => stop.abort(),
    })
    expect(cut.state).toBe('failed')
    await sync()
    expect(await holds()).toMatchObject({ runs: 2, lines: 1 })
  })

  test('a location that is another place, and a replica that leaves, are told', async () => {
    await begin()
    put('a', 'k', 'one')
    await sync()
    await engine.relocate('c', { type: 'memory', store: 'd', prefix: '' })
    const lost = await sync()
    await engine.rebind('c')
    await engine.configure({ destinations: ['b'] })
    await sync()
    const told = (await rowsOf()).filter(({ what }) => !/^run-|bound$/.test(what))
    expect(told.map(brief)).toEqual([
      ...[`replica-lost ${lost.run} by tidemark`, 'replica-forgotten null by ada@host'],
    ])
    expect((await rowsOf()).map(brief)).toContain('location-rebound null by ada@host')
    await holds()
  })

  test('it holds after a worker was killed at each of its steps', async () => {
    await begin({ rules: ruleOf({ name: 'largest' }) })
    for (let step = 0; step < 12; step++) {
      put('a', 'conflict', `a ${step}`)
      put('b', 'conflict', `b ${step} is longer`)
      put('c', `key ${step}`, `${step}`)
      let fences = 0
      await sync({ kills: () => fences++ === step })
      await holds()
    }
    expect((await rowsOf()).filter(({ what }) => what === 'conflict-resolved')).toHaveLength(12)
  })
})
