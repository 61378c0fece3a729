/** What differs between two contents, for people. */
import { structuredPatch } from 'diff'
import type { Key } from '../../model.ts'
import { formatOf } from './format.ts'
import { readJson } from './json.ts'
import { hunksOf, mergeOrder } from './sequence.ts'
import { readText, type Version, withoutReturns } from './text.ts'
import { countUp, escaped, type Tree } from './tree.ts'
import { Undecided } from './undecided.ts'
import { readYaml } from './yaml.ts'

/** A screen or a few; more is for a diff tool. */
const linesMax = 200
const columnsMax = 200
const valueMax = 80
/** As in `mergeSequences`: above it the two have little in common. */
const editsMax = 2_000

/**
 * JSON and YAML by field: `~ /path: old → new`, `+ /path: new`, `- /path: old`; where the fields
 * are the same, and for other text, a unified diff. At most 200 lines, and how many more there are;
 * long lines are cut. '' where the two are equal; null where one isn't text in UTF-8. Control
 * characters are left in: who prints it to a terminal deals with them.
 */
export function readableDiff(
  key: Key,
  contentType: string | undefined,
  a: Uint8Array,
  b: Uint8Array,
  labels: readonly [string, string],
): string | null {
  const old = readText(a, labels[0])
  const now = readText(b, labels[1])
  if (!old || !now) return null
  const [before = old, after = now] = withoutReturns([old, now])
  const { format } = formatOf(key, contentType, 'auto')
  const fields = format === 'json' || format === 'yaml' ? byField(format, before, after) : []
  const lines = fields.length > 0 ? fields : byLine(before, after)
  return bounded([...formOf(old, now), ...lines])
}

function bounded(lines: string[]): string {
  const shown = lines
    .slice(0, linesMax)
    .map((line) => (line.length > columnsMax ? `${line.slice(0, columnsMax)} …` : line))
  const more = lines.length - shown.length
  return [...shown, ...(more > 0 ? [`… and ${more} more lines`] : [])].join('\n')
}

function formOf(a: Version, b: Version): string[] {
  const ends = { '\n': 'LF', '\r\n': 'CRLF', mixed: 'LF and CRLF mixed' }
  const lines: string[] = []
  if (a.bom !== b.bom) lines.push(`${b.bom ? '+' : '-'} byte order mark`)
  if (a.lineEnd && b.lineEnd && a.lineEnd !== b.lineEnd) {
    lines.push(`~ line endings: ${ends[a.lineEnd]} → ${ends[b.lineEnd]}`)
  }
  return lines
}

function byLine(a: Version, b: Version): string[] {
  if (a.text === b.text) return []
  const options = { context: 3, maxEditLength: editsMax }
  const names = [a.label, b.label] as const
  const patch = structuredPatch(...names, a.text, b.text, undefined, undefined, options)
  const hunks = patch?.hunks.flatMap(({ oldStart, oldLines, newStart, newLines, lines }) => [
    `@@ -${oldStart},${oldLines} +${newStart},${newLines} @@`,
    ...lines,
  ])
  return [`--- ${a.label}`, `+++ ${b.label}`, ...(hunks ?? ['~ nearly every line'])]
}

// ── by field ────────────────────────────────────────────────────────────────────────────────────

/** Empty where the fields are the same, or where one isn't valid. */
function byField(format: 'json' | 'yaml', a: Version, b: Version): string[] {
  const numbers = countUp()
  const read = (version: Version): Tree<unknown>[] =>
    format === 'json' ? [readJson(version, true, numbers)] : readYaml(version, numbers)
  try {
    const [before, after] = [read(a), read(b)]
    const several = before.length > 1 || after.length > 1
    return Array.from({ length: Math.max(before.length, after.length) }).flatMap((_, place) =>
      compare(before[place], after[place], several ? `/${place}` : ''),
    )
  } catch (error) {
    // Malformed: its lines can be compared all the same.
    if (error instanceof Undecided) return []
    throw error
  }
}

type Place = Tree<unknown> | undefined

function compare(a: Place, b: Place, at: string): string[] {
  if (a?.id === b?.id) return []
  const path = at === '' ? '/' : at
  if (!a) return b ? [`+ ${path}: ${shown(b)}`] : []
  if (!b) return [`- ${path}: ${shown(a)}`]
  if (a.kind !== b.kind || a.kind === 'leaf' || a.meta !== b.meta) {
    return [`~ ${path}: ${shown(a)} → ${shown(b)}`]
  }
  if (a.kind === 'map') {
    return mergeOrder([a.parts.keys(), b.parts.keys()]).flatMap((name) =>
      compare(a.parts.get(name), b.parts.get(name), `${at}/${escaped(name)}`),
    )
  }
  return compareLists([...a.parts.values()], [...b.parts.values()], at)
}

/** Elements that went have their old place, those that came their new one. */
function compareLists(a: Tree<unknown>[], b: Tree<unknown>[], at: string): string[] {
  const ids = (list: Tree<unknown>[]) => list.map((element) => element.id)
  return hunksOf(ids(a), ids(b), 0, true).flatMap(({ start, end, from, to }) => {
    if (end - start === 1 && to - from === 1) return compare(a[start], b[from], `${at}/${from}`)
    return [
      ...a.slice(start, end).flatMap((one, n) => compare(one, undefined, `${at}/${start + n}`)),
      ...b.slice(from, to).flatMap((one, n) => compare(undefined, one, `${at}/${from + n}`)),
    ]
  })
}

function shown(tree: Tree<unknown>): string {
  const text = inOneLine(tree, valueMax)
  return text.length > valueMax ? `${text.slice(0, valueMax)} …` : text
}

/** About as much of it as there is room for. */
function inOneLine(tree: Tree<unknown>, room: number): string {
  if (tree.kind === 'leaf') return tree.text
  const list = tree.kind === 'list'
  let text = ''
  for (const [name, part] of tree.parts) {
    if (text.length > room) break
    if (text !== '') text += ', '
    text += (list ? '' : `${name}: `) + inOneLine(part, room - text.length)
  }
  return list ? `[${text}]` : `{${text}}`
}
