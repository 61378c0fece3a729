/** JSON by field. Values are compared and copied as they are written, never as numbers. */
import {
  createScanner,
  type Node,
  type ParseError,
  parseTree,
  printParseErrorCode,
} from 'jsonc-parser'
import { firstThatSays } from './draft.ts'
import { writeJson } from './json-write.ts'
import { draftByLines } from './lines.ts'
import type { MergeOptions } from './merge.ts'
import type { Version } from './text.ts'
import {
  countUp,
  depthMax,
  idOf,
  mergeTrees,
  type Numbers,
  noParts,
  type Path,
  pointer,
  type Tree,
} from './tree.ts'
import { type Clash, malformed, refuse, Undecided } from './undecided.ts'

export interface JsonNode {
  text: string
  value: Node
}

export type JsonTree = Tree<JsonNode>

/** `comments`: the key's name says that it has comments (.jsonc). */
export function mergeJson(
  base: Version,
  sides: Version[],
  lists: MergeOptions['lists'],
  comments: boolean,
): string {
  const numbers = countUp()
  const relaxed = comments || isRelaxed(base) || sides.every(isRelaxed)
  const read = (version: Version) => readJson(version, relaxed, numbers)
  const old = read(base)
  const trees = sides.map((side) => ({ tree: read(side), label: side.label }))
  const clashes: Clash[] = []
  const result = mergeTrees(old, trees, '', { lists, numbers, clashes })
  refuse(clashes)
  return firstThatSays(result.id, (draft) => read(draft).id, [
    () => draftByLines(base, sides),
    () => writeJson(result),
  ])
}

export function readJson(version: Version, relaxed: boolean, numbers: Numbers): JsonTree {
  const { text, label } = version
  const { deep, extra } = survey(text)
  const fail = (at: number, why: string) => malformed('JSON', label, text, at, why)
  if (deep !== null) throw fail(deep, `nested more than ${depthMax} levels deep`)
  if (extra !== null && !relaxed) throw fail(extra, 'a comment or a trailing comma in plain JSON')
  const errors: ParseError[] = []
  const root = parseTree(text, errors, { allowTrailingComma: true })
  const [error] = errors
  if (error) throw fail(error.offset, said(error))
  if (!root) throw fail(0, 'it is empty')
  return treeOf({ text, value: root }, null, label, numbers)
}

const said = (error: ParseError) =>
  printParseErrorCode(error.error)
    .replaceAll(/(?<=[a-z])(?=[A-Z])/g, ' ')
    .toLowerCase()

function isRelaxed(version: Version): boolean {
  return survey(version.text).extra !== null
}

// jsonc-parser's SyntaxKind is a const enum, which type stripping can't inline.
const syntax = {
  open: [1, 3],
  close: [2, 4],
  comma: 5,
  comment: [12, 13],
  blank: [14, 15],
  end: 17,
}

/** Without recursion: where it is too deep, and the first comment or trailing comma. */
function survey(text: string): { deep: number | null; extra: number | null } {
  const scanner = createScanner(text)
  let depth = 0
  let comma: number | null = null
  let extra: number | null = null
  for (let token: number = scanner.scan(); token !== syntax.end; token = scanner.scan()) {
    if (syntax.blank.includes(token)) continue
    const at = scanner.getTokenOffset()
    if (syntax.comment.includes(token)) {
      extra ??= at
      continue
    }
    if (syntax.open.includes(token) && ++depth > depthMax) return { deep: at, extra }
    if (syntax.close.includes(token)) {
      depth--
      extra ??= comma
    }
    comma = token === syntax.comma ? at : null
  }
  return { deep: null, extra }
}

function treeOf(node: JsonNode, at: Path, label: string, numbers: Numbers): JsonTree {
  const { text, value } = node
  const source = text.slice(value.offset, value.offset + value.length)
  if (value.type !== 'object' && value.type !== 'array') {
    const content = value.type === 'string' ? `text ${value.value}` : `plain ${source}`
    const id = numbers(`leaf ${content}`)
    const shown = value.type === 'string' ? JSON.stringify(value.value) : source
    return { kind: 'leaf', id, meta: '', node, text: shown, parts: noParts }
  }
  const kind = value.type === 'object' ? 'map' : 'list'
  const parts = new Map<string, JsonTree>()
  for (const [place, child] of (value.children ?? []).entries()) {
    const [name, inner] =
      kind === 'list'
        ? [String(place), child]
        : [String(child.children?.[0]?.value), child.children?.[1]]
    if (!inner) throw malformed('JSON', label, text, child.offset, 'value expected')
    const path = { name, up: at }
    if (parts.has(name)) {
      const place = pointer(path)
      throw new Undecided('duplicate-key', `${label}: the field ${place} stands there twice`, place)
    }
    parts.set(name, treeOf({ text, value: inner }, path, label, numbers))
  }
  return { kind, id: idOf(numbers, kind, '', parts), meta: '', node, text: '', parts }
}
