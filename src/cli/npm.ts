/** An npm that started us, and what its end means. */
import { familyOf, isAlive, markOf, type ProcessMark } from '../temporal/processes.ts'

const lookEveryMs = 1_000
/** Between us and npm: its shell, and the older Node that handed over. */
const levelsMax = 4

/** Calls `end` when the npm that started us is gone: killed, it leaves its shell and us behind. */
export function endWithNpm(end: () => void): void {
  const npm = npmAbove()
  if (npm === null) return
  const timer = setInterval(() => {
    if (isAlive(npm)) return
    clearInterval(timer)
    end()
  }, lookEveryMs)
  timer.unref()
}

function npmAbove(): ProcessMark | null {
  let pid = process.ppid
  for (let level = 0; level < levelsMax && pid > 1; level++) {
    const family = familyOf(pid)
    if (family === null) return null
    if (family.title.startsWith('npm')) return markOf('npm', pid)
    pid = family.parent
  }
  return null
}
