/** Lines of CSV (RFC 4180) for people's spreadsheets. */
import { stringify } from 'csv-stringify/sync'

/** A cell that a spreadsheet would run as a formula (`=`, `+`, `-`, `@`, …) gets a `'` before it:
 *  keys and names come from whoever may write to a store. Ends with a newline. */
export function csvLine(cells: (string | number | null)[]): string {
  const texts = cells.map((cell) => (typeof cell === 'number' ? String(cell) : (cell ?? '')))
  return stringify([texts], { escape_formulas: true })
}
