/** zod's issues as problems: codes of ours, words for people, places in the file. */
import type { z } from 'zod'
import { nearest } from './nearest.ts'
import { type Path, type Problem, pathText } from './problems.ts'
import { configSchema } from './schema.ts'
import type { ConfigSource } from './source.ts'

type Issue = z.core.$ZodIssue
type Answer = Omit<Problem, 'where'>

/** `source.raw` is asked for values, never the resolved document: no message shows a secret. */
export function problemsOf(issues: Issue[], source: ConfigSource): Problem[] {
  return issues
    .flatMap((issue) => flatten(issue, []))
    .flatMap(({ issue, path }) => {
      if (issue.code === 'unrecognized_keys') {
        return issue.keys.map((key) => ({
          ...unknownKey(key, path, source.raw),
          where: source.where([...path, key], 'key'),
        }))
      }
      const value = valueAt(source.raw, path)
      const place = issue.code === 'invalid_key' ? 'key' : undefined
      const answer = describe(issue, path, value)
      const next = answer.next ?? 'All keys and their values: tidemark schema'
      return [{ ...answer, next, where: source.where(path, place) }]
    })
}

/** A union's issue is replaced by those of the branch that the value was meant for, if it shows. */
function flatten(issue: Issue, above: Path): { issue: Issue; path: Path }[] {
  const path = [...above, ...(issue.path as Path)]
  if (issue.code !== 'invalid_union') return [{ issue, path }]
  const meant = issue.errors.filter((branch) => branch.length > 0 && !branch.some(isOtherType))
  const [best] = meant.sort((a, b) => a.length - b.length)
  return best ? best.flatMap((inner) => flatten(inner, path)) : [{ issue, path }]
}

function isOtherType(issue: Issue): boolean {
  return issue.path.length === 0 && ['invalid_type', 'invalid_value'].includes(issue.code)
}

function describe(issue: Issue, path: Path, value: unknown): Answer {
  const key = path.at(-1)
  const name = pathText(path)
  const invalid = (message: string, next?: string): Answer => ({
    code: 'config-invalid-value',
    message,
    next,
  })
  if (key === 'datasets' && (value === null || issue.code === 'too_small')) return noDatasets
  if ((key === 'mode' || key === 'sync-mode') && isRealTime(value)) return realTime
  if (value === undefined) {
    const message = `${pathText(path.slice(0, -1)) || 'the config'} has no \`${key}\``
    return { code: 'config-missing-key', message, next: `Add \`${key}:\`.` }
  }
  if (value === null) return invalid(`${name} has no value`, 'Give it one, or leave the key out.')
  if (issue.code === 'custom') return fromParams(issue, name)
  if (issue.code === 'invalid_union' && issue.discriminator) return unknownType(value)
  if (issue.code === 'invalid_key' || (key === 'name' && issue.code === 'invalid_format')) {
    const inner = issue.code === 'invalid_key' ? issue.issues[0] : issue
    const message = `"${issue.code === 'invalid_key' ? key : value}": ${inner?.message}`
    return { code: 'config-bad-name', message, next: 'Choose such a name.' }
  }
  if (issue.code === 'too_small' || issue.code === 'too_big') return outOfRange(issue, name, value)
  if (issue.code === 'invalid_value') {
    const values = valuesOf(issue)
    return invalid(`${name} is ${show(value)}; expected ${values.join(', ')}`, meant(value, values))
  }
  if (issue.code === 'invalid_type') {
    return invalid(
      `${name} is ${show(value)}; expected ${typeWords[issue.expected] ?? issue.expected}`,
    )
  }
  const words = issue.code === 'invalid_union' ? issue.errors.flat().flatMap(valuesOf) : []
  return invalid(`${name}: ${lowered(issue.message)}`, meant(value, words))
}

const noDatasets: Answer = {
  code: 'config-no-datasets',
  message: 'there is no dataset',
  next: 'Add one below `datasets:`, with name, source and destinations.',
}

const realTime: Answer = {
  code: 'config-mode-unsupported',
  message: 'the mode real-time comes later: this version has scheduled and manual',
  next: 'Use `scheduled` with a short schedule, such as "* * * * *", or `manual`.',
}

const typeWords: Record<string, string> = {
  string: 'text',
  array: 'a list',
  object: 'a map',
  record: 'a map',
  boolean: 'true or false',
  number: 'a number',
  int: 'a whole number',
}

