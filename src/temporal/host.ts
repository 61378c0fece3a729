/** Which host this is. Folders are on one host only, so their work goes to `host/<id>`. */
import { randomBytes } from 'node:crypto'
import { linkSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'

/** The id in the state folder; made at its first use. 12 characters, a–f and 0–9. */
export function hostId(stateDir: string): string {
  mkdirSync(stateDir, { recursive: true })
  const file = join(stateDir, 'host-id')
  const draft = `${file}.${process.pid}`
  try {
    writeFileSync(draft, `${randomBytes(6).toString('hex')}\n`)
    // A link comes whole or not at all, and never over another process's id.
    linkSync(draft, file)
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error
  } finally {
    rmSync(draft, { force: true })
  }
  return readFileSync(file, 'utf8').trim()
}

/** The task queue that only this host serves. */
export function hostTaskQueue(id: string): string {
  return `host/${id}`
}
