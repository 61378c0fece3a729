import { mkdir, mkdtemp, readdir, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { create } from '../../connectors/file.ts'
import { conformance, suiteContext, type World } from './suite.ts'

function open(path: string) {
  return create({ type: 'file', path }, suiteContext('folder'))
}

async function make(): Promise<World> {
  const home = await mkdtemp(join(tmpdir(), 'tidemark-file-'))
  const root = join(home, 'root')
  await mkdir(root)
  await mkdir(join(home, 'other'))
  return {
    connector: await open(root),
    other: await open(join(home, 'other')),
    // In place, as most programs write: the reader of the old content sees the new.
    async putForeign(key, bytes) {
      await mkdir(dirname(join(root, key)), { recursive: true })
      await writeFile(join(root, key), bytes)
    },
    removeForeign: (key) => rm(join(root, key)),
    missingRoot: () => open(join(home, 'missing')),
    leftovers: () => readdir(join(root, '.tidemark', 'tmp')).catch(() => []),
    close: () => rm(home, { recursive: true }),
  }
}

conformance({ name: 'file', make })
