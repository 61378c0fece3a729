/**
 * `node writer-process.ts URL RUN KEYS`: another process that settles new keys, one transaction of
 * ten at a time, and says which were committed. With `hold` for KEYS it takes SQLite's write lock
 * instead, says so, and keeps it until its standard input ends.
 */
import { writeSync } from 'node:fs'
import { DatabaseSync } from 'node:sqlite'
import { openCatalog } from '../../src/catalog/open.ts'
import { recordOf, rowOf } from './stored.ts'

const [url = '', run = '', keys = ''] = process.argv.slice(2)
// Synchronous: what was said is out even when the process is killed right behind it.
const say = (line: string) => writeSync(1, `${line}\n`)

if (keys === 'hold') await hold(url.replace(/^sqlite:/, ''))
else await write(Number(run), Number(keys))

async function hold(file: string): Promise<void> {
  const database = new DatabaseSync(file)
  database.exec('begin immediate')
  say('held')
  for await (const _ of process.stdin);
  database.exec('rollback')
  database.close()
}

async function write(of: number, count: number): Promise<void> {
  const catalog = await openCatalog(url)
  for (let at = 0; at < count; at += 10) {
    const page = Array.from({ length: 10 }, (_, i) => `run ${of} key ${at + i}`)
    const settled = await catalog.settle(
      'photos',
      page.map((key, i) => ({
        record: recordOf(of, at + i, key, { state: 'done' }),
        row: rowOf(key),
        expectRev: 0,
        version: null,
      })),
    )
    if (settled?.includes(false)) throw new Error('a key was there already')
    say(String(at + 10))
  }
  await catalog.close()
}
