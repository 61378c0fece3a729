/** Options that are a moment: `2026-01-31`, `2026-01-31T09:05Z`, or so long ago: `90m`, `7d`. */
import { UserError } from '../errors.ts'
import type { CommandOptions } from './command.ts'

const units = { s: 1_000, m: 60_000, h: 3_600_000, d: 86_400_000, w: 604_800_000 }
const written = /^\d{4}-\d\d-\d\d([T ]\d\d:\d\d(:\d\d(\.\d{1,3})?)?(Z|[+-]\d\d:?\d\d)?)?$/i
const zone = /(Z|[+-]\d\d:?\d\d)$/i

/** ms since the epoch; a time without a zone is UTC's. undefined: it isn't given. */
export function moment(options: CommandOptions, name: string, now = Date.now()) {
  const text = options[name]
  if (text === undefined) return undefined
  const ago = /^(\d{1,6})([smhdw])$/.exec(String(text))
  if (ago) return now - Number(ago[1]) * units[ago[2] as keyof typeof units]
  const at = written.test(String(text)) ? parse(String(text)) : Number.NaN
  if (!Number.isNaN(at)) return at
  throw new UserError('usage-invalid', `--${name} ${text} is no time`, {
    next: `Write --${name} 2026-01-31, 2026-01-31T09:05Z, or so long ago: 90m, 24h, 7d.`,
  })
}

function parse(text: string): number {
  const iso = text.replace(' ', 'T')
  // Date alone is UTC for JavaScript; with a time it would be the machine's zone.
  return Date.parse(iso.length > 10 && !zone.test(iso.slice(10)) ? `${iso}Z` : iso)
}
