/** Who asks, as the catalog and the audit have it. */
import { hostname, userInfo } from 'node:os'

/** `user@host`; of a user without a name, as in a container, its number. */
export function person(): string {
  return `${userName()}@${hostname()}`
}

function userName(): string {
  try {
    return userInfo().username
  } catch (error) {
    // https://nodejs.org/api/os.html#osuserinfooptions: thrown where the user has no name.
    const nameless = error instanceof Error && 'code' in error && error.code === 'ERR_SYSTEM_ERROR'
    if (!nameless) throw error
    return `uid ${process.getuid?.() ?? '?'}`
  }
}
