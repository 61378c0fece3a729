/**
 * `${env:NAME}` and `${file:PATH}`, in any string of `locations`, `vault`, `catalog` and
 * `temporal`: so a secret is in no config, no catalog and no history. `$${` stands for `${`
 * itself. A file's content loses one line break at its end.
 */
import { homedir } from 'node:os'
import { resolve } from 'node:path'
import { UserError } from '../errors.ts'
import { MIB } from '../limits.ts'
import { readAtMost } from './bounded.ts'
import { variable } from './environment.ts'
import type { Path } from './problems.ts'

export interface ReferenceProblem {
  code: 'config-unset-variable' | 'config-reference-file' | 'config-bad-reference'
  message: string
  next: string
  /** The string that it stands in, and the reference itself. */
  path: Path
  text: string
}

/** Keys and certificates have some KiB. */
const fileBytesMax = MIB

const reference = /\$?\$\{([^}]*)\}?/g

/** The value with all references replaced. Throws the first problem as a UserError. */
export async function resolveReferences<T>(value: T): Promise<T> {
  const { resolved, problems } = await tryReferences(value, '/')
  const [problem] = problems
  if (!problem) return resolved
  throw new UserError(problem.code, problem.message, {
    where: problem.path.join('.') || problem.text,
    next: problem.next,
  })
}

/** The same with all problems; a string with one stays as it is. `base`: of relative files. */
export async function tryReferences<T>(value: T, base: string) {
  const problems: ReferenceProblem[] = []
  const walk = async (inner: unknown, path: Path): Promise<unknown> => {
    if (typeof inner === 'string') return resolveText(inner, path, base, problems)
    if (typeof inner !== 'object' || inner === null) return inner
    if (Array.isArray(inner)) return Promise.all(inner.map((item, i) => walk(item, [...path, i])))
    const entries = Object.entries(inner).map(
      async ([name, item]) => [name, await walk(item, [...path, name])] as const,
    )
    return Object.fromEntries(await Promise.all(entries))
  }
  return { resolved: (await walk(value, [])) as T, problems }
}

/** Whether this string has a reference, or an escape of one. */
export function hasReference(text: string): boolean {
  return text.includes('${')
}

/** The string with its `${file:…}` paths absolute, so that it means the same anywhere. */
export function anchorReferences(text: string, base: string): string {
  return text.replace(reference, (found, body: string) =>
    found.startsWith('$$') || !body.startsWith('file:')
      ? found
      : `\${file:${absolute(body.slice('file:'.length), base)}}`,
  )
}

/** Absolute, from `base`; `~/` is the home folder. */
export function absolute(path: string, base: string): string {
  return path === '~' || path.startsWith('~/')
    ? resolve(homedir(), path.slice(2))
    : resolve(base, path)
}

async function resolveText(
  text: string,
  path: Path,
  base: string,
  problems: ReferenceProblem[],
): Promise<string> {
  let resolved = ''
  let end = 0
  for (const match of text.matchAll(reference)) {
    const [found, body = ''] = match
    resolved += text.slice(end, match.index)
    end = match.index + found.length
    if (found.startsWith('$$')) {
      resolved += found.slice(1)
      continue
    }
    const answer = found.endsWith('}') ? await look(body, base) : unclosed
    if (typeof answer !== 'string') {
      problems.push({ ...answer, path, text: found })
      return text
    }
    resolved += answer
  }
  return resolved + text.slice(end)
}

type Refusal = Pick<ReferenceProblem, 'code' | 'message' | 'next'>

const forms = `Write \${env:NAME} or \${file:PATH}; for the characters themselves $\${`

const unclosed: Refusal = {
  code: 'config-bad-reference',
  message: `a reference is opened by \${ and not closed by }`,
  next: forms,
}

async function look(body: string, base: string): Promise<string | Refusal> {
  const colon = body.indexOf(':')
  const [kind, name] = [body.slice(0, colon), body.slice(colon + 1)]
  if (kind === 'env' && /^[A-Za-z_][A-Za-z0-9_]*$/.test(name)) return lookVariable(name)
  if (kind === 'file' && name !== '') return lookFile(absolute(name, base))
  const next = /^[A-Za-z_][A-Za-z0-9_]*$/.test(body) ? `Did you mean \${env:${body}}?` : forms
  return { code: 'config-bad-reference', message: `"\${${body}}" is no reference`, next }
}

function lookVariable(name: string): string | Refusal {
  const value = variable(name)
  // CI systems and Compose give a variable that nobody set as an empty one.
  if (value) return value
  const message = `the environment variable ${name} is ${value === '' ? 'empty' : 'not set'}`
  const next = `Set it where Tidemark runs: export ${name}=…`
  return { code: 'config-unset-variable', message, next }
}

async function lookFile(file: string): Promise<string | Refusal> {
  try {
    const bytes = await readAtMost(file, fileBytesMax)
    if (bytes !== null) return bytes.toString().replace(/\r?\n$/, '')
    const message = `the file ${file} has more than ${fileBytesMax} bytes`
    return { code: 'config-reference-file', message, next: 'Name a file that holds a secret.' }
  } catch (error) {
    const code = (error as NodeJS.ErrnoException).code
    if (!code) throw error
    const message = `the file ${file} cannot be read: ${code}`
    return { code: 'config-reference-file', message, next: 'Give it there, readable by you.' }
  }
}
