/** One catalog for all seeds of a process: emptied between them, its statements stay prepared. */
import { existsSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import type { Catalog } from '../../src/catalog/catalog.ts'
import { openCatalog } from '../../src/catalog/open.ts'
import { type Machine, nobody, owners } from './machine.ts'

export interface Shared {
  catalog: Catalog
  /** As on its first day. */
  empty(id: string): void
  /** Which versions of buckets are said to be content of these digests. */
  noted(sha256: string, md5: string): { vault: string; key: string; version: string }[]
  /** All of its rows, as text. */
  dump(): string
  close(): Promise<void>
}

export async function openShared(clock: () => number): Promise<Shared> {
  const memory = '/dev/shm'
  const folder = mkdtempSync(join(existsSync(memory) ? memory : tmpdir(), 'tidemark-simulated-'))
  // However this process ends, but for a kill: what lies there is memory.
  process.once('exit', () => rmSync(folder, { recursive: true, force: true }))
  const path = join(folder, 'catalog.db')
  const catalog = await openCatalog(`sqlite:${path}`, clock)
  // The one dataset of all stories: its number is remembered by who has the catalog open.
  await catalog.noteReplicas('data', ['a'])
  const database = new DatabaseSync(path)
  database.exec('pragma synchronous = off')
  const tables = database
    .prepare("select name from sqlite_master where type = 'table' order by name")
    .all()
    .map(({ name }) => String(name))
    .filter((name) => !name.startsWith('sqlite_'))
  const fixed = ['catalog_version', 'counters', 'datasets']
  const wiped = tables.filter((name) => !fixed.includes(name))
  const counters = database.prepare('select name, value from counters').all()
  const clear = wiped.map((name) => database.prepare(`delete from ${name}`))
  const reset = database.prepare('update counters set value = ? where name = ?')
  const name = database.prepare('update catalog_version set id = ?')
  const noted = database.prepare(
    `select vault, place from vault_objects
     where vault like 'native:%' and state = 'kept' and (name like '%/' || ? or md5 = ?)`,
  )
  const live = database.prepare('update datasets set live = 0')
  return {
    catalog,
    empty(id) {
      database.exec('begin immediate')
      for (const one of clear) one.run()
      for (const { name, value } of counters) reset.run(value ?? 0, name ?? '')
      live.run()
      name.run(id)
      database.exec('commit')
    },
    noted(sha256, md5) {
      return noted
        .all(sha256, md5)
        .map(({ vault, place }) => ({ vault: String(vault), ...JSON.parse(String(place)) }))
    },
    dump() {
      const rowsOf = (name: string) => database.prepare(`select * from ${name}`).all()
      // Without an order of their own some lie as what was there before has left room.
      const texts = (name: string) => rowsOf(name).map((row) => JSON.stringify(row))
      return tables.map((name) => [name, ...texts(name).sort()].join('\n')).join('\n')
    },
    async close() {
      database.close()
      await catalog.close()
      rmSync(folder, { recursive: true, force: true })
    },
  }
}

/** Each call is a point: before it, and behind it where it wrote. Workers may be killed there. */
export function atPoints(catalog: Catalog, machine: Machine, trouble: () => void): Catalog {
  const known = new Map<string, unknown>()
  return new Proxy(catalog, {
    get(target, name: string) {
      const found = known.get(name)
      if (found) return found
      const method = target[name as keyof Catalog] as (...given: unknown[]) => Promise<unknown>
      const call = async (...given: unknown[]) => {
        await machine.point(`catalog ${name}`, 0)
        if (owners.getStore()) trouble()
        // What the engine of the catalog does is nobody's who may be killed: it is shared.
        const answer = await owners.run(nobody, () => method(...given))
        if (writes.test(name)) await machine.point(`catalog ${name} done`)
        return answer
      }
      known.set(name, call)
      return call
    },
  })
}

const verbs =
  'put|set|drop|note|create|add|end|update|lose|claim|commit|settle|copy|change|keep|wrote'
const writes = new RegExp(`^(${verbs})`)
