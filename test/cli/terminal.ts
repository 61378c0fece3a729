/** The command line on a terminal: util-linux's `script` gives it one. */
import { spawn, spawnSync } from 'node:child_process'
import { onTestFinished } from 'vitest'
import { packageRoot } from '../../src/package-root.ts'
import { bin } from './process.ts'

/** null: it can; else why not. */
export function whyNoTerminal(): string | null {
  const { status } = spawnSync('script', ['-qec', 'true', '/dev/null'], { stdio: 'ignore' })
  return status === 0 ? null : 'needs util-linux’s script, which gives a process a terminal'
}

/** Types `keys` once the terminal shows `question`. Gives all that it showed, and the exit code. */
export async function onTerminal(
  args: string[],
  question: string,
  keys: string,
): Promise<{ shown: string; code: number | null }> {
  const words = [process.execPath, bin, ...args].map((word) => `'${word.replaceAll("'", `'\\''`)}'`)
  const child = spawn('script', ['-qec', words.join(' '), '/dev/null'], {
    cwd: packageRoot,
    env: { ...process.env, NO_COLOR: '1', TERM: 'dumb' },
    stdio: ['pipe', 'pipe', 'inherit'],
  })
  onTestFinished(() => void child.kill('SIGKILL'))
  let shown = ''
  let typed = false
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    shown += text
    if (typed || !shown.includes(question)) return
    typed = true
    child.stdin.write(keys)
  })
  const code = await new Promise<number | null>((resolve, reject) => {
    child.once('error', reject)
    child.once('close', resolve)
  })
  return { shown, code }
}
