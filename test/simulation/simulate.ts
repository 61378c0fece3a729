/**
 * `npm run simulate -- --seeds N | --minutes M | --seed S [--from S] [--workers W] [--failures F]`:
 * seeds from `--from` (1) on, in child processes, until F (5) have failed; `--seed` plays one, and
 * tells it. Exit 1 where any fails.
 * `--mutants`: how many seeds it takes to find each bug that is put in; exit 1 where one isn't.
 */
import { fork } from 'node:child_process'
import { numericOptions } from '../../scripts/options.ts'
import type { Batch, Failure, Report } from './seeds.ts'

export type { Report }

export interface Wanted {
  from: number
  seeds: number
  minutes: number
  workers: number
  /** So many are shrunk and told; what fails more often than that is broken altogether. */
  failuresMax?: number
  onFailure?(failure: Failure): void
  onProgress?(sum: Report): void
}

const batchSeeds = 25

/** Until the seeds, or the minutes, are over; or too many have failed. */
export async function simulate(wanted: Wanted): Promise<Report> {
  const none = { seeds: 0, runs: 0, steps: 0, cpuMs: 0 }
  const sum: Report = { ...none, counted: [], digests: [], failures: [] }
  const counted = new Map<string, number>()
  const { failuresMax = 5 } = wanted
  const until = performance.now() + wanted.minutes * 60_000
  let next = wanted.from
  const end = wanted.from + wanted.seeds
  const take = (): Batch | null => {
    const over = next >= end || performance.now() > until || sum.failures.length >= failuresMax
    if (over) return null
    const batch = { from: next, many: Math.min(batchSeeds, end - next) }
    next += batch.many
    return batch
  }
  const add = (report: Report) => {
    for (const name of ['seeds', 'runs', 'steps', 'cpuMs'] as const) sum[name] += report[name]
    for (const [kind, times] of report.counted) counted.set(kind, (counted.get(kind) ?? 0) + times)
    sum.failures.push(...report.failures)
    for (const failure of report.failures) wanted.onFailure?.(failure)
    sum.counted = [...counted].sort(([a], [b]) => (a < b ? -1 : 1))
    wanted.onProgress?.(sum)
  }
  await Promise.all(Array.from({ length: wanted.workers }, () => child(take, add)))
  return sum
}

/** A process that plays batch after batch. */
function child(take: () => Batch | null, add: (report: Report) => void): Promise<void> {
  const forked = fork(new URL('./seeds.ts', import.meta.url), { stdio: 'inherit' })
  let playing = 'its start'
  return new Promise((done, fail) => {
    forked.on('message', (message: 'ready' | Report) => {
      if (message !== 'ready') add(message)
      const batch = take()
      playing = `seeds from ${batch?.from}`
      if (batch) forked.send(batch)
      else forked.disconnect()
    })
    forked.on('error', fail)
    forked.on('exit', (code, signal) => {
      if (code === 0) done()
      else fail(new Error(`a simulating process ended with ${code ?? signal}, at ${playing}`))
    })
  })
}

export function storyOf({ seed, words, shrunk, story }: Failure): string {
  const { dataset, kinds, rounds, keys, ...rest } = shrunk
  const world = { ...rest, ...dataset }
  return [
    `seed ${seed}: ${words}`,
    `replicas: ${kinds.map((kind, i) => `${String.fromCharCode(97 + i)} (${kind})`).join(', ')}`,
    ...Object.entries(world).map(([name, value]) => `${name}: ${JSON.stringify(value)}`),
    ...story.map((line) => `  ${line}`),
    `again: npm run simulate -- --seed ${seed}`,
  ].join('\n')
}

function tellSum({ seeds, runs, steps, cpuMs, counted, failures }: Report, seconds: number): void {
  for (const [kind, times] of counted) console.log(`${times.toString().padStart(9)}  ${kind}`)
  console.log(`${seeds} seeds, ${runs} runs, ${steps} steps in ${seconds.toFixed(0)} s`)
  const [speed, cost] = [seeds / seconds, cpuMs / seeds]
  console.log(`${speed.toFixed(1)} seeds/s, ${cost.toFixed(1)} CPU ms a seed`)
  console.log(`${failures.length} failed`)
}

if (import.meta.main) {
  const values = numericOptions({
    seed: { type: 'string' },
    seeds: { type: 'string' },
    minutes: { type: 'string' },
    from: { type: 'string', default: '1' },
    workers: { type: 'string', default: '2' },
    failures: { type: 'string', default: '5' },
    mutants: { type: 'boolean', default: false },
  })
  if (values.mutants) {
    const { tellMutants } = await import('./mutant-hunt.ts')
    process.exit((await tellMutants(Number(values.workers), console.log)) ? 0 : 1)
  }
  const began = performance.now()
  let toldAt = began
  const sum = await simulate({
    from: Number(values.seed ?? values.from),
    seeds: values.seed ? 1 : Number(values.seeds ?? (values.minutes ? 1e12 : 1_000)),
    minutes: Number(values.minutes ?? 1e6),
    workers: values.seed ? 1 : Number(values.workers),
    failuresMax: Number(values.failures),
    onFailure: (failure) => console.log(`\n${storyOf(failure)}\n`),
    onProgress({ seeds, failures }) {
      const now = performance.now()
      if (now - toldAt < 60_000) return
      toldAt = now
      const minutes = ((now - began) / 60_000).toFixed(0)
      console.error(`${minutes} min: ${seeds} seeds, ${failures.length} failed`)
    },
  })
  tellSum(sum, (performance.now() - began) / 1000)
  process.exitCode = sum.failures.length > 0 ? 1 : 0
}
