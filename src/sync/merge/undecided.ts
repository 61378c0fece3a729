import { compareKeys } from '../keys.ts'
import type { UndecidedCode } from './merge.ts'

/** Thrown inside a merge and caught by `mergeContents`: an answer, not a fault. */
export class Undecided extends Error {
  readonly code: UndecidedCode
  readonly at: string | undefined

  constructor(code: UndecidedCode, message: string, at?: string) {
    super(message)
    this.code = code
    this.at = at
  }
}

/** A place that several sides changed, each in its own way. */
export interface Clash {
  /** What, for people: "the field /a/b". */
  what: string
  at: string
  labels: string[]
}

export function refuse(clashes: readonly Clash[]): void {
  const [first] = clashes
  if (!first) return
  const more = clashes.length > 1 ? `; and ${clashes.length - 1} more such places` : ''
  const who = first.labels.toSorted(compareKeys).join(' and ')
  throw new Undecided('both-changed', `${who} changed ${first.what} differently${more}`, first.at)
}

/** An answer that a text is not what its format says. */
export function malformed(format: string, label: string, text: string, at: number, why: string) {
  const before = text.slice(0, at)
  const line = before.split('\n').length
  const column = at - before.lastIndexOf('\n')
  const where = `line ${line}, column ${column}`
  return new Undecided(
    'malformed',
    `${label}: not valid ${format} at ${where}: ${why}`,
    `${line}:${column}`,
  )
}
