/** The YAML file: its text, its plain value, and where each part of it stands. */
import { relative, resolve } from 'node:path'
import type { YAMLError } from 'yaml'
import {
  type Document,
  isAlias,
  isMap,
  isNode,
  isScalar,
  isSeq,
  LineCounter,
  parseDocument,
} from 'yaml'
import { UserError } from '../errors.ts'
import { MIB } from '../limits.ts'
import { yamlDepthMax, yamlTokens } from '../sync/yaml-tokens.ts'
import { readAtMost } from './bounded.ts'
import { ConfigError, type Path, type Problem } from './problems.ts'

/** A config of a thousand datasets has a tenth of it. */
const configBytesMax = MIB

export interface ConfigSource {
  /** Absolute. */
  file: string
  /** The document as plain data; always a map. */
  raw: Record<string, unknown>
  warnings: Problem[]
  /** `file:line:column` of the value at `path`, or of what is nearest above it; with `part` 'key'
   *  of its key; else, within the value's text, of the first `part.text`. */
  where(path: Path, part?: 'key' | { text: string }): string
}

export async function readSource(path: string): Promise<ConfigSource> {
  const file = resolve(path)
  return parseSource(file, await readText(file))
}

async function readText(file: string): Promise<string> {
  const name = shown(file)
  let bytes: Uint8Array | null
  try {
    bytes = await readAtMost(file, configBytesMax)
  } catch (error) {
    const code = (error as NodeJS.ErrnoException).code
    if (code === 'ENOENT') {
      throw new UserError('config-missing', `there is no ${name}`, {
        where: name,
        next: 'Write one with: tidemark init; or name yours: --config FILE',
        cause: error,
      })
    }
    throw new UserError('config-unreadable', `${name} cannot be read: ${code}`, {
      where: name,
      next: 'It must be a file that you may read; or name another: --config FILE',
      cause: error,
    })
  }
  if (bytes === null) {
    throw new UserError('config-too-large', `${name} has more than ${configBytesMax} bytes`, {
      where: name,
      next: 'It is no config of Tidemark’s: name yours by --config FILE.',
    })
  }
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(bytes)
  } catch (cause) {
    throw new UserError('config-not-utf8', `${name} is not text in UTF-8`, {
      where: name,
      next: 'Save it as UTF-8.',
      cause,
    })
  }
}

export function parseSource(file: string, text: string): ConfigSource {
  const { tooDeep } = yamlTokens(text)
  const lines = new LineCounter()
  const place = (offset: number) => {
    const { line, col } = lines.linePos(offset)
    return `${shown(file)}:${Math.max(line, 1)}:${Math.max(col, 1)}`
  }
  if (tooDeep !== null) {
    const before = text.slice(0, tooDeep).split('\n')
    const where = `${shown(file)}:${before.length}:${(before.at(-1)?.length ?? 0) + 1}`
    const message = `nested more than ${yamlDepthMax} levels deep`
    throw new ConfigError([{ code: 'config-too-deep', message, where, next: 'Mend the YAML.' }])
  }
  const document = parseDocument(text, {
    ...{ merge: true, lineCounter: lines, prettyErrors: false },
    // What it would print is no problem of the config's, or one that is told below.
    logLevel: 'error',
  })
  const problem = (error: YAMLError): Problem => ({
    ...describe(error),
    where: place(error.pos[0]),
  })
  if (document.errors.length > 0) throw new ConfigError(document.errors.map(problem))

  const one = (code: string, message: string, next: string) =>
    new ConfigError([{ code, message, where: place(0), next }])
  let raw: unknown
  try {
    raw = document.toJS()
  } catch (error) {
    // An alias without its anchor, more aliases than a person writes; or `<<` of something else
    // than maps. The library has plain Errors for them, and nothing else in here throws any.
    if (!(error instanceof Error)) throw error
    throw one('config-syntax', error.message, 'Mend the YAML.')
  }
  if (isEndless(raw, new Set())) {
    const message = 'an alias stands inside of what it stands for'
    throw one('config-endless-alias', message, 'Write out what is meant.')
  }
  if (raw === null || raw === undefined) {
    throw one('config-empty', 'the config is empty', 'See a commented one with: tidemark init')
  }
  if (typeof raw !== 'object' || Array.isArray(raw)) {
    throw one('config-not-a-map', 'the config is not a map of keys', 'Begin with `locations:`.')
  }
  return {
    file,
    raw: raw as Record<string, unknown>,
    warnings: document.warnings.map(problem),
    where: (path, part) => place(offsetOf(document, text, path, part)),
  }
}

function isEndless(value: unknown, above: Set<unknown>): boolean {
  if (typeof value !== 'object' || value === null) return false
  if (above.has(value)) return true
  above.add(value)
  const found = Object.values(value).some((inner) => isEndless(inner, above))
  above.delete(value)
  return found
}

const tabs = 'Indent with spaces: YAML takes no tabs.'

function describe(error: YAMLError): Pick<Problem, 'code' | 'message' | 'next'> {
  if (error.code === 'DUPLICATE_KEY') {
    const next = 'Keep one of the two.'
    return { code: 'config-duplicate-key', message: 'the same key stands twice in one map', next }
  }
  if (error.code === 'TAB_AS_INDENT') {
    return { code: 'config-tab', message: 'a tab is used as indentation', next: tabs }
  }
  return {
    code: 'config-syntax',
    message: `not valid YAML: ${error.message}`,
    next: 'Mend the YAML.',
  }
}

function offsetOf(document: Document, text: string, path: Path, part?: 'key' | { text: string }) {
  let node: unknown = document.contents
  let key: unknown = null
  for (const step of path) {
    const inner = child(document, node, step)
    if (!inner) {
      key = null
      break
    }
    node = inner.value
    key = inner.key
  }
  if (part === 'key' && isNode(key)) return key.range?.[0] ?? 0
  // `name:` with nothing behind it has no place of its own.
  const bare = isScalar(node) && node.value === null && isNode(key)
  const there = bare ? key : node
  const [start, end] = (isNode(there) ? there.range : null) ?? [0, 0]
  if (typeof part !== 'object') return start
  const within = text.slice(start, end).indexOf(part.text)
  return start + Math.max(within, 0)
}

function child(document: Document, parent: unknown, step: string | number) {
  const node = isAlias(parent) ? parent.resolve(document) : parent
  if (isSeq(node)) return { key: null, value: node.items[Number(step)] }
  if (!isMap(node)) return null
  const pair = node.items.find((item) => isScalar(item.key) && String(item.key.value) === `${step}`)
  return pair ? { key: pair.key, value: pair.value } : null
}

/** As a person would type it from where they are. */
function shown(file: string): string {
  const near = relative(process.cwd(), file)
  return near.startsWith('..') || near === '' ? file : near
}
