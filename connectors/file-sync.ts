/** fsync of folders: many names that appear at once in one folder share one. */
import { closeSync, fsync, openSync } from 'node:fs'
import { promisify } from 'node:util'
import { errnoOf } from './file-place.ts'

const sync = promisify(fsync)

interface Round {
  running: Promise<void>
  next: Promise<void> | undefined
}

const rounds = new Map<string, Round>()

/** Everything that was named in the folder before this call is durable when it ends: a round that
 *  is already running may have begun too early, so the call waits for the one behind it. */
export function syncFolder(path: string): Promise<void> {
  const round = rounds.get(path)
  if (!round) return begin(path)
  round.next ??= round.running.then(
    () => begin(path),
    () => begin(path),
  )
  return round.next
}

function begin(path: string): Promise<void> {
  const running = syncNow(path).finally(() => {
    if (rounds.get(path)?.next === undefined) rounds.delete(path)
  })
  rounds.set(path, { running, next: undefined })
  return running
}

async function syncNow(path: string): Promise<void> {
  let fd: number
  try {
    fd = openSync(path, 'r')
  } catch (error) {
    // Removed meanwhile, and with it every name that this was about.
    if (errnoOf(error) === 'ENOENT') return
    throw error
  }
  try {
    await sync(fd)
  } catch (error) {
    // A file system that has no such thing says so; there is no other way to ask for it.
    if (!['EINVAL', 'ENOTSUP', 'EOPNOTSUPP', 'ENOSYS'].includes(errnoOf(error) ?? '')) throw error
  } finally {
    closeSync(fd)
  }
}
