/** How a loser is called that stays beside the winner: by who lost what, and when. Pure. */
import type { Conflict, Contender, Key } from '../../model.ts'
import { contentKey } from '../content.ts'
import { sideOf } from './choose.ts'

export const defaultConflictName = '{name}.conflict-{replica}-{time}{ext}'

export const conflictNameRules =
  '{name} is the key up to its extension, {ext} the extension with its dot, {replica} who had ' +
  'it, {time} when it was written (20260131T235959Z), {digest} eight digits of its content.'

const variables = ['name', 'ext', 'replica', 'time', 'digest'] as const
const variable = /\{([^{}]*)\}/g

/** Why this can't be a template, for people; null where it can. */
export function conflictNameProblem(template: string): string | null {
  const used = [...template.matchAll(variable)].map(([, name = '']) => name)
  const strange = used.find((name) => !(variables as readonly string[]).includes(name))
  if (strange !== undefined) return `{${strange}} is not known here`
  const twice = used.find((name, i) => used.indexOf(name) < i)
  if (twice !== undefined) return `{${twice}} is there twice`
  for (const part of ['name', 'ext']) {
    if (!used.includes(part)) return `it has no {${part}}: losers of several keys would be one`
  }
  if (!['replica', 'time', 'digest'].some((name) => used.includes(name))) {
    return 'it has none of {replica}, {time} and {digest}: the next loser would have no name left'
  }
  const plain = template.replace(variable, '')
  if (/[{}\0]/.test(plain)) return 'a brace that belongs to no variable'
  return template.startsWith('/') ? 'a key does not begin with a slash' : null
}

/**
 * The loser's key. `longer`: with a short digest, where the plain one is taken by something else.
 * A loser of a key that is itself such a name gets one of the original's: names don't nest; always
 * with the digest, since the original may lose to the same replica at the same time.
 */
export function conflictName(
  conflict: Conflict,
  loser: Contender,
  { as, replicas, longer }: { as: string; replicas: string[]; longer: boolean },
): Key {
  const { name, ext } = originalOf(conflict.key, as, replicas)
  const isCopy = `${name}${ext}` !== conflict.key
  // Ahead of the scan or not: the same loser is called alike by every run.
  const time = new Date((loser.at ?? 0) + (loser.ahead ?? 0)).toISOString()
  const digest = shortDigest(loser)
  const values = {
    name,
    ext,
    replica: sideOf(loser)[0] ?? nobody,
    time: time.replace(/[-:]|\.\d+/g, ''),
    digest,
  }
  const fill = (template: string) =>
    template.replace(variable, (_, one: keyof typeof values) => values[one])
  return fill(longer || isCopy ? as.replace('{ext}', `.${digest}{ext}`) : as)
}

/** What nobody holds any more, but the vault. */
const nobody = 'agreed'

function shortDigest({ content }: Contender): string {
  return (contentKey(content) ?? '').replace(/^\w+:/, '').slice(0, 8)
}

interface Parts {
  name: string
  ext: string
}

function originalOf(key: Key, as: string, replicas: string[]): Parts {
  const forms: Record<string, string> = {
    name: '(?<name>.+?)',
    ext: '(?<ext>\\.[^./]+)?',
    replica: `(?:${[...replicas, nobody].map(escaped).join('|')})`,
    time: '\\d{8}T\\d{6}Z',
    digest: '[0-9a-f]{8}',
  }
  const [longer, plain] = [true, false].map((digest) => {
    const pieces = as.split(/(\{[^{}]*\})/).map((piece) => {
      const form = forms[piece.slice(1, -1)]
      if (!piece.startsWith('{') || form === undefined) return escaped(piece)
      return digest && piece === '{ext}' ? `\\.[0-9a-f]{8}${form}` : form
    })
    return new RegExp(`^${pieces.join('')}$`, 'su')
  })
  const found = longer?.exec(key) ?? plain?.exec(key)
  if (found?.groups?.name) return { name: found.groups.name, ext: found.groups.ext ?? '' }
  return split(key)
}

function escaped(text: string): string {
  return text.replace(/[\\^$.*+?()[\]{}|/]/g, '\\$&')
}

/** `a/b.tar.gz` is `a/b.tar` and `.gz`; `.env` has no extension. */
function split(key: Key): Parts {
  const at = key.lastIndexOf('.')
  const isExtension = at > key.lastIndexOf('/') + 1 && at < key.length - 1
  return isExtension ? { name: key.slice(0, at), ext: key.slice(at) } : { name: key, ext: '' }
}