function isRealTime(value: unknown): boolean {
  return value === 'real-time' || value === 'real_time'
}

function fromParams(issue: z.core.$ZodIssueCustom, name: string): Answer {
  const { code, next } = (issue.params ?? {}) as { code?: string; next?: string }
  if (code) return { code, message: issue.message, next }
  return { code: 'config-invalid-value', message: `${name}: ${issue.message}`, next }
}

function unknownType(value: unknown): Answer {
  const types = ['file', 's3', 'gcs', 'azure-blob']
  const next = meant(value, types)
  const message = `there is no type ${show(value)}; there are ${types.join(', ')}`
  return { code: 'config-unknown-type', message, next }
}

function outOfRange(
  issue: z.core.$ZodIssueTooSmall | z.core.$ZodIssueTooBig,
  name: string,
  value: unknown,
): Answer {
  if (issue.origin === 'string' || issue.origin === 'array') {
    return { code: 'config-invalid-value', message: `${name} is empty`, next: 'Give it a value.' }
  }
  const bound =
    issue.code === 'too_small' ? `at least ${issue.minimum}` : `at most ${issue.maximum}`
  return {
    code: 'config-out-of-range',
    message: `${name} is ${show(value)}; it must be ${bound}`,
    next: undefined,
  }
}

/** Words from elsewhere, or from another part of the config, that no likeness leads to. */
const otherWords: Record<string, string> = {
  mode: 'sync-mode',
  'sync-mode': 'mode',
  target: 'destinations',
  targets: 'destinations',
  cron: 'schedule',
  filters: 'include',
}

function unknownKey(key: string, path: Path, raw: unknown): Answer {
  const known = keysAt(configSchema, path, raw)
  const other = otherWords[key]
  const like = other && known.includes(other) ? other : nearest(key, known)
  const message = `unknown key \`${key}\`${path.length > 0 ? ` in ${pathText(path)}` : ''}`
  const next = like ? `Did you mean \`${like}\`?` : `Known here: ${known.join(', ')}.`
  return { code: 'config-unknown-key', message, next }
}

/** The keys that the schema knows for the map at `path`. */
function keysAt(schema: z.core.$ZodType, path: Path, value: unknown): string[] {
  const { def } = (schema as z.core.$ZodTypes)._zod
  const [step, ...rest] = path
  if (def.type === 'optional') return keysAt(def.innerType, path, value)
  if (def.type === 'union') {
    const options = def.options.filter((option) => admits(option, step ? null : value))
    return [...new Set(options.flatMap((option) => keysAt(option, path, value)))]
  }
  if (def.type === 'object') {
    if (step === undefined) return Object.keys(def.shape)
    const inner = def.shape[step]
    return inner ? keysAt(inner, rest, valueAt(value, [step])) : []
  }
  if (step === undefined) return []
  if (def.type === 'record') return keysAt(def.valueType, rest, valueAt(value, [step]))
  return def.type === 'array' ? keysAt(def.element, rest, valueAt(value, [step])) : []
}

/** Whether a union's option has the `type` that the value has. */
function admits(option: z.core.$ZodType, value: unknown): boolean {
  const type = valueAt(value, ['type'])
  const { def } = (option as z.core.$ZodTypes)._zod
  if (type === undefined || def.type !== 'object') return true
  const literal = def.shape.type as z.core.$ZodLiteral | undefined
  return literal?._zod.def.values.includes(type as string) ?? true
}

export function valueAt(value: unknown, path: Path): unknown {
  return path.reduce<unknown>(
    (inner, step) =>
      typeof inner === 'object' && inner !== null && Object.hasOwn(inner, step)
        ? (inner as Record<string | number, unknown>)[step]
        : undefined,
    value,
  )
}

function meant(value: unknown, words: string[]): string | undefined {
  const word = typeof value === 'string' ? nearest(value, words) : null
  return word ? `Did you mean ${word}?` : undefined
}

/** Maps and lists may be long, and may hold a secret: only plain values are shown. */
function show(value: unknown): string {
  if (Array.isArray(value)) return 'a list'
  return typeof value === 'object' ? 'a map' : JSON.stringify(value)
}

/** The words that an enum takes, each in one spelling. */
function valuesOf(issue: Issue): string[] {
  if (issue.code !== 'invalid_value') return []
  return issue.values.map(String).filter((word) => !word.includes('_'))
}

function lowered(message: string): string {
  return message.charAt(0).toLowerCase() + message.slice(1)
}
