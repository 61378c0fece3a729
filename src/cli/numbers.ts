/** Options that are whole numbers. */
import { UserError } from '../errors.ts'
import type { CommandOptions } from './command.ts'

/** `name` as commander gives it: `uiPort` of `--ui-port`. undefined: it isn't given. */
export function wholeNumber(
  options: CommandOptions,
  name: string,
  { min = 1, max }: { min?: number; max: number },
): number | undefined {
  const text = options[name]
  if (text === undefined) return undefined
  const value = Number(text)
  if (/^\d+$/.test(String(text)) && value >= min && value <= max) return value
  const flag = `--${name.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`)}`
  throw new UserError('usage-invalid', `${flag} must be a whole number from ${min} to ${max}`, {
    next: 'See: tidemark --help',
  })
}
