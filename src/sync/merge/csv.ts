/** CSV: rows by their key, cells by column. */
import { CsvError, parse } from 'csv-parse/sync'
import { compareKeys } from '../keys.ts'
import { firstThatSays } from './draft.ts'
import { draftByLines, endedOf } from './lines.ts'
import { mergeOrder } from './sequence.ts'
import { pick, splitLines, type Version } from './text.ts'
import { type Clash, malformed, refuse, Undecided } from './undecided.ts'

interface Cell {
  value: string
  quoted: boolean
}

type Row = Map<string, Cell>

interface Table {
  label: string
  delimiter: string
  /** By name, in their order. */
  columns: Row
  /** By key, in their order. */
  rows: Map<string, Row>
}

/** `key`: the columns that name a row; null: the first. */
export function mergeCsv(base: Version, sides: Version[], key: string[] | null): string {
  const old = readTable(base, key)
  const tables = sides.map((side) => readTable(side, key))
  const clashes: Clash[] = []
  const merged = mergeTables(old, tables, clashes)
  refuse(clashes)
  const ended = endedOf(
    splitLines(base.text),
    sides.map((side) => splitLines(side.text)),
  )
  const wanted = contentOf(merged)
  const same = (draft: Version) => Number(contentOf(readTable(draft, key)) === wanted)
  return firstThatSays(1, same, [() => draftByLines(base, sides), () => writeTable(merged, ended)])
}

// ── reading ─────────────────────────────────────────────────────────────────────────────────────

function readTable(version: Version, key: string[] | null): Table {
  const { text, label } = version
  const delimiter = delimiterOf(text)
  const [header, ...lines] = recordsOf(version, delimiter)
  if (!header) throw new Undecided('malformed', `${label}: not a table: it has no header`, '1:1')
  const columns: Row = new Map()
  for (const cell of header.cells) {
    if (columns.has(cell.value)) {
      const message = `${label}: the column ${cell.value} stands there twice`
      throw new Undecided('duplicate-key', message, cell.value)
    }
    columns.set(cell.value, cell)
  }
  const names = [...columns.keys()]
  const keys = key ?? names.slice(0, 1)
  const missing = keys.find((name) => !columns.has(name))
  if (missing !== undefined) {
    throw new Undecided('malformed', `${label}: there is no key column ${missing}`, missing)
  }
  const rows = new Map<string, Row>()
  for (const { cells, line } of lines) {
    if (cells.length !== names.length) {
      const message = `${label}: line ${line} has ${cells.length} cells; the header ${names.length}`
      throw new Undecided('malformed', message, String(line))
    }
    const row = new Map(cells.map((cell, place) => [names[place] ?? '', cell]))
    const id = JSON.stringify(keys.map((name) => row.get(name)?.value))
    if (rows.has(id)) {
      const message = `${label}: two rows have the key ${shown(id)}`
      throw new Undecided('duplicate-key', message, shown(id))
    }
    rows.set(id, row)
  }
  return { label, delimiter, columns, rows }
}

const shown = (id: string) => (JSON.parse(id) as string[]).join(', ')

/** The one of which the header has most, outside quotes. */
function delimiterOf(text: string): string {
  const header = /^(?:"(?:[^"]|"")*"|[^"\n])*/.exec(text)?.[0] ?? ''
  const bare = header.replaceAll(/"(?:[^"]|"")*"/g, '')
  const counts = [',', ';', '\t'].map((one) => ({ one, count: bare.split(one).length }))
  return counts.toSorted((a, b) => b.count - a.count)[0]?.one ?? ','
}

interface Line {
  cells: Cell[]
  line: number
}

function recordsOf({ text, label }: Version, delimiter: string): Line[] {
  try {
    const records: unknown = parse(text, {
      delimiter,
      info: true,
      relax_column_count: true,
      record_delimiter: ['\r\n', '\n'],
      skip_empty_lines: true,
      cast: (value, { quoting }) => ({ value, quoted: quoting }),
    })
    const lines = records as { record: Cell[]; info: { lines: number } }[]
    return lines.map(({ record, info }) => ({ cells: record, line: info.lines }))
  } catch (error) {
    if (!(error instanceof CsvError)) throw error
    const line = Number(error.lines ?? 1)
    const before = text.split('\n', line - 1).map((one) => `${one}\n`)
    throw malformed('CSV', label, text, before.join('').length, error.message)
  }
}

