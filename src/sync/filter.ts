/** Which keys of a dataset are synced: `include` and `exclude`, as one predicate. */
import picomatch from 'picomatch'
import type { Key } from '../model.ts'

/** How patterns read, for people: part of the JSON Schema, and of `config-bad-glob`. */
export const patternRules =
  'A pattern without a slash names the last part of a key at any depth (*.json); one with a ' +
  'slash names the whole key from the root (config/*.json; a leading slash anchors a bare name); ' +
  'one that ends in a slash names all that lies below that folder (logs/). * and ? stop at a ' +
  'slash, ** does not; [a-z], [!a] and {a,b} are as in bash, dots are ordinary, parentheses and ' +
  '! stand for themselves, a backslash takes the meaning from the next character. Case counts.'

/** `tidemark doctor --probe` writes here, for a moment: never synced, whatever the patterns say. */
export const probePrefix = '.tidemark-probe/'

const matching: picomatch.PicomatchOptions = {
  dot: true,
  nonegate: true,
  noextglob: true,
  // Without it [!a] isn't a negation.
  posix: true,
  // Else `logs/**` matches the key `logs`, and `a` the key `a/`.
  strictSlashes: true,
  strictBrackets: true,
  regex: false,
  fastpaths: false,
  windows: false,
  // s: a key may have a line break. u: `?` is one character, not one UTF-16 unit.
  flags: 'su',
  // Else a pattern that makes no RegExp silently matches nothing.
  debug: true,
}

/** Anchors the rest, and says no more. */
const leading = /^(?:\.?\/)+/

/** Why this isn't a pattern, for people; null where it is one. */
export function patternProblem(pattern: string): string | null {
  if (pattern.replace(leading, '') === '') return 'the pattern names nothing'
  if (pattern.startsWith('!')) return 'a pattern is not negated by !: put it into the other list'
  if (/\{[^{}]*\.\.[^{}]*\}/.test(pattern)) return '{1..3} is not known here: write {1,2,3}'
  if (/\[[^\]/]*\/[^\]]*\]/.test(pattern)) return 'a slash cannot stand in [ ]'
  try {
    compilePattern(pattern)
    return null
  } catch (error) {
    if (!(error instanceof SyntaxError || error instanceof TypeError)) throw error
    return error.message
  }
}

/**
 * True for the keys that are synced: those that an `include` pattern matches (all, where there is
 * none) and no `exclude` pattern does. The patterns are ones that `patternProblem` passed.
 */
export function compileFilter(include: string[], exclude: string[]): (key: Key) => boolean {
  const included = include.map(compilePattern)
  const excluded = exclude.map(compilePattern)
  return (key) => {
    if (key.startsWith(probePrefix)) return false
    if (included.length === 0 && excluded.length === 0) return true
    return (
      (included.length === 0 || included.some((pattern) => pattern.test(key))) &&
      !excluded.some((pattern) => pattern.test(key))
    )
  }
}

/** What picomatch puts before its wildcards, so that they pass over `.` and `..`. Object stores
 *  take `a/../b` as a name like any other. */
const dotGuard = /\(\?!(?:\(\?:\^\|\\\/\))?\\\.(?:\{\d,\d\})?\(\?:\\\/\|\$\)\)/g

function compilePattern(pattern: string): RegExp {
  const anchored = /\/./s.test(pattern)
  let glob = pattern.replace(leading, '')
  if (glob.endsWith('/')) glob += '**'
  const { source, flags } = picomatch.makeRe(literally(anchored ? glob : `**/${glob}`), matching)
  return new RegExp(source.replace(dotGuard, '').replaceAll('\\.(?=.)', '\\.'), flags)
}

/** Characters that mean something to picomatch or to a RegExp, but nothing here, and those that
 *  follow a backslash, as \xHH: the one escape that both take everywhere. */
function literally(glob: string): string {
  return glob.replace(/\\(.)|[()|"+!]/gsu, (found, escaped: string | undefined, at: number) => {
    const character = escaped ?? found
    if (character === '!' && escaped === undefined && glob[at - 1] === '[') return '!'
    if (!/^[\0-\x2f\x3a-\x40\x5b-\x60\x7b-\x7f]$/.test(character)) return character
    return `\\x${character.charCodeAt(0).toString(16).padStart(2, '0')}`
  })
}
