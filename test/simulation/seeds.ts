/** A child process: plays the seeds that it is given, and says what became of them. */
import { createSimulation } from './process.ts'
import type { Scenario } from './scenario.ts'
import { shrink } from './shrink.ts'

const { scenarioOf } = await import('./scenario.ts')
const simulation = await createSimulation()

export interface Batch {
  from: number
  many: number
  /** With a promise that can't be kept. */
  canary?: boolean
  /** Also of the catalog's rows at the end. */
  digest?: boolean
}

export interface Failure {
  seed: number
  promise: string
  words: string
  /** As it was, and as small as it gets. */
  scenario: Scenario
  shrunk: Scenario
  story: string[]
}

export interface Report {
  seeds: number
  runs: number
  steps: number
  cpuMs: number
  counted: [string, number][]
  /** Of each seed's trace. */
  digests: string[]
  failures: Failure[]
}

const nothing = { runs: 0, steps: 0, cpuMs: 0, counted: [] }

async function play({ from, many, canary = false, digest = false }: Batch): Promise<Report> {
  const counted = new Map<string, number>()
  const report: Report = { ...nothing, seeds: many, digests: [], failures: [] }
  const cpu = process.cpuUsage()
  for (let seed = from; seed < from + many; seed++) {
    const played = await simulation.play({ ...scenarioOf(seed), canary }, { digest })
    report.digests.push(played.digest)
    report.runs += played.runs
    report.steps += played.steps
    for (const [kind, times] of played.counted) counted.set(kind, (counted.get(kind) ?? 0) + times)
    if (played.broken) report.failures.push(await failureOf(played.scenario, played.broken.promise))
  }
  const { user, system } = process.cpuUsage(cpu)
  report.cpuMs = (user + system) / 1000
  report.counted = [...counted]
  return report
}

async function failureOf(scenario: Scenario, promise: string): Promise<Failure> {
  const { seed } = scenario
  const shrunk = await shrink(scenario, async (candidate) => {
    return (await simulation.play(candidate)).broken?.promise === promise
  })
  const story: string[] = []
  const { broken } = await simulation.play(shrunk, { tell: story })
  return { seed, promise, words: broken?.words ?? '', scenario, shrunk, story: story.slice(0, -1) }
}

process.on('message', (batch: Batch) => {
  void play(batch).then((report) => process.send?.(report))
})
process.on('disconnect', () => process.exit(0))
process.send?.('ready')
