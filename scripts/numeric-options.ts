import { type ParseArgsOptionsConfig, parseArgs } from 'node:util'
import { reportError } from '../src/cli/failure.ts'
import { UserError } from '../src/errors.ts'

const numbers = /^\d+(?:[.,]\d+)*$/

/**
 * A script's options, as `parseArgs` gives them: numbers (several by commas) and switches. A wrong
 * one ends the process with 2, and says which ones there are.
 */
export function numericOptions<T extends ParseArgsOptionsConfig>(options: T) {
  const known = Object.entries(options).map(([name, { type }]) => {
    return type === 'boolean' ? `--${name}` : `--${name} N`
  })
  const wrong = (message: string) =>
    new UserError('usage-invalid', message, { next: `The options: ${known.join(', ')}` })
  try {
    const { values } = parseArgs({ options })
    for (const [name, value] of Object.entries(values)) {
      if (typeof value === 'string' && !numbers.test(value)) {
        throw wrong(`--${name} takes a number, not "${value}"`)
      }
    }
    return values
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException
    const usage = code?.startsWith('ERR_PARSE_ARGS') ? wrong(message) : error
    const { signal } = new AbortController()
    process.exit(reportError(usage, { json: false, signal }))
  }
}
