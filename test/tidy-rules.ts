/** What test/tidy.test.ts looks for; the exceptions are there, each with its reason. */
import { execFile } from 'node:child_process'
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join, posix } from 'node:path'
import { fileURLToPath } from 'node:url'

export interface Finding {
  /** Relative to the root, with `/`. */
  file: string
  line: number
  rule: string
  what: string
}

export interface Source {
  file: string
  text: string
}

const functionLinesMax = 70
const fileLinesMax = 400
const columnsMax = 100

/** The folders that are ours. */
export const folders = [
  ...['src', 'connectors', 'workflows', 'activities'],
  ...['test', 'scripts', 'bench'],
]

// ── sizes ───────────────────────────────────────────────────────────────────────────────────────

/** An address, and the name of a test, which is its promise in one line. */
const unbreakable = /https?:\/\/\S{60}|^\s*(it|test|describe)\('/

export function sizeFindings({ file, text }: Source): Finding[] {
  const lines = text.split('\n')
  const findings = lines.flatMap((line, index) =>
    [...line].length > columnsMax && !unbreakable.test(line)
      ? [{ file, line: index + 1, rule: 'columns', what: `more than ${columnsMax} columns` }]
      : [],
  )
  const count = text.endsWith('\n') ? lines.length - 1 : lines.length
  if (count > fileLinesMax) {
    findings.push({
      file,
      line: 1,
      rule: 'file-lines',
      what: `${count} lines, ${fileLinesMax} max`,
    })
  }
  return findings
}

// ── import directions (design.md, "Imports point down") ─────────────────────────────────────────

interface Layer {
  name: string
  files: RegExp
  /** Files of ours that it may import. */
  ours: RegExp
  /** Files of ours that it may import for their types alone. */
  types?: RegExp
  /** Packages and `node:` modules; absent: any. */
  packages?: RegExp
}

const nouns = 'src/(model|errors|limits)\\.ts'
const core = `${nouns}|src/sync/`
const contract = 'connectors/(connector|options)\\.ts'

/** The first layer whose `files` match holds. */
export const layers: Layer[] = [
  {
    name: 'the nouns and the pure core know nothing but each other',
    files: /^src\/((model|errors|limits)\.ts|sync\/)/,
    ours: new RegExp(`^(${core})`),
    types: new RegExp(`^${contract}`),
    // Pure: globs for the filters; parsers and diffs for merging.
    packages: /^(picomatch|yaml|jsonc-parser|csv-parse\/sync|diff)$/,
  },
  {
    name: 'workflows are deterministic: the world is in activities, known by their types',
    files: /^workflows\//,
    ours: new RegExp(`^(workflows/|${core})`),
    types: /^(activities|src|connectors)\//,
    packages: /^@temporalio\/(workflow|common)$/,
  },
  {
    name: 'connectors know no catalog, no run and no Temporal',
    files: /^connectors\//,
    ours: new RegExp(`^(connectors/|${core}|src/package-root\\.ts)`),
  },
  {
    name: 'the catalog knows no store and no Temporal',
    files: /^src\/catalog\//,
    ours: new RegExp(`^(src/(catalog|config)/|${core})`),
  },
  {
    name: 'the vault knows the connector contract alone',
    files: /^src\/vault\//,
    ours: new RegExp(`^(src/vault/|${core}|${contract}|connectors/digests\\.ts)`),
    types: /^src\/catalog\/catalog\.ts$/,
  },
  {
    name: 'the config is data: it opens nothing',
    files: /^src\/config\//,
    ours: new RegExp(`^(src/config/|${core}|connectors/options\\.ts|src/package-root\\.ts)`),
  },
  {
    name: 'Temporal’s surroundings know no store, no catalog and no command',
    files: /^src\/temporal\//,
    ours: new RegExp(
      `^(src/(temporal|config)/|${nouns}|src/package-root\\.ts|workflows/messages\\.ts)`,
    ),
    types: /^(src|workflows|activities)\//,
  },
  {
    name: 'activities get what they use from createActivities; they wire nothing',
    files: /^activities\//,
    ours: new RegExp(
      `^(activities/|${core}|${contract}|connectors/digests\\.ts|src/(vault|config)/|` +
        'workflows/messages\\.ts)',
    ),
    types: /^(src|connectors|workflows)\//,
  },
  {
    name: 'only the command line and the worker wire; nothing below imports them',
    files: /^src\/(worker\.ts|cli\/)/,
    ours: /^(src|connectors|workflows|activities)\//,
  },
  {
    name: 'what ships imports nothing of the tests, scripts or benchmarks',
    files: /^src\//,
    ours: /^(src\/(?!cli\/|worker\.ts)|connectors\/|workflows\/|activities\/)/,
  },
]

const importPattern =
  /(?:^|\n)\s*(?:import|export)\s+(type\s+)?(?:[^'";]*?\sfrom\s*)?'([^']+)'|\bimport\('([^']+)'\)/g

export function importFindings({ file, text }: Source): Finding[] {
  const layer = layers.find((candidate) => candidate.files.test(file))
  if (!layer) return []
  return [...text.matchAll(importPattern)].flatMap((match) => {
    const target = match[2] ?? match[3] ?? ''
    if (mayImport(layer, file, target, match[1] !== undefined)) return []
    const line = text.slice(0, match.index).split('\n').length + (match[0].startsWith('\n') ? 1 : 0)
    return [{ file, line, rule: 'imports', what: `imports ${target}; but ${layer.name}` }]
  })
}

function mayImport(layer: Layer, file: string, target: string, typeOnly: boolean): boolean {
  if (!target.startsWith('.')) return typeOnly || (layer.packages?.test(target) ?? true)
  const path = posix.join(posix.dirname(file), target)
  return layer.ours.test(path) || (typeOnly && (layer.types?.test(path) ?? false))
}

// ── swallowed errors ────────────────────────────────────────────────────────────────────────────

/** A handler that drops its error says why, in a comment: an outage must never read as absence. */
export function swallowFindings({ file, text }: Source): Finding[] {
  const lines = text.split('\n')
  const saysWhy = (first: number, last: number) =>
    lines.slice(first, last + 1).some((line) => /\/\/|\/\*|^\s*\*/.test(line))
  return lines.flatMap((line, index) => {
    const block = /\bcatch\s*\{/.test(line)
    const call = /\.catch\(\(\)\s*=>/.test(line)
    if (!block && !call) return []
    const end = block ? blockEnd(lines, index) : index
    const what = 'drops an error: act on its code, or say in a comment why it may be dropped'
    return saysWhy(index - 1, end) ? [] : [{ file, line: index + 1, rule: 'swallow', what }]
  })
}

/** The line that closes the block opened on line `start`, by its indentation (biome keeps it). */
function blockEnd(lines: string[], start: number): number {
  const indent = /^\s*/.exec(lines[start] ?? '')?.[0] ?? ''
  const end = lines.findIndex((line, index) => index > start && line.startsWith(`${indent}}`))
  return end < 0 ? start : end
}

// ── what oxlint's parser finds better than a pattern would ──────────────────────────────────────

interface Ban {
  /** `object.property`, `*.property` for any object, or a global's name. */
  call: string
  where: RegExp
  instead: string
}

const pure = /^(src\/sync|workflows)\//
const product = /^(src|connectors|workflows|activities)\//
const injected = 'time and chance come in as arguments'

const bans: Ban[] = [
  { call: '*.localeCompare', where: product, instead: 'compareKeys: UTF-8 bytes order keys (I9)' },
  {
    call: 'process.env',
    where: /^(src\/(?!config\/)|connectors\/|workflows\/|activities\/)/,
    instead: 'src/config reads the environment',
  },
  { call: 'Date.now', where: pure, instead: injected },
  { call: 'Math.random', where: pure, instead: injected },
  { call: 'fetch', where: pure, instead: 'an activity' },
  ...['it', 'test', 'describe'].flatMap((object) =>
    ['skip', 'only', 'todo', 'skipIf', 'runIf', 'fails'].map((property) => ({
      call: `${object}.${property}`,
      where: /^test\//,
      instead: 'context.skip(reason), which is listed at the end',
    })),
  ),
]

const banned = bans.map(({ call }) => call.split('.'))
const oxlintConfig = {
  categories: { correctness: 'off' },
  rules: {
    // Every function is reported with its span; its own lines are counted here.
    'max-lines-per-function': ['error', { max: 1 }],
    // Where each ban holds is looked at here: a config's globs would start at its own folder.
    'no-restricted-properties': [
      'error',
      ...banned.flatMap(([object, property]) =>
        property === undefined ? [] : [object === '*' ? { property } : { object, property }],
      ),
    ],
    'no-restricted-globals': [
      'error',
      ...banned.flatMap(([name, property]) => (property === undefined ? [{ name }] : [])),
    ],
  },
}

interface Diagnostic {
  message: string
  code?: string
  filename: string
  labels: { span: { offset: number; length: number; line: number } }[]
}

/** Sizes of functions and banned calls, below `root`. */
export async function parsedFindings(root: string, sources: Source[]): Promise<Finding[]> {
  const folder = await mkdtemp(join(tmpdir(), 'tidemark-tidy-'))
  try {
    const config = join(folder, 'oxlintrc.json')
    await writeFile(config, JSON.stringify(oxlintConfig))
    const output = await oxlint(root, config)
    const { diagnostics } = JSON.parse(output) as { diagnostics: Diagnostic[] }
    const ours = new Map(sources.map((source) => [source.file, source.text]))
    const known = diagnostics.filter((found) => ours.has(found.filename))
    const spans = known.filter((found) => found.code === 'eslint(max-lines-per-function)')
    const rest = known.filter((found) => !spans.includes(found))
    return [...longFunctions(spans, ours), ...rest.flatMap(bannedCall)]
  } finally {
    await rm(folder, { recursive: true, force: true })
  }
}

/** oxlint's words are "'Date.now' is restricted" and "Unexpected use of 'fetch'". */
function bannedCall({ filename: file, message, code, labels }: Diagnostic): Finding[] {
  const line = labels[0]?.span.line ?? 1
  const name = /'([^']+)'/.exec(message)?.[1]
  if (!code?.startsWith('eslint(no-restricted-') || !name) {
    return [{ file, line, rule: 'parse', what: message }]
  }
  const ban = bans.find(({ call, where }) => call.replace('*.', '') === name && where.test(file))
  return ban ? [{ file, line, rule: 'banned', what: `${ban.call}: ${ban.instead}` }] : []
}

function oxlint(root: string, config: string): Promise<string> {
  const program = fileURLToPath(new URL('../node_modules/oxlint/bin/oxlint', import.meta.url))
  const args = [program, '-c', config, '-f', 'json', '--no-ignore', ...folders]
  return new Promise((resolve, reject) => {
    const options = { cwd: root, maxBuffer: 64 * 1024 * 1024 }
    // It exits with 1 where it finds something, which it always does here.
    execFile(process.execPath, args, options, (error, stdout, stderr) =>
      stdout ? resolve(stdout) : reject(error ?? new Error(stderr)),
    )
  })
}

/**
 * A function's own lines: without those of the functions inside it, so that a `describe` or a
 * connector's factory may hold many short ones.
 */
function longFunctions(spans: Diagnostic[], texts: Map<string, string>): Finding[] {
  const functions = spans.flatMap(({ filename, labels }) => {
    const span = labels[0]?.span
    if (!span) return []
    // Spans count UTF-8 bytes.
    const bytes = Buffer.from(texts.get(filename) ?? '').subarray(
      span.offset,
      span.offset + span.length,
    )
    const lines = bytes.toString('utf8').split('\n').length
    return [
      { file: filename, from: span.offset, to: span.offset + span.length, line: span.line, lines },
    ]
  })
  return functions.flatMap((outer) => {
    const inside = functions.filter(
      (inner) =>
        inner !== outer &&
        inner.file === outer.file &&
        inner.from >= outer.from &&
        inner.to <= outer.to,
    )
    const direct = inside.filter(
      (inner) =>
        !inside.some(
          (other) => other !== inner && other.from <= inner.from && other.to >= inner.to,
        ),
    )
    const own = outer.lines - direct.reduce((sum, inner) => sum + inner.lines - 1, 0)
    if (own <= functionLinesMax) return []
    const what = `a function of ${own} lines of its own, ${functionLinesMax} max`
    return [{ file: outer.file, line: outer.line, rule: 'function-lines', what }]
  })
}

export async function readSources(root: string, files: string[]): Promise<Source[]> {
  return Promise.all(
    files.map(async (file) => ({ file, text: await readFile(join(root, file), 'utf8') })),
  )
}

export async function allFindings(root: string, files: string[]): Promise<Finding[]> {
  const sources = await readSources(root, files)
  const simple = sources.flatMap((source) => [
    ...sizeFindings(source),
    ...importFindings(source),
    ...(product.test(source.file) ? swallowFindings(source) : []),
  ])
  return [...simple, ...(await parsedFindings(root, sources))]
}
