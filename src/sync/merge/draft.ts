import type { Version } from './text.ts'
import { Undecided } from './undecided.ts'

/**
 * The first draft that says what was decided: a merge by fields decides what the result says, a
 * draft how it is written. `read` gives the content's id, or throws where the draft doesn't parse.
 */
export function firstThatSays(
  id: number,
  read: (draft: Version) => number,
  drafts: (() => string | null)[],
): string {
  let reason = ''
  for (const draft of drafts) {
    const text = draft()
    if (text === null) continue
    try {
      if (read({ text, bom: false, lineEnd: null, label: 'the merged text' }) === id) return text
      reason = 'it does not say what was merged'
    } catch (error) {
      // A draft that isn't well-formed is none; the next one is tried.
      if (!(error instanceof Undecided)) throw error
      reason = error.message
    }
  }
  throw new Undecided('malformed', `the merge could not be written down: ${reason}`)
}
