import { EXIT } from '../../errors.ts'
import type { CommandContext } from '../command.ts'
import { type DatasetStatus, statusOf } from '../dataset-status.ts'
import { bytes, count, duration, type Output, printable, time } from '../output.ts'
import { stateColour } from '../run-report.ts'
import { glance } from '../serve.ts'
import { datasetNamed, openSession } from '../session.ts'

/** Where each dataset stands. Needs no server: what runs now is told where one is up. */
export async function run(context: CommandContext, names: string[]): Promise<number> {
  const { output } = context
  const session = await openSession(context)
  try {
    const { config, catalog } = session
    const datasets =
      names.length > 0 ? names.map((name) => datasetNamed(config, name)) : config.datasets
    const { temporal, server, without } = await glance(context, session)
    try {
      const states: DatasetStatus[] = []
      for (const dataset of datasets) {
        states.push(await statusOf(catalog, dataset, config.digest, temporal))
      }
      const ui = server?.ui ?? null
      output.result({ server: temporal ? { ui } : null, without, datasets: states })
      for (const state of states) print(state, temporal !== null, output)
      if (server) output.line(`server up: ${server.ui}`)
      else if (!temporal) output.line(`from the catalog alone: ${without}`)
      return EXIT.ok
    } finally {
      await temporal?.close()
    }
  } finally {
    await session.close()
  }
}

function print(status: DatasetStatus, served: boolean, output: Output): void {
  const { dataset, enabled, direction, live, replicas, openConflicts, held, plans } = status
  const { paint, line } = output
  line(`${paint('bold', dataset)}  ${direction}${enabled ? '' : ', not enabled'}`)
  for (const text of [runningLine(status), lastLine(status, output)]) if (text) line(`  ${text}`)
  line(`  ${count(live, 'key')} alive`)
  for (const { replica, state, problem } of replicas) {
    const colour = state === 'ok' ? 'green' : state === 'unknown' ? 'red' : 'dim'
    const why = problem ? `: ${printable(problem.message)} [${problem.code}]` : ''
    line(`  ${replica}: ${paint(colour, state)}${why}`)
  }
  if (openConflicts > 0) line(`  ${paint('yellow', count(openConflicts, 'open conflict'))}`)
  for (const { run, deletes } of held) {
    const words = `run ${run} holds ${count(deletes, 'delete')}`
    line(`  ${paint('yellow', words)}: tidemark show ${run}, then tidemark approve ${run}`)
  }
  if (plans[0] !== undefined) line(`  plan ${plans[0]} waits: tidemark apply ${plans[0]}`)
  if (status.nextTime) {
    const at = time(Date.parse(status.nextTime))
    line(`  next: ${at}${served ? '' : ', if a server is up then: tidemark up'}`)
  }
}

function runningLine({ running, interrupted, dataset }: DatasetStatus): string | null {
  if (interrupted) {
    return `run ${interrupted.run} was interrupted; take it up: tidemark sync ${dataset}`
  }
  if (!running) return null
  const { run, progress } = running
  if (!run) return 'a run is just beginning'
  const { counts, startedAt, mode } = run
  const phase = progress ? progress.phase : 'its worker says nothing'
  const ranges = progress ? `, ${progress.rangesDone} of ${progress.rangesKnown} ranges` : ''
  const how = progress?.paused ? `paused (tidemark resume ${dataset})` : phase
  const done = `${count(counts.scanned, 'key')} scanned, ${counts.puts} written`
  const since = duration(Date.now() - startedAt)
  return `runs now: ${mode} ${run.run}, ${how}${ranges}, ${done} (${bytes(counts.bytes)}), ${since}`
}

function lastLine({ last }: DatasetStatus, { paint }: Output): string {
  if (!last) return 'never run'
  const { run, mode, state, startedAt, endedAt } = last
  const took = endedAt === null ? '' : `, took ${duration(endedAt - startedAt)}`
  const words = paint(stateColour(state), state)
  return `last: ${mode} ${run}, ${words}, ${time(endedAt ?? startedAt)}${took}`
}
