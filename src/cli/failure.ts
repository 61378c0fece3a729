/** How a command's failure is told, and what it exits with. Standard output holds results alone. */
import { EXIT, type StoreCode, StoreError, UserError } from '../errors.ts'
import { createPaint, printable, type Sink } from './output.ts'

interface Failure {
  code: string
  message: string
  where?: string | undefined
  next?: string | undefined
  /** Where there are several, as in a config: each of them. */
  problems?: Failure[]
  exit: number
  /** Of an error that nobody expected. */
  stack?: string | undefined
}

/** Prints to standard error; with `json` as one line `{"error": …}`. Gives the exit code. */
export function reportError(
  error: unknown,
  options: { json: boolean; signal: AbortSignal; stderr?: Sink },
): number {
  const stderr = options.stderr ?? process.stderr
  if (options.signal.aborted) {
    if (options.json)
      printJson(stderr, { code: 'interrupted', message: 'interrupted', exit: EXIT.interrupted })
    return EXIT.interrupted
  }
  const failure = failureOf(error)
  if (options.json) printJson(stderr, failure)
  else printText(stderr, failure)
  return failure.exit
}

function printJson(stderr: Sink, { exit, ...error }: Failure): void {
  stderr.write(`${JSON.stringify({ error: { ...error, exit } })}\n`)
}

function printText(stderr: Sink, failure: Failure): void {
  const paint = createPaint(stderr)
  if (failure.stack !== undefined) {
    stderr.write(`${paint('red', 'error')} [${failure.code}]: ${failure.stack}\n`)
    return
  }
  for (const { code, message, where, next } of failure.problems ?? [failure]) {
    stderr.write(`${paint('red', 'error')} [${code}]: ${printable(message)}\n`)
    if (where) stderr.write(`  at:   ${printable(where)}\n`)
    if (next) stderr.write(`  next: ${printable(next)}\n`)
  }
  if (failure.problems) stderr.write(`${printable(failure.message)}\n`)
}

function failureOf(error: unknown): Failure {
  if (error instanceof UserError) {
    const { code, message, where, next, exit } = error
    const several = problemsOf(error)
    return { code, message, where, next, exit, ...(several && { problems: several }) }
  }
  if (error instanceof StoreError) {
    const key = error.key === undefined ? '' : ` ${error.key}`
    return {
      code: error.code,
      message: error.message,
      where: `${error.location}, ${error.operation}${key}`,
      next: nextSteps[error.code] ?? 'See: tidemark doctor',
      exit: unreachable.includes(error.code) ? EXIT.unreachable : EXIT.failed,
    }
  }
  const { message, stack } = error instanceof Error ? error : new Error(String(error))
  return { code: 'unexpected', message, stack: stack ?? message, exit: EXIT.failed }
}

/** A ConfigError's, told by its shape: its module would load the whole config reader. */
function problemsOf(error: UserError): Failure[] | null {
  const { problems } = error as UserError & { problems?: Omit<Failure, 'exit'>[] }
  if (!problems || problems.length < 2) return null
  return problems.map((problem) => ({ ...problem, exit: error.exit }))
}

const unreachable: StoreCode[] = [
  'unavailable',
  'throttled',
  'unauthenticated',
  'denied',
  'root-missing',
]

const nextSteps: Partial<Record<StoreCode, string>> = {
  'root-missing':
    'Make the bucket, container or folder, or mend its name: Tidemark never makes one.',
  unauthenticated: 'Mend the credentials; then: tidemark doctor',
  denied: 'Give the credentials what they lack; tidemark doctor names it.',
  throttled: 'Try again later, or with a lower concurrency.',
  unavailable: 'See that the store is up and can be reached; then try again.',
  'no-space': 'Make room, then try again.',
}
