/** A bug as a patch of a source file. */
export interface Patch {
  /** Below the repository's root. */
  file: string
  /** Stands there exactly once. */
  from: string
  to: string
}

/** Throws where the text isn't there just once: the source has changed, and so must the patch. */
export function patched(source: string, patches: Patch[]): string {
  let text = source
  for (const { file, from, to } of patches) {
    const times = text.split(from).length - 1
    if (times !== 1) throw new Error(`${file} has ${times} times, not once: ${from}`)
    // As a function: a dollar in `to` means nothing.
    text = text.replace(from, () => to)
  }
  return text
}
