/** A child process: seeds `from` to `to`, up to the first that fails, told as a line of JSON. */
import { createSimulation } from './process.ts'

const { scenarioOf } = await import('./scenario.ts')
const simulation = await createSimulation()

const [from = 1, to = from] = process.argv.slice(2).map(Number)
let found: { seed: number; words: string } | null = null
for (let seed = from; seed <= to && !found; seed++) {
  const { broken } = await simulation.play(scenarioOf(seed))
  if (broken) found = { seed, words: broken.words }
}
console.log(JSON.stringify(found))
process.exit(0)
