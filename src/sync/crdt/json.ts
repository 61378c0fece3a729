/**
 * JSON (RFC 8259) that keeps what a program's own reading would lose: the digits of numbers, the
 * spelling of strings, the order of names, and how it is laid out.
 */

export type Json = Scalar | List | Fields

/** As it is spelled: a string with its quotes, a number, true, false, null. */
export interface Scalar {
  kind: 'scalar'
  text: string
}

/** `inline`: it stands on one line. */
export interface List {
  kind: 'list'
  items: Json[]
  inline: boolean
}

export interface Fields {
  kind: 'fields'
  /** By name, in the order of the text; `name` is how that is spelled, with its quotes. */
  fields: Map<string, { name: string; value: Json }>
  inline: boolean
}

/** What the first place where it shows says. */
export interface Layout {
  /** One level's; empty: none was seen. */
  indent: string
  newline: '\n' | '\r\n'
  /** After a colon, after a comma on the same line, inside the braces of one line. */
  colon: '' | ' '
  comma: '' | ' '
  padding: '' | ' '
  /** What stands before and after it all: a byte order mark, the last newline. */
  before: string
  after: string
}

export type Parsed = { json: Json; layout: Layout } | { fault: Fault }

/** `at`: LINE:COLUMN, from 1. */
export interface Fault {
  code: 'malformed' | 'duplicate-key'
  message: string
  at: string
}

/** Deeper ones are nobody's document: everything that walks one calls itself for each level. */
export const depthMax = 1_000

interface Reader {
  text: string
  at: number
  depth: number
  fault: Omit<Fault, 'at'> | null
  layout: { [K in 'indent' | 'colon' | 'comma' | 'padding']?: string }
}

const stop = Symbol('stop')

export function parseJson(text: string): Parsed {
  const start = text.startsWith('\ufeff') ? 1 : 0
  const reader: Reader = { text, at: start, depth: 0, fault: null, layout: {} }
  try {
    const before = text.slice(0, start) + space(reader)
    const json = readValue(reader)
    const after = space(reader)
    if (reader.at < text.length) refuse(reader, 'something stands after the end of the document')
    return { json, layout: layoutOf(reader, before, after) }
  } catch (error) {
    if (error !== stop || !reader.fault) throw error
    const lines = text.slice(start, reader.at).split('\n')
    return {
      fault: { ...reader.fault, at: `${lines.length}:${(lines.at(-1)?.length ?? 0) + 1}` },
    }
  }
}

function layoutOf({ text, layout }: Reader, before: string, after: string): Layout {
  const { indent = '', colon = ' ', comma = colon, padding = '' } = layout
  const blank = (shown: string) => (shown === '' ? '' : ' ')
  return {
    indent,
    newline: text.includes('\r\n') ? '\r\n' : '\n',
    ...{ colon: blank(colon), comma: blank(comma), padding: blank(padding) },
    ...{ before, after },
  }
}

function refuse(reader: Reader, message: string, code: Fault['code'] = 'malformed'): never {
  reader.fault = { code, message }
  throw stop
}

function space(reader: Reader): string {
  const from = reader.at
  while (' \t\n\r'.includes(reader.text[reader.at] ?? 'x')) reader.at++
  return reader.text.slice(from, reader.at)
}

function readValue(reader: Reader): Json {
  const first = reader.text[reader.at]
  if (first === '{') return readFields(reader)
  if (first === '[') return readList(reader)
  return { kind: 'scalar', text: first === '"' ? readString(reader) : readWord(reader) }
}

const word = /(?:true|false|null|-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?)(?![\w.+-])/y

function readWord(reader: Reader): string {
  word.lastIndex = reader.at
  const [text] = word.exec(reader.text) ?? []
  if (text === undefined) {
    refuse(reader, reader.at < reader.text.length ? 'no value of JSON' : 'it ends too early')
  }
  reader.at += text.length
  return text
}

const escaped = /\\(?:["\\/bfnrt]|u[\da-fA-F]{4})/y

function readString(reader: Reader): string {
  const { text } = reader
  const from = reader.at
  for (reader.at++; text[reader.at] !== '"'; ) {
    const code = text.charCodeAt(reader.at)
    if (code !== 0x5c && code >= 0x20) {
      reader.at++
      continue
    }
    escaped.lastIndex = reader.at
    if (!escaped.test(text)) {
      refuse(reader, Number.isNaN(code) ? 'it ends inside a string' : 'no character of a string')
    }
    reader.at = escaped.lastIndex
  }
  reader.at++
  return text.slice(from, reader.at)
}

function readList(reader: Reader): List {
  const items: Json[] = []
  const inline = readMembers(reader, ']', () => {
    items.push(readValue(reader))
  })
  return { kind: 'list', items, inline }
}

function readFields(reader: Reader): Fields {
  const fields: Fields['fields'] = new Map()
  const inline = readMembers(reader, '}', () => {
    if (reader.text[reader.at] !== '"') refuse(reader, 'no name in quotes')
    const at = reader.at
    const name = readString(reader)
    const key = JSON.parse(name) as string
    if (fields.has(key)) {
      reader.at = at
      refuse(reader, `the name ${name} stands here twice`, 'duplicate-key')
    }
    space(reader)
    if (reader.text[reader.at] !== ':') refuse(reader, 'no colon after a name')
    reader.at++
    const gap = space(reader)
    reader.layout.colon ??= gap
    fields.set(key, { name, value: readValue(reader) })
  })
  return { kind: 'fields', fields, inline }
}

/** From the opening bracket to the closing one. Answers whether that was on one line. */
function readMembers(reader: Reader, end: string, readMember: () => void): boolean {
  if (++reader.depth > depthMax) refuse(reader, `nested more than ${depthMax} levels deep`)
  reader.at++
  let gap = space(reader)
  let inline = !gap.includes('\n')
  const empty = reader.text[reader.at] === end
  if (!empty && !inline && reader.depth === 1) reader.layout.indent ??= lastLine(gap)
  if (!empty && inline && end === '}') reader.layout.padding ??= gap
  for (let more = !empty; more; ) {
    readMember()
    inline = !space(reader).includes('\n') && inline
    more = reader.text[reader.at] === ','
    if (!more) break
    reader.at++
    gap = space(reader)
    if (gap.includes('\n')) inline = false
    else reader.layout.comma ??= gap
  }
  if (reader.text[reader.at] !== end) refuse(reader, `neither a comma nor ${end}`)
  reader.at++
  reader.depth--
  return inline
}

function lastLine(gap: string): string {
  return gap.slice(gap.lastIndexOf('\n') + 1)
}