// ── merging ─────────────────────────────────────────────────────────────────────────────────────

function mergeTables(base: Table, sides: Table[], clashes: Clash[]): Table {
  const clash = (what: string, at: string, tables: Table[]) =>
    clashes.push({ what, at, labels: tables.map((table) => table.label) })
  const delimiter = pick(
    base.delimiter,
    sides.map((side) => side.delimiter),
  )
  if (delimiter === undefined) clash('the separator', '1', sides)

  const old = contentOf(base)
  const changed = sides.filter((side) => contentOf(side) !== old)
  const versions = [...changed, base]
  const columns: Row = new Map()
  for (const name of mergeOrder(versions.map((table) => table.columns.keys()))) {
    const cell = versions.find((table) => table.columns.has(name))?.columns.get(name)
    const there = present(
      base.columns.has(name),
      sides.map((side) => side.columns.has(name)),
    )
    if (there && cell) columns.set(name, cell)
  }
  const rows = new Map<string, Row>()
  for (const id of mergeOrder(versions.map((table) => table.rows.keys()))) {
    const row = mergeRow(base, sides, id, columns, (what, tables) => clash(what, shown(id), tables))
    if (row) rows.set(id, row)
  }
  return { label: '', delimiter: delimiter ?? ',', columns, rows }
}

/** What one side added or removed is added or removed. */
function present(inBase: boolean, inSides: boolean[]): boolean {
  return inBase ? inSides.every(Boolean) : inSides.some(Boolean)
}

function mergeRow(
  base: Table,
  sides: Table[],
  id: string,
  columns: Row,
  clash: (what: string, tables: Table[]) => void,
): Row | null {
  const old = base.rows.get(id)
  const removers = sides.filter((side) => old && !side.rows.has(id))
  const others = sides.filter((side) => side.rows.has(id))
  if (removers.length > 0) {
    const changed = others.filter((side) => touched(base, side, id))
    if (changed.length > 0) clash(`the row ${shown(id)}`, [...changed, ...removers])
    return null
  }
  const names = new Set([base, ...others].flatMap((table) => [...table.columns.keys()]))
  const row: Row = new Map()
  for (const name of names) {
    const was = old?.get(name)
    const changed = others.filter((side) => {
      const cell = side.rows.get(id)?.get(name)
      return cell && cell.value !== was?.value
    })
    const cells = changed.flatMap((side) => side.rows.get(id)?.get(name) ?? [])
    const [first] = cells
    const what = `the cell ${name} of the row ${shown(id)}`
    if (columns.has(name)) {
      if (cells.some((cell) => cell.value !== first?.value)) clash(what, changed)
      row.set(name, first ?? was ?? { value: '', quoted: false })
    } else if (cells.some((cell) => cell.value !== '')) {
      // One side wrote there, another took the column away.
      clash(what, [...changed, ...sides.filter((side) => !side.columns.has(name))])
    }
  }
  const empty = { value: '', quoted: false }
  return new Map([...columns.keys()].map((name) => [name, row.get(name) ?? empty]))
}

/** A column that the side took away says nothing about the row; nor does one that it left empty. */
function touched(base: Table, side: Table, id: string): boolean {
  const old = base.rows.get(id)
  return [...(side.rows.get(id) ?? [])].some(
    ([name, cell]) => cell.value !== (old?.get(name)?.value ?? ''),
  )
}

/** Equal for tables that say the same: the order of rows and columns is layout. */
function contentOf({ delimiter, columns, rows }: Table): string {
  const names = [...columns.keys()].sort(compareKeys)
  const lines = [...rows].map(([id, row]) => [id, ...names.map((name) => row.get(name)?.value)])
  const sorted = lines.map((line) => JSON.stringify(line)).sort(compareKeys)
  return JSON.stringify([delimiter, names, sorted])
}

// ── writing ─────────────────────────────────────────────────────────────────────────────────────

function writeTable({ delimiter, columns, rows }: Table, ended: boolean): string {
  const write = ({ value, quoted }: Cell) =>
    quoted || value.includes(delimiter) || /["\n\r]/.test(value)
      ? `"${value.replaceAll('"', '""')}"`
      : value
  const lines = [columns, ...rows.values()].map((row) =>
    [...row.values()].map(write).join(delimiter),
  )
  // A row of one empty cell would be an empty line, which is no row.
  const text = lines.map((line) => (line === '' ? '""' : line)).join('\n')
  return ended ? `${text}\n` : text
}
