/** What commands print: text for people, or one JSON value, on standard output. */
import { stripVTControlCharacters, styleText } from 'node:util'
import { variable } from '../config/environment.ts'
import { withIsoTimes } from './iso-times.ts'

export type Style = 'red' | 'green' | 'yellow' | 'cyan' | 'dim' | 'bold'
export type Paint = (style: Style, text: string) => string

/** Where text goes: this process's own streams, or those of a command that was relayed to us. */
export interface Sink {
  write(text: string): boolean
  once(event: 'drain', done: () => void): unknown
  isTTY?: boolean
  columns?: number
}

export interface Terminal {
  stdout: Sink
  stderr: Sink
}

export interface Output {
  readonly json: boolean
  /** For what is rewritten in place; `note` for everything else. */
  readonly stderr: Sink
  /** Colour, where standard output is a terminal that wants it. */
  paint: Paint
  /** A line for people; nothing in JSON mode. */
  line(text?: string): void
  /** Columns under headers for people; nothing in JSON mode. `right`: headers of numbers. */
  table(headers: string[], rows: string[][], right?: string[]): void
  /** The command's answer, once; nothing but in JSON mode. */
  result(value: unknown): void
  /** Raw text on standard output, in either mode; resolves when there is room for more. */
  write(text: string): Promise<void>
  /** Standard error, in either mode: progress, and what isn't the answer. */
  note(text: string): void
}

export function createOutput(json: boolean, { stdout, stderr }: Terminal = process): Output {
  const line = (text = '') => {
    if (!json) stdout.write(`${text}\n`)
  }
  return {
    json,
    stderr,
    paint: createPaint(stdout),
    line,
    table: (headers, rows, right = []) => {
      for (const text of tableLines(headers, rows, right)) line(text)
    },
    result: (value) => {
      if (json) stdout.write(`${JSON.stringify(withIsoTimes(value), null, 2)}\n`)
    },
    write: (text) =>
      new Promise((done) => {
        if (stdout.write(text)) done()
        else stdout.once('drain', done)
      }),
    note: (text) => {
      stderr.write(`${text}\n`)
    },
  }
}

/** Colour only on a terminal, and not where NO_COLOR is set (no-color.org). */
export function createPaint(stream: { isTTY?: boolean }): Paint {
  const colour = stream.isTTY === true && !variable('NO_COLOR') && variable('TERM') !== 'dumb'
  return (style, text) => (colour ? styleText(style, text, { validateStream: false }) : text)
}

/** Lines of a table: columns two spaces apart, no space at a line's end. */
export function tableLines(headers: string[], rows: string[][], right: string[] = []): string[] {
  const all = [headers, ...rows]
  const widths = headers.map((_, i) => Math.max(...all.map((row) => width(row[i] ?? ''))))
  return all.map((row) =>
    headers
      .map((header, i) => {
        const cell = row[i] ?? ''
        const space = ' '.repeat((widths[i] ?? 0) - width(cell))
        return right.includes(header) ? space + cell : cell + space
      })
      .join('  ')
      .trimEnd(),
  )
}

const graphemes = new Intl.Segmenter()

/** Columns on a terminal, near enough: one a character, two where East Asia and emoji need them. */
function width(text: string): number {
  const plain = stripVTControlCharacters(text)
  if (/^[\0-\x7f]*$/.test(plain)) return plain.length
  let columns = 0
  for (const { segment } of graphemes.segment(plain)) columns += wide.test(segment) ? 2 : 1
  return columns
}

const wide =
  /\p{Emoji_Presentation}|[\u1100-\u115f\u2e80-\ua4cf\uac00-\ud7a3\uf900-\ufaff\uff00-\uff60]/u

/** A key or a store's words, which may hold anything, as one line that moves no cursor. */
export function printable(text: string): string {
  return text.replace(/[\p{Cc}\p{Bidi_Control}\u2028\u2029]/gu, (character) => {
    const code = character.codePointAt(0) ?? 0
    if (character === '\n') return '\\n'
    if (character === '\t') return '\\t'
    return code < 0x100
      ? `\\x${code.toString(16).padStart(2, '0')}`
      : `\\u${code.toString(16).padStart(4, '0')}`
  })
}

const byteUnits = ['B', 'KiB', 'MiB', 'GiB', 'TiB', 'PiB']

/** `0 B`, `12.3 MiB`. */
export function bytes(count: number): string {
  let amount = count
  let unit = 0
  // Of what is shown: 1023.96 KiB would else read "1024.0 KiB".
  while (Math.round(amount * 10) / 10 >= 1024 && unit < byteUnits.length - 1) {
    amount /= 1024
    unit++
  }
  return `${unit === 0 ? amount : amount.toFixed(1)} ${byteUnits[unit]}`
}

/** Of milliseconds: `12 ms`, `3.4 s`, `5 min 6 s`, `2 h 3 min`, `4 d 5 h`. */
export function duration(ms: number): string {
  if (ms < 999.5) return `${Math.round(ms)} ms`
  if (ms < 59_950) return `${(ms / 1000).toFixed(1)} s`
  const seconds = Math.round(ms / 1000)
  if (seconds < 3600) return two(Math.floor(seconds / 60), 'min', seconds % 60, 's')
  const minutes = Math.round(seconds / 60)
  if (minutes < 1440) return two(Math.floor(minutes / 60), 'h', minutes % 60, 'min')
  const hours = Math.round(minutes / 60)
  return two(Math.floor(hours / 24), 'd', hours % 24, 'h')
}

function two(large: number, largeUnit: string, small: number, smallUnit: string): string {
  return small === 0 ? `${large} ${largeUnit}` : `${large} ${largeUnit} ${small} ${smallUnit}`
}

/** `1 key`, `12,345 keys`. */
export function count(amount: number, noun: string): string {
  return `${amount.toLocaleString('en-US')} ${noun}${amount === 1 ? '' : 's'}`
}

/** `2026-01-31 09:05:00Z`, of ms since the epoch. */
export function time(ms: number): string {
  return `${new Date(ms).toISOString().slice(0, 19).replace('T', ' ')}Z`
}
