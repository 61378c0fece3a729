import { type ParseArgsOptionsConfig, parseArgs } from 'node:util'
import { reportError } from '../src/cli/failure.ts'
import { UserError } from '../src/errors.ts'

/** A script's options, as `parseArgs` gives them. Throws `usage-invalid` with `usage` as what to do
 *  next. */
export function parseOptions<T extends ParseArgsOptionsConfig>(
  args: string[],
  options: T,
  usage: string,
) {
  try {
    return parseArgs({ args, options }).values
  } catch (error) {
    if (!String((error as NodeJS.ErrnoException).code).startsWith('ERR_PARSE_ARGS')) throw error
    throw new UserError('usage-invalid', (error as Error).message, { next: usage })
  }
}

const numbers = /^\d+(?:[.,]\d+)*$/

/**
 * The options of this process, which are numbers (several by commas) and switches. A wrong one ends
 * it with 2, and says which ones there are.
 */
export function numericOptions<T extends ParseArgsOptionsConfig>(options: T) {
  const known = Object.entries(options).map(([name, { type }]) => {
    return type === 'boolean' ? `--${name}` : `--${name} N`
  })
  const usage = `The options: ${known.join(', ')}`
  try {
    const values = parseOptions(process.argv.slice(2), options, usage)
    for (const [name, value] of Object.entries(values)) {
      if (typeof value !== 'string' || numbers.test(value)) continue
      const message = `--${name} takes a number, not "${value}"`
      throw new UserError('usage-invalid', message, { next: usage })
    }
    return values
  } catch (error) {
    const { signal } = new AbortController()
    process.exit(reportError(error, { json: false, signal }))
  }
}
