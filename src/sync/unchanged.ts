/** The shortcut for what nearly every key is in nearly every run: nothing happened to it. */
import type { BaselineRow, Observation } from '../model.ts'
import { sameToken } from './content.ts'

/**
 * Whether every replica shows the very token that it held the head under. Then reconcile would
 * answer "nothing", without a note: it is spared the asking, and the garbage that asking makes.
 */
export function isUnchanged(
  row: BaselineRow | null,
  observations: readonly Observation[],
  replicas: readonly string[],
): boolean {
  if (row === null) return false
  for (let i = 0; i < replicas.length; i++) {
    const observation = observations[i]
    const hold = row.holds[replicas[i] as string]
    if (observation?.kind !== 'entry' || hold === undefined || hold.drift) return false
    if (hold.version.run !== row.head.run) return false
    if (!sameToken(hold.token, observation.entry.token)) return false
  }
  return true
}
