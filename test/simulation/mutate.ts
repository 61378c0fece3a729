/**
 * Breaks one place of the product as it is loaded: `node --import ./test/simulation/mutate.ts …`,
 * with the mutant's name in TIDEMARK_MUTANT. Nothing is written.
 */
import { readFileSync } from 'node:fs'
import { registerHooks } from 'node:module'
import { mutants } from './mutants.ts'
import { patched } from './patch.ts'

const name = process.env.TIDEMARK_MUTANT
const mutant = mutants.find((one) => one.name === name)
if (!mutant) throw new Error(`there is no mutant "${name}"`)

const root = new URL('../../', import.meta.url)
// Before anything is loaded: a patch that doesn't fit any more is told at once.
const sources = new Map<string, string>()
for (const [file, patches] of Map.groupBy(mutant.patches, (one) => one.file)) {
  const url = new URL(file, root)
  sources.set(url.href, patched(readFileSync(url, 'utf8'), patches))
}

registerHooks({
  load(url, context, next) {
    const source = sources.get(url)
    return source === undefined
      ? next(url, context)
      : { format: 'module-typescript', source, shortCircuit: true }
  },
})
