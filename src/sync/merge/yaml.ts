/** YAML by field. Every scalar is read as text, so that none changes its spelling. */
import {
  type Alias,
  Composer,
  type CST,
  type Document,
  isAlias,
  isMap,
  isScalar,
  isSeq,
  type Node,
  Pair,
  Scalar,
  visit,
  type YAMLMap,
  type YAMLSeq,
} from 'yaml'
import { yamlDepthMax, yamlTokens } from '../yaml-tokens.ts'
import { firstThatSays } from './draft.ts'
import { draftByLines } from './lines.ts'
import type { MergeOptions } from './merge.ts'
import { mergeSequences } from './sequence.ts'
import type { Version } from './text.ts'
import {
  countUp,
  idOf,
  mergeTrees,
  type Numbers,
  noParts,
  type Path,
  pointer,
  type Result,
  type Tree,
} from './tree.ts'
import { type Clash, malformed, refuse, Undecided } from './undecided.ts'

/** `pair`: the field that it is the value of. */
export interface YamlNode {
  document: Document
  value: Node | null
  pair: Pair | null
}

export type YamlTree = Tree<YamlNode>

export function mergeYaml(base: Version, sides: Version[], lists: MergeOptions['lists']): string {
  const numbers = countUp()
  const old = readYaml(base, numbers)
  const streams = sides.map((side) => ({ trees: readYaml(side, numbers), label: side.label }))
  const clashes: Clash[] = []
  const results = mergeStreams(old, streams, { lists, numbers, clashes })
  refuse(clashes)
  const idOfStream = (trees: { id: number }[]) => numbers(trees.map(({ id }) => id).join(' '))
  const read = (draft: Version) => {
    const trees = readYaml(draft, numbers)
    for (const tree of trees) refuseAnchors(tree.node.document)
    return idOfStream(trees)
  }
  return firstThatSays(idOfStream(results), read, [
    () => draftByLines(base, sides),
    () => writeYaml(results, sides),
  ])
}

type Streams = { trees: YamlTree[]; label: string }[]
type Context = Parameters<typeof mergeTrees>[3]

/** Documents in one file: each for the one in its place; by diff3 where their number changed. */
function mergeStreams(base: YamlTree[], sides: Streams, context: Context): Result<YamlNode>[] {
  if (sides.every((side) => side.trees.length === base.length)) {
    return base.map((tree, place) => {
      const there = sides.flatMap(({ trees, label }) => {
        const side = trees[place]
        return side ? [{ tree: side, label }] : []
      })
      return mergeTrees(tree, there, base.length > 1 ? `/${place}` : '', context)
    })
  }
  const ids = (trees: YamlTree[]) => trees.map((tree) => tree.id)
  const all = sides.map((side) => ids(side.trees))
  return mergeSequences(ids(base), all, 'apart').flatMap((piece) => {
    if (piece.kind === 'clash') {
      const labels = piece.sides.map((side) => sides[side]?.label ?? '')
      const at = `/${piece.start}`
      context.clashes.push({ what: `the document ${at}`, at, labels })
      return []
    }
    const trees = piece.side === null ? base : (sides[piece.side]?.trees ?? [])
    return trees.slice(piece.from, piece.to).map((tree) => ({ id: tree.id, take: tree }))
  })
}

// ── reading ─────────────────────────────────────────────────────────────────────────────────────

const asText = {
  schema: 'failsafe',
  // Else `!!int 0x10` would be read as a number, and written as another.
  resolveKnownTags: false,
  // Told apart below, by what the keys mean in YAML.
  uniqueKeys: false,
} as const

export function readYaml({ text, label }: Version, numbers: Numbers): YamlTree[] {
  const documents = [...new Composer(asText).compose(tokensOf(text, label))]
  return documents.map((document) => {
    const [error] = document.errors
    if (error) throw malformed('YAML', label, text, error.pos[0], error.message)
    const { loose } = anchorsOf(document)
    if (loose) {
      const why = `the alias *${loose.source} has no anchor before it`
      throw malformed('YAML', label, text, loose.range?.[0] ?? 0, why)
    }
    const node = { document, value: document.contents as Node | null, pair: null }
    return treeOf(node, null, { label, numbers })
  })
}

function tokensOf(text: string, label: string): CST.Token[] {
  const { tokens, tooDeep } = yamlTokens(text)
  if (tooDeep === null) return tokens
  throw malformed('YAML', label, text, tooDeep, `nested more than ${yamlDepthMax} levels deep`)
}

/** The first alias without an anchor before it, and the first anchor that another has the name of:
 *  which of the two an alias means could change by merging alone. */
function anchorsOf(document: Document): { loose: Alias | null; twice: string | null } {
  const anchors = new Set<string>()
  let loose: Alias | null = null
  let twice: string | null = null
  visit(document, {
    Alias(_, alias) {
      if (!anchors.has(alias.source)) loose ??= alias
    },
    Value(_, { anchor }) {
      if (anchor && anchors.has(anchor)) twice ??= anchor
      if (anchor) anchors.add(anchor)
    },
  })
  return { loose, twice }
}

