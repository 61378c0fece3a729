/** Where this package lies, and its version: the same from a checkout and from `dist`. */
import { existsSync, readFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'

function findRoot(): string {
  let folder = dirname(fileURLToPath(import.meta.url))
  while (!existsSync(join(folder, 'package.json'))) {
    const parent = dirname(folder)
    if (parent === folder) throw new Error('no package.json above Tidemark’s own sources')
    folder = parent
  }
  return folder
}

/** Absolute path of the folder that holds package.json. */
export const packageRoot: string = findRoot()

/** The `version` of package.json. */
export const packageVersion: string = (
  JSON.parse(readFileSync(join(packageRoot, 'package.json'), 'utf8')) as { version: string }
).version
