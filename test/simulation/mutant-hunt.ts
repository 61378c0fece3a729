/** Looks for the seeds that find the bugs which are put into the product, one at a time. */
import { execFile } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { eachLimited } from '../../src/sync/each-limited.ts'
import { workerEnvironment } from '../../src/temporal/worker-process.ts'
import { type Mutant, mutants } from './mutants.ts'

export interface Found {
  seed: number
  /** The promise that was broken, and how. */
  words: string
}

/** Not found by so many: it survives. */
export const seedsMax = 2_000

const run = promisify(execFile)

/** The first of these seeds that fails; null: none does. `mutant` null: the product as it is. */
export async function hunt(mutant: Mutant | null, from: number, to: number): Promise<Found | null> {
  const breaking = mutant === null ? [] : ['--import', new URL('mutate.ts', import.meta.url).href]
  const hunting = fileURLToPath(new URL('hunt.ts', import.meta.url))
  const { stdout } = await run(process.execPath, [...breaking, hunting, `${from}`, `${to}`], {
    // Compiled once: all of them load the same, but for a file or two.
    env: { ...workerEnvironment(), TIDEMARK_MUTANT: mutant?.name },
  })
  return JSON.parse(stdout) as Found | null
}

/** By the seed that found it before, where it still does; else from the first on. */
export async function huntAgain(mutant: Mutant): Promise<Found | null> {
  const { seed } = mutant
  return (await hunt(mutant, seed, seed)) ?? (await hunt(mutant, 1, seedsMax))
}

/** Prints the table of `docs/proof.md`, in Markdown. false: one of them was not found, or by a seed
 *  that fails without it, too. */
export async function tellMutants(
  workers: number,
  print: (line: string) => void,
): Promise<boolean> {
  const found = new Map<Mutant, Found | null>()
  await eachLimited(mutants, workers, async (mutant) => {
    found.set(mutant, await hunt(mutant, 1, seedsMax))
  })
  print('| bug | breaks | first seed | what the oracle says |\n| --- | --- | ---: | --- |')
  let good = true
  for (const mutant of mutants) {
    const { name, breaks } = mutant
    const one = found.get(mutant) ?? null
    const wrong = one && (await hunt(null, one.seed, one.seed))
    good &&= one !== null && wrong === null
    const says = wrong ? `fails without it, too: ${wrong.words}` : (one?.words ?? 'nothing')
    print(`| ${name} | ${breaks} | ${one?.seed ?? '–'} | ${firstLine(says)} |`)
  }
  return good
}

function firstLine(words: string): string {
  const [line = ''] = words.split('\n')
  return line.slice(0, 160).replaceAll('|', '\\|')
}
