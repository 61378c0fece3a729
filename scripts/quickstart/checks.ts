/** What must hold, as functions of what was read: each gives what doesn't, in words. */
import type { Changes, Fate } from './changes.ts'
import type { Contents } from './source.ts'

/** What each replica holds, by its location's name, in the config's order. */
export type Replicas = Map<string, Contents>

/** Keys that Tidemark said it skipped there, because that store can't hold them. */
export type Skipped = Map<string, Set<string>>

/** At how many keys a list of problems breaks off. */
const listedMax = 10

/** One line for each replica where the key isn't what it must be. */
export function fateProblems({ key, done, expected, content }: Fate, replicas: Replicas): string[] {
  return [...replicas].flatMap(([name, contents]) => {
    const found = contents.get(key) ?? null
    if (found === content) return []
    return [`${key} (${done}): expected ${expected}, but ${name} ${wordsOf(found, content)}`]
  })
}

function wordsOf(found: string | null, wanted: string | null): string {
  if (found === null) return 'does not have it'
  return wanted === null ? 'has it still' : `has other content (${short(found)})`
}

/** Every key of every replica against what must be there. */
export function contentProblems(
  expected: Contents,
  replicas: Replicas,
  skipped: Skipped = new Map(),
): string[] {
  return [...replicas].flatMap(([name, contents]) => {
    const excused = skipped.get(name) ?? new Set()
    const problems: string[] = []
    for (const [key, content] of expected) {
      const found = contents.get(key) ?? null
      if (found === content || (found === null && excused.has(key))) continue
      problems.push(`${name}: ${key} ${found === null ? 'is missing' : 'has other content'}`)
    }
    for (const key of contents.keys()) {
      if (!expected.has(key)) problems.push(`${name}: ${key} must not be there`)
    }
    const more = problems.length - listedMax
    return more > 0
      ? [...problems.slice(0, listedMax), `${name}: … and ${more} more keys`]
      : problems
  })
}

/** `vault`: the sha256 of everything that it holds. */
export function vaultProblems(kept: Changes['kept'], vault: Set<string>): string[] {
  return kept
    .filter(({ content }) => !vault.has(content))
    .map(({ content, what }) => `the vault does not have ${what} (${short(content)})`)
}

/** As much of a digest as a person compares. */
export function short(sha256: string): string {
  return sha256.slice(0, 8)
}
