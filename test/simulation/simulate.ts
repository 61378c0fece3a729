/** One process: seeds one after the other. */
import { registerHooks } from 'node:module'
import { install, stopwatch } from './machine.ts'

registerHooks({
  resolve(specifier, context, next) {
    if (specifier !== '@temporalio/workflow') return next(specifier, context)
    return { url: new URL('./temporal.ts', import.meta.url).href, shortCircuit: true }
  },
})
install()

const { createMachine } = await import('./machine.ts')
const machine = createMachine(0, { stray: 0 })
const { openShared } = await import('./catalog.ts')
const { playScenario } = await import('./play.ts')
const { scenarioOf } = await import('./scenario.ts')
const { syncDataset } = await import('../../workflows/sync-dataset.ts')

const [from = 1, many = 1, verbose] = process.argv.slice(2).map(Number)
const now = () => machine.now()
void now
const shared = await machine.drive(openShared(() => Date.now()))
const cpu = process.cpuUsage()
const began = stopwatch()
let runs = 0
let failures = 0
const counted = new Map<string, number>()
for (let seed = from; seed < from + many; seed++) {
  const tell: string[] = []
  ;(globalThis as never as { __t: string[] }).__t = tell
  const played = await playScenario(
    scenarioOf(seed),
    shared,
    syncDataset,
    verbose ? tell : undefined,
  )
  runs += played.runs
  for (const [k, v] of played.counted) counted.set(k, (counted.get(k) ?? 0) + v)
  if (verbose) console.log(tell.filter((l) => l.length < 400).join('\n'))
  if (played.broken) {
    failures++
    console.log(`seed ${seed}: ${played.broken.words.slice(0, 600)}`)
  }
}
const used = process.cpuUsage(cpu)
const ms = (used.user + used.system) / 1000
console.log(
  `${many} seeds, ${failures} failed, ${runs} runs, ${(ms / many).toFixed(1)} CPU ms a seed, ${((stopwatch() - began) / many).toFixed(1)} ms`,
)
console.log(Object.fromEntries([...counted].sort()))
process.exit(0)
