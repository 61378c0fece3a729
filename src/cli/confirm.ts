/** A yes from a person, before something that can't be taken for granted. */
import { createInterface } from 'node:readline/promises'
import { UserError } from '../errors.ts'
import type { CommandContext } from './command.ts'

export interface Question {
  /** Without the `[y/N]`. */
  ask: string
  /** `--yes` was given. */
  yes: boolean
  /** What wants a yes, where nobody can be asked; and the command that says it. */
  wanted: string
  next: string
  /** How things stay where the answer is no. */
  refused: string
}

/** Returns after a yes. Else throws `confirmation-needed` (no terminal) or `not-confirmed`. */
export async function confirm(context: CommandContext, question: Question): Promise<void> {
  if (question.yes) return
  if (context.json || !process.stdin.isTTY) {
    throw new UserError('confirmation-needed', question.wanted, { next: question.next })
  }
  const terminal = createInterface({ input: process.stdin, output: process.stderr })
  // On a terminal it takes Ctrl-C for itself.
  terminal.once('SIGINT', () => process.kill(process.pid, 'SIGINT'))
  try {
    const options = { signal: context.signal }
    const answer = await terminal.question(`${question.ask} [y/N] `, options)
    if (/^y(es)?$/i.test(answer.trim())) return
  } finally {
    terminal.close()
  }
  throw new UserError('not-confirmed', question.refused)
}
