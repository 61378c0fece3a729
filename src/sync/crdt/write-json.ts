/** JSON as text again, laid out as it was. */
import type { Json, Layout } from './json.ts'

export function writeJson(json: Json, layout: Layout): string {
  return `${layout.before}${textOf(json, layout, layout.newline)}${layout.after}`
}

const compact: Layout = {
  ...{ indent: '', newline: '\n', colon: '', comma: '', padding: '', before: '', after: '' },
}

/** Without blanks. */
export function compactJson(json: Json): string {
  return textOf(json, compact, '')
}

/** `line`: a newline and the indentation of the line it is on. */
function textOf(json: Json, layout: Layout, line: string): string {
  if (json.kind === 'scalar') return json.text
  // What one line holds begins on that line, even where it goes on below it.
  const inner = json.inline ? line : line + layout.indent
  const [open, close] = json.kind === 'list' ? '[]' : '{}'
  const members =
    json.kind === 'list'
      ? json.items.map((item) => textOf(item, layout, inner))
      : [...json.fields.values()].map(
          ({ name, value }) => `${name}:${layout.colon}${textOf(value, layout, inner)}`,
        )
  if (members.length === 0) return `${open}${close}`
  if (json.inline) {
    const padding = json.kind === 'list' ? '' : layout.padding
    return `${open}${padding}${members.join(`,${layout.comma}`)}${padding}${close}`
  }
  return `${open}${inner}${members.join(`,${inner}`)}${line}${close}`
}
