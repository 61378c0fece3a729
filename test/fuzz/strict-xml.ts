/**
 * XML as its specification has it, for what listings need of it: a reader that shares nothing with
 * the ones under test. What it refuses isn't well-formed; what it takes says one thing only. The
 * declaration and attributes carry nothing here, so that anything may stand there.
 */

export interface Element {
  name: string
  attributes: string
  /** null: it has an entity that is none. */
  text: string | null
  children: Element[]
}

/** null: not well-formed, or with a comment, CDATA, instruction: no store sends them. */
export function readXml(bytes: Buffer): Element | null {
  const text = decoded(bytes)
  if (text === null) return null
  const token = /<(\/?)(\w[\w.-]*)((?:\s[^<>]*?)?)(\/?)>|([^<]+)/y
  const head = /^\ufeff?\s*(?:<\?xml[^<>]*\?>)?\s*/.exec(text)
  token.lastIndex = head?.[0].length ?? 0
  const top: Element = { name: '', attributes: '', text: '', children: [] }
  const stack = [top]
  while (token.lastIndex < text.length) {
    const found = token.exec(text)
    const open = stack.at(-1)
    if (!found || !open) return null
    const [, closing, name = '', attributes = '', empty, words] = found
    if (words !== undefined) {
      const meaning = meaningOf(words)
      open.text = meaning === null || open.text === null ? null : open.text + meaning
    } else if (closing) {
      if (open.name !== name || stack.length === 1 || attributes || empty) return null
      stack.pop()
    } else {
      const element = { name, attributes, text: '', children: [] }
      open.children.push(element)
      if (!empty) stack.push(element)
    }
  }
  const [root, ...more] = top.children
  return stack.length === 1 && root && more.length === 0 && top.text?.trim() === '' ? root : null
}

function decoded(bytes: Buffer): string | null {
  const text = bytes.toString()
  return Buffer.from(text).equals(bytes) ? text : null
}

function meaningOf(words: string): string | null {
  const named: Record<string, string> = { lt: '<', gt: '>', amp: '&', quot: '"', apos: "'" }
  let sane = true
  const meaning = words.replace(/&([^&;]*);?/g, (whole, body: string) => {
    const code = /^#x[0-9a-fA-F]+$/.test(body)
      ? Number(`0${body.slice(1)}`)
      : /^#\d+$/.test(body)
        ? Number(body.slice(1))
        : null
    const known = Object.hasOwn(named, body) ? named[body] : null
    const character = code !== null && code <= 0x10ffff && !(code >= 0xd800 && code < 0xe000)
    if (!whole.endsWith(';') || (!known && !character)) sane = false
    return known ?? (character ? String.fromCodePoint(code as number) : '')
  })
  return sane ? meaning : null
}

/** The text of the child of that name; null: none, or several that say different things. */
export function textIn(element: Element, name: string): string | null {
  const all = element.children.filter((child) => child.name === name)
  const [first] = all
  if (!first || first.children.length > 0) return null
  return all.every(({ text }) => text === first.text) ? first.text : null
}
