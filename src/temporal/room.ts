/** Whether Temporal and the catalog have room to write in: without it they wait in silence. */
import { statfs } from 'node:fs/promises'
import { EXIT, UserError } from '../errors.ts'
import { MIB, stateBytesMin } from '../limits.ts'

/** UserError `state-full`. */
export async function checkRoom(stateDir: string): Promise<void> {
  const { bavail, bsize } = await statfs(stateDir)
  const left = bavail * bsize
  if (left >= stateBytesMin) return
  const words = `${(left / MIB).toFixed(1)} MiB`
  throw new UserError('state-full', `the state folder's disk is full: ${words} are left`, {
    where: stateDir,
    next: `Make room (${stateBytesMin / MIB} MiB at least), then try again: nothing is lost.`,
    exit: EXIT.failed,
  })
}
