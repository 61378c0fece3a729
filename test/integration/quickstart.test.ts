/** The quickstart as a newcomer runs it, on a small folder. */
import { type ChildProcess, spawn } from 'node:child_process'
import { createHash } from 'node:crypto'
import {
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { expect, onTestFinished, test } from 'vitest'
import { packageRoot } from '../../src/package-root.ts'

const files = 200

function temporary(): string {
  const folder = mkdtempSync(join(tmpdir(), 'tidemark-quickstart-run-'))
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }))
  return folder
}

/** Names and contents of every kind that a folder has, and a symlink. */
function makeSource(): string {
  const source = temporary()
  for (let i = 0; i < files - 4; i++) {
    const folder = join(source, `part-${i % 7}`, `deeper ${i % 3}`)
    mkdirSync(folder, { recursive: true })
    writeFileSync(join(folder, `file-${i}.txt`), `file ${i}\n`.repeat(i))
  }
  for (const name of ['a+b %41.txt', 'ünï 😀.txt', 'part-0.txt']) {
    writeFileSync(join(source, name), name)
  }
  writeFileSync(join(source, 'bytes.bin'), Buffer.from([0, 255, 10, 13, 128]))
  symlinkSync('bytes.bin', join(source, 'link'))
  return source
}

/** Everything about a folder that a write into it would change. */
function fingerprint(folder: string): string {
  const lines = readdirSync(folder, { recursive: true, encoding: 'utf8' }).map((name) => {
    const { mtimeMs, size, mode } = lstatSync(join(folder, name))
    return `${name} ${mtimeMs} ${size} ${mode}`
  })
  return createHash('sha256').update(lines.sort().join('\n')).digest('hex')
}

interface Started {
  child: ChildProcess
  /** All that it printed so far. */
  said(): string
  /** Folders and processes that are there by now. */
  left(): { folders: string[]; processes: string[] }
}

/** In a folder for temporary files of the test's own: by that, all that it makes is known. */
function start(args: string[]): Started {
  const temporaries = temporary()
  const child = spawn(process.execPath, ['scripts/quickstart.ts', ...args], {
    cwd: packageRoot,
    env: { ...process.env, NO_COLOR: '1', TMPDIR: temporaries },
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  onTestFinished(() => void child.kill('SIGKILL'))
  let text = ''
  for (const stream of [child.stdout, child.stderr]) {
    stream?.setEncoding('utf8').on('data', (more: string) => {
      text += more
    })
  }
  const left = () => ({
    // Which ports were taken is told to others of this user by a file that stays.
    folders: readdirSync(temporaries).filter((name) => /^tidemark-(?!ports-)/.test(name)),
    processes: processesWith(`TMPDIR=${temporaries}`),
  })
  return { child, left, said: () => text }
}

/** By their environment, which every child has from its parent. */
function processesWith(variable: string): string[] {
  return readdirSync('/proc').filter((pid) => {
    try {
      return /^\d+$/.test(pid) && readFileSync(`/proc/${pid}/environ`, 'utf8').includes(variable)
    } catch (error) {
      // It has just ended, or is another user's.
      if (['ENOENT', 'ESRCH', 'EACCES'].includes((error as { code: string }).code)) return false
      throw error
    }
  })
}

const nothing = { folders: [], processes: [] }

function ended(child: ChildProcess): Promise<number | null> {
  return new Promise((resolve) => child.once('close', resolve))
}

test('--once: five changes at four places reach all others; everything it started is gone', async () => {
  const source = makeSource()
  const before = fingerprint(source)
  const { child, left, said } = start(['--once', '--source', source])
  const code = await ended(child)
  const text = said()
  expect({ code, text }).toMatchObject({ code: 0, text: expect.stringContaining('All held') })
  expect(text).toContain(`copied  ${files} files`)
  expect(text).toContain('not copied: 1 × symlink')
  expect(text).toMatch(/run 1 of platform-config: complete/)
  expect(text).toMatch(/2 keys to delete/)
  expect(text).toMatch(/update\/update: aws \/ core, aws wins/)
  expect(text).toMatch(/run 3 of platform-config: complete/)
  // Six keys, each as expected at four replicas; four contents in the vault; and the whole.
  expect(text.match(/✓/g)).toHaveLength(6 * 4 + 4 + 1)
  expect(text).not.toContain('✗')
  expect(text).toMatch(/core 200, aws 200, gcp 200, azure 200 keys; 200 expected/)
  // What is said at the end is of a server that has ended by then.
  expect(text.slice(text.lastIndexOf('verify --deep'))).not.toContain('/workflows/')
  expect(fingerprint(source)).toBe(before)
  expect(left()).toEqual(nothing)
}, 240_000)

test('stays up with the run in Temporal’s UI until it is told to end, and then ends all', async () => {
  const { child, left, said } = start(['--source', makeSource()])
  const end = ended(child)
  while (!said().includes('Everything is up until Ctrl-C') && child.exitCode === null) {
    await sleep(100)
  }
  const [, ui, workflow, run] =
    /3 sync {2}(\S+)\/namespaces\/default\/workflows\/(\S+)\/(\S+)/.exec(said()) ?? []
  const api = `${ui}/api/v1/namespaces/default/workflows/${workflow}?execution.runId=${run}`
  const { workflowExecutionInfo } = (await (await fetch(api)).json()) as {
    workflowExecutionInfo?: { status: string }
  }
  expect(workflowExecutionInfo?.status).toBe('WORKFLOW_EXECUTION_STATUS_COMPLETED')
  const [, work = ''] = /^ *config {2}(\S+)\/tidemark\.yaml$/m.exec(said()) ?? []
  expect(readFileSync(join(work, 'tidemark.yaml'), 'utf8')).toMatch(
    /\$\{env:AWS_SECRET_ACCESS_KEY\}/,
  )
  // The clouds, Temporal, up, its worker and the quickstart: so that their absence means something.
  expect(left().processes.length).toBeGreaterThanOrEqual(7)
  child.kill('SIGTERM')
  expect(await end).toBe(0)
  expect(left()).toEqual(nothing)
}, 240_000)

test('ended in the middle of the first sync: exit 130, and nothing is left', async () => {
  const { child, left, said } = start(['--once'])
  const end = ended(child)
  while (!said().includes('run 1 of') && child.exitCode === null) await sleep(50)
  child.kill('SIGTERM')
  expect(await end).toBe(130)
  expect(left()).toEqual(nothing)
}, 240_000)