function refuseAnchors(document: Document): void {
  const { loose, twice } = anchorsOf(document)
  const clash = (message: string) => new Undecided('both-changed', message)
  if (loose) throw clash(`the alias *${loose.source} would have no anchor before it`)
  if (twice) throw clash(`the anchor &${twice} would stand there twice`)
}

interface Reading {
  label: string
  numbers: Numbers
}

function treeOf(node: YamlNode, at: Path, reading: Reading): YamlTree {
  const { value } = node
  const meta = isAlias(value) || !value ? '' : `${value.tag ?? ''} ${value.anchor ?? ''}`
  if (isMap(value) || isSeq(value)) {
    const kind = isMap(value) ? 'map' : 'list'
    const parts = isMap(value)
      ? fieldsOf(node, value, at, reading)
      : elementsOf(node, value, at, reading)
    return { kind, id: idOf(reading.numbers, kind, meta, parts), meta, node, text: '', parts }
  }
  const content = isAlias(value) ? `alias ${value.source}` : meaning(value as Scalar | null)
  const id = reading.numbers(`leaf ${reading.numbers(meta)} ${content}`)
  const text = isAlias(value) ? `*${value.source}` : shown(value as Scalar | null)
  return { kind: 'leaf', id, meta, node, text, parts: noParts }
}

function fieldsOf(node: YamlNode, map: YAMLMap, at: Path, reading: Reading) {
  const parts = new Map<string, YamlTree>()
  for (const pair of map.items) {
    const name = nameOf(pair.key as Node | null)
    const path = { name, up: at }
    if (parts.has(name)) {
      const message = `${reading.label}: the field ${pointer(path)} stands there twice`
      throw new Undecided('duplicate-key', message, pointer(path))
    }
    // `? a` has no value at all, which the library can read but not write.
    pair.value ??= emptyScalar()
    const inner = { document: node.document, value: pair.value as Node, pair }
    parts.set(name, treeOf(inner, path, reading))
  }
  return parts
}

function elementsOf(node: YamlNode, list: YAMLSeq, at: Path, reading: Reading) {
  return new Map(
    list.items.map((item, place): [string, YamlTree] => {
      const inner = { document: node.document, value: item as Node | null, pair: null }
      return [String(place), treeOf(inner, { name: String(place), up: at }, reading)]
    }),
  )
}

/** What some reader of YAML 1.1 or 1.2 takes for something else than text, where it is unquoted. */
const special = /^(|~|null|true|false|yes|no|on|off|y|n|<<|=|[-+.]?\d.*|[-+]?\.(inf|nan))$/is

/** Equal for scalars that mean the same. */
function meaning(scalar: Scalar | null): string {
  const value = String(scalar?.value ?? '')
  return isPlain(scalar) && special.test(value) ? `plain ${value}` : `text ${value}`
}

/** In one line, and with quotes where it would mean something else without. */
function shown(scalar: Scalar | null): string {
  const value = String(scalar?.value ?? '')
  const quotes = value.includes('\n') || (!isPlain(scalar) && special.test(value))
  return quotes ? JSON.stringify(value) : value
}

function emptyScalar(): Scalar {
  const scalar = new Scalar('')
  scalar.type = 'PLAIN'
  return scalar
}

const isPlain = (scalar: Scalar | null) => !scalar || scalar.type === 'PLAIN'

/** The same whatever the layout; also of a key that is a list or a map. */
function nameOf(key: Node | null): string {
  if (isAlias(key)) return `*${key.source}`
  if (key && !isScalar(key)) return JSON.stringify(key)
  const properties = [key?.tag, key?.anchor && `&${key.anchor}`].filter(Boolean)
  return [...properties, shown(key)].join(' ')
}

// ── writing ─────────────────────────────────────────────────────────────────────────────────────

function writeYaml(results: Result<YamlNode>[], sides: Version[]): string {
  const like = sides[0]?.text ?? ''
  const texts = results.map((result, place) => {
    const { document } = ('take' in result ? result.take : result.like).node
    document.contents = build(result)
    refuseAnchors(document)
    if (place > 0 && document.directives) document.directives.docStart = true
    return document.toString(styleOf(like))
  })
  return texts.length === 0 ? like : texts.join('')
}

/** Nodes keep their comments when they move. The trees aren't used again. */
function build(result: Result<YamlNode>): Node | null {
  if ('take' in result) return result.take.node.value
  const { value } = result.like.node
  if (isMap(value)) {
    value.items = result.parts.map(({ as, to }) => {
      const pair = as.node.pair ?? new Pair(null)
      pair.value = build(to)
      return pair
    })
  }
  if (isSeq(value)) value.items = result.parts.map(({ to }) => build(to))
  return value
}

/** As far as the library can write in the style of the text. */
function styleOf(text: string) {
  const indent = /:[ \t]*\n( +)[^\s#-]/.exec(text)?.[1]?.length ?? 2
  return {
    lineWidth: 0,
    indent: Math.min(indent, 8),
    indentSeq: !/^( *)[^\s#-][^\n]*:[ \t]*\n\1- /m.test(text),
    flowCollectionPadding: !/[{[][^\s{[\]}]/.test(text),
  }
}
