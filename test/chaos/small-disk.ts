/** A disk that can be full: a small tmpfs, where this user may mount one. */
import { spawnSync } from 'node:child_process'
import { mkdtempSync, rmSync, statfsSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

export interface SmallDisk {
  path: string
  /** Fills it up to so many bytes. */
  leave(bytes: number): void
  /** There is room again. */
  free(): void
  remove(): void
}

/** A string: why there is none here. */
export function mountSmallDisk(bytes: number): SmallDisk | string {
  const path = mkdtempSync(join(tmpdir(), 'tidemark-small-'))
  const args = ['-t', 'tmpfs', '-o', `size=${bytes},mode=777`, 'tidemark-small', path]
  const { error, status, stderr } = spawnSync('mount', args, { encoding: 'utf8' })
  if (error || status !== 0) {
    rmSync(path, { recursive: true })
    return `no tmpfs can be mounted here: ${error?.message ?? stderr.trim()}`
  }
  const ballast = join(path, '.ballast')
  return {
    path,
    leave(left) {
      const { bavail, bsize } = statfsSync(path)
      try {
        writeFileSync(ballast, Buffer.alloc(Math.max(0, bavail * bsize - left)))
      } catch (error) {
        // Somebody else writes there, too: then it is as full as it gets.
        if ((error as NodeJS.ErrnoException).code !== 'ENOSPC') throw error
      }
    },
    free: () => rmSync(ballast, { force: true }),
    remove() {
      spawnSync('umount', ['-l', path])
      rmSync(path, { recursive: true, force: true })
    },
  }
}
