/** Whether a listing gets on: one that leads in circles would never end, and never fail. */
import { emptyPagesMax } from '../src/limits.ts'

/** To be told of each page: where the next one starts, and how much this one had. `fail` makes the
 *  error to throw. */
export function createProgress(fail: (message: string) => Error) {
  const seen = new Set<string>()
  let empty = 0
  return (next: string, found: number): void => {
    if (seen.has(next)) throw fail('the listing leads back to where it was')
    seen.add(next)
    empty = found === 0 ? empty + 1 : 0
    if (empty > emptyPagesMax) throw fail(`the listing gave ${empty} empty pages in a row`)
  }
}
