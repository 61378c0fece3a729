/**
 * `npm test`: servers → types → lint → vitest. All of them run, whatever failed before; the last
 * line counts vitest's tests, and each of the other steps as one.
 */
import { spawn } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { delimiter, join } from 'node:path'
import { packageRoot } from '../src/package-root.ts'
import type { Summary } from '../test/summary-reporter.ts'

const bin = join(packageRoot, 'node_modules', '.bin')

async function run(
  title: string,
  command: string,
  args: string[],
  extra: NodeJS.ProcessEnv = {},
): Promise<boolean> {
  console.log(`\n── ${title}`)
  const started = performance.now()
  const child = spawn(command, args, {
    cwd: packageRoot,
    stdio: 'inherit',
    // Node 24 first: the tools' own scripts ask for whatever `node` there is.
    env: { ...process.env, ...extra, PATH: `${bin}${delimiter}${process.env.PATH ?? ''}` },
  })
  const ok = await new Promise<boolean>((resolve) => {
    child.once('error', (error) => {
      console.error(error.message)
      resolve(false)
    })
    child.once('exit', (code) => resolve(code === 0))
  })
  const seconds = ((performance.now() - started) / 1000).toFixed(1)
  console.log(`── ${title}: ${ok ? 'passed' : 'FAILED'} (${seconds} s)`)
  return ok
}

async function runVitest(args: string[]): Promise<Summary> {
  const folder = mkdtempSync(join(tmpdir(), 'tidemark-summary-'))
  const file = join(folder, 'summary.json')
  try {
    const ok = await run(
      'tests',
      join(bin, 'vitest'),
      ['run', '--reporter=default', '--reporter=./test/summary-reporter.ts', ...args],
      { TIDEMARK_TEST_SUMMARY: file },
    )
    const summary = JSON.parse(readFileSync(file, 'utf8')) as Summary
    const counted = summary.failed + summary.broken.length
    if (!ok && counted === 0) summary.broken.push('vitest failed for no reason that it named')
    return summary
  } catch (error) {
    const reason = `vitest left no summary: ${(error as Error).message}`
    return { passed: 0, failed: 0, broken: [reason], skipped: [] }
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
}

const steps = [
  await run('servers', process.execPath, ['scripts/tools.ts']),
  await run('types', join(bin, 'tsc'), ['-p', 'tsconfig.json']),
  await run('format and lint', join(bin, 'biome'), ['check', '--error-on-warnings', '.']),
  await run('promises', join(bin, 'oxlint'), ['--type-aware', '--deny-warnings', '.']),
]
const summary = await runVitest(process.argv.slice(2))

const passed = summary.passed + steps.filter((ok) => ok).length
const failed = summary.failed + summary.broken.length + steps.filter((ok) => !ok).length
for (const problem of summary.broken) console.log(`\nbroken: ${problem}`)
if (summary.skipped.length > 0) console.log('\nskipped:')
for (const { name, reason } of summary.skipped) console.log(`  ${name}: ${reason}`)
console.log(`\n${passed} passed, ${failed} failed`)
process.exitCode = failed === 0 && summary.passed > 0 ? 0 : 1
