/** `tidemark up` for a file of tests, and what they all say to it. */
import { type ChildProcess, spawn } from 'node:child_process'
import { mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { afterAll, beforeAll } from 'vitest'
import type { DatasetStatus } from '../../src/cli/dataset-status.ts'
import { bin, type Ended, run, type Started, start } from './process.ts'

/** A state folder with a config per dataset, two folders each. */
export interface Field {
  state: string
  /** Makes a dataset of that name, two-way unless said; gives its folders and its config. */
  dataset(name: string, given?: Record<string, unknown>): Dataset
  tidemark(dataset: Dataset, ...args: string[]): Promise<Ended>
  start(dataset: Dataset, ...args: string[]): Started
  /** What the command says in JSON. */
  json<T>(dataset: Dataset, ...args: string[]): Promise<T>
  status(dataset: Dataset): Promise<DatasetStatus>
  remove(): void
}

export interface Dataset {
  name: string
  config: string
  one: string
  two: string
}

export function createField(): Field {
  const folder = mkdtempSync(join(tmpdir(), 'tidemark-field-'))
  const state = join(folder, 'state')
  const given = (dataset: Dataset) => ['--config', dataset.config, '--state', state]
  const field: Field = {
    state,
    dataset(name, settings = {}) {
      const [one, two] = [join(folder, name, 'one'), join(folder, name, 'two')]
      for (const path of [one, two]) mkdirSync(path, { recursive: true })
      const config = join(folder, `${name}.yaml`)
      const made = { name, config, one, two }
      configure(made, settings)
      return made
    },
    tidemark: (dataset, ...args) => run([...given(dataset), ...args]),
    start: (dataset, ...args) => start([...given(dataset), ...args], { group: true }),
    async json<T>(dataset: Dataset, ...args: string[]) {
      const { stdout, stderr, code } = await run([...given(dataset), '--json', ...args])
      try {
        return JSON.parse(stdout) as T
      } catch (cause) {
        throw new Error(`tidemark ${args.join(' ')} ended with ${code}: ${stderr}`, { cause })
      }
    },
    async status(dataset) {
      return (await field.json<{ datasets: [DatasetStatus] }>(dataset, 'status')).datasets[0]
    },
    remove: () => rmSync(folder, { recursive: true, force: true }),
  }
  return field
}

/** A field for all tests of a file, with a server that is up for as long. */
export function servedField(): Field {
  const field = createField()
  let up: Up | undefined
  beforeAll(async () => {
    up = await startUp(field.state, field.dataset('none').config)
  })
  afterAll(async () => {
    await up?.stop()
    field.remove()
  })
  return field
}

/** JSON is YAML. The locations bear the dataset's name: a state folder knows them by it. */
export function configure(dataset: Dataset, settings: Record<string, unknown>): void {
  const { name, config, one, two } = dataset
  const [first, second] = [`${name}-one`, `${name}-two`]
  const text = {
    locations: { [first]: { type: 'file', path: one }, [second]: { type: 'file', path: two } },
    datasets: [{ name, source: first, destinations: [second], direction: 'two-way', ...settings }],
  }
  writeFileSync(config, JSON.stringify(text))
}

export interface Up {
  stop(): Promise<void>
}

/** Outlives single tests: whoever starts it stops it. */
export async function startUp(state: string, config: string): Promise<Up> {
  const child = spawn(process.execPath, [bin, '--config', config, '--state', state, 'up'], {
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  let said = ''
  for (const stream of [child.stdout, child.stderr]) {
    stream.setEncoding('utf8').on('data', (text: string) => {
      said += text
    })
  }
  while (!said.includes('up; Ctrl-C')) {
    if (child.exitCode !== null) throw new Error(`tidemark up ended: ${said}`)
    await sleep(50)
  }
  return { stop: () => stopped(child) }
}

async function stopped(child: ChildProcess): Promise<void> {
  const ended = new Promise((resolve) => child.once('exit', resolve))
  child.kill('SIGINT')
  await ended
}

/** Asks again and again; whoever waits in vain is ended by the test's time-out. */
export async function until(what: () => boolean | Promise<boolean>): Promise<void> {
  while (!(await what())) await sleep(100)
}

/** `.tidemark/` is the folder's own. */
export function filesIn(path: string): string[] {
  return readdirSync(path)
    .filter((name) => name !== '.tidemark')
    .sort()
}

export function fill(path: string, files: number, bytes: number): void {
  for (let i = 0; i < files; i++) {
    writeFileSync(join(path, `file-${String(i).padStart(3, '0')}`), Buffer.alloc(bytes, i + 1))
  }
}
