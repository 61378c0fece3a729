/** Text by lines, and sets of lines. */
import { mergeOrder, mergeSequences, type Piece, type Touching } from './sequence.ts'
import { joinLines, type Lines, pick, splitLines, type Version } from './text.ts'
import { type Clash, refuse } from './undecided.ts'

/** diff3 over any number of sides; a place that they changed differently is undecided. */
export function mergeText(base: Version, sides: Version[]): string {
  const { pieces, write } = pieceTogether(base.text, sides, 'one-region')
  refuse(
    pieces.flatMap((piece): Clash[] => {
      if (piece.kind === 'run') return []
      const line = piece.start + 1
      const what =
        piece.end > line
          ? `lines ${line} to ${piece.end} of the last agreed version`
          : `line ${line} of the last agreed version`
      const labels = piece.sides.flatMap((side) => sides[side]?.label ?? [])
      return [{ what, at: String(line), labels }]
    }),
  )
  return write()
}

/**
 * The lines of all sides together, where no two changed the same one; null where they did. It may
 * mean anything to a format: who uses it looks whether it says what the merge by fields decided.
 * Where it does it keeps every side's comments, order and layout.
 */
export function draftByLines(base: Version, sides: Version[]): string | null {
  const { pieces, write } = pieceTogether(base.text, sides, 'together')
  return pieces.some((piece) => piece.kind === 'clash') ? null : write()
}

function pieceTogether(base: string, sides: Version[], touching: Touching) {
  const old = splitLines(base)
  const texts = sides.map((side) => splitLines(side.text))
  const pieces = mergeSequences(
    old.lines,
    texts.map((text) => text.lines),
    touching,
  )
  const write = () =>
    joinLines({
      lines: pieces.flatMap((piece) => run(piece, old, texts)),
      ended: endedOf(old, texts),
    })
  return { pieces, write }
}

function run(piece: Piece, old: Lines, texts: Lines[]): string[] {
  if (piece.kind === 'clash') return []
  const from = piece.side === null ? old : texts[piece.side]
  return from?.lines.slice(piece.from, piece.to) ?? []
}

export function endedOf(base: Lines, sides: Lines[]): boolean {
  const ended = pick(
    base.ended,
    sides.map((side) => side.ended),
  )
  return ended ?? true
}

/**
 * Each line is an element that is there or not: all that a side added, nothing that a side removed.
 * Empty lines are layout: they stay where they are, and come along in front of what follows them.
 * Without a base it is the union.
 */
export function mergeLineSets(base: Version | null, sides: Version[]): string {
  const old = elements(base?.text ?? '')
  const all = sides.map((side) => elements(side.text))
  const removed = new Set([...old.keys()].filter((line) => all.some((side) => !side.has(line))))
  const lines = mergeOrder([old.keys(), ...all.map((side) => side.keys())]).flatMap((line) => {
    if (removed.has(line)) return []
    const from = [old, ...all].find((version) => version.has(line))
    const empty = Array<string>(from?.get(line) ?? 0).fill('')
    return line === null ? empty : [...empty, line]
  })
  const texts = sides.map((side) => splitLines(side.text))
  return joinLines({ lines, ended: base ? endedOf(splitLines(base.text), texts) : true })
}

/** Each line in its order, and the number of empty lines before it; at last the end (null). */
function elements(text: string): Map<string | null, number> {
  const found = new Map<string | null, number>()
  let empty = 0
  for (const line of splitLines(text).lines) {
    if (line.trim() === '') empty++
    else {
      if (!found.has(line)) found.set(line, empty)
      empty = 0
    }
  }
  return found.set(null, empty)
}
