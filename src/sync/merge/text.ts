/** Bytes as text and back: byte order mark, line endings, a last line without its end. */
import { Undecided } from './undecided.ts'

export interface Version {
  /** Without byte order mark; lines end in `\n` where they all ended in `\r\n`. */
  text: string
  bom: boolean
  /** null: the text has one line, which doesn't end. */
  lineEnd: '\n' | '\r\n' | 'mixed' | null
  label: string
}

/** No string of Node's is longer; a rule's `max-size` may be. */
const textBytesMax = 2 ** 29 - 24

/** `declared`: its name or type says that it is text; bytes that aren't have a wrong encoding. */
export function decode(bytes: Uint8Array, label: string, declared: boolean): Version {
  if ((bytes[0] === 0xff && bytes[1] === 0xfe) || (bytes[0] === 0xfe && bytes[1] === 0xff)) {
    throw new Undecided('encoding', `${label}: the text is in UTF-16; only UTF-8 is merged`)
  }
  if (bytes.length > textBytesMax) {
    throw new Undecided('malformed', `${label}: ${bytes.length} bytes are too many to merge`)
  }
  const version = readText(bytes, label)
  if (version) return version
  throw declared && !bytes.includes(0)
    ? new Undecided('encoding', `${label}: the text is not valid UTF-8`)
    : new Undecided('not-text', `${label}: this is not text in UTF-8`)
}

/** null where the bytes aren't text in UTF-8. */
export function readText(bytes: Uint8Array, label: string): Version | null {
  const whole = bytes.length > textBytesMax || bytes.includes(0) ? null : utf8(bytes)
  if (whole === null) return null
  const bom = whole.startsWith('\ufeff')
  const text = bom ? whole.slice(1) : whole
  return { text, bom, lineEnd: lineEndOf(text), label }
}

/** null where the bytes aren't valid. The byte order mark stays. */
function utf8(bytes: Uint8Array): string | null {
  try {
    return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes)
  } catch (error) {
    // That is how it says so.
    if (error instanceof TypeError) return null
    throw error
  }
}

function lineEndOf(text: string): Version['lineEnd'] {
  const bare = /(?<!\r)\n/.test(text)
  if (text.includes('\r\n')) return bare ? 'mixed' : '\r\n'
  return bare ? '\n' : null
}

/** The same with `\n` alone, unless one of them mixes its line endings: then they are content. */
export function withoutReturns(versions: Version[]): Version[] {
  if (versions.some((version) => version.lineEnd === 'mixed')) return versions
  return versions.map((version) => ({ ...version, text: version.text.replaceAll('\r\n', '\n') }))
}

/** `text` in the form (byte order mark, line endings) that base and sides agree on. */
export function encode(text: string, base: Version, sides: Version[]): Uint8Array {
  const bom = pick(
    base.bom,
    sides.map((side) => side.bom),
  )
  const mixed = [base, ...sides].some((version) => version.lineEnd === 'mixed')
  const ends = sides.flatMap((side) => (side.lineEnd === null ? [] : [side.lineEnd]))
  const returns = !mixed && pick(base.lineEnd, ends) === '\r\n'
  const body = returns ? text.replaceAll('\n', '\r\n') : text
  return new TextEncoder().encode((bom ? '\ufeff' : '') + body)
}

/** What the sides that differ from the base agree on; undefined where they don't agree. */
export function pick<T>(base: T, sides: readonly T[]): T | undefined {
  const changed = sides.filter((side) => side !== base)
  if (changed.length === 0) return base
  return changed.every((side) => side === changed[0]) ? changed[0] : undefined
}

export interface Lines {
  lines: string[]
  /** The last line has its end, too. */
  ended: boolean
}

export function splitLines(text: string): Lines {
  if (text === '') return { lines: [], ended: true }
  const lines = text.split('\n')
  const ended = lines.at(-1) === ''
  if (ended) lines.pop()
  return { lines, ended }
}

export function joinLines({ lines, ended }: Lines): string {
  return lines.length === 0 ? '' : lines.join('\n') + (ended ? '\n' : '')
}
