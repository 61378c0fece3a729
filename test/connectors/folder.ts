/** A folder of one test, and what others do in it. */
import * as fs from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import type { Connector } from '../../connectors/connector.ts'
import { create } from '../../connectors/file.ts'
import { suiteContext } from '../conformance/world.ts'

export interface Folder {
  /** What surrounds the root, and goes with it. */
  home: string
  root: string
  connector: Connector
  at(key: string): string
  /** Writes in place, as most programs do. */
  foreign(key: string, content: string | Buffer): void
  close(): void
}

export function openFolder(path: string, pageKeys = 4): Promise<Connector> {
  return create({ type: 'file', path }, { ...suiteContext('folder'), pageKeys })
}

export async function newFolder(): Promise<Folder> {
  const home = fs.mkdtempSync(join(tmpdir(), 'tidemark-folder-'))
  const root = join(home, 'root')
  fs.mkdirSync(root)
  const at = (key: string) => join(root, key)
  return {
    home,
    root,
    connector: await openFolder(root),
    at,
    foreign(key, content) {
      fs.mkdirSync(dirname(at(key)), { recursive: true })
      fs.writeFileSync(at(key), content)
    },
    close: () => fs.rmSync(home, { recursive: true, force: true }),
  }
}
