/** Keys: their one order, and what a store can hold. */
import type { KeyRules } from '../../connectors/connector.ts'
import type { Key, KeyRange } from '../model.ts'

/**
 * UTF-8 byte order, without encoding: it differs from JavaScript's order of UTF-16 units only where
 * a surrogate meets U+E000..U+FFFF, so those two ranges are swapped before they are compared.
 */
export function compareKeys(a: Key, b: Key): number {
  if (a === b) return 0
  const length = Math.min(a.length, b.length)
  for (let i = 0; i < length; i++) {
    const x = a.charCodeAt(i)
    const y = b.charCodeAt(i)
    if (x !== y) return fixUp(x) - fixUp(y)
  }
  return a.length - b.length
}

function fixUp(unit: number): number {
  if (unit < 0xd800) return unit
  return unit >= 0xe000 ? unit - 0x800 : unit + 0x2000
}

export function inRange(key: Key, range: KeyRange): boolean {
  return (
    (range.from === null || compareKeys(key, range.from) >= 0) &&
    (range.to === null || compareKeys(key, range.to) < 0)
  )
}

/** The keys that begin with `prefix`; all of them for ''. */
export function prefixRange(prefix: Key): KeyRange {
  return { from: prefix === '' ? null : prefix, to: behindAll(prefix) }
}

/** The least key that is greater than all that begin with `prefix`; null: there is none. */
function behindAll(prefix: Key): Key | null {
  const points = [...prefix]
  for (let last = points.pop(); last !== undefined; last = points.pop()) {
    const point = last.codePointAt(0) as number
    // Between these two are the halves of surrogate pairs, which are no characters.
    const next = point === 0xd7ff ? 0xe000 : point + 1
    if (next <= 0x10ffff) return points.join('') + String.fromCodePoint(next)
  }
  return null
}

/** Why a store with these rules can't hold the key, for people; null where it can. */
export function keyProblem(key: Key, rules: KeyRules): string | null {
  if (!key.isWellFormed()) return 'the name is not valid Unicode'
  const bytes = Buffer.byteLength(key) + rules.prefixBytes
  if (bytes > rules.bytesMax) {
    return `the name has ${bytes} bytes with the prefix; this store takes ${rules.bytesMax}`
  }
  // With the slash: a file of the folder's own name would be in its way.
  if (rules.reservedPrefix && `${key}/`.startsWith(rules.reservedPrefix)) {
    return `names below ${rules.reservedPrefix} are kept for Tidemark`
  }
  if (rules.pathLike) {
    const problem = pathProblem(key, rules.segmentBytesMax)
    if (problem) return problem
  }
  if (rules.forbidden && new RegExp(rules.forbidden.pattern, 'u').test(key)) {
    return rules.forbidden.reason
  }
  return null
}

function pathProblem(key: Key, segmentBytesMax: number | undefined): string | null {
  if (key.includes('\0')) return 'the name has a NUL character'
  for (const segment of key.split('/')) {
    if (segment === '') return 'the name has an empty path segment'
    if (segment === '.' || segment === '..') return `the name has the path segment "${segment}"`
    if (segmentBytesMax !== undefined && Buffer.byteLength(segment) > segmentBytesMax) {
      return `a path segment is longer than ${segmentBytesMax} bytes`
    }
  }
  return null
}
