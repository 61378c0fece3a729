/**
 * `npm run quickstart [-- --source DIR] [--work DIR] [--once]`: one dataset in a folder, S3, GCS
 * and
 * Azure Blob Storage, kept the same by the product's own commands, and looked at by the stores' own
 * APIs. Stays up until Ctrl-C; `--once` ends instead, with 0 only where everything held.
 */
import { join, resolve } from 'node:path'
import { reportError } from '../src/cli/failure.ts'
import { listenForInterrupt, tellStopping } from '../src/cli/interrupt.ts'
import { endWithNpm } from '../src/cli/npm.ts'
import { duration } from '../src/cli/output.ts'
import { EXIT, UserError } from '../src/errors.ts'
import { packageRoot } from '../src/package-root.ts'
import { parseOptions } from './options.ts'
import { change } from './quickstart/changes.ts'
import { commandRuns, shown, type Up } from './quickstart/commands.ts'
import { judge } from './quickstart/judge.ts'
import { type Ending, type Options, prepare, type Stage } from './quickstart/stage.ts'
import { say, step, tellChange, verdict } from './quickstart/terminal.ts'
import { dataset, quoted } from './quickstart/work.ts'

/** Whether everything held. */
async function quickstart(options: Options, signal: AbortSignal, ending: Ending): Promise<boolean> {
  const begun = performance.now()
  const stage = await prepare(options, signal, ending)
  const { commands, places, work, files, copied } = stage
  step('The first sync: the folder to all three clouds')
  await shown(commands, ['sync'])
  step("Changes behind Tidemark's back, by the stores' own APIs")
  const changes = await change(places, join(work, 'core'), files, copied, tellChange)
  step('The second sync: two-way, among all four')
  await shown(commands, ['plan'])
  await shown(commands, ['sync'])
  const problems = await judge(stage, changes, signal)
  verdict(problems, duration(performance.now() - begun))
  // Else it ends with all its servers: links to them would lead nowhere.
  if (options.once || problems.length > 0) return problems.length === 0
  await tellWhere(stage)
  tellHowOn(work)
  await untilInterrupted(stage.up, signal)
  return true
}

async function tellWhere({ commands, up }: Stage): Promise<void> {
  interface Runs {
    runs: { run: number; mode: string; workflowId: string; temporalRunId: string }[]
  }
  const { runs } = await commands.ask<Runs>(['runs', dataset])
  say('The runs in Temporal, in its Web UI:')
  for (const { run, mode, workflowId, temporalRunId } of runs.reverse()) {
    const path = `${encodeURIComponent(workflowId)}/${temporalRunId}`
    say(`   ${run} ${mode.padEnd(4)}  ${up.ui}/namespaces/default/workflows/${path}`)
  }
}

function tellHowOn(work: string): void {
  const at = (name: string) => quoted(join(work, name))
  const tidemark = `npx tidemark --config ${at('tidemark.yaml')} --state ${at('.tidemark')}`
  say('')
  say(`To play on, in another terminal in ${packageRoot}:`)
  say(`   . ${at('env')}`)
  say(`   alias t=${quoted(tidemark)}`)
  say(`   echo hello > ${at('core/hello.txt')}`)
  say('   t plan;  t sync;  t show 5;  t status;  t verify --deep')
  say('')
  say('Everything is up until Ctrl-C, which ends it and removes the work folder.')
}

async function untilInterrupted(up: Up, signal: AbortSignal): Promise<void> {
  const interrupted = Promise.withResolvers<null>()
  signal.addEventListener('abort', () => interrupted.resolve(null), { once: true })
  if (signal.aborted) return
  const exit = await Promise.race([interrupted.promise, up.ended])
  if (exit === null) return
  throw new UserError('server-failing', 'tidemark up ended, which nobody asked for', {
    where: up.logFile,
    exit: EXIT.failed,
  })
}

function optionsOf(argv: string[]): Options {
  // Where the person is: npm runs its scripts in the package's folder.
  const from = process.env.INIT_CWD ?? process.cwd()
  const path = (given: string | undefined) => (given === undefined ? null : resolve(from, given))
  const { source, work, once } = parseOptions(
    argv,
    {
      source: { type: 'string' },
      work: { type: 'string' },
      once: { type: 'boolean', default: false },
    },
    'npm run quickstart -- [--source DIR] [--work DIR] [--once]',
  )
  return { source: path(source), work: path(work), once }
}

async function main(): Promise<number> {
  // The SDKs and the product would else ask a proxy for what is on this machine.
  process.env.NO_PROXY = [process.env.NO_PROXY, '127.0.0.1'].filter(Boolean).join(',')
  const { signal, stop } = listenForInterrupt(() => {
    // A command that runs has the same terminal, and says so itself.
    if (!commandRuns()) tellStopping()
  })
  endWithNpm(stop)
  const ending: Ending = { steps: [], work: null, keep: false }
  let code: number
  try {
    const held = await quickstart(optionsOf(process.argv.slice(2)), signal, ending)
    code = held ? EXIT.ok : EXIT.failed
  } catch (error) {
    code = reportError(error, { json: false, signal })
  }
  // What failed may be looked at: its logs are there.
  ending.keep ||= code === EXIT.failed
  for (const end of ending.steps.reverse()) await end()
  if (ending.keep && ending.work) say(`The work folder is left: ${ending.work}`)
  return code
}

process.exit(await main())
