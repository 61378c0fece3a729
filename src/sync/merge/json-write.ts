/** The text of a merged JSON document, from pieces of the texts that it was merged from: with their
 *  indentation, their comments, and their way to write a value. */
import type { Node } from 'jsonc-parser'
import type { JsonNode } from './json.ts'
import type { Result } from './tree.ts'

export function writeJson(result: Result<JsonNode>): string {
  const layouts = new Map<Node, Layout>()
  const layoutOf = (parent: JsonNode) => {
    const layout = layouts.get(parent.value) ?? readLayout(parent)
    layouts.set(parent.value, layout)
    return layout
  }
  const write = (place: Result<JsonNode>): string =>
    'take' in place ? source(place.take.node) : compose(place)

  function compose({ like, parts }: Exclude<Result<JsonNode>, { take: unknown }>): string {
    const own = layoutOf(like.node)
    let body = ''
    let tail = ''
    let closing = own.closing
    for (const [place, { as, to }] of parts.entries()) {
      const { text, value } = as.node
      const member = memberOf(value)
      const theirs = layoutOf({ text, value: parentOf(member) })
      const segment = theirs.segments.get(member)
      if (!segment) throw new Error('a member without its segment')
      const comma = place < parts.length - 1 || own.trailingComma ? ',' : ''
      body += separated(tail, leadOf(segment, place, own))
      body += text.slice(member.offset, value.offset) + write(to)
      body += segment.beforeComma + comma + segment.tail
      tail = segment.tail
      if (own.segments.size === 0) closing = theirs.closing
    }
    if (parts.length === 0 && closing.trim() === '') closing = ''
    const [open, close] = like.kind === 'map' ? ['{', '}'] : ['[', ']']
    return open + body + separated(tail, closing) + close
  }

  if ('take' in result) return result.take.node.text
  const { text, value } = result.like.node
  return text.slice(0, value.offset) + write(result) + text.slice(value.offset + value.length)
}

const source = ({ text, value }: JsonNode) => text.slice(value.offset, value.offset + value.length)

/** What stands in an object or array: a property, or the element itself. */
const memberOf = (value: Node) => (value.parent?.type === 'property' ? value.parent : value)

function parentOf(member: Node): Node {
  if (!member.parent) throw new Error('a member without a parent')
  return member.parent
}

/** What stands around a member: `lead` from the member before, `tail` after the comma to the end of
 *  the line, where nothing but blanks and comments is there. */
interface Segment {
  lead: string
  beforeComma: string
  tail: string
}

/** What follows a comment that goes to the end of its line begins on the next. */
function separated(tail: string, next: string): string {
  return tail.includes('//') && !/^[ \t]*\n/.test(next) ? `\n${next}` : next
}

interface Layout {
  segments: Map<Node, Segment>
  /** From the last member to the bracket. */
  closing: string
  trailingComma: boolean
  /** The lead of the first member, and of one that follows. */
  leads: (string | undefined)[]
}

/** Spaces between members on one line are those of the place, not of the member. */
function leadOf(segment: Segment, place: number, own: Layout): string {
  if (!/^[ \t]*$/.test(segment.lead)) return segment.lead
  const usual = own.leads[Math.min(place, 1)]
  return usual !== undefined && /^[ \t]*$/.test(usual) ? usual : segment.lead
}

function readLayout({ text, value }: JsonNode): Layout {
  const segments = new Map<Node, Segment>()
  let at = value.offset + 1
  let trailingComma = false
  for (const member of value.children ?? []) {
    const lead = text.slice(at, member.offset)
    const end = member.offset + member.length
    const comma = skipTrivia(text, end)
    trailingComma = text[comma] === ','
    const from = trailingComma ? comma + 1 : end
    at = lineEnd(text, from)
    segments.set(member, {
      lead,
      beforeComma: trailingComma ? text.slice(end, comma) : '',
      tail: text.slice(from, at),
    })
  }
  const closing = text.slice(at, value.offset + value.length - 1)
  const leads = [...segments.values()].slice(0, 2).map((segment) => segment.lead)
  return { segments, closing, trailingComma, leads }
}

function skipTrivia(text: string, from: number): number {
  let at = from
  while (at < text.length) {
    if (/\s/.test(text[at] ?? '')) at++
    else if (text.startsWith('//', at)) at = indexOr(text, '\n', at)
    else if (text.startsWith('/*', at)) at = indexOr(text, '*/', at + 2) + 2
    else break
  }
  return at
}

/** The end of the line where only blanks and comments are left on it; else `from`. */
function lineEnd(text: string, from: number): number {
  let at = from
  while (at < text.length) {
    if (text[at] === '\n') return at
    if (/\s/.test(text[at] ?? '')) at++
    else if (text.startsWith('//', at)) at = indexOr(text, '\n', at)
    else if (text.startsWith('/*', at)) {
      const end = indexOr(text, '*/', at + 2) + 2
      if (text.slice(at, end).includes('\n')) return from
      at = end
    } else return from
  }
  return from
}

function indexOr(text: string, what: string, from: number): number {
  const at = text.indexOf(what, from)
  return at < 0 ? text.length : at
}
